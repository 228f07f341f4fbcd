//! The engine without anything around it, and with the agent's way from bytes to events before it: what the programs in
//! `crates/engine/benches` and `node-agent/benches` measure, held to bars.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::report::{self, Figure};
use crate::cache::Places;
use crate::process::output_beside_progress;
use crate::progress::step;

/// The programs and whose they are; each prints a JSON line a figure.
const PROGRAMS: [(&str, &str); 3] = [
    ("yagura-engine", "engine"),
    ("yagura-engine", "windows"),
    ("yagura-node-agent", "records"),
];

/// What a figure is held to.
#[derive(Clone, Copy)]
enum Bar {
    AtLeast(f64),
    AtMost(f64),
    None,
}

/// Every figure, in the order in which they are shown.
const FIGURES: &[(&str, &str, Bar)] = &[
    ("events-10-rules", "events/s", Bar::None),
    ("events-100-rules", "events/s", Bar::None),
    ("events-1k-rules", "events/s", Bar::AtLeast(1e6)),
    ("events-10k-rules", "events/s", Bar::AtLeast(3e5)),
    ("warm-events-1k-rules", "events/s", Bar::None),
    ("warm-events-10k-rules", "events/s", Bar::None),
    ("compile-1k-rules", "ms", Bar::AtMost(1_000.0)),
    ("recompile-1k-rules", "ms", Bar::AtMost(50.0)),
    ("recompile-10k-rules", "ms", Bar::None),
    ("records-no-rules", "events/s", Bar::None),
    ("records-1k-rules", "events/s", Bar::None),
    ("records-10k-rules", "events/s", Bar::None),
    ("hostile-every-pattern-1KiB", "us", Bar::None),
    ("hostile-every-pattern-2KiB", "us", Bar::None),
    ("hostile-every-pattern-4KiB", "us", Bar::None),
    ("hostile-every-pattern-8KiB", "us", Bar::None),
    ("hostile-every-pattern-16KiB", "us", Bar::None),
    ("hostile-every-pattern-32KiB", "us", Bar::None),
    ("hostile-every-pattern-64KiB", "us", Bar::None),
    ("hostile-every-rule-1KiB", "us", Bar::None),
    ("hostile-every-rule-2KiB", "us", Bar::None),
    ("hostile-every-rule-4KiB", "us", Bar::None),
    ("hostile-every-rule-8KiB", "us", Bar::None),
    ("hostile-every-rule-16KiB", "us", Bar::None),
    ("hostile-every-rule-32KiB", "us", Bar::None),
    ("hostile-every-rule-64KiB", "us", Bar::None),
    ("hostile-tree-of-depth-25", "us", Bar::None),
    ("hostile-tree-of-depth-50", "us", Bar::None),
    ("hostile-tree-of-depth-100", "us", Bar::None),
    ("hostile-list-of-12500", "us", Bar::None),
    ("hostile-list-of-25000", "us", Bar::None),
    ("hostile-list-of-50000", "us", Bar::None),
    ("hostile-list-of-100000", "us", Bar::None),
    ("threshold-1-group", "updates/s", Bar::None),
    ("threshold-10k-groups", "updates/s", Bar::None),
    ("threshold-100k-groups", "updates/s", Bar::AtLeast(1e6)),
    ("threshold-1M-groups", "updates/s", Bar::None),
    ("distinct-1-group", "updates/s", Bar::None),
    ("distinct-100k-groups", "updates/s", Bar::AtLeast(1e6)),
    ("memory-1M-groups", "MB", Bar::AtMost(300.0)),
];

/// A line of a program.
#[derive(Deserialize)]
struct Measured {
    name: String,
    value: f64,
}

/// Runs the programs, one after the other, and shows their figures.
pub(super) fn run(places: &Places, json: bool) -> Result<()> {
    let mut measured = Vec::new();
    for (package, program) in PROGRAMS {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(places.repository()).args([
            "bench",
            "--locked",
            "--package",
            package,
            "--bench",
            program,
        ]);
        let output = step(&format!("measure {program}"), || {
            output_beside_progress(&mut cargo)
        })?;
        for line in output.lines().filter(|line| line.starts_with('{')) {
            let line: Measured =
                serde_json::from_str(line).with_context(|| format!("{program} printed no figure: {line}"))?;
            measured.push(line);
        }
    }
    let figures: Result<Vec<Figure>> = FIGURES.iter().map(|figure| held(figure, &measured)).collect();
    report::show(&figures?, json)
}

fn held((name, unit, bar): &(&'static str, &'static str, Bar), measured: &[Measured]) -> Result<Figure> {
    let found = measured
        .iter()
        .find(|measured| measured.name == *name)
        .with_context(|| format!("no program measured {name}"))?;
    let baseline = "best of several rounds, of one core's time".to_owned();
    Ok(match bar {
        Bar::AtLeast(bar) => Figure::at_least(name, found.value, unit, *bar, baseline),
        Bar::AtMost(bar) => Figure::at_most(name, found.value, unit, *bar, baseline),
        Bar::None => Figure::plain(name, found.value, unit, baseline),
    })
}
