//! What a route says of itself: pure.

use std::collections::BTreeMap;

use yagura_crds::NotificationRouteStatus;
use yagura_crds::convert::time;
use yagura_crds::notification_route::{ReceiverStatus, RouteTest};
use yagura_event::Timestamp;

use super::message::line;
use crate::conditions::{Answer, Finding};

/// Bytes of an error that the status shows.
const MOST_ERROR: usize = 1_024;

/// What became of a receiver's last message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// When it last took one.
    pub(super) delivered: Option<Timestamp>,
    /// Why it did not take the last one.
    pub(super) error: Option<String>,
}

/// What a status is made of.
pub(super) struct Facts<'a> {
    /// Whether the route can be used, or its reason and message.
    pub(super) verdict: Result<(), (&'static str, String)>,
    pub(super) enabled: bool,
    /// Name and kind of each receiver.
    pub(super) receivers: Vec<(&'a str, &'static str)>,
    pub(super) outcomes: &'a BTreeMap<String, Outcome>,
    pub(super) waiting: usize,
    pub(super) test: Option<RouteTest>,
}

/// The status of a route of this generation.
pub(super) fn compute(
    old: &NotificationRouteStatus,
    generation: Option<i64>,
    facts: &Facts<'_>,
    now: Timestamp,
) -> NotificationRouteStatus {
    let findings = [accepted(facts), delivering(facts)];
    let receivers = facts.receivers.iter().map(|(name, kind)| {
        let outcome = facts.outcomes.get(*name).cloned().unwrap_or_default();
        // What an operator before this one saw stays until there is something newer.
        let before = old.receivers.iter().find(|receiver| receiver.name == *name);
        ReceiverStatus {
            name: (*name).to_owned(),
            kind: (*kind).to_owned(),
            last_delivered: outcome
                .delivered
                .map(time)
                .or_else(|| before.and_then(|before| before.last_delivered.clone())),
            error: outcome.error.map(|error| line(&error, MOST_ERROR)),
        }
    });
    NotificationRouteStatus {
        receivers: receivers.collect(),
        conditions: findings
            .map(|finding| finding.over(&old.conditions, generation, &time(now)))
            .to_vec(),
        waiting: i64::try_from(facts.waiting).unwrap_or(i64::MAX),
        test: facts.test.clone(),
    }
}

fn accepted(facts: &Facts<'_>) -> Finding {
    let (answer, reason, message) = match &facts.verdict {
        Ok(()) => (Answer::True, "Valid", "the route can be used".to_owned()),
        Err((reason, message)) => (Answer::False, *reason, message.clone()),
    };
    Finding {
        kind: "Accepted",
        answer,
        reason,
        message,
    }
}

fn delivering(facts: &Facts<'_>) -> Finding {
    let failing: Vec<String> = facts
        .receivers
        .iter()
        .filter_map(|(name, _)| Some(format!("{name}: {}", facts.outcomes.get(*name)?.error.as_ref()?)))
        .collect();
    let sent = facts.outcomes.values().any(|outcome| outcome.delivered.is_some());
    let (answer, reason, message) = if !facts.enabled {
        (Answer::False, "Disabled", "spec.enabled is false".to_owned())
    } else if !failing.is_empty() {
        (Answer::False, "ReceiverFails", failing.join("; "))
    } else if sent {
        (
            Answer::True,
            "Delivered",
            "every receiver took what it was sent last".to_owned(),
        )
    } else {
        let message = "nothing was sent since the operator started; try it with `yagura notify test`";
        (Answer::Unknown, "NothingSent", message.to_owned())
    };
    Finding {
        kind: "Delivering",
        answer,
        reason,
        message,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use yagura_crds::NotificationRouteStatus;
    use yagura_event::Timestamp;

    use super::{Facts, Outcome, compute};

    fn conditions(facts: &Facts<'_>) -> Vec<(String, String)> {
        let status = compute(&NotificationRouteStatus::default(), Some(3), facts, Timestamp(0));
        assert!(
            status
                .conditions
                .iter()
                .all(|condition| condition.observed_generation == Some(3))
        );
        status
            .conditions
            .into_iter()
            .map(|condition| (condition.status, condition.reason))
            .collect()
    }

    fn facts(outcomes: &BTreeMap<String, Outcome>) -> Facts<'_> {
        Facts {
            verdict: Ok(()),
            enabled: true,
            receivers: vec![("chat", "slack"), ("pager", "pagerDuty")],
            outcomes,
            waiting: 0,
            test: None,
        }
    }

    #[test]
    fn conditions_tell_whether_a_route_works() {
        let mut outcomes = BTreeMap::new();
        let pair = |answer: &str, reason: &str| (answer.to_owned(), reason.to_owned());
        assert_eq!(
            conditions(&facts(&outcomes)),
            [pair("True", "Valid"), pair("Unknown", "NothingSent")]
        );
        let took = Outcome {
            delivered: Some(Timestamp(1)),
            error: None,
        };
        outcomes.insert("chat".to_owned(), took);
        assert_eq!(conditions(&facts(&outcomes))[1], pair("True", "Delivered"));
        let failed = Outcome {
            delivered: None,
            error: Some("no answer".to_owned()),
        };
        outcomes.insert("pager".to_owned(), failed);
        assert_eq!(conditions(&facts(&outcomes))[1], pair("False", "ReceiverFails"));
        let off = Facts {
            enabled: false,
            verdict: Err(("SecretMissing", "s".to_owned())),
            ..facts(&outcomes)
        };
        assert_eq!(
            conditions(&off),
            [pair("False", "SecretMissing"), pair("False", "Disabled")]
        );
    }
}
