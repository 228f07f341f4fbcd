//! What became of an exception, in words: pure.

use yagura_crds::ExceptionStatus;
use yagura_crds::convert::time;
use yagura_event::Timestamp;
use yagura_store::signals::Excepted;

use super::known::{Judged, Outcome};
use crate::conditions::{Answer, Finding, cut};

/// Most rules that a message names.
const SHOWN: usize = 16;
/// Longest reason of one rule.
const MAX_WHY: usize = 1_024;

/// The status of an exception, with what it held back.
pub(super) fn compute(
    old: &ExceptionStatus,
    judged: &Judged,
    held: Option<&Excepted>,
    now: Timestamp,
) -> ExceptionStatus {
    let generation = judged.object.generation;
    let findings = [accepted(judged), expired(&judged.outcome)];
    ExceptionStatus {
        conditions: findings
            .map(|finding| finding.over(&old.conditions, generation, &time(now)))
            .to_vec(),
        rules: u32::try_from(judged.outcome.carried.len()).unwrap_or(u32::MAX),
        matched: held.map_or(0, |held| i64::try_from(held.count).unwrap_or(i64::MAX)),
        last_matched: held.map(|held| time(held.last)),
    }
}

fn accepted(judged: &Judged) -> Finding {
    let Outcome {
        expired,
        carried,
        refused,
        missing,
    } = &judged.outcome;
    let mut lines: Vec<String> = Vec::new();
    for (rule, refusal) in refused.iter().take(SHOWN) {
        let why = cut(refusal.message().to_owned(), MAX_WHY);
        lines.push(format!("rule {rule}: {}: {why}", refusal.reason()));
    }
    if refused.len() > SHOWN {
        lines.push(format!("and {} other rules", refused.len() - SHOWN));
    }
    lines.extend(
        missing
            .iter()
            .map(|selector| format!("there is no DetectionRule {selector} that compiles")),
    );
    let (answer, reason, message) = if let Err(error) = &judged.object.exception {
        (Answer::False, "InvalidObject", error.clone())
    } else if *expired {
        let message = "its time is over, and it does nothing: move spec.expires, or delete it";
        (Answer::False, "Expired", message.to_owned())
    } else if carried.is_empty() {
        let reason = refused
            .first()
            .map_or("NoSuchRule", |(_, refusal)| refusal.reason());
        (Answer::False, reason, lines.join("\n"))
    } else {
        let shown = carried.iter().take(SHOWN).map(String::as_str);
        let mut names = shown.collect::<Vec<_>>().join(", ");
        if carried.len() > SHOWN {
            names.push_str(", …");
        }
        let what = match carried.len() {
            1 => format!("rule {names} carries it"),
            count => format!("{count} rules carry it: {names}"),
        };
        let reason = if lines.is_empty() {
            "Carried"
        } else {
            "PartlyCarried"
        };
        lines.insert(0, what);
        (Answer::True, reason, lines.join("\n"))
    };
    Finding {
        kind: "Accepted",
        answer,
        reason,
        message,
    }
}

fn expired(outcome: &Outcome) -> Finding {
    let (answer, reason, message) = if outcome.expired {
        (Answer::True, "TimeIsOver", "no rule carries it any more")
    } else {
        (Answer::False, "NotYet", "its time is not over")
    };
    Finding {
        kind: "Expired",
        answer,
        reason,
        message: message.to_owned(),
    }
}

/// Whether a status says something else than how many matches there were.
pub(super) fn decides_otherwise(old: &ExceptionStatus, next: &ExceptionStatus) -> bool {
    old.conditions != next.conditions || old.rules != next.rules
}
