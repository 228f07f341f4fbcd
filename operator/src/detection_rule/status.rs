//! What became of a rule: computed purely, written at a measured pace.

use yagura_crds::DetectionRuleStatus;
use yagura_crds::convert::time;
use yagura_crds::detection_rule::{RuleNodes, RuleSignals};
use yagura_event::Timestamp;
use yagura_rules::detect::Scope;
use yagura_store::signals::RuleSummary;

use super::apply::Applied;
use super::validate::Invalid;
use crate::conditions::{Answer, Finding, cut};
use crate::content::{Pack, name_taken};

/// After a change of the rule its status follows at once for this long.
const PROMPT: i64 = 30_000_000_000;
/// Later it is written once in this time at most.
const PACE: i64 = 60_000_000_000;
/// And looked at once in this time: a look costs a query of the store.
const LOOK: i64 = 5_000_000_000;
/// Most nodes that a message names.
const SHOWN_NODES: usize = 5;

/// The condition that depends on nodes.
const PROGRAMMED: &str = "Programmed";

/// What the steps before found out.
#[derive(Debug)]
pub(super) struct Outcome<'a> {
    /// Warnings of the compiler, or why it does not run.
    pub(super) verdict: Result<&'a [String], &'a Invalid>,
    pub(super) enabled: bool,
    /// Where its windows are.
    pub(super) scope: Option<Scope>,
    /// The pack whose rule is not applied because this one has its name.
    pub(super) takes_name: Option<Pack>,
    pub(super) applied: &'a Applied,
    pub(super) signals: &'a RuleSummary,
}

/// The status of a rule of this generation.
pub(super) fn compute(
    old: &DetectionRuleStatus,
    generation: Option<i64>,
    outcome: &Outcome<'_>,
    now: Timestamp,
) -> DetectionRuleStatus {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let nodes = &outcome.applied.nodes;
    // Nobody should run it: those that still do are what there is to say.
    let active = if nodes.desired == 0 {
        nodes.outdated
    } else {
        nodes.active
    };
    let findings = decided(outcome.verdict, outcome.takes_name).chain([programmed(outcome)]);
    DetectionRuleStatus {
        conditions: findings
            .map(|finding| finding.over(&old.conditions, generation, &time(now)))
            .collect(),
        nodes: Some(RuleNodes {
            desired: number(nodes.desired),
            active: number(active),
            failed: number(nodes.failed.len()),
            summary: format!("{active}/{}", nodes.desired),
        }),
        scope: outcome.scope.map(|scope| scope.as_str().to_owned()),
        signals: Some(RuleSignals {
            open: u32::try_from(outcome.signals.open).unwrap_or(u32::MAX),
            last: outcome.signals.last.map(time),
        }),
    }
}

/// What depends on the rule alone, and on no node.
fn decided(verdict: Result<&[String], &Invalid>, takes_name: Option<Pack>) -> impl Iterator<Item = Finding> {
    [accepted(verdict)].into_iter().chain(takes_name.map(name_taken))
}

fn accepted(verdict: Result<&[String], &Invalid>) -> Finding {
    let (answer, reason, message) = match verdict {
        Ok([]) => (
            Answer::True,
            "Compiled",
            "it compiles and passes its tests".to_owned(),
        ),
        Ok(warnings) => (Answer::True, "Compiled", warnings.join("\n")),
        Err(invalid) => (Answer::False, invalid.reason(), invalid.to_string()),
    };
    Finding {
        kind: "Accepted",
        answer,
        reason,
        message,
    }
}

fn programmed(outcome: &Outcome<'_>) -> Finding {
    let nodes = &outcome.applied.nodes;
    let (answer, reason, message) = if outcome.verdict.is_err() {
        (
            Answer::False,
            "NotAccepted",
            format!("{}: see the condition Accepted", none_runs(nodes.outdated)),
        )
    } else if !outcome.enabled {
        (
            Answer::False,
            "Disabled",
            format!("{}: spec.enabled is false", none_runs(nodes.outdated)),
        )
    } else if nodes.desired == 0 {
        (
            Answer::False,
            "NoNodes",
            format!("{}: no node is selected", none_runs(nodes.outdated)),
        )
    } else if !nodes.failed.is_empty() {
        (Answer::False, "NodesFailed", failures(nodes))
    } else if nodes.active < nodes.desired {
        let missing = nodes.desired - nodes.active;
        (
            Answer::False,
            "Pending",
            format!("{missing} of {} nodes have not taken it over yet", nodes.desired),
        )
    } else {
        (Answer::True, "Running", "every selected node runs it".to_owned())
    };
    Finding {
        kind: PROGRAMMED,
        answer,
        reason,
        message,
    }
}

/// That nobody runs the rule, as soon as that is so.
fn none_runs(outdated: usize) -> String {
    match outdated {
        0 => "no node runs it".to_owned(),
        1 => "1 node runs it until it takes over the change".to_owned(),
        n => format!("{n} nodes run it until they take over the change"),
    }
}

/// `2 of 31 nodes cannot: node-7: MissingHook: …`
fn failures(nodes: &crate::index::RuleNodes) -> String {
    let mut message = format!("{} of {} nodes cannot: ", nodes.failed.len(), nodes.desired);
    let shown: Vec<String> = nodes
        .failed
        .iter()
        .take(SHOWN_NODES)
        .map(|(node, failure)| cut(format!("{node}: {}: {}", failure.reason, failure.message), 1_024))
        .collect();
    message.push_str(&shown.join("; "));
    if nodes.failed.len() > SHOWN_NODES {
        message.push_str("; …");
    }
    message
}

/// When a rule's status may be looked at and written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// When the rule changed, if that was while this operator ran.
    pub(super) changed: Option<Timestamp>,
    /// When its status was computed.
    pub(super) looked: Option<Timestamp>,
    /// When its status was written.
    pub(super) written: Option<Timestamp>,
}

impl Pace {
    /// The pace of a rule that is seen in this generation, with the status that it had.
    ///
    /// A status that decides as this operator does was written by the one before it. It waits: until the agents are back it would only
    /// say so, for every rule at once and again with each agent.
    pub(super) fn of(
        old: &DetectionRuleStatus,
        generation: Option<i64>,
        verdict: Result<&[String], &Invalid>,
        takes_name: Option<Pack>,
        now: Timestamp,
    ) -> Self {
        let told = old
            .conditions
            .iter()
            .filter(|condition| condition.type_ != PROGRAMMED);
        let decided = decided(verdict, takes_name);
        let decided = decided.map(|finding| finding.over(&old.conditions, generation, &time(now)));
        let (changed, written) = if told.cloned().eq(decided) {
            (None, Some(now))
        } else {
            (Some(now), None)
        };
        Self {
            changed,
            looked: None,
            written,
        }
    }

    /// Whether the next look is due.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let over = |since: Option<Timestamp>, pause: i64| since.is_none_or(|since| now.since(since) >= pause);
        self.changed.is_some_and(|changed| now.since(changed) <= PROMPT)
            || (over(self.looked, LOOK) && over(self.written, PACE))
    }
}
