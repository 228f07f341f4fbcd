//! What a NodeSensor says, from what is known of a node's agent.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use yagura_crds::NodeSensorStatus;
use yagura_crds::convert::time;
use yagura_crds::node_sensor::{Hook, PolicyRevisions, SensorRuleError, SensorRules};
use yagura_event::Timestamp;
use yagura_proto::v1::AgentStatus;

use super::silence::Standing;
use crate::conditions::{Answer, Finding, cut};
use crate::index::Index;
use crate::index::nodes::NodeState;

/// Type of the condition.
const READY: &str = "Ready";

/// Most reasons that are shown.
const MAX_ERRORS: usize = 8;
/// Most hooks and counters that are shown: far more than an agent has, less than a hostile one sends.
const MAX_HOOKS: usize = 128;
const MAX_COUNTERS: usize = 256;

/// The status for a node whose agent stands like this.
pub(super) fn compute(
    index: &Index,
    node: &str,
    old: &NodeSensorStatus,
    generation: Option<i64>,
    standing: Standing,
    now: Timestamp,
) -> NodeSensorStatus {
    let state = index.nodes.get(node);
    let conditions = vec![match ready(state, standing) {
        Some(finding) => finding.over(&old.conditions, generation, &time(now)),
        None => waiting(&old.conditions, generation, now),
    }];
    let Some(state) = state else {
        return NodeSensorStatus {
            conditions,
            ..old.clone()
        };
    };
    let hello = state.hello.as_deref();
    // What an agent has not said again to this operator is as it told the one before: else every restart would rewrite
    // every object twice.
    let policy = PolicyRevisions {
        wanted: short(&index.policy.revision_of_node(node).unwrap_or_default()),
        active: if state.active_revision.is_empty() {
            old.policy.active.clone()
        } else {
            short(&state.active_revision)
        },
    };
    let rules = if state.active_revision.is_empty() {
        old.rules.clone()
    } else {
        rules(index, node, state)
    };
    let last_report = state.last_seen.map(time);
    let Some(reported) = state.status.as_deref() else {
        let said = |text: Option<&String>, old: &str| {
            cut(
                text.filter(|text| !text.is_empty())
                    .map_or(old, String::as_str)
                    .to_owned(),
                128,
            )
        };
        return NodeSensorStatus {
            conditions,
            agent_version: said(hello.map(|hello| &hello.agent_version), &old.agent_version),
            kernel: said(hello.map(|hello| &hello.kernel_release), &old.kernel),
            policy,
            rules,
            last_report,
            ..old.clone()
        };
    };
    let first = |a: &str, b: Option<&str>| {
        cut(
            if a.is_empty() { b.unwrap_or_default() } else { a }.to_owned(),
            128,
        )
    };
    let counters: BTreeMap<String, i64> = reported
        .counters
        .iter()
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .take(MAX_COUNTERS)
        .map(|(name, count)| (cut(name.clone(), 128), i64::try_from(*count).unwrap_or(i64::MAX)))
        .collect();
    NodeSensorStatus {
        conditions,
        agent_version: first(
            &reported.agent_version,
            hello.map(|hello| hello.agent_version.as_str()),
        ),
        kernel: first(
            &reported.kernel_release,
            hello.map(|hello| hello.kernel_release.as_str()),
        ),
        backend: backend(reported),
        hooks: hooks(reported),
        policy,
        rules,
        dropped: counters
            .iter()
            .filter(|(name, _)| is_loss(name))
            .fold(0, |sum: i64, (_, count)| sum.saturating_add(*count)),
        counters,
        last_report,
    }
}

