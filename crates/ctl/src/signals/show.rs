//! One signal with all that it says, for people.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::Value;

use super::row::{age, plain, time};
use crate::terminal::{Style, Terminal};

/// Writes the signal as paragraphs.
pub(super) fn write(signal: &Value, terminal: Terminal, out: &mut impl Write) -> io::Result<()> {
    let text = |pointer: &str| {
        let value = signal.pointer(pointer).and_then(Value::as_str)?;
        (!value.is_empty()).then(|| plain(value))
    };
    let title = text("/status/title").unwrap_or_default();
    writeln!(out, "{}", terminal.paint(Style::Name, &terminal.wrap(0, &title)))?;
    let now = Timestamp::now();
    let when = |pointer: &str| {
        let then = time(signal, pointer)?;
        Some(format!("{then:.0} ({} ago)", age(now, then)))
    };
    let count = signal.pointer("/status/count").and_then(Value::as_i64);
    let namespace = text("/metadata/namespace").unwrap_or_default();
    let facts = [
        (
            "Signal",
            text("/metadata/name").map(|name| format!("{namespace}/{name}")),
        ),
        ("Severity", text("/status/severity")),
        ("Rule", text("/spec/rule/name")),
        ("State", text("/spec/triage/state")),
        ("Reason", text("/spec/triage/reason")),
        ("Assignee", text("/spec/triage/assignee")),
        ("Comment", text("/spec/triage/comment")),
        ("Count", count.map(|count| count.to_string())),
        ("First", when("/status/firstSeen")),
        ("Last", when("/status/lastSeen")),
        ("Resolved", when("/status/resolvedAt")),
        (
            "Belongs to",
            text("/status/originNamespace").map(|origin| format!("namespace {origin}")),
        ),
        ("Before it", text("/status/previous")),
        ("Left", when("/history/closedAt")),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            writeln!(out, "{name:<12}{value}")?;
        }
    }
    for note in items(signal, "/status/incomplete") {
        let note = plain(note.as_str().unwrap_or_default());
        writeln!(out, "{:<12}{note}", "Incomplete")?;
    }
    group(signal, terminal, out)?;
    resources(signal, terminal, out)?;
    for (heading, pointer) in [
        ("What it means", "/status/description"),
        ("What to do", "/status/remediation"),
    ] {
        if let Some(prose) = signal.pointer(pointer).and_then(Value::as_str) {
            writeln!(out, "\n{}", terminal.paint(Style::Name, heading))?;
            for line in prose.lines() {
                writeln!(out, "{}", terminal.wrap(2, &plain(line)))?;
            }
        }
    }
    samples(signal, terminal, out)
}

fn items<'a>(signal: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    signal
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn group(signal: &Value, terminal: Terminal, out: &mut impl Write) -> io::Result<()> {
    let group = signal.pointer("/spec/group").and_then(Value::as_object);
    let Some(group) = group.filter(|group| !group.is_empty()) else {
        return Ok(());
    };
    writeln!(out, "\n{}", terminal.paint(Style::Name, "What its matches share"))?;
    for (field, value) in group {
        let value = value.as_str().unwrap_or_default();
        writeln!(out, "  {}: {}", plain(field), plain(value))?;
    }
    Ok(())
}

fn resources(signal: &Value, terminal: Terminal, out: &mut impl Write) -> io::Result<()> {
    let mut resources = items(signal, "/status/resources").peekable();
    if resources.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "\n{}", terminal.paint(Style::Name, "What is affected"))?;
    for resource in resources {
        let text = |member: &str| resource.get(member).and_then(Value::as_str).map(plain);
        let kind = text("kind").unwrap_or_default();
        let named = ["name", "executable", "path"].into_iter().find_map(text);
        let namespace = text("namespace").map_or_else(String::new, |namespace| format!("{namespace}/"));
        writeln!(out, "  {kind} {namespace}{}", named.unwrap_or_default())?;
        for member in ["owner", "image", "digest", "user"] {
            if let Some(value) = text(member) {
                writeln!(out, "      {member}: {value}")?;
            }
        }
        let args: Vec<_> = items(resource, "/args")
            .filter_map(Value::as_str)
            .map(plain)
            .collect();
        if !args.is_empty() {
            writeln!(out, "      args: {}", args.join(" "))?;
        }
    }
    Ok(())
}

fn samples(signal: &Value, terminal: Terminal, out: &mut impl Write) -> io::Result<()> {
    let mut samples = items(signal, "/status/samples").peekable();
    if samples.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "\n{}", terminal.paint(Style::Name, "The first matches"))?;
    for sample in samples {
        writeln!(out, "  {}", plain(&sample.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_that_a_person_needs_is_said_and_nothing_steers_the_terminal() {
        let signal = json!({
            "metadata": {"namespace": "shop", "name": "s-1"},
            "spec": {
                "rule": {"name": "shell"}, "group": {"container.id": "c1"},
                "triage": {"state": "archived", "reason": "testing", "assignee": "alice"},
            },
            "status": {
                "title": "Shell in cart", "severity": "high", "count": 17,
                "firstSeen": "2026-11-24T12:00:00Z", "lastSeen": "2026-11-24T12:00:01Z",
                "previous": "shop/s-0", "originNamespace": "gone",
                "resources": [
                    {"kind": "Pod", "namespace": "shop", "name": "cart", "owner": "Deployment/cart"},
                    {"kind": "Process", "executable": "/bin/bash", "args": ["bash", "\u{1b}[2J"]},
                ],
                "description": "Why.", "remediation": "1. Look.\n2. Act.",
                "samples": [{"time": "2026-11-24T12:00:00Z", "fields": {}}],
            },
        });
        let terminal = Terminal {
            colour: false,
            width: 80,
        };
        let mut out = Vec::new();
        write(&signal, terminal, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in [
            "Shell in cart\n",
            "Signal      shop/s-1\n",
            "Reason      testing\n",
            "Assignee    alice\n",
            "Before it   shop/s-0\n",
            "Belongs to  namespace gone\n",
            "  container.id: c1\n",
            "  Pod shop/cart\n      owner: Deployment/cart\n",
            "      args: bash \\u{1b}[2J\n",
            "  1. Look.\n  2. Act.\n",
            "The first matches\n",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }
}
