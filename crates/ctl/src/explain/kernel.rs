//! What of a rule a kernel program could evaluate, as lines and as JSON.

use std::io::{self, Write};

use serde_json::{Value, json};
use yagura_event::Registry;
use yagura_rules::KernelPart;
use yagura_rules::kernel::{Atom, Filter, Hook, Hooks, Test};

use super::one_line;

/// Most groups of a filter that a person is shown.
const MOST_GROUPS: usize = 16;

/// Writes how much of a rule that is, and the filter of each kind.
pub(super) fn write(part: &KernelPart, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "  could run in the kernel: {}", part.extent().as_str())?;
    for (kind, filter) in &part.filters {
        write_filter(kind.as_str(), filter, out)?;
    }
    Ok(())
}

/// Writes what the hooks let pass for all rules together.
pub(super) fn write_together(parts: &[KernelPart], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nall rules together could let pass in the kernel:")?;
    for hook in Hooks::join(parts).hooks {
        write_filter(hook.kind.as_str(), &hook.filter, out)?;
    }
    Ok(())
}

fn write_filter(kind: &str, filter: &Filter, out: &mut impl Write) -> io::Result<()> {
    if filter.is_open() {
        let all = if filter.exact {
            "everything, which is all of the condition"
        } else {
            "everything"
        };
        return writeln!(out, "    {kind}: {all}");
    }
    let widens = if filter.exact {
        "no more than matches"
    } else {
        "more than matches"
    };
    writeln!(out, "    {kind}: {widens}")?;
    for (index, group) in filter.groups.iter().take(MOST_GROUPS).enumerate() {
        let or = if index > 0 { "|| " } else { "" };
        let atoms: Vec<String> = group.iter().map(ToString::to_string).collect();
        writeln!(out, "      {or}{}", one_line(&atoms.join(" && ")))?;
    }
    if let Some(more @ 1..) = filter.groups.len().checked_sub(MOST_GROUPS) {
        writeln!(out, "      || {more} more")?;
    }
    Ok(())
}

/// What of a rule a kernel program could evaluate.
pub(super) fn of_rule(part: &KernelPart) -> Value {
    let filters = part.filters.iter().map(|(kind, filter)| {
        let mut value = of_filter(filter);
        insert(&mut value, "kind", json!(kind.as_str()));
        value
    });
    json!({
        "extent": part.extent().as_str(),
        "hooks": filters.collect::<Vec<_>>(),
    })
}

/// What the hooks let pass for all rules together; rules are named by their places among those that are shown.
pub(super) fn together(parts: &[KernelPart]) -> Value {
    let hook = |hook: Hook| {
        let mut value = of_filter(&hook.filter);
        insert(&mut value, "kind", json!(hook.kind.as_str()));
        insert(&mut value, "rules", json!(hook.rules));
        insert(&mut value, "openedBy", json!(hook.opened_by));
        insert(&mut value, "widened", json!(hook.widened.as_str()));
        value
    };
    json!({"hooks": Hooks::join(parts).hooks.into_iter().map(hook).collect::<Vec<_>>()})
}

fn insert(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

fn of_filter(filter: &Filter) -> Value {
    let group = |group: &Vec<Atom>| group.iter().map(of_atom).collect::<Vec<_>>();
    json!({
        "open": filter.is_open(),
        "exact": filter.exact,
        "condition": filter.to_string(),
        "groups": filter.groups.iter().map(group).collect::<Vec<_>>(),
    })
}

fn of_atom(atom: &Atom) -> Value {
    let (operation, operand) = match &atom.test {
        Test::Present => ("present", json!(null)),
        Test::Is(value) => ("is", json!(value)),
        Test::Numbers(ranges) => {
            let ranges = ranges.iter().map(|range| json!([range.min, range.max]));
            ("numbers", ranges.collect())
        }
        Test::Bits { mask, all: true } => ("allBits", json!(mask)),
        Test::Bits { mask, all: false } => ("anyBit", json!(mask)),
        Test::Texts(keys) => {
            let keys = keys
                .iter()
                .map(|key| json!({"shape": key.shape.as_str(), "text": key.text.to_string()}));
            ("texts", keys.collect())
        }
    };
    json!({
        "field": Registry::workload().field(atom.subject.field).path,
        "base": atom.subject.base,
        "negated": atom.negated,
        "exact": atom.exact,
        "test": operation,
        "of": operand,
        "condition": atom.to_string(),
    })
}
