//! How matches become detections, as people write it.

use yagura_event::Severity;

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

/// What a query measures of its matches within the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MeasureSource {
    /// How many there are.
    #[default]
    Count,
    /// How many different values of a field they have.
    Distinct(String),
    /// The sum of a field that is a number.
    Sum(String),
    /// The greatest value of a field that is a number.
    Max(String),
}

impl MeasureSource {
    /// Its name in the API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Distinct(_) => "distinct",
            Self::Sum(_) => "sum",
            Self::Max(_) => "max",
        }
    }

    /// The field that it looks at.
    pub fn field(&self) -> Option<&String> {
        match self {
            Self::Count => None,
            Self::Distinct(field) | Self::Sum(field) | Self::Max(field) => Some(field),
        }
    }
}

/// A named number that is measured of matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuerySource {
    /// By which cases call it.
    pub name: String,
    /// Which matches of the rule it is about.
    pub condition: String,
    /// What of them.
    pub measure: MeasureSource,
}

/// What is told when queries say something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseSource {
    /// When: numbers of queries, compared and joined.
    pub when: String,
    /// How urgent it is; `None`: as urgent as the rule.
    pub severity: Option<Severity>,
    /// Title with fields of `groupBy` in it; empty: the rule's.
    pub title: String,
}

/// Several queries, and what they say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorrelationSource {
    /// Within how many nanoseconds.
    pub within: i64,
    /// What is measured.
    pub queries: Vec<QuerySource>,
    /// The first that holds is told.
    pub cases: Vec<CaseSource>,
}

/// More matches in a while than at such times before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnomalySource {
    /// The while, in nanoseconds.
    pub bucket: i64,
    /// How far back it is compared, in nanoseconds.
    pub history: i64,
    /// How long a group is only learned, in nanoseconds.
    pub learn_for: i64,
    /// How many times what varies usually is still usual.
    pub tolerance: u64,
    /// Fewer matches are no anomaly.
    pub min_count: u64,
}

/// A text that is like none before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentAnomalySource {
    /// The field that is the text.
    pub field: String,
    /// From how many hundredths of similarity on texts are alike.
    pub similarity: u64,
    /// How many texts like it make a text usual.
    pub similar: u64,
    /// How long a group is only learned, in nanoseconds.
    pub learn_for: i64,
    /// How many matches of a group are only learned from.
    pub learn_matches: u64,
    /// After how many nanoseconds without a text like it a text is forgotten.
    pub forget_after: i64,
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
    /// By what several queries say together.
    Correlation(CorrelationSource),
    /// By how many there are.
    Anomaly(AnomalySource),
    /// By what one of their texts is like.
    ContentAnomaly(ContentAnomalySource),
}

impl MethodSource {
    /// The conditions that it puts to each match.
    pub(super) fn conditions(&self) -> Vec<&String> {
        match self {
            Self::Threshold(_) | Self::NewValue(_) | Self::Anomaly(_) | Self::ContentAnomaly(_) => Vec::new(),
            Self::Sequence(sequence) => {
                let steps = sequence.steps.iter().map(|step| &step.condition);
                steps.chain(&sequence.until).collect()
            }
            Self::Correlation(correlation) => {
                let queries = correlation.queries.iter();
                queries.map(|query| &query.condition).collect()
            }
        }
    }

    /// Which one it is.
    pub fn name(&self) -> MethodName {
        match self {
            Self::Threshold(_) => MethodName::Threshold,
            Self::NewValue(_) => MethodName::NewValue,
            Self::Sequence(_) => MethodName::Sequence,
            Self::Correlation(_) => MethodName::Correlation,
            Self::Anomaly(_) => MethodName::Anomaly,
            Self::ContentAnomaly(_) => MethodName::ContentAnomaly,
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
            (MethodSource::ContentAnomaly(source), Place::Text) => Some(&source.field),
            (MethodSource::Correlation(correlation), place) => correlation.text_of(place),
            _ => None,
        }
    }
}

impl CorrelationSource {
    fn text_of(&self, place: Place) -> Option<&String> {
        match place {
            Place::QueryName(index) => self.queries.get(index).map(|query| &query.name),
            Place::Query(index) => self.queries.get(index).map(|query| &query.condition),
            Place::QueryField(index, _) => self.queries.get(index).and_then(|query| query.measure.field()),
            Place::Case(index) => self.cases.get(index).map(|case| &case.when),
            Place::CaseTitle(index) => self.cases.get(index).map(|case| &case.title),
            _ => None,
        }
    }
}
