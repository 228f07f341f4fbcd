//! Receivers of notifications. What must not be read by everybody who can read routes stands in a
//! Secret and is referred to.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;

/// Somebody or something that is told: exactly one kind of receiver is given.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("[has(self.slack), has(self.teams), has(self.pagerDuty), has(self.opsgenie), has(self.email), has(self.webhook), has(self.alertmanager), has(self.syslog)].filter(given, given).size() == 1").message("give exactly one of slack, teams, pagerDuty, opsgenie, email, webhook, alertmanager and syslog"))]
#[serde(rename_all = "camelCase")]
pub struct Receiver {
    /// Unique within the route.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Tell only of signals that stayed open this long with nobody assigned; left out: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate_after: Option<Duration>,
    /// Tell also when a signal is archived, resolved or deleted.
    #[serde(default = "yes")]
    pub send_resolved: bool,
    /// A channel of Slack, through an incoming webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<Slack>,
    /// A channel of Microsoft Teams, through a workflow's webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teams: Option<Teams>,
    /// A service of PagerDuty, through the Events API v2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pager_duty: Option<PagerDuty>,
    /// Opsgenie, through its Alert API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opsgenie: Option<Opsgenie>,
    /// E-mail, through a server that takes it by SMTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Anything that takes a POST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Prometheus' Alertmanager, through its API v2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<Alertmanager>,
    /// A server that takes syslog messages as RFC 5424 has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syslog: Option<Syslog>,
}

/// Refers to a value in a Secret of the operator's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretSource {
    /// The Secret and its key. The chart's value `notifications.secrets` must name the Secret.
    pub secret_key_ref: SecretKeyRef,
}

/// A key of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Key in its data.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = "^[-_a-zA-Z0-9]([-._a-zA-Z0-9]*)$")
    )]
    pub key: String,
}

/// A value as it is, or in a Secret: exactly one of both.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("has(self.value) != has(self.secretKeyRef)").message("give exactly one of value and secretKeyRef"))]
#[serde(rename_all = "camelCase")]
pub struct ValueSource {
    /// The value itself; everybody who can read the route sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub value: Option<String>,
    /// The Secret and its key. The chart's value `notifications.secrets` must name the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
}

/// A channel of Slack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Slack {
    /// URL of the incoming webhook.
    pub url: SecretSource,
}

/// A channel of Microsoft Teams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Teams {
    /// URL of the workflow that posts what a webhook sends.
    pub url: SecretSource,
}

/// A service of PagerDuty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PagerDuty {
    /// Routing key (integration key) of the service.
    pub routing_key: SecretSource,
    /// Where events go, for another service region.
    #[serde(default = "pager_duty_url")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://"))]
    pub url: String,
}

/// Opsgenie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Opsgenie {
    /// Key of an API integration.
    pub api_key: SecretSource,
    /// The API, for another region.
    #[serde(default = "opsgenie_url")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://"))]
    pub url: String,
    /// Names of the teams that respond; left out: those of the integration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 100)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub teams: Vec<String>,
}

/// E-mail.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("has(self.username) == has(self.password)").message("username and password belong together"))]
#[x_kube(validation = Rule::new("!has(self.password) || self.security != 'none'").message("a password is only sent over TLS: set security to startTls or tls"))]
#[serde(rename_all = "camelCase")]
pub struct Email {
    /// Name or address of the server.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[A-Za-z0-9._:-]+$"))]
    pub host: String,
    /// Its port; left out: 587 with `startTls`, 465 with `tls`, 25 with `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub security: MailSecurity,
    /// Whom the server knows the operator as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub username: Option<String>,
    /// The password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretSource>,
    /// Certificates that the server's is checked against, in PEM; left out: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretSource>,
    /// Address of the sender, as `Name <address>` or the address alone.
    #[schemars(length(min = 3, max = 320))]
    pub from: String,
    /// Addresses of the recipients.
    #[schemars(
        length(min = 1, max = 32),
        inner(length(min = 3, max = 320)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub to: Vec<String>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MailSecurity {
    /// It begins in the clear and must change to TLS before anything else.
    #[default]
    StartTls,
    /// It is TLS from the beginning.
    Tls,
    /// Not at all: only for a server that is reached without leaving the cluster.
    None,
}

/// Anything that takes a POST.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Where to.
    pub url: ValueSource,
    /// Further headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub headers: Vec<Header>,
    /// The body. `{{title}}` and the like are replaced by values, escaped for JSON; left out: a
    /// JSON object with everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub template: Option<String>,
    /// Key of the HMAC-SHA256 over time and body in the header `X-Yagura-Signature`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<SecretSource>,
    /// Certificates that the server's is checked against, in PEM; left out: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretSource>,
}

/// A header of a webhook's requests.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("has(self.value) != has(self.secretKeyRef)").message("give exactly one of value and secretKeyRef"))]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Its name.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9-]+$"))]
    pub name: String,
    /// The value itself; everybody who can read the route sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub value: Option<String>,
    /// The Secret and its key. The chart's value `notifications.secrets` must name the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
}

/// Prometheus' Alertmanager.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alertmanager {
    /// Its address without `/api/v2/alerts`.
    pub url: ValueSource,
    /// Bearer token, where something in front of it asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretSource>,
    /// Certificates that the server's is checked against, in PEM; left out: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretSource>,
}

/// A syslog server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Syslog {
    /// Name or address of the server.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[A-Za-z0-9._:-]+$"))]
    pub host: String,
    /// Its port; left out: 514, with `tls` 6514.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// How messages get there.
    #[serde(default)]
    pub protocol: SyslogProtocol,
    /// Number of the facility; 13 is log audit.
    #[serde(default = "log_audit")]
    #[schemars(with = "i32", range(min = 0, max = 23))]
    pub facility: u8,
    /// Certificates that the server's is checked against with `tls`, in PEM; left out: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretSource>,
}

/// How syslog messages get to their server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyslogProtocol {
    /// One datagram a message: nobody notices when one is lost.
    Udp,
    /// A stream with counted octets.
    Tcp,
    /// The same over TLS.
    #[default]
    Tls,
}

impl Receiver {
    /// The kind of receiver, for people and metrics.
    pub fn kind(&self) -> &'static str {
        [
            (self.slack.is_some(), "slack"),
            (self.teams.is_some(), "teams"),
            (self.pager_duty.is_some(), "pagerDuty"),
            (self.opsgenie.is_some(), "opsgenie"),
            (self.email.is_some(), "email"),
            (self.webhook.is_some(), "webhook"),
            (self.alertmanager.is_some(), "alertmanager"),
            (self.syslog.is_some(), "syslog"),
        ]
        .into_iter()
        .find_map(|(given, kind)| given.then_some(kind))
        .unwrap_or("none")
    }
}

fn yes() -> bool {
    true
}

fn pager_duty_url() -> String {
    "https://events.pagerduty.com/v2/enqueue".to_owned()
}

fn opsgenie_url() -> String {
    "https://api.opsgenie.com".to_owned()
}

fn log_audit() -> u8 {
    13
}
