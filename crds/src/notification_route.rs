//! `NotificationRoute`: who is told of which signals, when and how.

#![expect(
    unreachable_pub,
    reason = "the schema's derive repeats the struct inside a function"
)]

pub mod receiver;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Severity;
use crate::duration::Duration;
use receiver::Receiver;

/// Annotation that asks for a test message to every receiver; its value tells requests apart and
/// comes back in `status.test`.
pub const TEST_ANNOTATION: &str = "yagura.dev/notify-test";

/// Tells people and systems of signals.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "yagura.dev",
    version = "v1alpha1",
    kind = "NotificationRoute",
    plural = "notificationroutes",
    shortname = "nroute",
    category = "yagura",
    doc = "Tells people and systems of signals: which signals, whom, and at what pace.",
    status = "NotificationRouteStatus",
    derive = "PartialEq",
    validation = Rule::new("size(self.metadata.name) <= 63").message("a name is at most 63 characters"),
    printcolumn(name = "Severity", type_ = "string", json_path = ".spec.match.minSeverity", description = "The least severity that is told of"),
    printcolumn(name = "Enabled", type_ = "boolean", json_path = ".spec.enabled"),
    printcolumn(name = "Accepted", type_ = "string", json_path = ".status.conditions[?(@.type=='Accepted')].status", description = "Whether the route can be used"),
    printcolumn(name = "Delivering", type_ = "string", json_path = ".status.conditions[?(@.type=='Delivering')].status", description = "Whether every receiver took its last message"),
    printcolumn(name = "Waiting", type_ = "integer", json_path = ".status.waiting", description = "Notifications that wait"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct NotificationRouteSpec {
    /// What the route is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub description: String,
    /// Whether it is used. What waits while it is not is kept for a day.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// Which signals it tells of; left out: every one. A signal takes every route that matches.
    #[serde(default, rename = "match")]
    pub selector: SignalSelector,
    /// Which signals share a message, and when it is sent.
    #[serde(default)]
    pub group: Grouping,
    /// How many messages a receiver takes.
    #[serde(default)]
    pub rate_limit: RateLimit,
    /// When receivers are left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// Whom it tells.
    #[schemars(
        length(min = 1, max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub receivers: Vec<Receiver>,
}

/// Which signals a route tells of; every part that is given must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignalSelector {
    /// The least severity.
    #[serde(default = "least")]
    pub min_severity: Severity,
    /// Names of rules and checks; `*` stands for any text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 253)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub rules: Vec<String>,
    /// Namespaces that signals belong to; `*` stands for any text. Signals of nodes and of the
    /// cluster belong to the operator's namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 63)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub namespaces: Vec<String>,
    /// Labels of the namespace that a signal belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::selector::schema")]
    pub namespace_selector: Option<LabelSelector>,
    /// Where the events came from, such as `workload` or `posture`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 63)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub sources: Vec<String>,
    /// Labels of the affected pod, and the signal's own, which begin with `yagura.dev/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::selector::schema")]
    pub labels: Option<LabelSelector>,
}

impl Default for SignalSelector {
    fn default() -> Self {
        Self {
            min_severity: least(),
            rules: Vec::new(),
            namespaces: Vec::new(),
            namespace_selector: None,
            sources: Vec::new(),
            labels: None,
        }
    }
}

/// Which signals share a message. Slack, Teams, e-mail and webhooks get one message for a group;
/// PagerDuty, Opsgenie, Alertmanager and syslog get every signal at once and group by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Grouping {
    /// What signals of a message have in common.
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub by: Vec<GroupBy>,
    /// How long the first message of a group waits for others to join.
    pub wait: Duration,
    /// The least time between two messages of a group.
    pub interval: Duration,
}

impl Default for Grouping {
    fn default() -> Self {
        Self {
            by: vec![GroupBy::Rule, GroupBy::Namespace],
            wait: Duration("5s".to_owned()),
            interval: Duration("5m".to_owned()),
        }
    }
}

/// What signals of a message have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GroupBy {
    /// The rule or check.
    Rule,
    /// The namespace.
    Namespace,
    /// The severity.
    Severity,
    /// The source.
    Source,
    /// The node.
    Node,
    /// What is affected most closely.
    Resource,
    /// Nothing: every signal has a message of its own.
    Signal,
}

/// How many messages that open something a receiver takes. The last one in a period carries
/// everything that waits. Alertmanager and syslog are not limited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RateLimit {
    /// Messages.
    #[schemars(range(min = 1, max = 1000))]
    pub messages: u32,
    /// In this time.
    pub per: Duration,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            messages: 30,
            per: Duration("10m".to_owned()),
        }
    }
}

/// When receivers are left alone: what comes up waits until the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuietHours {
    /// Time zone of the hours, such as `Europe/Berlin`.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
    /// The hours.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub windows: Vec<QuietWindow>,
    /// Severities that are told of all the same.
    #[serde(default = "critical")]
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "set"))]
    pub pierced_by: Vec<Severity>,
}

/// Quiet hours of some days of the week.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuietWindow {
    /// Days on which it begins; left out: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7), extend("x-kubernetes-list-type" = "set"))]
    pub days: Vec<Day>,
    /// When it begins, as `HH:MM`.
    #[schemars(length(min = 5, max = 5), regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub from: String,
    /// When it ends; not later than `from`: on the next day. Equal: a whole day.
    #[schemars(length(min = 5, max = 5), regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub to: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// What became of a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationRouteStatus {
    /// `Accepted`: whether the route can be used. `Delivering`: whether every receiver took what
    /// it was sent last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// Notifications that wait: for their group, for the end of quiet hours, for a receiver.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub waiting: i64,
    /// The receivers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub receivers: Vec<ReceiverStatus>,
    /// What became of the last test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<RouteTest>,
}

/// What became of a receiver's messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverStatus {
    /// Name of the receiver.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Its kind, such as `slack`.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 32))]
    pub kind: String,
    /// When it last took a message, as far as this object was written since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivered: Option<Time>,
    /// Why the last message was not taken; left out when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub error: Option<String>,
}

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteTest {
    /// The value of the annotation that asked for it.
    #[schemars(length(max = 64))]
    pub request: String,
    /// When it was answered.
    pub at: Time,
    /// The receivers' answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["receiver"])
    )]
    pub results: Vec<TestResult>,
}

/// A receiver's answer to a test message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// Name of the receiver.
    #[schemars(length(min = 1, max = 63))]
    pub receiver: String,
    /// Whether it took the message.
    pub delivered: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub error: Option<String>,
}

fn enabled() -> bool {
    true
}

fn least() -> Severity {
    Severity::Info
}

fn utc() -> String {
    "UTC".to_owned()
}

fn critical() -> Vec<Severity> {
    vec![Severity::Critical]
}
