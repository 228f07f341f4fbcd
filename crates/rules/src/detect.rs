//! How matches become detections: what is looked for among them, and where.

mod correlation;
mod method;
mod numbers;
mod when;

use yagura_event::{FieldId, Registry};

use crate::check::Checker;
use crate::diagnostic::{MethodName, Part, Place, Span};
use crate::expr::ExprId;
use crate::limits;
use crate::source::{DetectSource, MethodSource, RuleSource, SequenceSource, ThresholdSource, WindowSource};
use crate::template::find_field;

pub use method::{
    Anomaly, Case, Content, Correlation, Measure, Method, NewValue, Sequence, Shape, Steps, Threshold, UNTIL,
};
pub use when::When;

/// Most different values that a threshold may ask for: they are told apart exactly.
pub const MAX_DISTINCT: u64 = 1_024;
/// Most matches that a threshold may ask for.
pub const MAX_COUNT: u64 = 1_000_000;
/// Longest window, in nanoseconds: 24 hours, as long as a signal takes matches.
pub const MAX_WITHIN: i64 = 24 * 3_600 * 1_000_000_000;
/// Longest time that values are learned or remembered, in nanoseconds: 90 days.
pub const MAX_FORGET: i64 = 90 * MAX_WITHIN;
/// Most fields whose values together are one.
pub const MAX_FIELDS: usize = 5;
/// Most steps of a sequence.
pub const MAX_STEPS: usize = 10;
/// Longest time over which an anomaly compares, in nanoseconds: 28 days.
pub const MAX_HISTORY: i64 = 28 * MAX_WITHIN;
/// Most buckets over which it compares: 14 days of five minutes.
pub const MAX_BUCKETS: i64 = 4_032;
/// Shortest bucket, in nanoseconds: a minute.
pub const MIN_BUCKET: i64 = 60 * 1_000_000_000;
/// Longest bucket, in nanoseconds: a quarter of a day, so that times of a day can be told apart.
pub const MAX_BUCKET: i64 = MAX_WITHIN / 4;
/// How much of what was is usual, in thousandths.
const QUANTILE: u32 = 995;
/// Most queries of a correlation, and most cases.
pub const MAX_QUERIES: usize = 8;
/// Most matches that all steps of a sequence take together.
pub const MAX_SEQUENCE: u64 = 64;
/// How much later than others a match may come that one node saw, in nanoseconds.
pub const NODE_LATENESS: i64 = 10 * 1_000_000_000;
/// The same across nodes.
pub const CLUSTER_LATENESS: i64 = 120 * 1_000_000_000;

/// What a match of a sequence or of queries carries on its way to who counts it, beside its group: its [`Steps`] as a number. No field
/// has this name.
pub const STEPS_NAME: &str = "detect.steps";

/// Where the windows of a rule are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// On each node: what a group has in common exists on one node only.
    Node,
    /// In the operator, across all nodes.
    Cluster,
}

impl Scope {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Cluster => "cluster",
        }
    }
}

/// How matches of a rule become detections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detect {
    /// What is looked for.
    pub method: Method,
    /// Fields whose values are told apart, with their names.
    pub values: Vec<(String, FieldId)>,
    /// Conditions of the steps of a sequence, or of queries, in order.
    pub steps: Vec<ExprId>,
    /// What ends a sequence.
    pub until: Option<ExprId>,
    /// Where it is looked for.
    pub scope: Scope,
    /// Changes with what the state means, and with nothing else: state of another one is of no use.
    pub state: String,
}

impl Detect {
    /// Names of what a match carries beside its group on its way to who counts it.
    pub fn carried(&self) -> impl Iterator<Item = &str> {
        let steps = self.has_steps().then_some(STEPS_NAME);
        self.values.iter().map(|(name, _)| name.as_str()).chain(steps)
    }

    /// Whether matches carry which steps they belong to.
    pub fn has_steps(&self) -> bool {
        matches!(self.method, Method::Sequence(_) | Method::Correlation(_))
    }

    /// The case at that place.
    pub fn case(&self, place: u8) -> Option<&Case> {
        match &self.method {
            Method::Correlation(all) => all.cases.get(usize::from(place)),
            _ => None,
        }
    }
}

/// A rule's `detect`, compiled.
pub(crate) struct Compiled {
    pub(crate) detect: Detect,
    pub(crate) group_by: Vec<(String, FieldId)>,
    /// What each part of the rule's matches meets: the condition and that of a step.
    pub(crate) conditions: Vec<ExprId>,
}