/// Whether the agent is ready; nothing while it is away for too short a time to tell.
fn ready(state: Option<&NodeState>, standing: Standing) -> Option<Finding> {
    let (answer, reason, why) = match standing {
        Standing::Connected => (Answer::True, "Connected", "the agent is connected"),
        Standing::Waiting => return None,
        Standing::Excused(excuse) => (Answer::False, excuse.reason(), excuse.message()),
        Standing::Silent(cause) => (Answer::False, "Silent", cause.message()),
    };
    let mut message = why.to_owned();
    if standing != Standing::Connected {
        let farewell = state.and_then(|state| state.farewell.as_ref());
        let seen = state.and_then(|state| state.last_seen);
        let last = match (farewell, seen) {
            (Some(farewell), _) => format!("; it ended at {} ({})", time(farewell.at).0, farewell.reason),
            (None, Some(seen)) => format!("; it was last heard at {}", time(seen).0),
            (None, None) => "; it was not heard since the operator started".to_owned(),
        };
        message.push_str(&last);
    }
    Some(Finding {
        kind: READY,
        answer,
        reason,
        message,
    })
}

/// Until it can be told, the old answer stands: agents connect anew whenever their token or the operator is replaced, and
/// thousands of objects must not say so each time.
fn waiting(old: &[Condition], generation: Option<i64>, now: Timestamp) -> Condition {
    if let Some(condition) = old.iter().find(|condition| condition.type_ == READY) {
        return condition.clone();
    }
    let finding = Finding {
        kind: READY,
        answer: Answer::Unknown,
        reason: "Waiting",
        message: "the agent is not connected, for less than 30 s".to_owned(),
    };
    finding.over(old, generation, &time(now))
}

/// Enough of a revision to tell two apart, as people compare commits.
fn short(revision: &str) -> String {
    revision.chars().take(12).collect()
}

/// The backends of all hooks, most frequent first.
fn backend(status: &AgentStatus) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for hook in status.hooks.iter().take(MAX_HOOKS) {
        *counts.entry(&hook.backend).or_default() += 1;
    }
    let mut sorted: Vec<(&str, usize)> = counts.into_iter().collect();
    sorted.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let names: Vec<&str> = sorted.into_iter().map(|(name, _)| name).collect();
    cut(names.join(","), 256)
}

fn hooks(status: &AgentStatus) -> Vec<Hook> {
    let by_kind: BTreeMap<&str, Hook> = status
        .hooks
        .iter()
        .filter(|hook| !hook.kind.is_empty() && hook.kind.len() <= 64)
        .take(MAX_HOOKS)
        .map(|hook| {
            let shown = Hook {
                kind: hook.kind.clone(),
                backend: cut(hook.backend.clone(), 32),
                reason: cut(hook.reason.clone(), 1024),
            };
            (hook.kind.as_str(), shown)
        })
        .collect();
    by_kind.into_values().collect()
}

fn rules(index: &Index, node: &str, state: &NodeState) -> SensorRules {
    let list = index
        .policy
        .watch(node)
        .map(|list| Arc::clone(&list.borrow()))
        .unwrap_or_default();
    let wanted = &list.rules;
    let name = |uid: &str| {
        wanted
            .iter()
            .find(|rule| rule.uid == uid)
            .map(|rule| rule.name.clone())
    };
    let current = list.revision == state.active_revision;
    // An older list tells nothing of the rules that are wanted now.
    let failures: Vec<SensorRuleError> = state
        .failures
        .values()
        .filter_map(|failure| {
            Some(SensorRuleError {
                rule: name(&failure.uid)?,
                reason: cut(failure.reason.clone(), 128),
                message: cut(failure.message.clone(), 1024),
            })
        })
        .collect();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let active = if current {
        wanted.len() - failures.len().min(wanted.len())
    } else {
        0
    };
    SensorRules {
        active: number(active),
        failed: number(failures.len()),
        summary: format!("{active}/{}", wanted.len()),
        errors: failures.into_iter().take(MAX_ERRORS).collect(),
    }
}

/// Whether a counter counts what was lost: its last part but one is `dropped` or `lost`, as in
/// `sensor.dropped.ring_full`.
fn is_loss(name: &str) -> bool {
    name.split('.').any(|part| part == "dropped" || part == "lost")
}

