//! A route as the operator works with it: read once, when it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use yagura_crds::NotificationRoute;
use yagura_crds::duration::Duration;
use yagura_crds::notification_route::GroupBy;
use yagura_crds::notification_route::receiver::Receiver;

use super::quiet::{InvalidQuietHours, Quiet};
use super::receiver::email::{self, InvalidAddress};
use super::receiver::template::{InvalidTemplate, Template};
use super::select::{InvalidSelector, Select};
use super::subject::Subject;

const SECOND: i64 = 1_000_000_000;

/// A kind of receiver and how it wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Slack,
    Teams,
    PagerDuty,
    Opsgenie,
    Email,
    Webhook,
    Alertmanager,
    Syslog,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Slack,
        Self::Teams,
        Self::PagerDuty,
        Self::Opsgenie,
        Self::Email,
        Self::Webhook,
        Self::Alertmanager,
        Self::Syslog,
    ];

    /// As it stands in a route.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::PagerDuty => "pagerDuty",
            Self::Opsgenie => "opsgenie",
            Self::Email => "email",
            Self::Webhook => "webhook",
            Self::Alertmanager => "alertmanager",
            Self::Syslog => "syslog",
        }
    }

    /// Whether people read its messages, so that signals share one and quiet hours hold back also
    /// the good news.
    pub fn is_read(self) -> bool {
        matches!(self, Self::Slack | Self::Teams | Self::Email | Self::Webhook)
    }

    /// Whether it follows that somebody looks.
    pub fn acknowledges(self) -> bool {
        matches!(self, Self::PagerDuty | Self::Opsgenie)
    }

    /// How many signals one message carries at the most.
    pub fn most(self) -> usize {
        match self {
            Self::PagerDuty | Self::Opsgenie => 1,
            // People read the first of them and how many there are.
            Self::Slack | Self::Teams | Self::Email => 500,
            // Machines read all.
            Self::Webhook | Self::Alertmanager | Self::Syslog => 50,
        }
    }

    /// Whether the route's limit of messages applies.
    pub fn is_limited(self) -> bool {
        !matches!(self, Self::Alertmanager | Self::Syslog)
    }

    /// Nanoseconds after which an open signal is told again: Alertmanager keeps alerts in memory
    /// and forgets those that nobody repeats.
    pub fn refresh(self) -> Option<i64> {
        matches!(self, Self::Alertmanager).then_some(300 * SECOND)
    }
}

/// A receiver of a route.
#[derive(Clone, Debug)]
pub struct Target {
    /// Name within the route.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Nanoseconds that a signal must stay open and unassigned before it is told; 0 for at once.
    pub escalate_after: i64,
    /// Whether it is told of the end.
    pub send_resolved: bool,
    /// Nanoseconds that a message waits for others to join.
    pub wait: i64,
    /// As it stands in the route.
    pub spec: Arc<Receiver>,
    /// The body of a webhook, where the route has one.
    pub template: Option<Arc<Template>>,
}

impl Target {
    /// Whether it is told only of what nobody took care of.
    pub fn escalates(&self) -> bool {
        self.escalate_after > 0
    }
}

/// A route that can be used.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Which signals.
    pub select: Select,
    group_by: Vec<GroupBy>,
    /// Nanoseconds between two messages of a group.
    pub interval: i64,
    /// Messages that a receiver takes.
    pub messages: u32,
    /// Within this many nanoseconds.
    pub per: i64,
    /// When receivers are left alone.
    pub quiet: Option<Quiet>,
    /// Receivers by name.
    pub targets: BTreeMap<String, Target>,
}

