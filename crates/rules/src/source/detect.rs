//! How matches become detections, as people write it.

use crate::diagnostic::{MethodName, Place};

/// How the windows of a threshold lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WindowSource {
    /// Any interval of that length.
    #[default]
    Sliding,
    /// One begins with the first match after the one before it.
    Fixed,
    /// One ends when no match came for so many nanoseconds.
    Session {
        /// The longest pause.
        gap: i64,
    },
}

impl WindowSource {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sliding => "sliding",
            Self::Fixed => "fixed",
            Self::Session { .. } => "session",
        }
    }
}

/// So many matches, or different values, within a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThresholdSource {
    /// How many at least.
    pub count: u64,
    /// Within how many nanoseconds.
    pub within: i64,
    /// The field whose different values are counted; `None`: matches are.
    pub distinct: Option<String>,
    /// How windows lie.
    pub window: WindowSource,
}

/// A value that was not there before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewValueSource {
    /// The fields whose values together are one; each element of a list is one of its own.
    pub fields: Vec<String>,
    /// How long values are only learned, in nanoseconds from the first match of a group.
    pub learn_for: i64,
    /// How many matches of a group are only learned from.
    pub learn_matches: u64,
    /// After how many nanoseconds without a match a value is forgotten.
    pub forget_after: i64,
}

/// A step of a sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepSource {
    /// Which matches of the rule belong to it.
    pub condition: String,
    /// How many of them it takes.
    pub count: u64,
}

/// One thing after the other, within a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SequenceSource {
    /// Less than so many nanoseconds lie between the first and the last.
    pub within: i64,
    /// What has to come, in order.
    pub steps: Vec<StepSource>,
    /// What ends each sequence that has begun.
    pub until: Option<String>,
}

/// How detections are found among matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MethodSource {
    /// From so many of them on.
    Threshold(ThresholdSource),
    /// By what was not seen before.
    NewValue(NewValueSource),
    /// By their order.
    Sequence(SequenceSource),
}

impl MethodSource {
    /// Which one it is.
    pub fn name(&self) -> MethodName {
        match self {
            Self::Threshold(_) => MethodName::Threshold,
            Self::NewValue(_) => MethodName::NewValue,
            Self::Sequence(_) => MethodName::Sequence,
        }
    }
}

/// How matches become detections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetectSource {
    /// Fields whose values matches must share to be looked at together.
    pub group_by: Vec<String>,
    /// What is looked for among them.
    pub method: MethodSource,
}

impl DetectSource {
    /// The text at that place; `None`: there is none, or it is a number.
    pub(super) fn text_of(&self, place: Place) -> Option<&String> {
        match (&self.method, place) {
            (_, Place::GroupBy(index)) => self.group_by.get(index),
            (MethodSource::Threshold(threshold), Place::Distinct) => threshold.distinct.as_ref(),
            (MethodSource::NewValue(new), Place::Field(index)) => new.fields.get(index),
            (MethodSource::Sequence(sequence), Place::Step(index)) => {
                sequence.steps.get(index).map(|step| &step.condition)
            }
            (MethodSource::Sequence(sequence), Place::Until) => sequence.until.as_ref(),
            _ => None,
        }
    }
}
