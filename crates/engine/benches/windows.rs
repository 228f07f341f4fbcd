//! What windows cost: updates a second by the number of groups, and memory of a million groups. Prints one JSON line a
//! figure; `cargo xtask bench engine` runs it and holds the figures to their bars.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark prints, has a clock and reads its memory, and ends where something is wrong"
)]

use std::hint::black_box;
use std::time::Instant;

use yagura_engine::window::{Groups, Input, Outcome, Tuple, value_id};
use yagura_event::{FieldId, Timestamp};
use yagura_rules::detect::{Method, NODE_LATENESS, Shape, Threshold};

const SECOND: i64 = 1_000_000_000;

/// Updates that are timed, five times; the best is what the code can do, the others what the machine did beside it.
const UPDATES: u32 = 2_000_000;
const ROUNDS: usize = 5;

fn threshold(count: u64, distinct: bool) -> Threshold {
    Threshold {
        count,
        within: 60 * SECOND,
        shape: Shape::Sliding,
        distinct: distinct.then_some(FieldId(0)),
        lateness: NODE_LATENESS,
    }
}

fn main() {
    // `cargo test` asks for a list of tests.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    // First: what others freed would hide what it takes.
    memory();
    for (name, groups) in [
        ("threshold-1-group", 1),
        ("threshold-10k-groups", 10_000),
        ("threshold-100k-groups", 100_000),
        ("threshold-1M-groups", 1_000_000),
    ] {
        rate(name, groups, &threshold(5, false));
    }
    rate("distinct-1-group", 1, &threshold(5, true));
    rate("distinct-100k-groups", 100_000, &threshold(5, true));
}

fn say(name: &str, value: f64, unit: &str) {
    println!("{{\"name\":\"{name}\",\"value\":{value},\"unit\":\"{unit}\"}}");
}

/// Matches of random groups, ten thousand a second by their own clock, of which every eighth is up to a second late.
fn rate(name: &str, groups: usize, threshold: &Threshold) {
    let keys: Vec<[u8; 24]> = (0..groups).map(key).collect();
    let mut best = 0.0_f64;
    for round in 0..ROUNDS {
        let mut random = Random(round as u64 + 1);
        let steps: Vec<(usize, Tuple)> = (0..UPDATES)
            .map(|place| {
                let now = i64::from(place) * (SECOND / 10_000);
                let late = if random.below(8) == 0 {
                    i64::try_from(random.below(1_000)).unwrap() * (SECOND / 1_000)
                } else {
                    0
                };
                let time = Timestamp(10 * SECOND + now - late);
                let tuple = Tuple {
                    first: time,
                    last: time,
                    count: 1,
                    value: value_id(&random.below(16).to_le_bytes()),
                };
                (random.below(groups), tuple)
            })
            .collect();
        let mut windows = Groups::new(Method::Threshold(*threshold), groups);
        let mut fired = 0_u64;
        let begun = Instant::now();
        for (group, tuple) in &steps {
            let added = windows.add(&keys[*group], &input(tuple));
            fired += u64::from(matches!(added.outcome, Outcome::Fires(_)));
        }
        let taken = begun.elapsed().as_secs_f64();
        black_box(fired);
        best = best.max(f64::from(UPDATES) / taken);
    }
    say(name, best.round(), "updates/s");
}

fn input(tuple: &Tuple) -> Input<'_> {
    Input {
        first: tuple.first,
        last: tuple.last,
        count: tuple.count,
        values: std::slice::from_ref(&tuple.value),
        text: &[],
        steps: 0,
    }
}

/// A million groups of a threshold of five that have two matches each.
fn memory() {
    let before = resident();
    let mut windows = Groups::new(Method::Threshold(threshold(5, false)), 1_000_000);
    for time in [1, 2] {
        for group in 0..1_000_000 {
            let time = Timestamp(time * SECOND);
            let tuple = Tuple {
                first: time,
                last: time,
                count: 1,
                value: 0,
            };
            windows.add(&key(group), &input(&tuple));
        }
    }
    let after = resident();
    assert_eq!(windows.len(), 1_000_000);
    say("memory-1M-groups", (after - before) / 1_000_000.0, "MB");
}

/// Memory of this process that is in RAM, in bytes (`proc_pid_statm(5)`).
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4_096.0
}

/// As long as the key of a group of one name.
fn key(group: usize) -> [u8; 24] {
    let mut key = [7; 24];
    key[16..].copy_from_slice(&(group as u64).to_be_bytes());
    key
}

/// A generator with a fixed seed (Knuth's MMIX constants), so that every run does the same.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}