/// Whether two statuses look the same to a person, so that no write is due before its time.
pub(super) fn looks_same(a: &NodeSensorStatus, b: &NodeSensorStatus) -> bool {
    let NodeSensorStatus {
        conditions,
        agent_version,
        kernel,
        backend,
        hooks,
        policy,
        rules,
        dropped,
        counters: _,
        last_report: _,
    } = a;
    let answers = |conditions: &[Condition]| {
        conditions
            .iter()
            .map(|c| (c.type_.clone(), c.status.clone(), c.reason.clone()))
            .collect::<Vec<_>>()
    };
    answers(conditions) == answers(&b.conditions)
        && *agent_version == b.agent_version
        && *kernel == b.kernel
        && *backend == b.backend
        && *hooks == b.hooks
        && *policy == b.policy
        && *rules == b.rules
        // That something is lost matters at once; how much, with the next write.
        && (*dropped > 0) == (b.dropped > 0)
}

#[cfg(test)]
mod tests {
    use yagura_crds::NodeSensorStatus;
    use yagura_event::Timestamp;
    use yagura_proto::v1::{AgentStatus, HookStatus, PolicyAck};

    use super::{compute, looks_same};
    use crate::index::Index;
    use crate::index::nodes::Call;
    use crate::node_sensor::excuse::{Cause, Excuse};
    use crate::node_sensor::silence::Standing;

