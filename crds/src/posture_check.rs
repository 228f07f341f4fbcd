//! `PostureCheck`: how one type of resource should be configured.

#![expect(
    unreachable_pub,
    reason = "the schema's derive repeats the struct inside a function"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Severity, TestValue};

/// One check on one type of resource; many frameworks may refer to it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "yagura.dev",
    version = "v1alpha1",
    kind = "PostureCheck",
    plural = "posturechecks",
    shortname = "pcheck",
    category = "yagura",
    doc = "One check on one type of resource; many frameworks may refer to it. It is evaluated while at least one does.",
    status = "PostureCheckStatus",
    derive = "PartialEq",
    validation = Rule::new("size(self.metadata.name) <= 63").message("a name is at most 63 characters: it becomes a label value"),
    printcolumn(name = "Resource", type_ = "string", json_path = ".spec.resource"),
    printcolumn(name = "Severity", type_ = "string", json_path = ".spec.severity"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode", priority = 1),
    printcolumn(name = "Accepted", type_ = "string", json_path = ".status.conditions[?(@.type=='Accepted')].status", description = "Whether the check compiles and passes its own tests"),
    printcolumn(name = "Pass", type_ = "integer", json_path = ".status.results.pass", description = "Resources that pass"),
    printcolumn(name = "Fail", type_ = "integer", json_path = ".status.results.fail", description = "Resources that fail"),
    printcolumn(name = "Error", type_ = "integer", json_path = ".status.results.error", description = "Resources about which too little is known"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Override", type_ = "string", json_path = ".spec.overrides.severity", description = "Severity that applies instead of the check's own", priority = 1),
    printcolumn(name = "Bundle", type_ = "string", json_path = ".metadata.labels.yagura\\.dev/bundle", description = "Pack of the shipped content that the check belongs to; empty for a check of yours", priority = 1)
)]
#[x_kube(validation = Rule::new("self.mode == 'manual' || has(self.pass)").message("an automated check needs pass"))]
#[x_kube(validation = Rule::new("self.mode == 'automated' || has(self.instructions)").message("a manual check needs instructions"))]
#[x_kube(validation = Rule::new("self.mode == 'automated' || !has(self.pass)").message("a manual check has no pass: nothing evaluates it"))]
#[serde(rename_all = "camelCase")]
pub struct PostureCheckSpec {
    /// What a resource that passes does, in one line.
    #[schemars(length(min = 1, max = 256))]
    pub title: String,
    /// Why it matters; Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 8192))]
    pub description: String,
    /// How to make a resource pass, step by step; Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 8192))]
    pub remediation: String,
    /// How urgently a person should look at a resource that fails.
    pub severity: Severity,
    /// The type of resource that is checked.
    pub resource: ResourceType,
    /// Whether it is evaluated or a person must look.
    #[serde(default)]
    pub mode: Mode,
    /// How a person looks, for a manual check; Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8192))]
    pub instructions: Option<String>,
    /// Which resources it speaks about, in the rule language; others are not applicable. Left out:
    /// all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub applies_when: Option<String>,
    /// What a resource that passes fulfils, in the rule language, over `resource`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub pass: Option<String>,
    /// Expressions of the rule language whose values are shown with a resource that fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 256)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub evidence: Vec<String>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(max = 1024), regex(pattern = "^https?://")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub references: Vec<String>,
    /// Proofs that it passes and fails what it should; a check whose tests fail is not evaluated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub tests: Vec<CheckTest>,
    /// What a cluster changes about a check that it did not write. Upgrades of shipped checks never
    /// touch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<CheckOverrides>,
}

/// What a cluster changes about a check that it did not write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckOverrides {
    /// Instead of the check's severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

impl PostureCheckSpec {
    /// The severity that applies.
    pub fn severity_in_effect(&self) -> Severity {
        let overridden = self.overrides.as_ref().and_then(|overrides| overrides.severity);
        overridden.unwrap_or(self.severity)
    }
}

/// A type of resource that checks can speak about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ResourceType {
    /// A pod: `resource` is the object.
    #[serde(rename = "k8s.pod")]
    Pod,
    /// A container of a pod, init and ephemeral ones included: `resource` is the container's part
    /// of the pod's spec, with `resource.pod` (metadata, spec without containers) beside.
    #[serde(rename = "k8s.container")]
    Container,
    /// A Role.
    #[serde(rename = "k8s.role")]
    Role,
    /// A `ClusterRole`.
    #[serde(rename = "k8s.clusterrole")]
    ClusterRole,
    /// A `RoleBinding`.
    #[serde(rename = "k8s.rolebinding")]
    RoleBinding,
    /// A `ClusterRoleBinding`.
    #[serde(rename = "k8s.clusterrolebinding")]
    ClusterRoleBinding,
    /// The kubelet of a node: `resource.node`, `resource.flags`, `resource.config`.
    #[serde(rename = "node.kubelet")]
    NodeKubelet,
    /// A file of a node: `resource.node`, `resource.key`, `resource.path`, `resource.mode`,
    /// `resource.uid`, `resource.gid`, `resource.owner`, `resource.group`.
    #[serde(rename = "node.file")]
    NodeFile,
}

impl ResourceType {
    /// Every type.
    pub const ALL: [Self; 8] = [
        Self::Pod,
        Self::Container,
        Self::Role,
        Self::ClusterRole,
        Self::RoleBinding,
        Self::ClusterRoleBinding,
        Self::NodeKubelet,
        Self::NodeFile,
    ];

    /// The name as it stands in objects.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "k8s.pod",
            Self::Container => "k8s.container",
            Self::Role => "k8s.role",
            Self::ClusterRole => "k8s.clusterrole",
            Self::RoleBinding => "k8s.rolebinding",
            Self::ClusterRoleBinding => "k8s.clusterrolebinding",
            Self::NodeKubelet => "node.kubelet",
            Self::NodeFile => "node.file",
        }
    }
}

/// Who decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The condition.
    #[default]
    Automated,
    /// A person.
    Manual,
}

/// A proof that a check decides as it should.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckTest {
    /// What is proven; unique within the check.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// The resource, without the leading `resource.`. `{$unknown: true}` stands for a value that
    /// could not be learned.
    pub resource: TestValue,
    /// What must come of it.
    pub expect: CheckExpectation,
}

/// What must come of a test's resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckExpectation {
    /// The result.
    pub status: CheckResult,
}

/// What an automated check says about one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CheckResult {
    /// It is as it should be.
    Pass,
    /// It is not.
    Fail,
    /// Too little is known to say.
    Error,
    /// The check does not speak about it.
    NotApplicable,
}

/// What became of the check.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostureCheckStatus {
    /// `Accepted`: whether it compiles and passes its tests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// How many resources have which result; left out while no framework refers to the check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<CheckCounts>,
    /// When results last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_changed: Option<Time>,
}

/// How many resources have which result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckCounts {
    /// Resources that pass.
    pub pass: u32,
    /// Resources that fail.
    pub fail: u32,
    /// Resources about which too little is known.
    pub error: u32,
    /// Resources that the check does not speak about.
    pub not_applicable: u32,
}
