//! Named lists in conditions: what may be done with which, and what a rule that names one depends on.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::collections::BTreeMap;

use yagura_event::Registry;
use yagura_rules::source::JoinedSource;
use yagura_rules::{
    CheckSource, Compiled, LetSource, ListType, Lists, NamedList, RuleSource, compile, compile_check,
};

fn lists() -> Lists {
    let list = |kind, values: &[&str]| NamedList::new(kind, values.iter().copied()).unwrap();
    Lists::builtin()
        .with("tools", list(ListType::String, &["nc", "socat"]))
        .with("paths", list(ListType::Glob, &["/tmp/**"]))
        .with("pools", list(ListType::Cidr, &["192.0.2.0/24"]))
        .with_unusable("broken", "values[0]: it is no network")
}

fn compiled(condition: &str) -> Compiled {
    compile(&RuleSource::new("r", condition), Registry::workload(), &lists())
}

fn told(compiled: &Compiled) -> Vec<String> {
    compiled.diagnostics.iter().map(ToString::to_string).collect()
}

fn names(compiled: &Compiled) -> Vec<&str> {
    compiled.lists.iter().map(String::as_str).collect()
}

#[test]
fn a_list_of_strings_is_a_list_like_any_other() {
    for condition in [
        "process.name in lists[\"tools\"]",
        "process.args.exists(a, a in lists[\"tools\"])",
        "process.args.intersects(lists[\"tools\"])",
        "lists[\"tools\"].exists(t, process.name.startsWith(t))",
        "size(lists[\"tools\"]) > 1 && process.name == \"x\"",
        "process.name in (process.pid == 1 ? lists[\"tools\"] : lists[\"shells\"])",
    ] {
        let compiled = compiled(condition);
        assert_eq!(told(&compiled), Vec::<String>::new(), "{condition}");
        assert!(compiled.rule.is_some(), "{condition}");
    }
}

#[test]
fn other_lists_stand_after_in_and_nowhere_else() {
    let compiled_ = compiled("process.executable in lists[\"paths\"] || process.tty in lists[\"pools\"]");
    assert!(compiled_.rule.is_some(), "{:?}", compiled_.diagnostics);
    for condition in [
        "process.args.intersects(lists[\"paths\"])",
        "lists[\"paths\"].exists(p, p == process.name)",
        "size(lists[\"paths\"]) > 1",
        "process.args == lists[\"pools\"]",
        "process.name in (true ? lists[\"paths\"] : lists[\"tools\"])",
        "process.name in (lists[\"tools\"] + lists[\"paths\"])",
        "lists[\"paths\"][0] == process.name",
    ] {
        let compiled = compiled(condition);
        assert!(compiled.rule.is_none(), "{condition}");
        assert!(
            told(&compiled)[0].contains("can only stand after `in`"),
            "{condition}: {:?}",
            compiled.diagnostics
        );
    }
    // By a name of its own it is the same.
    let mut rule = RuleSource::new("r", "process.executable in p");
    rule.lets = vec![LetSource {
        name: "p".into(),
        value: "lists[\"paths\"]".into(),
    }];
    assert!(compile(&rule, Registry::workload(), &lists()).rule.is_some());
    rule.condition = "size(p) > 1".into();
    assert!(compile(&rule, Registry::workload(), &lists()).rule.is_none());
}

#[test]
fn a_rule_says_which_lists_it_depends_on() {
    let mut rule = RuleSource::new(
        "r",
        "process.name in lists[\"tools\"] && process.tty in lists[\"gone\"]",
    );
    rule.joined = vec![JoinedSource {
        uid: "e".into(),
        namespace: String::new(),
        condition: "process.executable in lists[\"paths\"]".into(),
        expires: None,
    }];
    let compiled = compile(&rule, Registry::workload(), &lists());
    assert!(compiled.rule.is_none());
    assert_eq!(names(&compiled), ["gone", "paths", "tools"]);

    let mut check = CheckSource::new("c", "k8s.pod", "!(resource.image in lists[\"tools\"])");
    check.applies_when = Some("!(resource.namespace in lists[\"system-namespaces\"])".to_owned());
    let compiled = compile_check(&check, &BTreeMap::new(), &lists());
    assert!(compiled.check.is_some());
    assert_eq!(compiled.lists.len(), 2);
}

#[test]
fn a_list_that_cannot_be_used_says_why_and_does_not_fall_back() {
    let compiled = compiled("process.tty in lists[\"broken\"]");
    assert_eq!(
        compiled.diagnostics[0].message,
        "the list \"broken\" cannot be used: values[0]: it is no network"
    );
    let hidden = lists().with_unusable("shells", "too large");
    let rule = RuleSource::new("r", "process.name in lists[\"shells\"]");
    assert!(compile(&rule, Registry::workload(), &hidden).rule.is_none());
}

#[test]
fn a_rule_is_another_when_its_lists_are() {
    let hash = |lists: &Lists| {
        let rule = RuleSource::new("r", "process.name in lists[\"tools\"]");
        compile(&rule, Registry::workload(), lists)
            .rule
            .unwrap()
            .hash
            .clone()
    };
    let list = |values: &[&str]| NamedList::new(ListType::String, values.iter().copied()).unwrap();
    let before = hash(&lists());
    assert_eq!(before, hash(&lists().with("tools", list(&["socat", "nc"]))));
    assert_eq!(before, hash(&lists().with("others", list(&["x"]))));
    assert_ne!(before, hash(&lists().with("tools", list(&["socat"]))));
    assert_eq!(lists().fingerprint("gone"), "");
}

#[test]
fn a_large_list_costs_a_rule_no_more_than_a_small_one() {
    let cost = |count: usize| {
        let values = (0..count).map(|n| format!("value-{n}"));
        let lists = Lists::none().with("n", NamedList::new(ListType::String, values).unwrap());
        let rule = RuleSource::new("r", "process.name in lists[\"n\"]");
        let rule = compile(&rule, Registry::workload(), &lists).rule.unwrap();
        (rule.cost, rule.program.nodes().len())
    };
    assert_eq!(cost(10), cost(50_000));
}
