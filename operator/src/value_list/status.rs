//! What became of a list, in words: pure.

use yagura_crds::ValueListStatus;
use yagura_crds::convert::time;
use yagura_event::Timestamp;

use super::shelf::Judged;
use super::uses::Uses;
use crate::conditions::{Answer, Finding, cut};

/// Longest message.
const MAX_MESSAGE: usize = 4_096;

/// The status of a list.
pub(super) fn compute(
    old: &ValueListStatus,
    judged: &Judged,
    uses: &Uses,
    now: Timestamp,
) -> ValueListStatus {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let name = &judged.object.name;
    let (finding, entries) = match &judged.content {
        Ok(content) => {
            let entries = content.list.len();
            let message = format!("conditions may use its {entries} values");
            (accepted(Answer::True, "Read", message), entries)
        }
        Err(refused) => {
            let message = cut(refused.message.clone(), MAX_MESSAGE);
            (accepted(Answer::False, refused.reason, message), 0)
        }
    };
    ValueListStatus {
        conditions: vec![finding.over(&old.conditions, judged.object.generation, &time(now))],
        entries: number(entries),
        rules: number(uses.by_rules(name).count()),
        checks: number(uses.by_checks(name).count()),
    }
}

fn accepted(answer: Answer, reason: &'static str, message: String) -> Finding {
    Finding {
        kind: "Accepted",
        answer,
        reason,
        message,
    }
}

/// Whether a status says something else than who uses the list.
pub(super) fn decides_otherwise(old: &ValueListStatus, next: &ValueListStatus) -> bool {
    old.conditions != next.conditions || old.entries != next.entries
}