/// Compiles `detect` of a rule. Its grouping fields are the rule's.
pub(crate) fn compile(
    checker: &mut Checker<'_>,
    rule: &RuleSource,
    source: &DetectSource,
    condition: Option<ExprId>,
    registry: &Registry,
) -> Compiled {
    let method = source.method.name();
    let part = |place| Part::Detect(method, place);
    let mut group_by = Vec::new();
    for (index, name) in source.group_by.iter().take(limits::PARTS).enumerate() {
        group_by.extend(field(checker, part(Place::GroupBy(index)), name, registry));
    }
    let scope = if group_by.iter().any(|(_, id)| registry.field(*id).of_one_node) {
        Scope::Node
    } else {
        Scope::Cluster
    };
    let lateness = match scope {
        Scope::Node => NODE_LATENESS,
        Scope::Cluster => CLUSTER_LATENESS,
    };
    numbers::check(&source.method, &mut checker.sink);
    let mut detect = Detect {
        method: Method::Threshold(threshold(&ThresholdSource::default(), None, lateness)),
        values: Vec::new(),
        steps: Vec::new(),
        until: None,
        scope,
        state: rule.state(),
    };
    let mut conditions: Vec<ExprId> = condition.into_iter().collect();
    match &source.method {
        MethodSource::Threshold(source) => {
            let distinct = source.distinct.as_ref();
            let distinct = distinct.and_then(|name| field(checker, part(Place::Distinct), name, registry));
            let id = distinct.as_ref().map(|(_, id)| *id);
            detect.method = Method::Threshold(threshold(source, id, lateness));
            detect.values.extend(distinct);
        }
        MethodSource::NewValue(source) => {
            for (index, name) in source.fields.iter().take(MAX_FIELDS).enumerate() {
                let field = field(checker, part(Place::Field(index)), name, registry);
                detect.values.extend(field);
            }
            detect.method = Method::NewValue(NewValue {
                learn_for: source.learn_for,
                learn_matches: source.learn_matches,
                forget_after: source.forget_after,
            });
        }
        MethodSource::Sequence(source) => {
            steps(checker, source, &mut detect);
            if let Some(condition) = condition {
                let steps = detect.steps.iter().chain(&detect.until);
                conditions = steps.map(|step| checker.both(condition, *step)).collect();
            }
            detect.method = Method::Sequence(Sequence {
                within: source.within,
                counts: counts(source),
                lateness,
            });
        }
        MethodSource::Anomaly(source) => {
            detect.method = Method::Anomaly(Anomaly {
                bucket: source.bucket,
                history: source.history,
                learning: source.learn_for,
                quantile: QUANTILE,
                tolerance: u32::try_from(source.tolerance).unwrap_or(u32::MAX),
                min_count: u32::try_from(source.min_count).unwrap_or(u32::MAX),
                lateness,
            });
        }
        MethodSource::ContentAnomaly(source) => {
            detect
                .values
                .extend(field(checker, part(Place::Text), &source.field, registry));
            detect.method = Method::Content(Content {
                similarity: u8::try_from(source.similarity).unwrap_or(100),
                similar: u32::try_from(source.similar).unwrap_or(u32::MAX),
                learning: source.learn_for,
                learning_count: u32::try_from(source.learn_matches).unwrap_or(u32::MAX),
                forget: source.forget_after,
                lateness,
            });
        }
        MethodSource::Correlation(source) => {
            let all = correlation::compile(checker, source, &mut detect, &group_by, registry);
            detect.method = Method::Correlation(Correlation { lateness, ..all });
            if let Some(condition) = condition {
                let queries = detect.steps.iter();
                conditions = queries.map(|query| checker.both(condition, *query)).collect();
            }
        }
    }
    Compiled {
        detect,
        group_by,
        conditions,
    }
}

fn field(
    checker: &mut Checker<'_>,
    part: Part,
    name: &str,
    registry: &Registry,
) -> Option<(String, FieldId)> {
    let span = Span::new(0, name.len());
    let id = find_field(name, registry, part, span, &mut checker.sink)?;
    Some((name.to_owned(), id))
}

fn threshold(source: &ThresholdSource, distinct: Option<FieldId>, lateness: i64) -> Threshold {
    Threshold {
        count: source.count,
        within: source.within,
        shape: match source.window {
            WindowSource::Sliding => Shape::Sliding,
            WindowSource::Fixed => Shape::Fixed,
            WindowSource::Session { gap } => Shape::Session { gap },
        },
        distinct,
        lateness,
    }
}

fn steps(checker: &mut Checker<'_>, source: &SequenceSource, detect: &mut Detect) {
    let part = |place| Part::Detect(MethodName::Sequence, place);
    for (index, step) in source.steps.iter().take(MAX_STEPS).enumerate() {
        detect
            .steps
            .extend(checker.check_condition(&step.condition, part(Place::Step(index))));
    }
    if let Some(until) = &source.until {
        detect.until = checker.check_condition(until, part(Place::Until));
    }
}

/// Numbers that were found wrong stay in the bounds that the engine relies on.
fn counts(source: &SequenceSource) -> Box<[u32]> {
    let mut left = MAX_SEQUENCE;
    let count = |count: u64| {
        let count = count.clamp(1, left.max(1));
        left = left.saturating_sub(count);
        u32::try_from(count).unwrap_or(1)
    };
    let steps = source.steps.iter().take(MAX_STEPS);
    steps.map(|step| step.count).map(count).collect()
}
