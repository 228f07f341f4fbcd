//! `spec.detect`: how matches become detections.

#![expect(
    unreachable_pub,
    reason = "the schema's derive repeats the struct inside a function"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::learn::{Anomaly, ContentAnomaly, NewValue};
use crate::{Duration, Severity};

/// How matches become detections: one of its methods.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.threshold), has(self.newValue), has(self.sequence), has(self.correlation), has(self.anomaly), has(self.contentAnomaly)].filter(one, one).size() == 1").message("detect has exactly one of threshold, newValue, sequence, correlation, anomaly and contentAnomaly"))]
pub struct Detect {
    /// From so many matches, or different values, within a time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
    /// By a value that was not there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_value: Option<NewValue>,
    /// By one thing that comes after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
    /// By what several queries say together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Correlation>,
    /// By more matches in a while than at such times before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<Anomaly>,
    /// By a text that is like none before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_anomaly: Option<ContentAnomaly>,
}

/// So many matches, or different values of a field, within a time.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.window == 'session') == has(self.gap)").message("gap belongs to window: session, which needs it"))]
#[x_kube(validation = Rule::new("!has(self.gap) || duration(self.gap) <= duration(self.within)").message("gap must not be longer than within"))]
#[x_kube(validation = Rule::new("duration(self.within) > duration('0s') && duration(self.within) <= duration('24h')").message("within is more than nothing and at most 24h"))]
#[x_kube(validation = Rule::new("!has(self.distinct) || self.count <= 1024").message("at most 1024 different values can be asked for"))]
pub struct Threshold {
    /// How many matches at least; with `distinct`, how many different values.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub count: u32,
    /// Within which time, such as `5m`; at most 24 hours.
    pub within: Duration,
    /// Fields whose values matches must share to be counted together. With one that exists on a
    /// single node, such as `container.id`, each node counts by itself; otherwise the
    /// operator counts across all nodes. What lacks a field is counted together. A signal stands for one
    /// group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(min = 1, max = 128)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub group_by: Vec<String>,
    /// The field whose different values are counted instead of matches. What lacks it is not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub distinct: Option<String>,
    /// How windows lie.
    #[serde(default)]
    pub window: Window,
    /// The pause that ends a session, such as `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Duration>,
}

/// How windows lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// Any interval of the length `within`.
    #[default]
    Sliding,
    /// A window begins with the first match that lies in none before it, and ends after `within`.
    Fixed,
    /// A window begins like that and ends when no match came for longer than `gap`, or after `within`.
    Session,
}

/// One thing that comes after another, among the matches that share the values of `groupBy`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.within) > duration('0s') && duration(self.within) <= duration('24h')").message("within is more than nothing and at most 24h"))]
#[x_kube(validation = Rule::new("size(self.steps) > 1 || self.steps.all(step, step.count > 1)").message("one match is no sequence: leave detect out, or add a step"))]
pub struct Sequence {
    /// Less than this lies between the first match and the last, such as `5m`; at most 24 hours.
    pub within: Duration,
    /// Fields whose values matches must share to be one sequence. With one that exists on a single node, such as
    /// `container.id`, each node looks by itself; otherwise the operator looks across all nodes, with
    /// times a second apart. A signal stands for one group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(min = 1, max = 128)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub group_by: Vec<String>,
    /// What has to come, in this order. Other matches may come between.
    #[schemars(length(min = 1, max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub steps: Vec<Step>,
    /// What ends every sequence that has begun, in the rule language; asked of the rule's matches, as steps are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub until: Option<String>,
}

/// A step of a sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Which of the rule's matches belong to it, in the rule language.
    #[schemars(length(min = 1, max = 65536))]
    pub condition: String,
    /// How many of them it takes; all steps together at most 64.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 64))]
    pub count: u32,
}

fn one() -> u32 {
    1
}

/// What several queries say together, of the matches that share the values of `groupBy`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.within) > duration('0s') && duration(self.within) <= duration('24h')").message("within is more than nothing and at most 24h"))]
pub struct Correlation {
    /// Within which time queries measure, such as `5m`; at most 24 hours.
    pub within: Duration,
    /// Fields whose values matches must share to be measured together. With one that exists on a single node, such
    /// as `container.id`, each node measures by itself; otherwise the operator measures across all nodes. A signal
    /// stands for one group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(min = 1, max = 128)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub group_by: Vec<String>,
    /// What is measured. A match is what meets the rule's condition and that of a query.
    #[schemars(
        length(min = 1, max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub queries: Vec<Query>,
    /// What the queries have to say to be told; the first that holds.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub cases: Vec<Case>,
}

/// A named number that is measured of matches: how many there are, unless it says otherwise.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.distinct), has(self.sum), has(self.max)].filter(one, one).size() <= 1").message("a query has at most one of distinct, sum and max; with none of them it counts"))]
pub struct Query {
    /// By which cases call it.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-zA-Z][a-zA-Z0-9_]*$"))]
    pub name: String,
    /// Which of the rule's matches it is about, in the rule language.
    #[schemars(length(min = 1, max = 65536))]
    pub condition: String,
    /// The field whose different values it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub distinct: Option<String>,
    /// The field that it sums up, a whole number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub sum: Option<String>,
    /// The field of which it gives the greatest value, a whole number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub max: Option<String>,
}

/// What is told when queries say something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// When: names of queries, compared with numbers and each other, such as `failed > 5 && succeeded > 0`.
    #[schemars(length(min = 1, max = 1024))]
    pub when: String,
    /// How urgently a person should look; the rule's severity when it is left out, or overridden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Title of signals, with fields of `groupBy` in it; the rule's when it is left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub title: String,
}
