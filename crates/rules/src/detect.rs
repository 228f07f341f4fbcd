//! How matches become detections: from how many of them on, within which time, and where that is counted.

use yagura_event::{FieldId, Registry};

use crate::diagnostic::{Code, Part, Sink, Span};
use crate::limits;
use crate::source::{DetectSource, ThresholdSource, WindowSource};
use crate::template::find_field;

/// Most different values that a threshold may ask for: they are told apart exactly.
pub const MAX_DISTINCT: u64 = 1_024;
/// Most matches that a threshold may ask for.
pub const MAX_COUNT: u64 = 1_000_000;
/// Longest window, in nanoseconds: 24 hours, as long as a signal takes matches.
pub const MAX_WITHIN: i64 = 24 * 3_600 * 1_000_000_000;
/// How much later than others a match may come that one node saw, in nanoseconds.
pub const NODE_LATENESS: i64 = 10 * 1_000_000_000;
/// The same across nodes.
pub const CLUSTER_LATENESS: i64 = 120 * 1_000_000_000;

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
    /// From how many on.
    pub threshold: Threshold,
    /// Name of the field whose values are told apart.
    pub distinct: Option<String>,
    /// Where that is counted.
    pub scope: Scope,
    /// Changes with what the state means, and with nothing else: state of another one is of no use.
    pub state: String,
}

/// Compiles `detect`. Its grouping fields are the rule's.
pub(crate) fn compile(
    source: &DetectSource,
    state: String,
    registry: &Registry,
    sink: &mut Sink,
) -> (Detect, Vec<(String, FieldId)>) {
    let DetectSource::Threshold(source) = source;
    check_numbers(source, sink);
    let mut group_by = Vec::new();
    for (index, name) in source.group_by.iter().take(limits::PARTS).enumerate() {
        let part = Part::DetectGroupBy(index);
        if let Some(id) = find_field(name, registry, part, Span::new(0, name.len()), sink) {
            group_by.push((name.clone(), id));
        }
    }
    let distinct = source.distinct.as_ref();
    let distinct = distinct.and_then(|name| {
        find_field(
            name,
            registry,
            Part::DetectDistinct,
            Span::new(0, name.len()),
            sink,
        )
    });
    let scope = if group_by.iter().any(|(_, id)| registry.field(*id).of_one_node) {
        Scope::Node
    } else {
        Scope::Cluster
    };
    let threshold = Threshold {
        count: source.count,
        within: source.within,
        shape: match source.window {
            WindowSource::Sliding => Shape::Sliding,
            WindowSource::Fixed => Shape::Fixed,
            WindowSource::Session { gap } => Shape::Session { gap },
        },
        distinct,
        lateness: match scope {
            Scope::Node => NODE_LATENESS,
            Scope::Cluster => CLUSTER_LATENESS,
        },
    };
    let detect = Detect {
        threshold,
        distinct: source.distinct.clone(),
        scope,
        state,
    };
    (detect, group_by)
}

fn check_numbers(source: &ThresholdSource, sink: &mut Sink) {
    let most = if source.distinct.is_some() {
        MAX_DISTINCT
    } else {
        MAX_COUNT
    };
    if !(1..=most).contains(&source.count) {
        let message = format!("a threshold of {} is not between 1 and {most}", source.count);
        sink.push(
            Code::BAD_THRESHOLD,
            Part::DetectCount,
            Span::default(),
            message,
            None,
        );
    }
    if !(1..=MAX_WITHIN).contains(&source.within) {
        let message = "the window is not between a nanosecond and 24 hours long".to_owned();
        sink.push(
            Code::BAD_THRESHOLD,
            Part::DetectWithin,
            Span::default(),
            message,
            None,
        );
    }
    if let WindowSource::Session { gap } = source.window
        && !(1..=source.within).contains(&gap)
    {
        let message = "the pause that ends a session is longer than the session may be, or none".to_owned();
        let help = Some("let gap be at most as long as within".to_owned());
        sink.push(
            Code::BAD_THRESHOLD,
            Part::DetectWithin,
            Span::default(),
            message,
            help,
        );
    }
}
