//! `spec.mark`: what a match tells other rules.

#![expect(
    unreachable_pub,
    reason = "the schema's derive repeats the struct inside a function"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// What a match tells other rules: their conditions ask for it by `process.marks["name"]`, `container.marks["name"]` or
/// `host.marks["name"]`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!self.append || has(self.value)").message("append adds to the values of a mark: name a field in value"))]
#[x_kube(validation = Rule::new("duration(self.ttl) >= duration('1s') && duration(self.ttl) <= duration('24h')").message("ttl is 1s to 24h"))]
pub struct Mark {
    /// The name by which it is asked for. Rules may set the same mark.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z][a-z0-9-]*$"))]
    pub name: String,
    /// What bears it.
    pub scope: MarkScope,
    /// The field whose value it has, such as `process.executable`; a match without a value sets none. Left out: the mark
    /// is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub value: Option<String>,
    /// Whether the value is added to those that the mark has, which is a list then; otherwise it takes their place.
    #[serde(default)]
    pub append: bool,
    /// How long it is there, such as `10m`, from the last match that set it; at most 24 hours. Each value that was
    /// appended has its own time.
    pub ttl: Duration,
}

/// What bears a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MarkScope {
    /// The process, until it ends.
    Process,
    /// The process, and each that it or one with the mark starts from then on.
    ProcessTree,
    /// The container that the process runs in; on the host, none.
    Container,
    /// The node.
    Node,
}
