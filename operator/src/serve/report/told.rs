//! What an agent tells of itself: what it lost, and how long nobody watched. Each is a finding about Yagura itself, counted
//! in the transaction of its record.

use yagura_event::{Loss, Timestamp};
use yagura_proto::v1::Gap;
use yagura_store::signals::Match;

use super::super::session::OpenSession;
use crate::signals::{LedgerError, OwnFinding, OwnRule, Placement};

/// Start of the causes of losses before any rule saw the events.
const SENSOR: &str = "sensor-";

/// Cause of what was acknowledged to a store that is not this one.
const FORGOTTEN: &str = "acknowledged-before-restore";

/// Causes and what they mean. An agent may send others: they are one.
const CAUSES: [(&str, &str); 13] = [
    (
        FORGOTTEN,
        "they were acknowledged, and then the operator's store was set back",
    ),
    ("disk-full", "the disk of the node was full"),
    ("queue-full", "they came faster than the agent wrote them"),
    ("record-unreadable", "another version of the agent wrote them"),
    ("sensor-missed", "the kernel did not run the hook"),
    ("sensor-oversized", "they were too large"),
    ("sensor-ring-full", "they came faster than the agent read them"),
    ("sensor-scratch-busy", "the kernel had no room for them"),
    ("sensor-throttled", "a container made more than its share"),
    ("sensor-undecodable", "the agent did not understand them"),
    ("spool-damaged", "the agent's spool was damaged"),
    ("spool-error", "the agent's spool could not be written"),
    (
        "spool-full",
        "the agent's spool was full while the operator was away",
    ),
];

/// What was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Matches of rules.
    Matches(u64),
    /// Events that no rule has seen.
    Events(u64),
}

/// The finding for a loss; one that stands for several records counts each as one match at least.
pub(super) fn loss(said: &Loss, further: u64, from: Placement<'_>) -> (Match, Lost) {
    let records = if further == 0 {
        0
    } else {
        further.saturating_add(1)
    };
    let count = said.matches.max(records);
    let size = if said.cause.starts_with(SENSOR) {
        Lost::Events(count)
    } else {
        Lost::Matches(count)
    };
    (
        of_cause(&said.cause, count, from.node, from.now).incident(from.home),
        size,
    )
}

/// A loss of unknown size counts as one.
fn of_cause(cause: &str, count: u64, node: &str, now: Timestamp) -> OwnFinding {
    let (cause, why) = CAUSES
        .into_iter()
        .find(|(known, _)| *known == cause)
        .unwrap_or(("other", "for a cause that this operator does not know"));
    let what = if cause.starts_with(SENSOR) {
        "Events that no rule has seen"
    } else {
        "Matches of rules"
    };
    let mut found = OwnFinding::of_node(OwnRule::EventsLost, node, count.max(1), now);
    found.group.push(("cause", cause.to_owned()));
    found.title = format!("{what} were lost on node {node}: {why}");
    found
}

/// The finding for a time without an agent, if it is longer than `after` nanoseconds and nothing explains it.
pub(super) fn gap(gap: &Gap, after: i64, from: Placement<'_>) -> Option<Match> {
    let time = gap.until.saturating_sub(gap.since);
    if time <= after || !gap.explanation.is_empty() {
        return None;
    }
    let mut found = OwnFinding::of_node(OwnRule::AgentGap, from.node, 1, from.now);
    let seconds = time / 1_000_000_000;
    found.title = format!("Nobody watched node {} for {seconds} s", from.node);
    Some(found.incident(from.home))
}

/// Counts that the records of a spool before the first one here were acknowledged by a store that is not this one.
pub(super) async fn forgotten(
    session: &OpenSession,
    records: u64,
    now: Timestamp,
) -> Result<(), LedgerError> {
    session.context.metrics.lost_matches.add(records);
    let found = of_cause(FORGOTTEN, records, &session.node, now);
    session.context.signals.own_incident(found).await.map(drop)
}

#[cfg(test)]
mod tests {
    use yagura_event::{Loss, Timestamp};
    use yagura_proto::v1::Gap;

    use super::{CAUSES, Lost, gap, loss};
    use crate::signals::Placement;

    const FROM: Placement<'static> = Placement {
        node: "n1",
        home: "sec",
        now: Timestamp(7),
    };

    fn lost(cause: &str, matches: u64, further: u64) -> (String, u64, Lost) {
        let said = Loss {
            cause: cause.to_owned(),
            matches,
        };
        let (found, lost) = loss(&said, further, FROM);
        let detail: serde_json::Value = serde_json::from_slice(&found.detail).unwrap();
        let cause = detail["spec"]["group"]["cause"].as_str().unwrap().to_owned();
        (cause, found.count, lost)
    }

    #[test]
    fn a_loss_is_counted_by_node_and_cause_and_never_as_nothing() {
        assert_eq!(
            lost("sensor-ring-full", 9, 0),
            ("sensor-ring-full".into(), 9, Lost::Events(9))
        );
        assert_eq!(
            lost("spool-full", 4, 0),
            ("spool-full".into(), 4, Lost::Matches(4))
        );
        assert_eq!(
            lost("spool-damaged", 0, 0),
            ("spool-damaged".into(), 1, Lost::Matches(0))
        );
        let forgotten = "acknowledged-before-restore";
        assert_eq!(lost(forgotten, 0, 6), (forgotten.into(), 7, Lost::Matches(7)));
        assert_eq!(lost("made-up", 1, 0), ("other".into(), 1, Lost::Matches(1)));
        assert!(CAUSES.is_sorted());
    }

    #[test]
    fn only_a_long_gap_that_nothing_explains_is_a_finding() {
        let second = 1_000_000_000;
        let found = |seconds: i64, explanation: &str| {
            let said = Gap {
                since: 5 * second,
                until: (5 + seconds) * second,
                explanation: explanation.to_owned(),
            };
            gap(&said, 60 * second, FROM)
        };
        assert!(found(60, "").is_none());
        assert!(found(61, "Rebooted").is_none());
        let detail = found(61, "").unwrap().detail;
        let detail: serde_json::Value = serde_json::from_slice(&detail).unwrap();
        assert_eq!(detail["status"]["title"], "Nobody watched node n1 for 61 s");
        let hostile = Gap {
            since: i64::MIN,
            until: i64::MAX,
            explanation: String::new(),
        };
        assert!(gap(&hostile, 0, FROM).is_some());
    }
}
