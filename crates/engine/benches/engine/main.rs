//! What rules cost: events a second by the number of rules, compiling them, and taking in one that changed. Prints one JSON
//! line a figure; `cargo xtask bench engine` runs it and holds the figures to their bars.
//!
//! Measured is [`RuleSet::evaluate`] on one thread, on events that are built: fields, ancestors and the container are there.
//! Making them of the kernel's bytes is not in it, nor is counting and sending what matched. Rules and events come from a
//! generator with a fixed seed, see `generate.rs`; one event in a thousand matches.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark prints and has a clock, and ends where something is wrong"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use yagura_engine::{RuleSet, Scratch};
use yagura_event::{Event, Registry};
use yagura_rules::{Lists, Rule, RuleSource, compile};

mod generate;

/// The best of so many rounds is what the code can do, the others what the machine did beside it.
const ROUNDS: usize = 7;
/// Different events; one in a thousand of them matches.
const EVENTS: usize = 5_000;

fn main() {
    // `cargo test` asks for a list of tests.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let events = generate::events(EVENTS);
    let (sources, rules) = tuned(10_000, &events);
    for (name, count) in [
        ("events-10-rules", 10),
        ("events-100-rules", 100),
        ("events-1k-rules", 1_000),
        ("events-10k-rules", 10_000),
    ] {
        say(name, rate(&rules[..count], &events).round(), "events/s");
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
}

fn say(name: &str, value: f64, unit: &str) {
    println!("{{\"name\":\"{name}\",\"value\":{value},\"unit\":\"{unit}\"}}");
}

/// Milliseconds that something takes.
fn best<T>(mut work: impl FnMut() -> T) -> f64 {
    let times = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        black_box(work());
        begun.elapsed().as_secs_f64() * 1_000.0
    });
    (times.fold(f64::INFINITY, f64::min) * 100.0).round() / 100.0
}

/// Events a second. That one in a thousand matches is what the figure is about, so it is made sure of.
fn rate(rules: &[Arc<Rule>], events: &[Event]) -> f64 {
    let set = RuleSet::new(rules.iter().map(Arc::clone));
    let mut scratch = Scratch::default();
    let matching = events
        .iter()
        .filter(|event| !set.evaluate(event, &mut scratch).is_empty())
        .count();
    assert_eq!(matching, EVENTS / 1_000);
    let milliseconds = best(|| {
        for event in events {
            black_box(set.evaluate(event, &mut scratch));
        }
    });
    f64::from(u32::try_from(EVENTS).unwrap()) * 1_000.0 / milliseconds
}

fn compiled(source: &RuleSource) -> Arc<Rule> {
    let compiled = compile(source, Registry::workload(), &Lists::default());
    compiled
        .rule
        .ok_or((&source.condition, compiled.diagnostics))
        .unwrap()
}

/// The rule that is to match and others that match nothing of what always happens: rules that do are tuned away.
fn tuned(count: usize, events: &[Event]) -> (Vec<RuleSource>, Vec<Arc<Rule>>) {
    let mut sources: Vec<RuleSource> = generate::rules(count + count / 5);
    let mut rules: Vec<Arc<Rule>> = sources.iter().map(compiled).collect();
    let set = RuleSet::new(rules.iter().map(Arc::clone));
    let mut scratch = Scratch::default();
    let mut noisy = vec![false; sources.len()];
    for event in events {
        for found in set.evaluate(event, &mut scratch) {
            noisy[found.rule] = found.rule != 0;
        }
    }
    let mut quiet = noisy.iter();
    sources.retain(|_| quiet.next() == Some(&false));
    let mut quiet = noisy.iter();
    rules.retain(|_| quiet.next() == Some(&false));
    (sources, rules)
}
