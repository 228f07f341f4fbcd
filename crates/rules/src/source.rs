//! Rules and checks as people write them, whatever version of the API they come from.

use std::collections::BTreeMap;

use yagura_event::{Bearer, Severity, Tree};

use crate::diagnostic::{MarkPlace, Part};

mod detect;
mod hash;
mod mark;
mod test;

pub use test::{CheckTest, Expected, ExpectedSignal, RuleTest, TestEvent};

pub use detect::{
    AnomalySource, CaseSource, ContentAnomalySource, CorrelationSource, DetectSource, MeasureSource,
    MethodSource, NewValueSource, QuerySource, SequenceSource, StepSource, ThresholdSource, WindowSource,
};

pub use mark::{MarkScope, MarkSource};

/// A name for a part of a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetSource {
    /// The name.
    pub name: String,
    /// The expression; it may use earlier names.
    pub value: String,
}

/// A condition under which a rule's match is not reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExceptionSource {
    /// Its name.
    pub name: String,
    /// When it holds.
    pub condition: String,
    /// When it ends, in seconds since the Unix epoch; `None`: never.
    pub expires: Option<i64>,
}

/// An Exception object that a rule carries: written by somebody else than the rule, and limited on its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinedSource {
    /// Uid of the object.
    pub uid: String,
    /// The namespace whose workloads alone it reaches; empty: all, and hosts.
    pub namespace: String,
    /// When it holds. It may use the rule's `let` names.
    pub condition: String,
    /// When it ends, in seconds since the Unix epoch; `None`: never.
    pub expires: Option<i64>,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Target {
    /// Hosts and containers.
    #[default]
    Any,
    /// What runs outside containers.
    Host,
    /// What runs in containers.
    Container,
}

impl Target {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Host => "host",
            Self::Container => "container",
        }
    }
}

/// How a requirement of a selector compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectorOp {
    /// The label has one of the values.
    In,
    /// It has none of them, or is not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl SelectorOp {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
        }
    }
}

/// One requirement of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// How it compares.
    pub operator: SelectorOp,
    /// What it is compared with.
    pub values: Vec<String>,
}

/// A selector of labels, as Kubernetes has them. An empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Labels with exactly these values.
    pub labels: BTreeMap<String, String>,
    /// Further requirements; all have to hold.
    pub requirements: Vec<Requirement>,
}

/// Where a rule applies. Nodes are selected by whoever hands out rules, and are no part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhereSource {
    /// Hosts, containers or both.
    pub target: Target,
    /// Labels of namespaces; none selects everything, hosts too.
    pub namespaces: Option<Selector>,
    /// Labels of pods; none selects everything, hosts too.
    pub pods: Option<Selector>,
}

/// What becomes of matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignalSource {
    /// Title with `{{field}}` in it; the rule's own title when it is empty.
    pub title: String,
    /// Fields whose values make a signal of their own. Empty: all matches of the rule are one signal.
    pub group_by: Vec<String>,
    /// Fields that a signal shows beyond those it always shows.
    pub fields: Vec<String>,
}

/// A detection rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSource {
    /// Name, unique among the rules that are loaded together.
    pub name: String,
    /// Uid of the object; empty where rules come from files.
    pub uid: String,
    /// Where its events come from: `workload`.
    pub source: String,
    /// How urgent a match is.
    pub severity: Severity,
    /// The rule's title, which a signal without one of its own bears.
    pub title: String,
    /// What it is about. Prose: no part of what agents get.
    pub description: String,
    /// Where it applies.
    pub where_: WhereSource,
    /// Names for parts of the condition.
    pub lets: Vec<LetSource>,
    /// When it matches.
    pub condition: String,
    /// When it does not after all.
    pub exceptions: Vec<ExceptionSource>,
    /// Exception objects, asked after the rule's own.
    pub joined: Vec<JoinedSource>,
    /// How matches become detections; `None`: each is one.
    pub detect: Option<DetectSource>,
    /// What a match tells other rules.
    pub mark: Option<MarkSource>,
    /// Whether it only marks: matches make no signal.
    pub silent: bool,
    /// What becomes of matches.
    pub signal: SignalSource,
    /// Its tests: no part of what agents get.
    pub tests: Vec<RuleTest>,
}

