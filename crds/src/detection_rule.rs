//! `DetectionRule`: what acts of processes are worth a person's attention.

#![expect(
    unreachable_pub,
    reason = "the schema's derive repeats the struct inside a function"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use yagura_rules::diagnostic::Part;

use crate::rule_test::RuleTest;
use crate::{Attack, Duration, Severity};

mod detect;
mod learn;
mod mark;

pub use detect::{Case, Correlation, Detect, Query, Sequence, Step, Threshold, Window};
pub use learn::{Anomaly, ContentAnomaly, NewValue};
pub use mark::{Mark, MarkScope};

/// Detects acts on nodes and in containers, live.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "yagura.dev",
    version = "v1alpha1",
    kind = "DetectionRule",
    plural = "detectionrules",
    shortname = "drule",
    category = "yagura",
    doc = "Detects acts on nodes and in containers, live. Each match becomes, or counts into, a SecuritySignal.",
    status = "DetectionRuleStatus",
    derive = "PartialEq",
    validation = Rule::new("size(self.metadata.name) <= 63").message("a name is at most 63 characters: it becomes a label value"),
    printcolumn(name = "Source", type_ = "string", json_path = ".spec.source"),
    printcolumn(name = "Severity", type_ = "string", json_path = ".spec.severity"),
    printcolumn(name = "Enabled", type_ = "boolean", json_path = ".spec.enabled"),
    printcolumn(name = "Accepted", type_ = "string", json_path = ".status.conditions[?(@.type=='Accepted')].status", description = "Whether the rule compiles and passes its own tests"),
    printcolumn(name = "Nodes", type_ = "string", json_path = ".status.nodes.summary", description = "Nodes that run the rule, of those that should"),
    printcolumn(name = "Open", type_ = "integer", json_path = ".status.signals.open", description = "Open signals"),
    printcolumn(name = "Last", type_ = "date", json_path = ".status.signals.last", description = "Time since the last match"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Override", type_ = "string", json_path = ".spec.overrides.severity", description = "Severity that applies instead of the rule's own", priority = 1),
    printcolumn(name = "Bundle", type_ = "string", json_path = ".metadata.labels.yagura\\.dev/bundle", description = "Pack of the shipped content that the rule belongs to; empty for a rule of yours", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.detect) || !has(self.signal) || !has(self.signal.keepOpen) || ((!has(self.detect.threshold) || duration(self.detect.threshold.within) <= duration(self.signal.keepOpen)) && (!has(self.detect.sequence) || duration(self.detect.sequence.within) <= duration(self.signal.keepOpen)) && (!has(self.detect.correlation) || duration(self.detect.correlation.within) <= duration(self.signal.keepOpen)))").message("signal.keepOpen must be at least as long as detect's within: what makes a window hold is one signal"))]
#[x_kube(validation = Rule::new("!has(self.detect) || !has(self.signal) || !has(self.signal.groupBy) || size(self.signal.groupBy) == 0").message("a rule with detect groups its signals by the groupBy of its method; leave signal.groupBy out"))]
#[x_kube(validation = Rule::new("!self.silent || has(self.mark)").message("a silent rule only marks, and this one has no mark"))]
#[x_kube(validation = Rule::new("!self.silent || !has(self.detect)").message("a silent rule only marks: leave detect out"))]
pub struct DetectionRuleSpec {
    /// What was detected, in one line.
    #[schemars(length(min = 1, max = 256))]
    pub title: String,
    /// What the rule is for, how it works and which harmless acts it also matches; Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 8192))]
    pub description: String,
    /// What to do when it matched, step by step; Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 8192))]
    pub remediation: String,
    /// How urgently a person should look.
    pub severity: Severity,
    /// Where the events come from.
    #[serde(default)]
    pub source: Source,
    /// What of MITRE ATT&CK it detects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub attack: Vec<Attack>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(max = 1024), regex(pattern = "^https?://")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub references: Vec<String>,
    /// Whether nodes run it.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// On which nodes and in which workloads it applies; left out: everywhere.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub scope: Option<Where>,
    /// Names for parts of the condition; each may use those above it.
    #[serde(default, rename = "let", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub definitions: Vec<Let>,
    /// When it matches, in the rule language.
    #[schemars(length(min = 1, max = 65536))]
    pub condition: String,
    /// How matches become detections; left out: each is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detect: Option<Detect>,
    /// What a match tells other rules; one that an exception holds back tells nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// Whether it only marks: its matches make no signal.
    #[serde(default)]
    pub silent: bool,
    /// Who may hold its matches back by an exception that names it. Whoever may
    /// edit the rule can do so here, whatever this says.
    #[serde(default)]
    pub exceptable: Exceptable,
    /// What it does not report although the condition holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub exceptions: Vec<RuleException>,
    /// What a match becomes.
    #[serde(default)]
    pub signal: SignalTemplate,
    /// Proofs that it matches what it should and nothing else; a rule whose tests fail is not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub tests: Vec<RuleTest>,
    /// What a cluster changes about a rule that it did not write. Upgrades of shipped rules never touch
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<RuleOverrides>,
}

/// Where events come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The kernels of nodes.
    #[default]
    Workload,
}

impl Source {
    /// The name as it stands in objects.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workload => "workload",
        }
    }
}

