//! What is looked for among matches, as the engine takes it.

use yagura_event::{FieldId, Severity};

use super::{CLUSTER_LATENESS, MAX_WITHIN, When};
use crate::template::Template;

/// How windows lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Any interval of that length, without its beginning: `(t - within, t]`.
    Sliding,
    /// One begins with the first match that lies in none before it, and ends after its length.
    Fixed,
    /// One begins like that and goes on until no match comes for longer than `gap` nanoseconds, but at most for its length.
    Session {
        /// The longest pause.
        gap: i64,
    },
}

/// So many matches, or so many different values, within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// How many at least.
    pub count: u64,
    /// Length of the window, in nanoseconds.
    pub within: i64,
    /// How windows lie.
    pub shape: Shape,
    /// The field whose different values are counted; `None`: matches are.
    pub distinct: Option<FieldId>,
    /// How much later than the newest of its group a match may come, in nanoseconds.
    pub lateness: i64,
}

/// A value that was not there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewValue {
    /// How long values are only learned, in nanoseconds from the first match of a group.
    pub learn_for: i64,
    /// How many matches of a group are only learned from.
    pub learn_matches: u64,
    /// After how many nanoseconds without a match a value is forgotten.
    pub forget_after: i64,
}

/// One thing after the other, within a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Less than so many nanoseconds lie between the first and the last.
    pub within: i64,
    /// How many matches each step takes: up to [`MAX_STEPS`](super::MAX_STEPS) numbers, up to
    /// [`MAX_SEQUENCE`](super::MAX_SEQUENCE) together.
    pub counts: Box<[u32]>,
    /// How much later than the newest of its group a match may come, in nanoseconds.
    pub lateness: i64,
}

/// Which steps of a sequence a match belongs to, a bit each from the lowest.
pub type Steps = u16;
/// The bit of what ends a sequence.
pub const UNTIL: Steps = 1 << 15;

/// What is measured of matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// How many there are.
    Count,
    /// How many different values they have, of those at that place among the match's values.
    Distinct(usize),
    /// The sum of their numbers.
    Sum(usize),
    /// The greatest of them.
    Max(usize),
}

/// What is told when queries say something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// When.
    pub when: When,
    /// How urgent it is; `None`: as urgent as the rule.
    pub severity: Option<Severity>,
    /// Its title, of fields that matches are grouped by; `None`: the rule's.
    pub title: Option<Template>,
}

/// Several queries, and what they say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correlation {
    /// Length of the window, in nanoseconds.
    pub within: i64,
    /// What is measured: up to [`MAX_QUERIES`](super::MAX_QUERIES). Which matches a query is about is a bit of their [`Steps`].
    pub queries: Box<[Measure]>,
    /// The first that holds is told.
    pub cases: Box<[Case]>,
    /// How much later than the newest of its group a match may come, in nanoseconds.
    pub lateness: i64,
}

/// More matches in a while than at such times before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// Length of a bucket, in nanoseconds. It divides a day, and divides an hour or is a number of hours.
    pub bucket: i64,
    /// How far back samples reach, in nanoseconds.
    pub history: i64,
    /// How long a group is only learned, in nanoseconds; at least one bucket.
    pub learning: i64,
    /// The quantile, in thousandths: 1 to 1,000.
    pub quantile: u32,
    /// How many median absolute deviations beyond the quantile are usual.
    pub tolerance: u32,
    /// A bucket with fewer matches is no spike; at least 2.
    pub min_count: u32,
    /// How much later than the newest of its group a match may come, in nanoseconds.
    pub lateness: i64,
}

impl Default for Anomaly {
    fn default() -> Self {
        Self {
            bucket: MAX_WITHIN / 96,
            history: 14 * MAX_WITHIN,
            learning: MAX_WITHIN,
            quantile: 995,
            tolerance: 2,
            min_count: 10,
            lateness: CLUSTER_LATENESS,
        }
    }
}

impl Anomaly {
    /// How long after its newest match a group may be forgotten, in nanoseconds: it would begin anew in any case.
    pub fn memory(&self) -> i64 {
        // Lateness and the newest bucket are rounded up to buckets, and the one that ends the history is whole.
        let more = self.bucket.max(0).saturating_mul(3);
        let length = self.history.max(0).saturating_add(self.lateness.max(0));
        length.saturating_add(more)
    }
}

/// A text that is like none before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// From which similarity on two texts are alike, in hundredths: 1 to 100.
    pub similarity: u8,
    /// How many texts like it make a text usual, at least 1.
    pub similar: u32,
    /// How long a group is only learned, in nanoseconds.
    pub learning: i64,
    /// How many of its texts are only learned, at least 1.
    pub learning_count: u32,
    /// How long after it was seen last a shape is remembered, in nanoseconds.
    pub forget: i64,
    /// How much later than the newest of its group a text may come, in nanoseconds.
    pub lateness: i64,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            similarity: 70,
            similar: 1,
            learning: 7 * MAX_WITHIN,
            learning_count: 1,
            forget: 28 * MAX_WITHIN,
            lateness: CLUSTER_LATENESS,
        }
    }
}

impl Content {
    /// How long after its newest text a group may be forgotten, in nanoseconds: it would begin anew in any case.
    pub fn memory(&self) -> i64 {
        let length = self.forget.max(0).saturating_add(self.lateness.max(0));
        length.saturating_add(1)
    }
}

/// What is looked for among the matches of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// So many of them.
    Threshold(Threshold),
    /// What was not seen before.
    NewValue(NewValue),
    /// One thing after the other.
    Sequence(Sequence),
    /// What several queries say together.
    Correlation(Correlation),
    /// More of them than usual.
    Anomaly(Anomaly),
    /// Another text than usual.
    Content(Content),
}

impl Method {
    /// How long after its newest match a group still matters, in nanoseconds.
    pub fn remembers(&self) -> i64 {
        match self {
            Self::Threshold(threshold) => threshold.within.saturating_add(threshold.lateness),
            Self::NewValue(new) => new.forget_after,
            Self::Sequence(sequence) => sequence.within.saturating_add(sequence.lateness),
            Self::Correlation(all) => all.within.saturating_add(all.lateness),
            Self::Anomaly(anomaly) => anomaly.memory(),
            Self::Content(content) => content.memory(),
        }
    }

    /// How far before the match that completes it a detection may tell others, in nanoseconds.
    pub fn tells_back(&self) -> i64 {
        match self {
            Self::Threshold(_) | Self::Sequence(_) | Self::Correlation(_) => self.remembers(),
            Self::Anomaly(anomaly) => anomaly.bucket.saturating_add(anomaly.lateness),
            // Each match is told by itself.
            Self::NewValue(_) | Self::Content(_) => 0,
        }
    }
}