impl RuleSource {
    /// A rule of that name and condition, of medium severity and with everything else empty.
    pub fn new(name: &str, condition: &str) -> Self {
        Self {
            name: name.to_owned(),
            uid: String::new(),
            source: "workload".to_owned(),
            severity: Severity::Medium,
            title: name.to_owned(),
            description: String::new(),
            where_: WhereSource::default(),
            lets: Vec::new(),
            condition: condition.to_owned(),
            exceptions: Vec::new(),
            joined: Vec::new(),
            detect: None,
            mark: None,
            silent: false,
            signal: SignalSource::default(),
            tests: Vec::new(),
        }
    }

    /// The text that spans in a part of the rule count from.
    pub fn text_of(&self, part: Part) -> &str {
        let text = match part {
            Part::Source => Some(&self.source),
            Part::Condition => Some(&self.condition),
            Part::LetName(index) => self.lets.get(index).map(|one| &one.name),
            Part::Let(index) => self.lets.get(index).map(|one| &one.value),
            Part::Exception(index) => self.exceptions.get(index).map(|one| &one.condition),
            Part::Joined(index) => self.joined.get(index).map(|one| &one.condition),
            Part::Detect(_, place) => self.detect.as_ref().and_then(|detect| detect.text_of(place)),
            Part::Mark(MarkPlace::Name) => self.mark.as_ref().map(|mark| &mark.name),
            Part::Mark(MarkPlace::Value) => self.mark.as_ref().and_then(|mark| mark.value.as_ref()),
            Part::Title => return self.signal_title(),
            Part::GroupBy(index) => self.signal.group_by.get(index),
            Part::Field(index) => self.signal.fields.get(index),
            // Numbers, and parts of checks.
            Part::Mark(_) | Part::AppliesWhen | Part::Pass | Part::Evidence(_) => None,
        };
        text.map_or("", String::as_str)
    }

    /// The version of the language that has all it says. An agent of an older one refuses it.
    pub fn language_version(&self) -> u32 {
        if self.mark.is_some() || self.silent || self.reads_marks() {
            return 2;
        }
        self.version_of_detection()
    }

    /// The same for what decides which matches are counted together.
    fn version_of_detection(&self) -> u32 {
        match self.detect.as_ref().map(|detect| &detect.method) {
            None | Some(MethodSource::Threshold(_)) => 1,
            Some(_) => 2,
        }
    }

    /// Whether one of its conditions asks for a mark, as far as the text tells.
    fn reads_marks(&self) -> bool {
        let lets = self.lets.iter().map(|one| &one.value);
        let exceptions = self.exceptions.iter().map(|one| &one.condition);
        let of_method = self.detect.iter().flat_map(|detect| detect.method.conditions());
        let all = std::iter::once(&self.condition).chain(lets).chain(exceptions);
        all.chain(of_method).any(|text| {
            let text: String = text.split_whitespace().collect();
            Bearer::ALL.iter().any(|bearer| has_name(&text, bearer.path()))
        })
    }

    /// The title that signals get.
    pub fn signal_title(&self) -> &str {
        if self.signal.title.is_empty() {
            &self.title
        } else {
            &self.signal.title
        }
    }
}

/// Whether a name stands in a text, and not only as the start of a longer one.
fn has_name(text: &str, name: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|next: char| next == '_' || next.is_ascii_alphanumeric());
    text.match_indices(name)
        .any(|(start, found)| !goes_on(text.get(start + found.len()..).unwrap_or_default()))
}

/// A posture check.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckSource {
    /// Name.
    pub name: String,
    /// How urgent a failure is.
    pub severity: Severity,
    /// The type of resource it judges.
    pub resource: String,
    /// Names for parts of the conditions.
    pub lets: Vec<LetSource>,
    /// When it applies; `None`: always.
    pub applies_when: Option<String>,
    /// When a resource passes.
    pub pass: String,
    /// What is shown with a finding.
    pub evidence: Vec<String>,
    /// Values that a framework may replace: `parameters.name`.
    pub parameters: BTreeMap<String, Tree>,
    /// Its tests.
    pub tests: Vec<CheckTest>,
}

impl CheckSource {
    /// A check of that name and condition with everything else empty.
    pub fn new(name: &str, resource: &str, pass: &str) -> Self {
        Self {
            name: name.to_owned(),
            severity: Severity::Medium,
            resource: resource.to_owned(),
            lets: Vec::new(),
            applies_when: None,
            pass: pass.to_owned(),
            evidence: Vec::new(),
            parameters: BTreeMap::new(),
            tests: Vec::new(),
        }
    }
}
