//! What a value costs that somebody made large on purpose: whether twice as much of it costs twice as much.

use std::hint::black_box;
use std::sync::Arc;

use yagura_engine::posture::Judge;
use yagura_engine::{RuleSet, Scratch};
use yagura_event::{Event, Text, Timestamp, Tree, build_event};
use yagura_rules::{CheckSource, Lists, Rule, RuleSource, compile_check};

use crate::clock::best;
use crate::tuned::compiled;

pub(crate) fn measure(rules: &[Arc<Rule>]) {
    let patterns = patterns(rules);
    let set = RuleSet::new(patterns.iter().enumerate().map(|(number, pattern)| {
        let condition = format!("process.working_directory.matches({pattern:?})");
        compiled(&RuleSource::new(&format!("pattern-{number}"), &condition))
    }));
    let mut scratch = Scratch::default();
    for bytes in (0..7).map(|power| 1024 << power) {
        let event = with_directory(&near_misses(&patterns, bytes));
        // Without the search for literals, which would spare nearly all of them.
        let time = best(|| black_box(set.evaluate_all(&event, &mut scratch)));
        say(&format!("every-pattern-{}KiB", bytes / 1024), time);
    }
    let set = RuleSet::new(rules.iter().map(Arc::clone));
    for bytes in (0..7).map(|power| 1024 << power) {
        let event = with_directory(&near_misses(&patterns, bytes));
        let time = best(|| black_box(set.evaluate(&event, &mut scratch)));
        say(&format!("every-rule-{}KiB", bytes / 1024), time);
    }
    for depth in [25, 50, 100] {
        let tree = (0..depth).fold(Tree::from("leaf"), |tree, _| {
            Tree::map([("a".into(), tree), ("b".into(), 7.into())])
        });
        let resource = Tree::map([("left".into(), tree.clone()), ("right".into(), tree)]);
        let time = judged(
            "resource.left == resource.right && resource.left != null",
            &resource,
        );
        say(&format!("tree-of-depth-{depth}"), time);
    }
    for elements in [12_500, 25_000, 50_000, 100_000] {
        let list = (0..elements).map(|number: i64| Tree::from(format!("element-{number}").as_str()));
        let resource = Tree::map([("list".into(), Tree::List(list.collect()))]);
        let condition = "\"none\" in resource.list || [\"none\"].intersects(resource.list) \
            || size(resource.list) == 0 || resource.list.exists(e, e.matches(\"^none[0-9]+$\"))";
        let time = judged(condition, &resource);
        say(&format!("list-of-{elements}"), time);
    }
}

fn say(name: &str, milliseconds: f64) {
    crate::say(
        &format!("hostile-{name}"),
        (milliseconds * 1e5).round() / 100.0,
        "us",
    );
}

/// The regular expressions of rules, each once.
fn patterns(rules: &[Arc<Rule>]) -> Vec<String> {
    let mut patterns: Vec<String> = rules
        .iter()
        .flat_map(|rule| rule.program.patterns())
        .map(|pattern| pattern.source.clone())
        .collect();
    patterns.sort();
    patterns.dedup();
    patterns
}

/// What patterns begin with, so that they begin to match often and do not: the same in every KiB.
fn near_misses(patterns: &[String], bytes: usize) -> String {
    let every = patterns.len().div_ceil(64).max(1);
    let beginnings = patterns.iter().step_by(every).map(|pattern| {
        let letters = pattern
            .chars()
            .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-');
        letters.take(12).collect::<String>()
    });
    let all = beginnings.collect::<Vec<_>>().join("/");
    let one: String = all.chars().cycle().take(1024).collect();
    one.repeat(bytes / 1024)
}

fn with_directory(directory: &str) -> Event {
    let fields = [
        ("kind", Tree::from("process.exec")),
        ("container.id", "c1".into()),
        ("process.working_directory", directory.into()),
    ];
    build_event(
        &Tree::map(fields.map(|(name, value)| (Text::from(name), value))),
        Timestamp(0),
    )
    .unwrap()
}

fn judged(condition: &str, resource: &Tree) -> f64 {
    let source = CheckSource::new("check", "any", condition);
    let check = compile_check(&source, &std::collections::BTreeMap::new(), &Lists::default()).check;
    let judge = Judge::new(check.unwrap());
    let mut scratch = Scratch::default();
    best(|| black_box(judge.evaluate(resource, &mut scratch)))
}