    const SECOND: i64 = 1_000_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp(second * SECOND)
    }

    fn ready(status: &NodeSensorStatus) -> (String, String) {
        (
            status.conditions[0].status.clone(),
            status.conditions[0].reason.clone(),
        )
    }

    fn status() -> AgentStatus {
        let hook = |kind: &str, backend: &str| HookStatus {
            kind: kind.to_owned(),
            backend: backend.to_owned(),
            reason: String::new(),
        };
        AgentStatus {
            agent_version: "0.1.0".to_owned(),
            kernel_release: "6.12.0".to_owned(),
            hooks: vec![
                hook("process.exec", "tracing"),
                hook("process.fork", "tracepoint"),
                hook("process.exit", "tracepoint"),
            ],
            counters: [
                ("sensor.dropped.ring_full".to_owned(), 3),
                ("sensor.seen".to_owned(), 9),
            ]
            .into(),
            ..AgentStatus::default()
        }
    }

    #[test]
    fn the_condition_says_how_the_agent_stands_and_since_when() {
        let mut index = Index::new(1);
        let old = NodeSensorStatus::default();
        let says = |index: &Index, standing| {
            let status = compute(index, "n", &old, Some(1), standing, at(200));
            let ready = &status.conditions[0];
            [ready.status.clone(), ready.reason.clone(), ready.message.clone()]
        };
        let silent = Standing::Silent(Cause::NotRunning);
        assert_eq!(
            says(&index, silent),
            [
                "False",
                "Silent",
                "the agent's pod does not run; it was not heard since the operator started"
            ]
        );
        let session = index.nodes.open("n", Call::Subscribe, at(140));
        assert_eq!(
            says(&index, Standing::Connected),
            ["True", "Connected", "the agent is connected"]
        );
        index.nodes.goodbye("n", "pod", "Terminated".to_owned(), at(150));
        index.nodes.close("n", Call::Subscribe, session.id);
        let stopped = says(&index, Standing::Excused(Excuse::Stopped));
        assert_eq!(stopped[1], "AgentStopped");
        assert!(
            stopped[2].ends_with("it ended at 1970-01-01T00:02:30Z (Terminated)"),
            "{stopped:?}"
        );
        assert_eq!(says(&index, Standing::Waiting)[0], "Unknown");
        index.nodes.open("n", Call::Subscribe, at(160));
        assert!(index.nodes.get("n").unwrap().farewell.is_none());
    }

    #[test]
    fn a_restarted_operator_or_a_new_connection_changes_nothing_that_people_see() {
        let mut index = Index::new(1);
        index.nodes.open("n", Call::Subscribe, at(1));
        index.nodes.status("n", status(), at(2));
        let ack = PolicyAck {
            revision: "0123456789abcdef".into(),
            failures: Vec::new(),
        };
        index.nodes.ack("n", ack.clone(), at(2));
        let before = compute(
            &index,
            "n",
            &NodeSensorStatus::default(),
            Some(1),
            Standing::Connected,
            at(3),
        );
        assert_eq!(before.policy.active, "0123456789ab");

        let mut restarted = Index::new(2);
        let unheard = compute(&restarted, "n", &before, Some(1), Standing::Waiting, at(110));
        assert!(looks_same(&before, &unheard), "{unheard:?}");
        let session = restarted.nodes.open("n", Call::Subscribe, at(111));
        let connected = compute(&restarted, "n", &before, Some(1), Standing::Connected, at(111));
        assert!(looks_same(&before, &connected), "{connected:?}");
        restarted.nodes.ack("n", ack, at(112));
        restarted.nodes.status("n", status(), at(112));
        restarted.nodes.close("n", Call::Subscribe, session.id);
        let between = compute(&restarted, "n", &before, Some(1), Standing::Waiting, at(113));
        assert!(looks_same(&before, &between), "{between:?}");
        let silent = Standing::Silent(Cause::NotConnected);
        let silent = compute(&restarted, "n", &between, Some(1), silent, at(142));
        assert_eq!(ready(&silent), ("False".into(), "Silent".into()));
    }

    #[test]
    fn counters_alone_are_not_worth_a_write_but_the_first_loss_is() {
        let mut index = Index::new(1);
        index.nodes.open("n", Call::Subscribe, at(1));
        let mut report = status();
        report.counters.clear();
        index.nodes.status("n", report.clone(), at(2));
        let before = compute(
            &index,
            "n",
            &NodeSensorStatus::default(),
            Some(1),
            Standing::Connected,
            at(3),
        );
        assert_eq!(before.backend, "tracepoint,tracing");
        report.counters.insert("sensor.seen".to_owned(), 10);
        index.nodes.status("n", report, at(4));
        let seen = compute(&index, "n", &before, Some(1), Standing::Connected, at(5));
        assert!(looks_same(&before, &seen) && before != seen);
        index.nodes.status("n", status(), at(6));
        let lost = compute(&index, "n", &seen, Some(1), Standing::Connected, at(7));
        assert_eq!(lost.dropped, 3);
        assert!(!looks_same(&seen, &lost));
        assert_eq!(
            lost.conditions[0].last_transition_time,
            before.conditions[0].last_transition_time
        );
    }

    #[test]
    fn a_hostile_agent_cannot_make_the_object_large_or_invalid() {
        let mut index = Index::new(1);
        let mut report = status();
        report.kernel_release = "k".repeat(100_000);
        report.hooks = (0..10_000)
            .map(|n| HookStatus {
                kind: format!("k{}", n % 5_000),
                backend: "b".repeat(9_000),
                reason: "r".repeat(9_000),
            })
            .collect();
        report.counters = (0..10_000).map(|n| (format!("c{n}"), u64::MAX)).collect();
        index.nodes.status("n", report, at(1));
        let status = compute(
            &index,
            "n",
            &NodeSensorStatus::default(),
            Some(1),
            Standing::Connected,
            at(2),
        );
        assert!(status.kernel.len() <= 256 && status.backend.len() <= 256);
        assert!(status.hooks.len() <= 128 && status.counters.len() <= 256);
        assert!(status.hooks.windows(2).all(|pair| pair[0].kind < pair[1].kind));
        assert!(status.counters.values().all(|count| *count >= 0));
    }
}