/// Why a route cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRoute {
    /// Its selector.
    #[error(transparent)]
    Selector(#[from] InvalidSelector),
    /// Its quiet hours.
    #[error(transparent)]
    QuietHours(#[from] InvalidQuietHours),
    /// A webhook's body.
    #[error("spec.receivers[{receiver}].webhook.template")]
    Template {
        /// Name of the receiver.
        receiver: String,
        /// What is wrong.
        #[source]
        source: InvalidTemplate,
    },
    /// An address.
    #[error("spec.receivers[{receiver}].email")]
    Address {
        /// Name of the receiver.
        receiver: String,
        /// What is wrong.
        #[source]
        source: InvalidAddress,
    },
    /// A length of time that the API server's schema would not have let through.
    #[error("spec.{field}: {text:?} is no length of time; write hours, minutes and seconds, such as 1h30m")]
    Duration {
        /// Where it stands.
        field: String,
        /// What stands there.
        text: String,
    },
    /// A receiver without a kind, which the API server's schema would not have let through.
    #[error("spec.receivers[{receiver}]: give exactly one kind of receiver")]
    NoKind {
        /// Name of the receiver.
        receiver: String,
    },
}

impl InvalidRoute {
    /// For the condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Selector(_) => "InvalidSelector",
            Self::QuietHours(_) => "InvalidQuietHours",
            Self::Template { .. } => "InvalidTemplate",
            Self::Address { .. } => "InvalidAddress",
            Self::Duration { .. } => "InvalidDuration",
            Self::NoKind { .. } => "InvalidReceiver",
        }
    }
}

impl Route {
    /// Reads an object.
    pub fn new(object: &NotificationRoute) -> Result<Self, InvalidRoute> {
        let spec = &object.spec;
        let wait = nanoseconds("group.wait", &spec.group.wait)?;
        let targets = spec
            .receivers
            .iter()
            .map(|receiver| Ok((receiver.name.clone(), target(receiver, wait)?)))
            .collect::<Result<_, InvalidRoute>>()?;
        Ok(Self {
            name: object.metadata.name.clone().unwrap_or_default(),
            select: Select::new(&spec.selector)?,
            group_by: spec.group.by.clone(),
            interval: nanoseconds("group.interval", &spec.group.interval)?,
            messages: spec.rate_limit.messages,
            per: nanoseconds("rateLimit.per", &spec.rate_limit.per)?,
            quiet: spec.quiet_hours.as_ref().map(Quiet::new).transpose()?,
            targets,
        })
    }

    /// What the signals of a message have in common, as a short key.
    pub fn group(&self, signal: &Subject) -> String {
        let mut hasher = Sha256::new();
        for by in &self.group_by {
            let value = match by {
                GroupBy::Rule => &signal.rule,
                GroupBy::Namespace => &signal.origin,
                GroupBy::Severity => signal.severity.as_str(),
                GroupBy::Source => &signal.source,
                GroupBy::Node => signal.node.as_deref().unwrap_or_default(),
                GroupBy::Resource => &signal.resource,
                GroupBy::Signal => &signal.name,
            };
            hasher.update(value.len().to_be_bytes());
            hasher.update(value.as_bytes());
        }
        hasher.finalize()[..8]
            .iter()
            .fold(String::new(), |mut text, byte| {
                use std::fmt::Write as _;
                write!(text, "{byte:02x}").expect("a string takes everything");
                text
            })
    }
}

fn nanoseconds(field: &str, duration: &Duration) -> Result<i64, InvalidRoute> {
    let seconds = duration.seconds().and_then(|seconds| i64::try_from(seconds).ok());
    let invalid = || InvalidRoute::Duration {
        field: field.to_owned(),
        text: duration.0.clone(),
    };
    seconds
        .and_then(|seconds| seconds.checked_mul(SECOND))
        .ok_or_else(invalid)
}

