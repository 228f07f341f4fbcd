//! Places in `detect` and `mark`.

use std::fmt;

/// A method of detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MethodName {
    /// So many within a time.
    Threshold,
    /// What was not seen before.
    NewValue,
    /// One thing after the other.
    Sequence,
    /// Several queries together.
    Correlation,
    /// More than usual.
    Anomaly,
    /// Other texts than usual.
    ContentAnomaly,
}

impl MethodName {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Threshold => "threshold",
            Self::NewValue => "newValue",
            Self::Sequence => "sequence",
            Self::Correlation => "correlation",
            Self::Anomaly => "anomaly",
            Self::ContentAnomaly => "contentAnomaly",
        }
    }
}

/// Where in a method of detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// `groupBy[n]`.
    GroupBy(usize),
    /// `distinct` of a threshold.
    Distinct,
    /// `count` of a threshold.
    Count,
    /// `within`.
    Within,
    /// `fields`, or one of them, of a new value.
    Field(usize),
    /// `field` of a content anomaly.
    Text,
    /// `similarity` of a content anomaly.
    Similarity,
    /// `similar` of a content anomaly.
    Similar,
    /// `bucket` of an anomaly.
    Bucket,
    /// `history` of an anomaly.
    History,
    /// `tolerance` of an anomaly.
    Tolerance,
    /// `minCount` of an anomaly.
    MinCount,
    /// `learnFor` of what learns.
    LearnFor,
    /// `learnMatches` of what learns.
    LearnMatches,
    /// `forgetAfter` of what learns.
    ForgetAfter,
    /// `steps[n].condition` of a sequence.
    Step(usize),
    /// `steps[n].count` of a sequence.
    StepCount(usize),
    /// `until` of a sequence.
    Until,
    /// `queries[n].name` of a correlation.
    QueryName(usize),
    /// `queries[n].condition` of a correlation.
    Query(usize),
    /// The field of `queries[n]` of a correlation, by what is measured of it.
    QueryField(usize, &'static str),
    /// `cases[n].when` of a correlation.
    Case(usize),
    /// `cases[n].title` of a correlation.
    CaseTitle(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GroupBy(index) => write!(f, "groupBy[{index}]"),
            Self::Count => f.write_str("count"),
            Self::Within => f.write_str("within"),
            Self::Distinct => f.write_str("distinct"),
            Self::Field(index) => write!(f, "fields[{index}]"),
            Self::Text => f.write_str("field"),
            Self::Similarity => f.write_str("similarity"),
            Self::Similar => f.write_str("similar"),
            Self::Bucket => f.write_str("bucket"),
            Self::History => f.write_str("history"),
            Self::Tolerance => f.write_str("tolerance"),
            Self::MinCount => f.write_str("minCount"),
            Self::LearnFor => f.write_str("learnFor"),
            Self::LearnMatches => f.write_str("learnMatches"),
            Self::ForgetAfter => f.write_str("forgetAfter"),
            Self::Step(index) => write!(f, "steps[{index}].condition"),
            Self::StepCount(index) => write!(f, "steps[{index}].count"),
            Self::Until => f.write_str("until"),
            Self::QueryName(index) => write!(f, "queries[{index}].name"),
            Self::Query(index) => write!(f, "queries[{index}].condition"),
            Self::QueryField(index, measure) => write!(f, "queries[{index}].{measure}"),
            Self::Case(index) => write!(f, "cases[{index}].when"),
            Self::CaseTitle(index) => write!(f, "cases[{index}].title"),
        }
    }
}

/// Where in what a rule tells others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkPlace {
    /// `mark.name`.
    Name,
    /// `mark.value`.
    Value,
    /// `mark.append`.
    Append,
    /// `mark.ttl`.
    Ttl,
    /// `silent`.
    Silent,
}

impl fmt::Display for MarkPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "mark.name",
            Self::Value => "mark.value",
            Self::Append => "mark.append",
            Self::Ttl => "mark.ttl",
            Self::Silent => "silent",
        })
    }
}
