//! `PostureFramework`: requirements and controls, each proven by checks.

#![expect(
    unreachable_pub,
    reason = "the schema's derive repeats the struct inside a function"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Severity;
use crate::posture_check::Mode;

/// Requirements, their controls and the checks that prove them.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "yagura.dev",
    version = "v1alpha1",
    kind = "PostureFramework",
    plural = "postureframeworks",
    shortname = "pfw",
    category = "yagura",
    doc = "Requirements, their controls and the checks that prove them, with a score.",
    status = "PostureFrameworkStatus",
    derive = "PartialEq",
    validation = Rule::new("size(self.metadata.name) <= 63").message("a name is at most 63 characters: it becomes a label value"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Score", type_ = "number", json_path = ".status.score", description = "Mean of the controls' passing resources in percent, weighted by severity"),
    printcolumn(name = "Pass", type_ = "integer", json_path = ".status.controls.pass"),
    printcolumn(name = "Fail", type_ = "integer", json_path = ".status.controls.fail"),
    printcolumn(name = "Manual", type_ = "integer", json_path = ".status.controls.manual"),
    printcolumn(name = "Error", type_ = "integer", json_path = ".status.controls.error"),
    printcolumn(name = "N/A", type_ = "integer", json_path = ".status.controls.notApplicable"),
    printcolumn(name = "Evaluated", type_ = "date", json_path = ".status.lastEvaluated"),
    printcolumn(name = "Bundle", type_ = "string", json_path = ".metadata.labels.yagura\\.dev/bundle", description = "Pack of the shipped content that the framework belongs to; empty for a framework of yours", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct PostureFrameworkSpec {
    /// Name for people.
    #[schemars(length(min = 1, max = 256))]
    pub title: String,
    /// Version of the framework.
    #[schemars(length(min = 1, max = 64))]
    pub version: String,
    /// What it is for; Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 8192))]
    pub description: String,
    /// Groups of controls.
    #[schemars(
        length(min = 1, max = 128),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"])
    )]
    pub requirements: Vec<Requirement>,
    /// When a failing check becomes a signal.
    #[serde(default)]
    pub signals: SignalPolicy,
}

/// A group of controls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    /// Id within the framework, such as `5.2`.
    #[schemars(length(min = 1, max = 64))]
    pub id: String,
    /// Name for people.
    #[schemars(length(min = 1, max = 256))]
    pub title: String,
    /// What must hold.
    #[schemars(
        length(min = 1, max = 128),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"])
    )]
    pub controls: Vec<Control>,
}

/// One thing that must hold, proven by checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Control {
    /// Id within the framework, such as `5.2.1`.
    #[schemars(length(min = 1, max = 64))]
    pub id: String,
    /// Name for people.
    #[schemars(length(min = 1, max = 256))]
    pub title: String,
    /// `manual`: a person decides, whatever its checks say.
    #[serde(default)]
    pub mode: Mode,
    /// Checks that must pass. A control without any is manual.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub checks: Vec<CheckReference>,
}

/// Refers to a PostureCheck.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckReference {
    /// Name of the PostureCheck.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// When a failing check becomes a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignalPolicy {
    /// Checks below this severity raise no signal. Where several frameworks refer to a check, the
    /// lowest of them applies.
    #[serde(default)]
    pub min_severity: Severity,
}

/// What became of the framework.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostureFrameworkStatus {
    /// `Accepted`: whether every check it refers to exists and is accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// Mean of the controls' ratios of passing resources in percent, weighted by severity, to one
    /// decimal. What is in error counts as not passing. Left out while nothing was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub score: Option<f64>,
    /// How many controls have which result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controls: Option<ControlCounts>,
    /// How much of it is evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// When the counts were last found to be so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_evaluated: Option<Time>,
}

/// How many controls have which result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControlCounts {
    /// Every resource passes.
    pub pass: u32,
    /// At least one resource fails.
    pub fail: u32,
    /// A person must look.
    pub manual: u32,
    /// None fails, but about some too little is known.
    pub error: u32,
    /// There is nothing that they speak about.
    pub not_applicable: u32,
}

/// How much of a framework is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Controls that checks decide.
    pub automated: u32,
    /// All controls.
    pub of: u32,
}
