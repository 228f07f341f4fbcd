//! `NodeSensor`: what runs on a node.

#![expect(
    unreachable_pub,
    reason = "the schema's derive repeats the struct inside a function"
)]
#![expect(clippy::duplicated_attributes, reason = "printer columns share their types")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What runs on a node. Everything about it is observed, so there is nothing to specify.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "yagura.dev",
    version = "v1alpha1",
    kind = "NodeSensor",
    plural = "nodesensors",
    shortname = "sensor",
    shortname = "sensors",
    category = "yagura",
    no_spec,
    doc = "What runs on a node: one object per node with an agent, named after the node. The operator writes it.",
    status = "NodeSensorStatus",
    derive = "PartialEq",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(name = "Backend", type_ = "string", json_path = ".status.backend"),
    printcolumn(
        name = "Revision",
        type_ = "string",
        json_path = ".status.policy.active",
        description = "Revision of the rules that run"
    ),
    printcolumn(
        name = "Rules",
        type_ = "string",
        json_path = ".status.rules.summary",
        description = "Rules that run, of those that should"
    ),
    printcolumn(
        name = "Dropped",
        type_ = "integer",
        json_path = ".status.dropped",
        description = "Events and matches lost since the agent started"
    ),
    printcolumn(name = "Last-Seen", type_ = "date", json_path = ".status.lastReport"),
    printcolumn(name = "Kernel", type_ = "string", json_path = ".status.kernel")
)]
#[serde(rename_all = "camelCase")]
pub struct NodeSensorSpec {}

/// What was observed of a node's agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeSensorStatus {
    /// `Ready`: whether the agent is connected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// Version of the agent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub agent_version: String,
    /// Release of the kernel.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub kernel: String,
    /// How events are seen: the backends of all hooks, most frequent first.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub backend: String,
    /// Backend per kind of event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 128),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kind"])
    )]
    pub hooks: Vec<Hook>,
    /// Revisions of the rules.
    #[serde(default)]
    pub policy: PolicyRevisions,
    /// How many rules run.
    #[serde(default)]
    pub rules: SensorRules,
    /// Events and matches lost since the agent started: the sum of all counters of drops.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub dropped: i64,
    /// Totals since the agent started, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 256))]
    pub counters: BTreeMap<String, i64>,
    /// When the agent last reported, as far as this object was written since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_report: Option<Time>,
}

/// How one kind of event is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    /// Kind of event, such as `process.exec`.
    #[schemars(length(min = 1, max = 64))]
    pub kind: String,
    /// `lsm`, `tracing`, `tracepoint` or `unavailable`.
    #[schemars(length(min = 1, max = 32))]
    pub backend: String,
    /// Why it is not a better one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub reason: String,
}

/// Revisions of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRevisions {
    /// The one the node should run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub wanted: String,
    /// The one it runs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub active: String,
}

/// How many rules run on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SensorRules {
    /// Rules that run.
    #[serde(default)]
    pub active: u32,
    /// Rules that cannot run.
    #[serde(default)]
    pub failed: u32,
    /// `active/(active + failed)`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 32))]
    pub summary: String,
    /// The first reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["rule"])
    )]
    pub errors: Vec<SensorRuleError>,
}

/// Why a rule does not run on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SensorRuleError {
    /// Name of the rule.
    #[schemars(length(min = 1, max = 253))]
    pub rule: String,
    /// CamelCase reason.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// In words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub message: String,
}