fn target(receiver: &Receiver, wait: i64) -> Result<Target, InvalidRoute> {
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == receiver.kind())
        .ok_or_else(|| InvalidRoute::NoKind {
            receiver: receiver.name.clone(),
        })?;
    if let Some(spec) = &receiver.email {
        email::addresses(spec).map_err(|source| InvalidRoute::Address {
            receiver: receiver.name.clone(),
            source,
        })?;
    }
    let template = receiver
        .webhook
        .as_ref()
        .and_then(|webhook| webhook.template.as_deref())
        .map(Template::new)
        .transpose()
        .map_err(|source| InvalidRoute::Template {
            receiver: receiver.name.clone(),
            source,
        })?;
    let escalate_after = receiver
        .escalate_after
        .as_ref()
        .map(|after| nanoseconds(&format!("receivers[{}].escalateAfter", receiver.name), after));
    Ok(Target {
        name: receiver.name.clone(),
        kind,
        escalate_after: escalate_after.transpose()?.unwrap_or(0),
        send_resolved: receiver.send_resolved,
        wait: if kind.is_read() { wait } else { 0 },
        spec: Arc::new(receiver.clone()),
        template: template.map(Arc::new),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};
    use yagura_crds::NotificationRoute;
    use yagura_event::Severity;

    use super::super::subject::tests::subject;
    use super::{InvalidRoute, Kind, Route};

    /// A route from its spec.
    pub(crate) fn route(spec: &Value) -> Result<Route, InvalidRoute> {
        let object: NotificationRoute = serde_json::from_value(json!({
            "apiVersion": "yagura.dev/v1alpha1", "kind": "NotificationRoute",
            "metadata": {"name": "ops"}, "spec": spec,
        }))
        .unwrap();
        Route::new(&object)
    }

    #[test]
    fn the_kinds_are_those_of_the_custom_resource() {
        let secret = json!({"secretKeyRef": {"name": "s", "key": "k"}});
        let url = json!({"value": "http://x"});
        let cases = [
            json!({"slack": {"url": secret}}),
            json!({"teams": {"url": secret}}),
            json!({"pagerDuty": {"routingKey": secret}}),
            json!({"opsgenie": {"apiKey": secret}}),
            json!({"email": {"host": "h", "from": "a@b.example", "to": ["c@d.example"]}}),
            json!({"webhook": {"url": url}}),
            json!({"alertmanager": {"url": url}}),
            json!({"syslog": {"host": "h"}}),
        ];
        for (mut receiver, kind) in cases.into_iter().zip(Kind::ALL) {
            receiver["name"] = json!("r");
            let route = route(&json!({"receivers": [receiver]})).unwrap();
            assert_eq!(route.targets["r"].kind, kind);
        }
        let nothing = route(&json!({"receivers": [{"name": "r"}]})).unwrap_err();
        assert_eq!(nothing.reason(), "InvalidReceiver");
    }

    #[test]
    fn a_route_that_selects_nothing_takes_everything() {
        for mut spec in [json!({}), json!({"match": {}})] {
            spec["receivers"] = json!([{"name": "r", "syslog": {"host": "h"}}]);
            let route = route(&spec).unwrap();
            let labels = std::collections::BTreeMap::new();
            assert!(
                route.select.takes(&subject("a", Severity::Info), &labels),
                "{spec}"
            );
        }
    }

    #[test]
    fn what_cannot_be_used_says_where_and_why() {
        let receiver = json!({"name": "r", "syslog": {"host": "h"}});
        let hook = |template: &str| json!({"name": "r", "webhook": {"url": {"value": "http://x"}, "template": template}});
        let cases = [
            (
                json!({"receivers": [receiver], "quietHours": {"timeZone": "X", "windows": []}}),
                "InvalidQuietHours",
            ),
            (
                json!({"receivers": [hook("{\"a\": \"{{nothing}}\"}")]}),
                "InvalidTemplate",
            ),
            (
                json!({"receivers": [{"name": "r", "email": {"host": "h", "from": "nobody", "to": ["a@b.example"]}}]}),
                "InvalidAddress",
            ),
        ];
        for (spec, reason) in cases {
            assert_eq!(route(&spec).unwrap_err().reason(), reason, "{spec}");
        }
    }

    #[test]
    fn signals_share_a_group_by_the_keys_that_are_given() {
        let receivers = json!([{"name": "r", "syslog": {"host": "h"}}]);
        let by = |keys: Value| route(&json!({"receivers": receivers, "group": {"by": keys}})).unwrap();
        let (one, mut other) = (subject("a", Severity::High), subject("b", Severity::High));
        other.resource = "Pod/other".to_owned();
        assert_eq!(
            by(json!(["rule", "namespace"])).group(&one),
            by(json!(["rule", "namespace"])).group(&other)
        );
        for keys in [json!(["signal"]), json!(["resource"])] {
            assert_ne!(by(keys.clone()).group(&one), by(keys).group(&other));
        }
        assert_eq!(by(json!([])).group(&one), by(json!([])).group(&other));
        let default = route(&json!({"receivers": receivers})).unwrap();
        assert_eq!(default.interval, 300_000_000_000);
    }
}
