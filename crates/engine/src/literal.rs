//! Literals first: what an event has to have before a rule can match it.
//!
//! From a condition follow clauses: sets of literals, of each of which an event has at least one. An equality has its text
//! or number, an `&&` the clauses of all its members, an `||` those that it can put together of one of each member. A
//! negation has few, because it holds for nearly everything. An event is searched once for the literals of all rules,
//! field by field, and only rules whose every clause was met are evaluated. What is unknown may be anything, so it counts as
//! seen.

mod clause;
mod cost;
mod derive;
mod found;
mod hash;
mod index;
mod numbers;
mod parts;
mod pattern;
mod postings;
mod texts;
mod values;

use std::borrow::Cow;

use yagura_event::FieldId;
use yagura_event::field::MemberId;

pub(crate) use derive::witness;
pub(crate) use found::{Found, Rules};
pub(crate) use index::{Index, IndexBuilder};

/// How many clauses of a rule are looked for at most: each more takes away less.
pub(crate) const CLAUSES: usize = 4;

/// Where a literal is looked for: in a value, or in each of its elements when it is a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    base: Base,
    /// The member of an object, or of each object in a list.
    member: Option<MemberId>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    Field(FieldId),
    /// An element of the list that a macro visits.
    Variable(u8),
}

/// How a text has to stand in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// It is all of the value.
    Whole,
    /// The value begins with it.
    Prefix,
    /// The value ends with it.
    Suffix,
    /// It stands somewhere in the value.
    Within,
}

/// A text that has to stand in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TextWanted<'p> {
    shape: Shape,
    /// Whatever the case of its ASCII letters.
    any_case: bool,
    text: Cow<'p, [u8]>,
}

/// What has to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted<'p> {
    Text(TextWanted<'p>),
    /// This number.
    Number(i64),
    /// It or a greater one.
    AtLeast(i64),
    /// It or a smaller one.
    AtMost(i64),
    True,
    False,
    /// Anything else, or nothing at all.
    NotTrue,
    /// Anything at all.
    Present,
    /// Nothing, or null.
    Absent,
}

/// Something that has to be seen at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Literal<'p> {
    place: Place,
    wanted: Wanted<'p>,
}
