//! Rules that tell each other something, from text to matches.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::sync::Arc;

use yagura_engine::strata::{MAX_STRATA, Unordered, order};
use yagura_engine::testing::{Failure, run_rule_tests};
use yagura_engine::{Memory, Strata};
use yagura_event::lifetime::Lifetime;
use yagura_event::{Event, Known, Registry, Timestamp, Tree, build_event};
use yagura_rules::{ExceptionSource, Lists, MarkScope, MarkSource, Rule, RuleSource, RuleTest, compile};

const SECOND: i64 = 1_000_000_000;

#[track_caller]
fn rule(source: &RuleSource) -> Arc<Rule> {
    let compiled = compile(source, Registry::workload(), &Lists::default());
    compiled
        .rule
        .unwrap_or_else(|| panic!("{:#?}", compiled.diagnostics))
}

fn reader(name: &str, condition: &str) -> RuleSource {
    RuleSource::new(name, condition)
}

/// A rule that marks for ten seconds.
fn setter(name: &str, condition: &str, mark: &str, scope: MarkScope) -> RuleSource {
    RuleSource {
        mark: Some(MarkSource {
            name: mark.to_owned(),
            scope,
            ttl: 10 * SECOND,
            ..MarkSource::default()
        }),
        ..RuleSource::new(name, condition)
    }
}

fn strata(sources: &[RuleSource]) -> Strata {
    Strata::new(sources.iter().map(rule))
}

fn event(second: i64, kind: &str, fields: &[(&str, Tree)]) -> Event {
    let kind = [("kind".into(), Tree::from(kind))];
    let fields = fields.iter().map(|(name, value)| ((*name).into(), value.clone()));
    build_event(
        &Tree::map(kind.into_iter().chain(fields)),
        Timestamp(second * SECOND),
    )
    .unwrap()
}

fn exec(second: i64, pid: i64, name: &str) -> Event {
    let fields = [("process.pid", pid.into()), ("process.name", name.into())];
    event(second, "process.exec", &fields)
}

fn fork(second: i64, parent: i64, child: i64) -> Event {
    let parent = Tree::map([("pid".into(), parent.into())]);
    let fields = [
        ("process.pid", child.into()),
        ("process.ancestors", Tree::List(vec![parent])),
    ];
    event(second, "process.fork", &fields)
}

/// Names of the rules that match each event.
fn matched(strata: &Strata, memory: &mut Memory, events: &[Event]) -> Vec<Vec<String>> {
    let of = |event: &Event| {
        let found = strata.evaluate(event, memory);
        let names = found.iter().filter(|one| one.excepted.is_none());
        names
            .map(|one| strata.rule(one.rule).unwrap().name.clone())
            .collect()
    };
    events.iter().map(of).collect()
}

#[test]
fn a_mark_is_known_on_the_event_that_sets_it_whatever_the_order_of_rules() {
    let rules = [
        reader("third", "has(process.marks[\"b\"])"),
        RuleSource {
            condition: "has(process.marks[\"a\"])".to_owned(),
            ..setter("second", "", "b", MarkScope::Process)
        },
        setter("first", "process.name == \"sh\"", "a", MarkScope::Process),
        reader("plain", "process.name == \"sh\""),
    ];
    let strata = strata(&rules);
    assert_eq!(strata.unordered(), []);
    let events = [
        exec(0, 1, "sh"),
        exec(1, 1, "cat"),
        exec(1, 2, "cat"),
        exec(10, 1, "cat"),
    ];
    assert_eq!(
        matched(&strata, &mut Memory::default(), &events),
        [
            vec!["third", "second", "first", "plain"],
            vec!["third", "second"],
            vec![],
            // The mark of the first is over, that of the second was set again a second later.
            vec!["third"],
        ]
    );
}

#[test]
fn children_take_over_what_is_of_the_tree_and_only_from_then_on() {
    let rules = [
        setter("tree", "process.name == \"sh\"", "tree", MarkScope::ProcessTree),
        setter("own", "process.name == \"sh\"", "own", MarkScope::Process),
        reader("sees-tree", "has(process.marks[\"tree\"])"),
        reader("sees-own", "has(process.marks[\"own\"])"),
    ];
    let strata = strata(&rules);
    let events = [
        fork(0, 1, 2),
        exec(1, 1, "sh"),
        fork(2, 1, 3),
        fork(2, 3, 4),
        exec(3, 2, "id"),
        exec(3, 3, "id"),
        exec(3, 4, "id"),
        event(4, "process.exit", &[("process.pid", 3.into())]),
        exec(5, 3, "id"),
        exec(5, 4, "id"),
        // Another process that has the id of one that is gone without an exit.
        fork(6, 99, 4),
        exec(6, 4, "id"),
    ];
    let both = vec!["tree", "own", "sees-tree", "sees-own"];
    let tree = vec!["sees-tree"];
    let none: Vec<&str> = vec![];
    assert_eq!(
        matched(&strata, &mut Memory::default(), &events),
        [
            none.clone(),
            both,
            tree.clone(),
            tree.clone(),
            none.clone(),
            tree.clone(),
            tree.clone(),
            tree.clone(),
            none.clone(),
            tree,
            none.clone(),
            none,
        ]
    );
}

