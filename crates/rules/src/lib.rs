//! The rule language: text in, a typed program or diagnostics out.
//!
//! [`compile`] takes a [`RuleSource`], the registry of the fields that it may name
//! ([`Registry::workload`](yagura_event::Registry::workload)) and the named lists, and gives the compiled
//! [`Rule`] and every diagnostic there is; [`compile_check`] does the same for a posture check, whose only root
//! is `resource`. Neither panics, whatever the text. The engine crate runs what comes out; [`kernel_part`] says what of a rule
//! a kernel program could.
//!
//! Diagnostics count bytes in the part of the rule that they are about ([`Part`]); an [`Origin`] says where that
//! part stands in a YAML file, and [`render`] shows it as compilers do.
//!
//! What an agent gets is the source without prose and tests. It compiles again, and [`RuleSource::hash`] tells
//! whether both ends speak of the same rule.

#![forbid(unsafe_code)]

pub mod apply;
mod ast;
mod check;
pub mod compile;
pub mod convert;
pub mod cost;
pub mod detect;
pub mod diagnostic;
pub mod expr;
pub mod function;
pub mod kernel;
mod lexer;
pub mod limits;
pub mod lists;
pub mod mark;
mod parser;
mod pattern;
mod reach;
mod searched;
pub mod source;
mod suggest;
pub mod template;

pub use compile::{Check, Compiled, CompiledCheck, Rule, compile, compile_check};
pub use diagnostic::{
    CATALOGUE, Code, Diagnostic, Level, MarkPlace, MethodName, Origin, Part, Piece, Place, Position, Span,
    render,
};
pub use expr::{Expr, ExprId, Program};
pub use function::{FunctionDoc, functions};
pub use kernel::{KernelPart, kernel_part};
pub use lists::{ListType, Lists, NamedList};
pub use mark::{Mark, MarkName};
pub use source::{
    CheckSource, ExceptionSource, LetSource, MarkScope, MarkSource, RuleSource, RuleTest, SignalSource,
    Target, WhereSource,
};

/// Version of the language. It rises with the first release that has something that the compiler of the release before would refuse
/// or read otherwise.
pub const LANGUAGE_VERSION: u32 = 2;
