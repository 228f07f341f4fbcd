//! Explanations as JSON, one rule a line.

use std::io::{self, Write};

use serde_json::{Value, json};
use yagura_crds::convert;
use yagura_engine::explain::{Explanation, Held, Step};
use yagura_event::{FieldId, Registry, Tree};
use yagura_rules::KernelPart;

use super::{exception, kernel, source_of};
use crate::rules::Loaded;

/// Writes the explanation of one rule.
pub(super) fn write(
    loaded: &Loaded,
    explanation: &Explanation,
    part: &KernelPart,
    out: &mut impl Write,
) -> io::Result<()> {
    let found = explanation.found.as_ref();
    let held = |held: &Held| {
        json!({
            "name": exception(loaded, held.exception),
            "expired": held.expired,
            "reaches": held.reaches,
            "condition": steps(loaded, &held.steps),
        })
    };
    let line = json!({
        "type": "rule",
        "rule": loaded.rule.name,
        "matches": found.is_some(),
        "incomplete": found.is_some_and(|found| found.incomplete),
        "pending": found.is_some_and(|found| found.pending),
        "exceptedBy": found.and_then(|found| found.excepted).map(|which| exception(loaded, which)),
        "target": explanation.target,
        "selected": explanation.selected,
        "condition": steps(loaded, &explanation.condition),
        "exceptions": explanation.exceptions.iter().map(held).collect::<Vec<_>>(),
        "kernel": kernel::of_rule(part),
    });
    writeln!(out, "{line}")
}

/// Writes what the kernel could let pass for all rules together.
pub(super) fn write_together(parts: &[KernelPart], out: &mut impl Write) -> io::Result<()> {
    let line = json!({"type": "kernel", "kernel": kernel::together(parts)});
    writeln!(out, "{line}")
}

/// The parts of a condition; a value that is null is unknown, and so is a field's with `"unknown": true`.
fn steps(loaded: &Loaded, steps: &[Step]) -> Vec<Value> {
    let field = |(id, value): &(FieldId, Tree)| {
        json!({
            "path": Registry::workload().field(*id).path,
            "unknown": *value == Tree::Unknown,
            "value": match value {
                Tree::Unknown => Value::Null,
                value => convert::json(value),
            },
        })
    };
    let step = |step: &Step| {
        json!({
            "source": source_of(loaded, step.expr),
            "depth": step.depth,
            "value": step.value,
            "repeated": step.repeated,
            "fields": step.fields.iter().map(field).collect::<Vec<_>>(),
        })
    };
    steps.iter().map(step).collect()
}
