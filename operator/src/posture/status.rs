//! What checks and frameworks say of themselves: pure.

use std::collections::BTreeMap;

use yagura_crds::convert::time;
use yagura_crds::posture_check::CheckCounts;
use yagura_crds::posture_framework::{Control, ControlCounts, Coverage, Requirement};
use yagura_crds::{PostureCheckStatus, PostureFrameworkSpec, PostureFrameworkStatus};
use yagura_engine::posture::{CheckStatus, ControlResult, Mode, Rollup, roll_up};
use yagura_event::{Severity, Timestamp};

use super::catalog::{Catalog, CheckEntry, FrameworkEntry, is_manual};
use super::findings::CheckFindings;
use crate::conditions::{Answer, Finding};
use crate::content::name_taken;

/// How old the time of evaluation may become while nothing else changes.
const REFRESH: i64 = 600_000_000_000;
/// Most checks that a message names.
const SHOWN_CHECKS: usize = 10;

fn number(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The status of a check; `counts` is unset while no framework refers to it.
pub(super) fn of_check(
    entry: &CheckEntry,
    counts: Option<CheckStatus>,
    now: Timestamp,
) -> PostureCheckStatus {
    let (answer, reason, message) = match &entry.verdict {
        Ok(valid) if valid.warnings.is_empty() => {
            let what = if valid.judge.is_some() {
                "it compiles and passes its tests"
            } else {
                "a person looks"
            };
            (Answer::True, "Compiled", what.to_owned())
        }
        Ok(valid) => (Answer::True, "Compiled", valid.warnings.join("\n")),
        Err(invalid) => (Answer::False, invalid.reason(), invalid.to_string()),
    };
    let old = &entry.status;
    let results = counts.map(|counts| CheckCounts {
        pass: number(counts.pass),
        fail: number(counts.fail),
        error: number(counts.error),
        not_applicable: number(counts.not_applicable),
    });
    let finding = Finding {
        kind: "Accepted",
        answer,
        reason,
        message,
    };
    let findings = [finding].into_iter().chain(entry.takes_name.map(name_taken));
    PostureCheckStatus {
        conditions: findings
            .map(|finding| finding.over(&old.conditions, entry.edit.generation, &time(now)))
            .collect(),
        last_changed: if old.results == results {
            old.last_changed.clone()
        } else {
            Some(time(now))
        },
        results,
    }
}

/// The status of a framework.
pub(super) fn of_framework(
    entry: &FrameworkEntry,
    catalog: &Catalog,
    findings: &BTreeMap<String, CheckFindings>,
    now: Timestamp,
) -> PostureFrameworkStatus {
    let old = &entry.status;
    let condition = |answer, reason, message| {
        let finding = Finding {
            kind: "Accepted",
            answer,
            reason,
            message,
        };
        let findings = [finding].into_iter().chain(entry.takes_name.map(name_taken));
        findings
            .map(|finding| finding.over(&old.conditions, entry.edit.generation, &time(now)))
            .collect()
    };
    let spec = match &entry.spec {
        Ok(spec) => spec,
        Err(error) => {
            let message = format!("the object cannot be read: {error}");
            return PostureFrameworkStatus {
                conditions: condition(Answer::False, "InvalidObject", message),
                ..PostureFrameworkStatus::default()
            };
        }
    };
    let broken = broken_checks(spec, catalog);
    let conditions = if broken.is_empty() {
        condition(
            Answer::True,
            "Resolved",
            "every check is there and accepted".to_owned(),
        )
    } else {
        let more = if broken.len() > SHOWN_CHECKS { ", …" } else { "" };
        let shown = broken[..broken.len().min(SHOWN_CHECKS)].join(", ");
        condition(
            Answer::False,
            "ChecksMissing",
            format!("controls of these checks are in error: {shown}{more}"),
        )
    };
    let results: Vec<ControlResult> = controls(spec)
        .map(|control| result_of(control, catalog, findings))
        .collect();
    let Rollup {
        score,
        pass,
        fail,
        manual,
        error,
        not_applicable,
        excepted: _,
        coverage,
    } = roll_up(&results);
    let next = PostureFrameworkStatus {
        conditions,
        score: score.map(|score| (score * 10.0).round() / 10.0),
        controls: Some(ControlCounts {
            pass: number(pass),
            fail: number(fail),
            manual: number(manual),
            error: number(error),
            not_applicable: number(not_applicable),
        }),
        coverage: Some(Coverage {
            automated: number(coverage.automated),
            of: number(coverage.of),
        }),
        last_evaluated: old.last_evaluated.clone(),
    };
    let age = old.last_evaluated.as_ref().map(|at| {
        now.0
            .saturating_sub(at.0.as_second().saturating_mul(1_000_000_000))
    });
    if next == *old && age.is_some_and(|age| age < REFRESH) {
        return next;
    }
    PostureFrameworkStatus {
        last_evaluated: Some(time(now)),
        ..next
    }
}

fn controls(spec: &PostureFrameworkSpec) -> impl Iterator<Item = &Control> {
    spec.requirements
        .iter()
        .flat_map(|Requirement { controls, .. }| controls)
}

/// Names of checks that are missing, or not accepted.
fn broken_checks<'s>(spec: &'s PostureFrameworkSpec, catalog: &Catalog) -> Vec<&'s str> {
    let mut broken: Vec<&str> = controls(spec)
        .flat_map(|control| &control.checks)
        .map(|check| check.name.as_str())
        .filter(|name| {
            catalog
                .checks
                .get(*name)
                .is_none_or(|check| check.verdict.is_err())
        })
        .collect();
    broken.sort_unstable();
    broken.dedup();
    broken
}

/// What the checks of a control say together. A check that is missing or broken is an error of its
/// own: it never lets a control pass.
fn result_of(
    control: &Control,
    catalog: &Catalog,
    findings: &BTreeMap<String, CheckFindings>,
) -> ControlResult {
    let mut results = CheckStatus::default();
    let mut severity = Severity::Info;
    for reference in &control.checks {
        let check = catalog.checks.get(&reference.name);
        if let Some(meta) = check.and_then(|check| check.meta.as_ref()) {
            severity = severity.max(meta.severity);
        }
        if check.is_some_and(|check| check.verdict.is_ok()) {
            if let Some(found) = findings.get(&reference.name) {
                results = results.plus(found.counts);
            }
        } else {
            results.error += 1;
        }
    }
    // Beside a manual check the others can only show a failure.
    let needs_person = control.checks.iter().any(|check| catalog.is_manual(&check.name));
    let manual = is_manual(control) || (needs_person && results.fail == 0 && results.error == 0);
    ControlResult {
        mode: if manual { Mode::Manual } else { Mode::Automated },
        severity,
        results,
    }
}