/// On which nodes and in which workloads a rule applies; every part that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Where {
    /// Whether acts in containers, outside of them, or both are looked at.
    #[serde(default)]
    pub target: Target,
    /// Labels of nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::selector::schema")]
    pub node_selector: Option<LabelSelector>,
    /// Labels of the pod's namespace. Acts outside of pods do not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::selector::schema")]
    pub namespace_selector: Option<LabelSelector>,
    /// Labels of the pod. Acts outside of pods do not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::selector::schema")]
    pub pod_selector: Option<LabelSelector>,
}

/// Where an act happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Anywhere.
    #[default]
    Any,
    /// Outside of containers.
    Host,
    /// In a container.
    Container,
}

impl Target {
    /// The name as it stands in objects.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Host => "host",
            Self::Container => "container",
        }
    }
}

/// A name for a part of a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Let {
    /// The name; it must not hide a field.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub name: String,
    /// What it stands for, in the rule language.
    #[schemars(length(min = 1, max = 65536))]
    pub value: String,
}

/// What a rule does not report although its condition holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleException {
    /// Unique within the rule.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// What is excepted, in the rule language.
    #[schemars(length(min = 1, max = 65536))]
    pub condition: String,
    /// Why it is excepted.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// Until when; left out: for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

/// Who may hold back matches of a rule by an object of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Exceptable {
    /// A namespace for its own workloads, by an Exception, and the cluster.
    Namespace,
    /// The cluster alone, by a `ClusterException`.
    #[default]
    Cluster,
    /// Nobody.
    Never,
}

/// What a cluster changes about a rule that it did not write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleOverrides {
    /// Instead of the rule's severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Beside the rule's exceptions. The rule's own tests are run without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub exceptions: Vec<RuleException>,
    /// Instead of the rule's `exceptable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exceptable: Option<Exceptable>,
    /// Instead of the rule's `where`, as a whole.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub scope: Option<Where>,
}

impl DetectionRuleSpec {
    /// The severity that applies.
    pub fn severity_in_effect(&self) -> Severity {
        let overridden = self.overrides.as_ref().and_then(|overrides| overrides.severity);
        overridden.unwrap_or(self.severity)
    }

    /// Who may hold back its matches.
    pub fn exceptable_in_effect(&self) -> Exceptable {
        let overridden = self.overrides.as_ref().and_then(|overrides| overrides.exceptable);
        overridden.unwrap_or(self.exceptable)
    }

    /// The `where` that applies.
    pub fn scope_in_effect(&self) -> Option<&Where> {
        let overridden = self
            .overrides
            .as_ref()
            .and_then(|overrides| overrides.scope.as_ref());
        overridden.or(self.scope.as_ref())
    }

    /// The exceptions that apply: the rule's, then the cluster's.
    pub fn exceptions_in_effect(&self) -> impl Iterator<Item = &RuleException> {
        let added = self.overrides.iter().flat_map(|overrides| &overrides.exceptions);
        self.exceptions.iter().chain(added)
    }

    /// The path of the `where` that applies.
    pub fn scope_path(&self) -> &'static str {
        let overridden = self
            .overrides
            .as_ref()
            .is_some_and(|overrides| overrides.scope.is_some());
        if overridden {
            "spec.overrides.where"
        } else {
            "spec.where"
        }
    }

    /// The path of a part of what the compiler got: an exception may stand in either list.
    pub fn path_of(&self, part: Part) -> String {
        match part {
            Part::Exception(index) if index >= self.exceptions.len() && self.overrides.is_some() => {
                format!(
                    "spec.overrides.{}",
                    Part::Exception(index - self.exceptions.len())
                )
            }
            other => format!("spec.{other}"),
        }
    }
}

/// What a match becomes.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.keepOpen) || duration(self.keepOpen) <= duration(has(self.maxDuration) ? self.maxDuration : '24h')").message("keepOpen must not be longer than maxDuration, which is 24h when it is left out"))]
pub struct SignalTemplate {
    /// Title of the signal; `{{process.name}}` is replaced by the field's value. Left out: the
    /// rule's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub title: Option<String>,
    /// Fields whose values matches must share, beside the node, to count into the same signal. Left
    /// out: all matches of a node are one signal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(min = 1, max = 128)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub group_by: Vec<String>,
    /// Fields that samples show beyond those of every event of the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(length(min = 1, max = 128)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub fields: Vec<String>,
    /// A group opens at most one signal in this time, such as `10m`: matches that come within it
    /// count on in the group's last signal, whatever became of that. Left out: the first match after
    /// a signal was archived opens another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<Duration>,
    /// A signal that had no match for this long takes no more: the next one opens another, which
    /// names it in `status.previous`. Left out: as long as `maxDuration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_open: Option<Duration>,
    /// A signal that was opened this long ago takes no more matches. Left out: 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<Duration>,
}

/// What became of the rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DetectionRuleStatus {
    /// `Accepted`: whether it compiles and passes its tests. `Programmed`: whether every node that
    /// should run it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// On how many nodes it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<RuleNodes>,
    /// Where its windows are: on each `node`, or in the `cluster`; left out: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub scope: Option<String>,
    /// What it found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signals: Option<RuleSignals>,
}

/// On how many nodes a rule runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleNodes {
    /// Nodes with an agent that the rule applies to.
    pub desired: u32,
    /// Of those, the ones that acknowledged this generation as running.
    pub active: u32,
    /// Of those, the ones that said why they cannot run it.
    pub failed: u32,
    /// `active/desired`.
    #[schemars(length(max = 32))]
    pub summary: String,
}

/// What a rule found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleSignals {
    /// Signals that are open.
    pub open: u32,
    /// Time of the last match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
}

fn enabled() -> bool {
    true
}