#[test]
fn containers_and_nodes_bear_marks_and_a_container_without_a_name_leaves_it_open() {
    let rules = [
        setter(
            "container",
            "process.name == \"apk\"",
            "tools",
            MarkScope::Container,
        ),
        setter(
            "node",
            "process.name == \"drain\"",
            "maintenance",
            MarkScope::Node,
        ),
        reader(
            "drift",
            "process.name == \"nc\" && has(container.marks[\"tools\"])",
        ),
        reader("during", "process.name == \"nc\" && host.marks[\"maintenance\"]"),
    ];
    let strata = strata(&rules);
    let within = |second, pid, name: &str, container: &str| {
        let fields = [
            ("process.pid", Tree::from(pid)),
            ("process.name", name.into()),
            ("container.id", container.into()),
        ];
        event(second, "process.exec", &fields)
    };
    let nameless = |second, name: &str| {
        let mut event = within(second, 1, name, "");
        Arc::make_mut(event.container.as_mut().unwrap()).id = Known::Unknown;
        event
    };
    let mut memory = Memory::default();
    let events = [
        within(0, 1, "apk", "c1"),
        within(1, 2, "nc", "c1"),
        within(1, 3, "nc", "c2"),
        exec(1, 4, "nc"),
        exec(2, 5, "apk"),
        exec(2, 6, "nc"),
        nameless(3, "nc"),
        nameless(3, "apk"),
        exec(4, 7, "drain"),
        within(5, 8, "nc", "c2"),
    ];
    assert_eq!(
        matched(&strata, &mut memory, &events),
        [
            vec!["container"],
            vec!["drift"],
            vec![],
            vec![],
            // On the host nothing bears it.
            vec!["container"],
            vec![],
            vec![],
            vec!["container"],
            vec!["node"],
            vec!["during"],
        ]
    );
    let found = strata.evaluate(&nameless(6, "nc"), &mut memory);
    let drift = found.iter().find(|one| one.rule == 2).unwrap();
    assert!(drift.incomplete, "it may have been another container");
    assert_eq!(memory.take_tally().set, 3);
}

#[test]
fn values_are_put_in_place_of_each_other_or_added() {
    let valued = |name: &str, append| {
        let mut source = setter(name, "process.name != \"ask\"", name, MarkScope::Process);
        let mark = source.mark.as_mut().unwrap();
        mark.value = Some("process.executable".to_owned());
        mark.append = append;
        source
    };
    let rules = [
        valued("last", false),
        valued("all", true),
        reader("is-b", "process.marks[\"last\"] == \"/b\""),
        reader("had-a", "\"/a\" in process.marks[\"all\"]"),
        reader("two", "size(process.marks[\"all\"]) == 2"),
        reader("below", "process.marks[\"last\"].startsWith(\"/\")"),
    ];
    let strata = strata(&rules);
    let run = |second, path: Tree| {
        let fields = [("process.pid", 1.into()), ("process.executable", path)];
        event(second, "process.exec", &fields)
    };
    let events = [
        run(0, "/a".into()),
        run(1, "/b".into()),
        run(2, "/b".into()),
        // Without a value it sets none, and says nothing of the process.
        run(3, Tree::Null),
        exec(10, 1, "ask"),
        exec(12, 1, "ask"),
    ];
    assert_eq!(
        matched(&strata, &mut Memory::default(), &events),
        [
            vec!["last", "all", "had-a", "below"],
            vec!["last", "all", "is-b", "had-a", "two", "below"],
            vec!["last", "all", "is-b", "had-a", "two", "below"],
            vec!["last", "all", "is-b", "had-a", "two", "below"],
            // Each value has its own time.
            vec!["is-b", "below"],
            vec![],
        ]
    );
}

#[test]
fn an_excepted_match_tells_nothing() {
    let mut first = setter("first", "process.name == \"sh\"", "a", MarkScope::Process);
    first.exceptions = vec![ExceptionSource {
        name: "own".to_owned(),
        condition: "process.pid == 2".to_owned(),
        expires: None,
    }];
    let strata = strata(&[first, reader("second", "has(process.marks[\"a\"])")]);
    let mut memory = Memory::default();
    let found = matched(&strata, &mut memory, &[exec(0, 1, "sh"), exec(0, 2, "sh")]);
    assert_eq!(found, [vec!["first", "second"], vec![]]);
    assert_eq!(memory.take_tally().set, 1);
}

