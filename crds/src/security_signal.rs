//! `SecuritySignal`: something a person should look at.

#![expect(
    unreachable_pub,
    reason = "the schema's derive repeats the struct inside a function"
)]
#![expect(clippy::duplicated_attributes, reason = "printer columns share their types")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Attack, Severity, TestValue};

/// Label with the name of the rule or check.
pub const RULE_LABEL: &str = "yagura.dev/rule";
/// Label with the severity.
pub const SEVERITY_LABEL: &str = "yagura.dev/severity";
/// Label with the source.
pub const SOURCE_LABEL: &str = "yagura.dev/source";
/// Label with the name of the node, where it is one node's.
pub const NODE_LABEL: &str = "yagura.dev/node";

/// Something a person should look at.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "yagura.dev",
    version = "v1alpha1",
    kind = "SecuritySignal",
    plural = "securitysignals",
    shortname = "sig",
    category = "yagura",
    namespaced,
    doc = "Something a person should look at. The operator writes it; people write spec.triage.",
    status = "SecuritySignalStatus",
    derive = "PartialEq",
    printcolumn(name = "Severity", type_ = "string", json_path = ".status.severity"),
    printcolumn(name = "Rule", type_ = "string", json_path = ".spec.rule.name"),
    printcolumn(
        name = "Resource",
        type_ = "string",
        json_path = ".status.resource",
        description = "What is affected most closely"
    ),
    printcolumn(
        name = "Count",
        type_ = "integer",
        json_path = ".status.count",
        description = "Matches"
    ),
    printcolumn(name = "State", type_ = "string", json_path = ".spec.triage.state"),
    printcolumn(
        name = "Last",
        type_ = "date",
        json_path = ".status.lastSeen",
        description = "Time since the last match"
    ),
    printcolumn(name = "Title", type_ = "string", json_path = ".status.title", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct SecuritySignalSpec {
    /// What found it.
    #[x_kube(validation = Rule::new("self == oldSelf").message("a signal's rule never changes"))]
    pub rule: RuleReference,
    /// Where the events came from: `workload` or `posture`.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("a signal's source never changes"))]
    pub source: String,
    /// What all its matches have in common: fields with their values as text.
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("a signal's group never changes"))]
    pub group: BTreeMap<String, GroupValue>,
    /// When the match that opened it happened.
    #[x_kube(validation = Rule::new("self == oldSelf").message("a signal's time of opening never changes"))]
    pub opened: Time,
    /// What people make of it: the one part that they write.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self.state != 'archived' || has(self.reason)")
        .message("an archived signal needs a reason: falsePositive, testing, remediated, benign, malicious or other"))]
    pub triage: Triage,
}

/// A group field's value as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct GroupValue(#[schemars(length(max = 1024))] pub String);

/// What found a signal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleReference {
    /// Kind of the object.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its uid.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// Its generation when the signal was opened.
    pub generation: i64,
}

/// What people make of a signal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Triage {
    /// Whether somebody still has to look. A match after `archived` opens a new signal, which names
    /// this one in `status.previous`.
    #[serde(default)]
    pub state: TriageState,
    /// Who looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub assignee: Option<String>,
    /// Why it was archived; required then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<TriageReason>,
    /// Anything worth knowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub comment: Option<String>,
}

/// Whether somebody still has to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TriageState {
    /// Nobody looked.
    #[default]
    Open,
    /// Somebody is looking.
    UnderReview,
    /// Done.
    Archived,
}

/// Why a signal was archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TriageReason {
    /// The rule should not have matched.
    FalsePositive,
    /// Somebody tested.
    Testing,
    /// It was put right.
    Remediated,
    /// It was meant to happen.
    Benign,
    /// It was an attack.
    Malicious,
    /// See the comment.
    Other,
}

/// Everything that was observed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecuritySignalStatus {
    /// What happened, in one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub title: String,
    /// How urgently a person should look.
    pub severity: Severity,
    /// 1 for info to 5 for critical, for sorting.
    #[schemars(with = "i32", range(min = 1, max = 5))]
    pub severity_rank: u8,
    /// What of MITRE ATT&CK it shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub attack: Vec<Attack>,
    /// What the rule is for, so that the signal explains itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 8192))]
    pub description: String,
    /// What to do now.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 8192))]
    pub remediation: String,
    /// What is affected most closely, as `Kind/name`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    pub resource: String,
    /// All that is known of what is affected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub resources: Vec<SignalResource>,
    /// Controls of frameworks that the check proves, as `framework/control`, for posture signals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(max = 256)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub controls: Vec<String>,
    /// How often it matched; for a posture signal the number of resources that fail.
    #[schemars(range(min = 0))]
    pub count: i64,
    /// Time of the first match.
    pub first_seen: Time,
    /// Time of the last match.
    pub last_seen: Time,
    /// The first matches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3), extend("x-kubernetes-list-type" = "atomic"))]
    pub samples: Vec<SignalSample>,
    /// What could not be known when it matched, or was lost since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(length(max = 256)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub incomplete: Vec<String>,
    /// The group's signal before this one, as `namespace/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub previous: Option<String>,
    /// The namespace it belongs to, when that namespace did not take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub origin_namespace: Option<String>,
    /// When everything passed again, for posture signals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Time>,
    /// Who was told, by route and receiver.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["route", "receiver"])
    )]
    pub notifications: Vec<Notification>,
}

/// What became of telling one receiver of a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Name of the route.
    #[schemars(length(min = 1, max = 63))]
    pub route: String,
    /// Name of its receiver.
    #[schemars(length(min = 1, max = 63))]
    pub receiver: String,
    /// The last result: `delivered`, `acknowledged`, `resolved`, or `failed` when it is not tried
    /// any more.
    #[schemars(length(max = 256))]
    pub result: String,
    /// When that was.
    pub at: Time,
}

/// One match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignalSample {
    /// When it happened.
    pub time: Time,
    /// Fields with their values, nested by the segments of their paths.
    pub fields: TestValue,
}

/// Something that is affected. Which members are there depends on the kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignalResource {
    /// Pod, Container, Node, Process, or the kind of a Kubernetes object.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Namespace of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
    /// Name of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<String>,
    /// Uid of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub uid: Option<String>,
    /// What owns a pod, as `Kind/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub owner: Option<String>,
    /// Labels of a pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub labels: BTreeMap<String, String>,
    /// Id of a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub id: Option<String>,
    /// Image of a container as the pod names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub image: Option<String>,
    /// Digest of that image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub digest: Option<String>,
    /// Path of a process's program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub executable: Option<String>,
    /// Arguments of a process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 256),
        inner(length(max = 4096)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub args: Vec<String>,
    /// User that a process runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub user: Option<String>,
    /// Names of the processes that a process descends from, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(max = 256)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub ancestors: Vec<String>,
    /// Path of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub path: Option<String>,
    /// Values that the decision rests on, by path, for posture signals.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub evidence: BTreeMap<String, String>,
}
