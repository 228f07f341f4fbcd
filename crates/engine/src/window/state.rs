//! What a rule remembers of one group, whatever it looks for.

use yagura_event::Timestamp;
use yagura_rules::detect::{Method, Steps};

use super::chain::Chain;
use super::queries::Queries;
use super::values::Values;
use super::{BadGroup, Fired, Group, Outcome, Tuple};
use crate::method::{anomaly, content};

/// One match, or several that came within a second, on its way into a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// When the first happened.
    pub first: Timestamp,
    /// When the last happened.
    pub last: Timestamp,
    /// How many there are.
    pub count: u32,
    /// Stand for the values that are told apart, if any are.
    pub values: &'a [u64],
    /// The text that is compared, if one is.
    pub text: &'a [u8],
    /// The steps of a sequence, or the queries, that they belong to.
    pub steps: Steps,
}

/// What a match did to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What the group says.
    pub outcome: Outcome,
    /// The case that is told, if the rule has cases.
    pub case: Option<u8>,
    /// Whether the group is another one than before, so that whoever keeps it has to write it.
    pub changed: bool,
    /// How many values it forgot because it had too many.
    pub evicted: u64,
}

/// What a rule remembers of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Matches of a window.
    Threshold(Group),
    /// Values that were seen.
    NewValue(Box<Values>),
    /// Matches of steps.
    Sequence(Box<Chain>),
    /// Matches of queries.
    Correlation(Box<Queries>),
    /// How many there were when.
    Anomaly(Box<anomaly::Group>),
    /// Shapes of texts.
    Content(Box<content::Group>),
}

impl State {
    /// That of a group without a match.
    pub fn new(method: &Method) -> Self {
        match method {
            Method::Threshold(_) => Self::Threshold(Group::default()),
            Method::NewValue(_) => Self::NewValue(Box::default()),
            Method::Sequence(_) => Self::Sequence(Box::default()),
            Method::Correlation(_) => Self::Correlation(Box::default()),
            Method::Anomaly(_) => Self::Anomaly(Box::default()),
            Method::Content(_) => Self::Content(Box::default()),
        }
    }

    /// Takes a match. `method` is the one that the state was made for.
    pub fn add(&mut self, method: &Method, input: &Input<'_>) -> Taken {
        let always = |outcome| Taken {
            outcome,
            case: None,
            changed: outcome != Outcome::Late,
            evicted: 0,
        };
        match (self, method) {
            (Self::Threshold(group), Method::Threshold(threshold)) => {
                let tuple = Tuple {
                    first: input.first,
                    last: input.last,
                    count: input.count,
                    value: input.values.first().copied().unwrap_or(0),
                };
                always(group.add(threshold, tuple))
            }
            (Self::NewValue(values), Method::NewValue(new)) => values.add(new, input),
            (Self::Sequence(chain), Method::Sequence(sequence)) => always(chain.add(sequence, input)),
            (Self::Correlation(queries), Method::Correlation(all)) => {
                let (outcome, case) = queries.add(all, input);
                Taken {
                    case,
                    ..always(outcome)
                }
            }
            (Self::Anomaly(group), Method::Anomaly(anomaly)) => {
                always(spike(group.add(anomaly, input.last, input.count), input))
            }
            (Self::Content(group), Method::Content(content)) => {
                always(unusual(group.add(content, input.last, input.text), input))
            }
            (state, method) => {
                *state = Self::new(method);
                always(Outcome::Waits)
            }
        }
    }

    /// Time of the newest match, or shortly before it.
    pub fn newest(&self, method: &Method) -> Option<Timestamp> {
        match (self, method) {
            (Self::Threshold(group), _) => group.newest(),
            (Self::NewValue(values), Method::NewValue(new)) => values.newest(new),
            (Self::NewValue(_), _) => None,
            (Self::Sequence(chain), _) => chain.newest(),
            (Self::Correlation(queries), _) => queries.newest(),
            (Self::Anomaly(group), _) => group.newest(),
            (Self::Content(group), _) => group.newest(),
        }
    }

    /// It as bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Threshold(group) => group.encode(),
            Self::NewValue(values) => values.encode(),
            Self::Sequence(chain) => chain.encode(),
            Self::Correlation(queries) => queries.encode(),
            Self::Anomaly(group) => group.encode(),
            Self::Content(group) => group.encode(),
        }
    }

    /// The one that `bytes` are, of that method.
    pub fn decode(method: &Method, bytes: &[u8]) -> Result<Self, BadGroup> {
        Ok(match method {
            Method::Threshold(threshold) => Self::Threshold(Group::decode(threshold, bytes)?),
            Method::NewValue(_) => Self::NewValue(Box::new(Values::decode(bytes)?)),
            Method::Sequence(_) => Self::Sequence(Box::new(Chain::decode(bytes)?)),
            Method::Correlation(_) => Self::Correlation(Box::new(Queries::decode(bytes)?)),
            Method::Anomaly(anomaly) => Self::Anomaly(Box::new(anomaly::Group::decode(anomaly, bytes)?)),
            Method::Content(content) => Self::Content(Box::new(content::Group::decode(content, bytes)?)),
        })
    }
}

/// With the match that makes a bucket one, all matches of the bucket are told; those that follow by themselves.
fn spike(outcome: anomaly::Outcome, input: &Input<'_>) -> Outcome {
    match outcome {
        anomaly::Outcome::Waits => Outcome::Waits,
        anomaly::Outcome::Late => Outcome::Late,
        anomaly::Outcome::Fires(spike) => Outcome::Fires(Fired {
            count: u64::from(spike.count),
            first: spike.start,
            last: input.last,
        }),
        anomaly::Outcome::Grows(_) => fires(input),
    }
}

fn unusual(outcome: content::Outcome, input: &Input<'_>) -> Outcome {
    match outcome {
        content::Outcome::Waits | content::Outcome::Learns => Outcome::Waits,
        content::Outcome::Late => Outcome::Late,
        content::Outcome::Fires(_) => fires(input),
    }
}

fn fires(input: &Input<'_>) -> Outcome {
    Outcome::Fires(Fired {
        count: u64::from(input.count),
        first: input.first,
        last: input.last,
    })
}
