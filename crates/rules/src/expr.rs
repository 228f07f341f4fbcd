//! Checked expressions: names are resolved, types fit, patterns are compiled.
//!
//! A [`Program`] is flat and its children stand before their parents, so walking and dropping it need no
//! recursion. It is a graph rather than a tree: a `let` stands in it once, however often it is used.

use std::sync::Arc;

use regex::bytes::Regex;
use yagura_event::field::MemberId;
use yagura_event::{FieldId, Text, Tree};

use crate::function::Function;
use crate::lists::NamedList;

/// An expression by its place in its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExprId(pub u32);

impl ExprId {
    /// Its place as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A compiled pattern by its place in its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PatternId(pub u32);

/// How two values are to be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderOp {
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

/// What is to be calculated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArithmeticOp {
    /// `+`: numbers add up, strings and lists follow each other.
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

/// A macro over the elements of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MacroKind {
    /// Whether the test holds for at least one element.
    Exists,
    /// Whether it holds for every element.
    All,
    /// Whether it holds for exactly one element.
    ExistsOne,
    /// The elements for which it holds.
    Filter,
    /// The result for each element.
    Map,
}

impl MacroKind {
    /// Every macro.
    pub const ALL: [Self; 5] = [Self::Exists, Self::All, Self::ExistsOne, Self::Filter, Self::Map];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::All => "all",
            Self::ExistsOne => "exists_one",
            Self::Filter => "filter",
            Self::Map => "map",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A checked expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A value that is written out.
    Const(Tree),
    /// A field of the event, or the root of the resource.
    Field(FieldId),
    /// The variable of the macro that is this many macros inside others.
    Variable(u8),
    /// A member of an object of the domain.
    Member(ExprId, MemberId),
    /// A member that only the data knows.
    Select(ExprId, Text),
    /// An element of a list, or a member whose name is calculated.
    Index(ExprId, ExprId),
    /// Whether it is absent or null.
    IsNull(ExprId),
    /// `!`
    Not(ExprId),
    /// `-`
    Negate(ExprId),
    /// `&&` of all.
    And(Vec<ExprId>),
    /// `||` of all.
    Or(Vec<ExprId>),
    /// `condition ? then : otherwise`
    Conditional {
        /// What decides.
        condition: ExprId,
        /// The result when it holds.
        then: ExprId,
        /// The result when it does not, or is absent.
        otherwise: ExprId,
    },
    /// `==`; `!=` is its negation.
    Equal(ExprId, ExprId),
    /// An ordering.
    Order(OrderOp, ExprId, ExprId),
    /// Membership in a list, or among the names of a map.
    In(ExprId, ExprId),
    /// Arithmetic.
    Arithmetic(ArithmeticOp, ExprId, ExprId),
    /// A function.
    Call(Function, Vec<ExprId>),
    /// A test of a string against a pattern.
    Matches(ExprId, PatternId),
    /// A macro.
    Macro {
        /// Which.
        kind: MacroKind,
        /// The list.
        range: ExprId,
        /// The number of its variable: how many macros are around it.
        variable: u8,
        /// What is evaluated for each element.
        body: ExprId,
    },
    /// A list whose elements are not all written out.
    List(Vec<ExprId>),
    /// A named list. Only one of strings is a value; others stand on the right of [`Expr::In`] and nowhere else.
    Named(Arc<NamedList>),
}

impl Expr {
    /// The expressions that it is made of, in the order in which they are written.
    pub fn children(&self) -> impl Iterator<Item = ExprId> + '_ {
        let (fixed, many): ([Option<ExprId>; 3], &[ExprId]) = match self {
            Self::Const(_) | Self::Field(_) | Self::Variable(_) | Self::Named(_) => ([None; 3], &[]),
            Self::Member(base, _)
            | Self::Select(base, _)
            | Self::IsNull(base)
            | Self::Not(base)
            | Self::Negate(base)
            | Self::Matches(base, _) => ([Some(*base), None, None], &[]),
            Self::Index(left, right)
            | Self::Equal(left, right)
            | Self::Order(_, left, right)
            | Self::In(left, right)
            | Self::Arithmetic(_, left, right) => ([Some(*left), Some(*right), None], &[]),
            Self::Conditional {
                condition,
                then,
                otherwise,
            } => ([Some(*condition), Some(*then), Some(*otherwise)], &[]),
            Self::Macro { range, body, .. } => ([Some(*range), Some(*body), None], &[]),
            Self::And(many) | Self::Or(many) | Self::Call(_, many) | Self::List(many) => ([None; 3], many),
        };
        fixed.into_iter().flatten().chain(many.iter().copied())
    }
}

/// A compiled pattern. Two are the same when they are written the same.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The regular expression it was translated to, which also identifies it.
    pub source: String,
    /// The matcher.
    pub regex: Regex,
}

/// The expressions of one rule or check.
#[derive(Clone, Debug, Default)]
pub struct Program {
    nodes: Vec<Expr>,
    patterns: Vec<Pattern>,
}

/// What patterns may be added to a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PatternLimits {
    /// How many it may have in all.
    pub(crate) count: usize,
    /// Memory of each when compiled, in bytes.
    pub(crate) bytes: usize,
}

impl Program {
    /// The expression at that place.
    ///
    /// # Panics
    /// When the id comes from another program.
    pub fn get(&self, id: ExprId) -> &Expr {
        &self.nodes[id.index()]
    }

    /// The pattern at that place.
    ///
    /// # Panics
    /// When the id comes from another program.
    pub fn pattern(&self, id: PatternId) -> &Pattern {
        &self.patterns[id.0 as usize]
    }

    /// All patterns.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// How many patterns there are.
    pub(crate) fn pattern_count(&self) -> usize {
        self.patterns.len()
    }

    /// All expressions, children before parents.
    pub fn nodes(&self) -> &[Expr] {
        &self.nodes
    }

    /// Adds an expression whose children are there.
    pub fn push(&mut self, expr: Expr) -> ExprId {
        // Sources are bounded, and so is the number of nodes a token gives.
        let id = ExprId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(expr);
        id
    }

    /// Adds a pattern, or finds it.
    pub(crate) fn push_pattern(
        &mut self,
        source: String,
        limits: PatternLimits,
        compile: impl FnOnce(&str, usize) -> Result<Regex, String>,
    ) -> Result<PatternId, String> {
        let found = self.patterns.iter().position(|pattern| pattern.source == source);
        let index = if let Some(index) = found {
            index
        } else if self.patterns.len() >= limits.count {
            return Err("there are too many different ones".to_owned());
        } else {
            let regex = compile(&source, limits.bytes)?;
            self.patterns.push(Pattern { source, regex });
            self.patterns.len() - 1
        };
        Ok(PatternId(u32::try_from(index).unwrap_or(u32::MAX)))
    }

    /// Takes the members of an `&&` or `||` that is being extended.
    pub(crate) fn take_members(&mut self, id: ExprId, and: bool) -> Option<Vec<ExprId>> {
        match (&mut self.nodes[id.index()], and) {
            (Expr::And(members), true) | (Expr::Or(members), false) => Some(std::mem::take(members)),
            _ => None,
        }
    }

    pub(crate) fn reset(&mut self, id: ExprId, expr: Expr) {
        self.nodes[id.index()] = expr;
    }
}
