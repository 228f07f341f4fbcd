//! Literals first: what an event has to have before a rule can match it.
//!
//! From a condition follow texts of which at least one must be seen: an equality has its text, an `&&` what the most
//! selective of its members has, an `||` what all of them have together. A negation has none, because it holds for
//! nearly everything. An event is searched once for the texts of all rules, field by field, and only rules of which one
//! was seen are evaluated. What is unknown may be anything, so it counts as seen.

mod cost;
mod derive;
mod index;
mod pattern;
mod texts;

use std::borrow::Cow;

use yagura_event::FieldId;
use yagura_event::field::MemberId;

pub(crate) use derive::witness;
pub(crate) use index::{Index, IndexBuilder, Rules};

/// Where a text is looked for: in a value, or in each of its elements when it is a list.
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
    /// It stands somewhere in the value.
    Within,
    /// The same, whatever the case of its ASCII letters.
    WithinAnyCase,
}

/// A text that has to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Literal<'p> {
    place: Place,
    shape: Shape,
    text: Cow<'p, [u8]>,
}