#[test]
fn a_rule_sees_its_own_mark_as_it_was_before_the_event() {
    let mut once = setter(
        "once",
        "process.name == \"sh\" && !has(process.marks[\"seen\"])",
        "seen",
        MarkScope::Process,
    );
    once.mark.as_mut().unwrap().ttl = 5 * SECOND;
    let strata = strata(&[once, reader("after", "has(process.marks[\"seen\"])")]);
    assert_eq!(strata.unordered(), []);
    let events = [exec(0, 1, "sh"), exec(4, 1, "sh"), exec(5, 1, "sh")];
    assert_eq!(
        matched(&strata, &mut Memory::default(), &events),
        [vec!["once", "after"], vec!["after"], vec!["once", "after"]]
    );
}

#[test]
fn circles_are_named_and_leave_the_others_running() {
    let chain = |name: &str, asks: &str, sets: &str| {
        let condition = format!("has(process.marks[\"{asks}\"])");
        setter(name, &condition, sets, MarkScope::Process)
    };
    let rules = [
        chain("a", "z", "x"),
        chain("b", "x", "y"),
        chain("c", "y", "z"),
        // Asks for what one of them sets, and is in no circle.
        chain("after", "x", "end"),
        setter("other", "process.name == \"sh\"", "z", MarkScope::Process),
        // Of another bearer: another mark.
        chain("container", "end", "x"),
    ];
    let mut rules = rules.to_vec();
    rules[5].mark.as_mut().unwrap().scope = MarkScope::Container;
    let strata = strata(&rules);
    let told: Vec<(usize, String)> = strata
        .unordered()
        .iter()
        .map(|(place, why)| (*place, why.to_string()))
        .collect();
    let z = "process.marks[\"z\"]";
    let (x, y) = ("process.marks[\"x\"]", "process.marks[\"y\"]");
    let wait = "rules wait for each other's marks:";
    assert_eq!(
        told,
        [
            (
                0,
                format!("{wait} a sets {x} for b sets {y} for c sets {z} for a")
            ),
            (
                1,
                format!("{wait} b sets {y} for c sets {z} for a sets {x} for b")
            ),
            (
                2,
                format!("{wait} c sets {z} for a sets {x} for b sets {y} for c")
            ),
        ]
    );
    let found = matched(&strata, &mut Memory::default(), &[exec(0, 1, "sh")]);
    assert_eq!(found, [vec!["other"]]);
}

#[test]
fn rules_build_on_each_other_up_to_a_depth() {
    let mut rules = vec![rule(&setter(
        "r0",
        "process.name == \"sh\"",
        "m0",
        MarkScope::Process,
    ))];
    for level in 1..MAX_STRATA + 3 {
        let condition = format!("has(process.marks[\"m{}\"])", level - 1);
        let source = setter(
            &format!("r{level}"),
            &condition,
            &format!("m{level}"),
            MarkScope::Process,
        );
        rules.push(rule(&source));
    }
    let places = order(&rules);
    for (level, place) in places.into_iter().enumerate() {
        let expected = if level < MAX_STRATA {
            Ok(level)
        } else {
            Err(Unordered::TooDeep)
        };
        assert_eq!(place, expected);
    }
    let strata = Strata::new(rules);
    let found = strata.evaluate(&exec(0, 1, "sh"), &mut Memory::default());
    assert_eq!(found.len(), MAX_STRATA);
}

#[test]
fn a_rules_own_tests_may_give_marks_and_count_those_that_it_sets() {
    let mut source = setter(
        "r",
        "process.marks[\"from\"] == \"/tmp/x\" && process.name == \"sh\"",
        "shell",
        MarkScope::Container,
    );
    source.silent = true;
    let given = |from: &str| {
        Tree::map([
            ("kind".into(), "process.exec".into()),
            ("process.name".into(), "sh".into()),
            ("process.marks".into(), Tree::map([("from".into(), from.into())])),
            ("container.id".into(), "c".into()),
        ])
    };
    let test = |from: &str, marks| RuleTest {
        marks,
        ..RuleTest::new("t", [given(from)], 0)
    };
    let tests = [
        test("/tmp/x", Some(1)),
        test("/tmp/y", Some(0)),
        test("/tmp/y", Some(1)),
        test("/tmp/x", None),
    ];
    let outcomes = run_rule_tests(&rule(&source), &Lifetime::default(), &tests);
    let failures: Vec<Option<Failure>> = outcomes.into_iter().map(|outcome| outcome.failure).collect();
    let wrong = Failure::Marks { expected: 1, got: 0 };
    assert_eq!(failures, [None, None, Some(wrong), None]);
}
