//! Code: linear, with jumps, so that running it needs no recursion but into the body of a macro.

use std::collections::HashSet;
use std::sync::Arc;

use regex::bytes::Regex;
use yagura_event::field::MemberId;
use yagura_event::{FieldId, Text, Tree};
use yagura_rules::NamedList;
use yagura_rules::expr::{ArithmeticOp, MacroKind, OrderOp};
use yagura_rules::function::Function;

mod graph;
mod lower;
mod run;

pub(crate) use graph::{Graph, encode_tree};
pub use run::Scratch;

/// A piece of code, from its first instruction to before its last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// One instruction. Operands are on the stack, and the result goes there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// A value that is written out.
    Const(u32),
    Field(FieldId),
    Variable(u8),
    Member(MemberId),
    Select(u32),
    Index,
    IsNull,
    Not,
    Negate,
    Equal,
    Order(OrderOp),
    In,
    /// Membership in a written list of many strings.
    InSet(u32),
    /// Membership in a named list.
    InNamed(u32),
    /// A named list as a value.
    Named(u32),
    Arithmetic(ArithmeticOp),
    Call(Function, u8),
    Matches(u32),
    List(u32),
    /// Turns a value into a truth value.
    Truth,
    /// Leaves a false one and jumps.
    AndJump(u32),
    And,
    /// Leaves a true one and jumps.
    OrJump(u32),
    Or,
    /// Takes the condition; goes on when it holds, jumps to the first when not, to the second when unknown.
    Branch(u32, u32),
    Jump(u32),
    /// Runs what follows up to the target for each element of the list, then goes on there.
    Macro(MacroKind, u8, u32),
    /// The result of a test that many rules share, evaluated once per event.
    Predicate(u32),
}

/// Code and the constants it refers to.
#[derive(Debug, Default)]
pub(crate) struct Unit {
    ops: Vec<Op>,
    constants: Vec<Tree>,
    names: Vec<Text>,
    sets: Vec<HashSet<Box<[u8]>>>,
    named: Vec<Arc<NamedList>>,
    patterns: Vec<Regex>,
    predicates: Vec<Range>,
}

impl Unit {
    /// How many tests are shared.
    pub(crate) fn predicate_count(&self) -> usize {
        self.predicates.len()
    }
}
