//! Whatever compiles runs: on a small stack, on any event.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::thread;

use yagura_engine::{RuleSet, Scratch};
use yagura_event::{Registry, Text, Timestamp, Tree, build_event};
use yagura_rules::{LetSource, Lists, RuleSource, compile};

/// Compiles, joins, evaluates and drops on a stack of 512 KiB; gives the number of matches.
fn on_small_stack(source: RuleSource) -> usize {
    let work = move || {
        let compiled = compile(&source, Registry::workload(), &Lists::default());
        let start: String = source.condition.chars().take(60).collect();
        assert!(
            compiled.rule.is_some(),
            "{start}: {:?}",
            compiled.diagnostics.first()
        );
        let set = RuleSet::new(compiled.rule);
        let args = Tree::List((0..2_000).map(|_| Tree::from("a")).collect());
        let fields = [
            ("kind", "process.exec".into()),
            ("process.name", "x".into()),
            ("process.args", args),
        ];
        let tree = Tree::map(fields.map(|(name, value): (&str, Tree)| (Text::from(name), value)));
        let event = build_event(&tree, Timestamp(0)).unwrap();
        let found = set.evaluate(&event, &mut Scratch::default());
        found.len()
    };
    thread::Builder::new()
        .stack_size(512 * 1024)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap()
}

#[test]
fn the_longest_chains_run_on_a_small_stack() {
    let chain = 1_000;
    let shapes = [
        (format!("{}(process.pid == 0)", "!".repeat(chain)), 1),
        (format!("process.pid == {}0", "-".repeat(chain)), 1),
        (format!("{}process.pid == 0{}", "(".repeat(64), ")".repeat(64)), 1),
        (format!("process.pid{} == 1000", " + 1".repeat(chain)), 1),
        (
            format!("process.pid == 0{}", " && process.pid < 5".repeat(chain)),
            1,
        ),
        (
            format!("process.name == \"y\"{}", " || process.pid == 1".repeat(chain)),
            0,
        ),
        (format!("process.name{} == \"x\"", ".trim()".repeat(100)), 1),
        (
            format!("process.pid == 1{}", " ? true : process.pid == 0".repeat(chain)),
            1,
        ),
        (format!("process.name == \"{}\"", "x".repeat(60_000)), 0),
        (format!("process.name in [{}\"x\"]", "\"y\", ".repeat(9_000)), 1),
        // More elements than a macro visits: what it did not see is unknown, and unknown is a match that says so.
        ("process.args.exists(a, a == \"b\")".to_owned(), 1),
        ("process.args.all(a, a == \"b\")".to_owned(), 0),
    ];
    for (condition, matches) in shapes {
        let start: String = condition.chars().take(60).collect();
        assert_eq!(
            on_small_stack(RuleSource::new("r", &condition)),
            matches,
            "{start}"
        );
    }
}

#[test]
fn names_in_names_run_on_a_small_stack() {
    let mut source = RuleSource::new("r", "l63");
    source.lets.push(LetSource {
        name: "l0".to_owned(),
        value: "process.pid == 0".to_owned(),
    });
    for level in 1..64 {
        let value = format!("{}l{}{}", "!(".repeat(60), level - 1, ")".repeat(60));
        source.lets.push(LetSource {
            name: format!("l{level}"),
            value,
        });
    }
    assert_eq!(on_small_stack(source), 1);
}
