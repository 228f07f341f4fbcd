//! What rules cost: events a second by the number of rules, compiling them, and taking in one that changed. Prints one JSON
//! line a figure; `cargo xtask bench engine` runs it and holds the figures to their bars.
//!
//! Measured is [`RuleSet::evaluate`] on one thread, on events that are built: fields, ancestors and the container are there.
//! What making them of the kernel's bytes costs is measured where that is done, in `node-agent/benches`. Rules and events
//! come from a generator with a fixed seed, see `generate.rs`; one event in a thousand matches.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark prints, is told what to do, and ends where something is wrong"
)]

use std::hint::black_box;
use std::sync::Arc;

use yagura_engine::{RuleSet, Scratch};
use yagura_event::{Event, Text, Timestamp, Tree, build_event};
use yagura_rules::Rule;

mod clock;
mod generate;
mod hostile;
mod tuned;

use clock::best;
use generate::Execution;
use tuned::{compiled, tuned};

/// Different events; one in a thousand of them matches.
const EVENTS: usize = 5_000;

fn main() {
    // `cargo test` asks for a list of tests.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let events: Vec<Event> = generate::executions(EVENTS).iter().map(event).collect();
    let (sources, rules) = tuned(10_000, &events);
    for (name, count) in [
        ("events-10-rules", 10),
        ("events-100-rules", 100),
        ("events-1k-rules", 1_000),
        ("events-10k-rules", 10_000),
    ] {
        say(name, rate(&rules[..count], &events, 1).round(), "events/s");
    }
    // The same again and again, as an event is that was made just now: in the processor's caches.
    for (name, count) in [("warm-events-1k-rules", 1_000), ("warm-events-10k-rules", 10_000)] {
        say(name, rate(&rules[..count], &events, 10).round(), "events/s");
    }
    let compiling = best(|| RuleSet::new(sources[..1_000].iter().map(compiled)).rules().len());
    say("compile-1k-rules", compiling, "ms");
    for (name, count) in [("recompile-1k-rules", 1_000), ("recompile-10k-rules", 10_000)] {
        let recompiling = best(|| {
            let others = rules[1..count].iter().map(Arc::clone);
            RuleSet::new(std::iter::once(compiled(&sources[0])).chain(others))
                .rules()
                .len()
        });
        say(name, recompiling, "ms");
    }
    hostile::measure(&rules[..1_000]);
}

fn say(name: &str, value: f64, unit: &str) {
    let value = (value * 100.0).round() / 100.0;
    println!("{{\"name\":\"{name}\",\"value\":{value},\"unit\":\"{unit}\"}}");
}

/// Events a second, each so many times in a row. That one in a thousand matches is what the figure is about, so it is made
/// sure of.
fn rate(rules: &[Arc<Rule>], events: &[Event], times: usize) -> f64 {
    let set = RuleSet::new(rules.iter().map(Arc::clone));
    let mut scratch = Scratch::default();
    let matching = events
        .iter()
        .filter(|event| !set.evaluate(event, &mut scratch).is_empty())
        .count();
    assert_eq!(matching, EVENTS / 1_000);
    let milliseconds = best(|| {
        for event in events {
            for _ in 0..times {
                black_box(set.evaluate(event, &mut scratch));
            }
        }
    });
    f64::from(u32::try_from(EVENTS * times).unwrap()) * 1_000.0 / milliseconds
}

/// An execution as an event that is known in all its parts.
fn event(execution: &Execution) -> Event {
    let user = |id: u32| Tree::map([("id".into(), i64::from(id).into())]);
    let ancestors = execution.ancestors.iter().map(|(name, executable, id)| {
        Tree::map([
            ("name".into(), (*name).into()),
            ("executable".into(), executable.as_str().into()),
            ("user".into(), user(*id)),
        ])
    });
    let args = execution.args.iter().map(|arg| Tree::from(*arg));
    let mut fields: Vec<(&str, Tree)> = vec![
        ("process.ancestors", Tree::List(ancestors.collect())),
        ("kind", "process.exec".into()),
        ("process.name", execution.name.into()),
        ("process.executable", execution.executable.as_str().into()),
        ("process.args", Tree::List(args.collect())),
        ("process.working_directory", execution.directory.into()),
        ("process.user.id", i64::from(execution.user).into()),
        ("process.pid", 4_711.into()),
    ];
    if execution.terminal {
        fields.push(("process.tty", "pts/0".into()));
    }
    if execution.container {
        fields.push(("container.id", "c1".into()));
        fields.push(("container.name", "cart".into()));
    }
    let fields = fields.into_iter().map(|(name, value)| (Text::from(name), value));
    build_event(&Tree::map(fields), Timestamp(0)).unwrap()
}
