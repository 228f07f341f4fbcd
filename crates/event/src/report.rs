//! What an agent reports: matches folded by group, and what was lost.

use crate::{Timestamp, Tree};

/// A rendered event: values of registry fields by path, as a signal shows them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// When it happened.
    pub time: Timestamp,
    /// Nested by the segments of the field paths: `process.parent.name` stands in three maps.
    pub fields: Tree,
}

/// The fields a signal is grouped by with their values, in the rule's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupKey(pub Vec<(String, Tree)>);

/// Matches of one rule in one group, counted exactly.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// Uid of the rule; its name where rules come from files.
    pub rule: String,
    /// Content hash of the rule that matched, so that the receiver knows which edit it was.
    pub rule_hash: String,
    /// What the matches have in common.
    pub group: GroupKey,
    /// The rule's title with the first match's values.
    pub title: String,
    /// How many matches; at least 1.
    pub count: u64,
    /// Time of the first match.
    pub first: Timestamp,
    /// Time of the last match.
    pub last: Timestamp,
    /// The first matches, three at most.
    pub samples: Vec<Record>,
    /// Whether a condition was decided by something unknown.
    pub incomplete: bool,
    /// Whether names or labels that the rule's `where` needs were still unknown.
    pub pending: bool,
    /// The case of the rule that the matches are, if it has cases.
    pub case: Option<u8>,
}

/// Matches of a rule that an Exception object held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excepted {
    /// Uid of the rule.
    pub rule: String,
    /// Uid of the exception.
    pub exception: String,
    /// How many matches; at least 1.
    pub count: u64,
    /// Time of the last.
    pub last: Timestamp,
}

/// A range of records that never will arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Why, from a small fixed set such as `spool-full`.
    pub cause: String,
    /// How many matches were in them.
    pub matches: u64,
}
