//! The routes that were seen, with what is known of each.

use std::collections::BTreeMap;
use std::fmt;

use kube::core::DeserializeGuard;
use kube::{Resource as _, ResourceExt as _};
use yagura_crds::notification_route::receiver::{Receiver, SecretKeyRef};
use yagura_crds::notification_route::{RouteTest, TEST_ANNOTATION};
use yagura_crds::{NotificationRoute, NotificationRouteStatus};
use yagura_event::Timestamp;
use yagura_telemetry::chain;

use super::route::{InvalidRoute, Route};
use super::status::{Facts, Outcome, compute};

/// After a change of the route its status follows at once for this long.
const PROMPT: i64 = 30_000_000_000;
/// That is, after this time.
const PROMPT_PACE: i64 = 1_000_000_000;
/// Later it is written once in this time at most.
const PACE: i64 = 60_000_000_000;
/// Bytes of a test's request.
const MOST_REQUEST: usize = 64;

/// Why a route cannot be used.
#[derive(Debug)]
pub(super) enum Invalid {
    /// What it says.
    Route(InvalidRoute),
    /// The object cannot be read at all.
    Object(String),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(error) => write!(f, "{}", chain(error)),
            Self::Object(text) => f.write_str(text),
        }
    }
}

impl Invalid {
    fn reason(&self) -> &'static str {
        match self {
            Self::Route(error) => error.reason(),
            Self::Object(_) => "InvalidObject",
        }
    }
}

/// A route that was seen.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    generation: Option<i64>,
    pub(super) enabled: bool,
    pub(super) route: Result<Route, Invalid>,
    /// Keys of Secrets that it needs.
    pub(super) references: Vec<SecretKeyRef>,
    /// Why one of them cannot be read.
    pub(super) missing: Option<String>,
    pub(super) outcomes: BTreeMap<String, Outcome>,
    pub(super) status: NotificationRouteStatus,
    /// The test that was asked for last.
    pub(super) asked: Option<String>,
    /// Whether it is being answered.
    pub(super) testing: bool,
    /// The answer to the last one.
    pub(super) test: Option<RouteTest>,
    changed: Timestamp,
    written: Option<Timestamp>,
}

impl Entry {
    /// From an object, and what was known of the route before.
    pub(super) fn new(
        guard: &DeserializeGuard<NotificationRoute>,
        before: Option<Self>,
        now: Timestamp,
    ) -> Self {
        let generation = guard.meta().generation;
        let asked = guard.annotations().get(TEST_ANNOTATION).map(|request| {
            let mut request = request.clone();
            request.truncate(request.floor_char_boundary(MOST_REQUEST));
            request
        });
        match before {
            // Only its status, labels or annotations changed.
            Some(entry) if entry.generation == generation => Self { asked, ..entry },
            before => {
                let (route, enabled, references, status) = match &guard.0 {
                    Ok(object) => (
                        Route::new(object).map_err(Invalid::Route),
                        object.spec.enabled,
                        object.spec.receivers.iter().flat_map(references).collect(),
                        object.status.clone(),
                    ),
                    Err(error) => {
                        let text = format!("the object cannot be read: {}", error.error);
                        (Err(Invalid::Object(text)), true, Vec::new(), None)
                    }
                };
                let (outcomes, known, testing) = match before {
                    Some(entry) => (entry.outcomes, Some(entry.status), entry.testing),
                    None => (BTreeMap::new(), None, false),
                };
                let status = known.or(status).unwrap_or_default();
                Self {
                    name: guard.name_any(),
                    generation,
                    enabled,
                    route,
                    references,
                    missing: None,
                    outcomes,
                    test: status.test.clone(),
                    status,
                    asked,
                    testing,
                    changed: now,
                    written: None,
                }
            }
        }
    }

    /// The route, if signals are to take it.
    pub(super) fn usable(&self) -> Option<&Route> {
        self.route.as_ref().ok().filter(|_| self.enabled)
    }

    /// The test that is to be answered.
    pub(super) fn request(&self) -> Option<&str> {
        let answered = self.test.as_ref().map(|test| test.request.as_str());
        self.asked
            .as_deref()
            .filter(|asked| !self.testing && Some(*asked) != answered)
    }

    /// A status was written, or could not be, which is tried again after the usual pause.
    pub(super) fn looked_at(&mut self, now: Timestamp, status: Option<NotificationRouteStatus>) {
        self.written = Some(now);
        if let Some(status) = status {
            self.status = status;
        }
    }

    /// The status to write now, if it is time for one.
    pub(super) fn next_status(&self, waiting: usize, now: Timestamp) -> Option<NotificationRouteStatus> {
        let verdict = match (&self.route, &self.missing) {
            (Err(invalid), _) => Err((invalid.reason(), invalid.to_string())),
            (Ok(_), Some(missing)) => Err(("SecretMissing", missing.clone())),
            (Ok(_), None) => Ok(()),
        };
        let targets = self.route.as_ref().map(|route| &route.targets);
        let facts = Facts {
            verdict,
            enabled: self.enabled,
            receivers: targets.map_or_else(
                |_| Vec::new(),
                |targets| {
                    targets
                        .values()
                        .map(|target| (target.name.as_str(), target.kind.as_str()))
                        .collect()
                },
            ),
            outcomes: &self.outcomes,
            waiting,
            test: self.test.clone(),
        };
        let next = compute(&self.status, self.generation, &facts, now);
        let is_prompt = now.since(self.changed) <= PROMPT || next.test != self.status.test;
        let pace = if is_prompt { PROMPT_PACE } else { PACE };
        let is_due = self.written.is_none_or(|written| now.since(written) >= pace);
        (is_due && next != self.status).then_some(next)
    }
}

/// Every key of a Secret that a receiver needs.
fn references(receiver: &Receiver) -> Vec<SecretKeyRef> {
    let mut found: Vec<Option<&SecretKeyRef>> = Vec::new();
    let of = |source: &'_ Option<yagura_crds::notification_route::receiver::SecretSource>| {
        source.as_ref().map(|source| source.secret_key_ref.clone())
    };
    let mut owned: Vec<Option<SecretKeyRef>> = Vec::new();
    if let Some(slack) = &receiver.slack {
        found.push(Some(&slack.url.secret_key_ref));
    }
    if let Some(teams) = &receiver.teams {
        found.push(Some(&teams.url.secret_key_ref));
    }
    if let Some(pager) = &receiver.pager_duty {
        found.push(Some(&pager.routing_key.secret_key_ref));
    }
    if let Some(opsgenie) = &receiver.opsgenie {
        found.push(Some(&opsgenie.api_key.secret_key_ref));
    }
    if let Some(email) = &receiver.email {
        owned.extend([of(&email.password), of(&email.ca)]);
    }
    if let Some(webhook) = &receiver.webhook {
        found.push(webhook.url.secret_key_ref.as_ref());
        found.extend(
            webhook
                .headers
                .iter()
                .map(|header| header.secret_key_ref.as_ref()),
        );
        owned.extend([of(&webhook.signing_key), of(&webhook.ca)]);
    }
    if let Some(alertmanager) = &receiver.alertmanager {
        found.push(alertmanager.url.secret_key_ref.as_ref());
        owned.extend([of(&alertmanager.token), of(&alertmanager.ca)]);
    }
    if let Some(syslog) = &receiver.syslog {
        owned.push(of(&syslog.ca));
    }
    owned.extend(found.into_iter().map(Option::<&SecretKeyRef>::cloned));
    owned.into_iter().flatten().collect()
}
