//! Rules with thresholds, from text to detections.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::sync::Arc;

use yagura_engine::testing::run_rule_tests;
use yagura_engine::{Detection, Detector, Place, RuleSet, Scratch, Tally};
use yagura_event::lifetime::Lifetime;
use yagura_event::{Event, GroupKey, Registry, Timestamp, Tree, build_event};
use yagura_rules::source::{DetectSource, MethodSource, ThresholdSource};
use yagura_rules::{ExceptionSource, Lists, Rule, RuleSource, RuleTest, compile};

const SECOND: i64 = 1_000_000_000;

fn tree(pairs: &[(&str, &str)]) -> Tree {
    let kind = [("kind".into(), Tree::from("process.exec"))];
    let pairs = pairs
        .iter()
        .map(|(field, value)| ((*field).into(), Tree::from(*value)));
    Tree::map(kind.into_iter().chain(pairs))
}

fn event(second: i64, pairs: &[(&str, &str)]) -> Event {
    build_event(&tree(pairs), Timestamp(second * SECOND)).unwrap()
}

/// Three within ten seconds, of each user.
fn source(group_by: &[&str], distinct: Option<&str>) -> RuleSource {
    let mut source = RuleSource::new("r", "process.name == \"su\"");
    source.detect = Some(DetectSource {
        group_by: group_by.iter().map(|field| (*field).to_owned()).collect(),
        method: MethodSource::Threshold(ThresholdSource {
            count: 3,
            within: 10 * SECOND,
            distinct: distinct.map(str::to_owned),
            ..ThresholdSource::default()
        }),
    });
    source
}

#[track_caller]
fn rule(source: &RuleSource) -> Arc<Rule> {
    let compiled = compile(source, Registry::workload(), &Lists::default());
    compiled
        .rule
        .unwrap_or_else(|| panic!("{:#?}", compiled.diagnostics))
}

/// The detections of events, in order.
fn detections(detector: &mut Detector, rule: &Arc<Rule>, events: &[Event]) -> Vec<Detection> {
    let set = RuleSet::new([Arc::clone(rule)]);
    let mut scratch = Scratch::default();
    let mut found = Vec::new();
    for event in events {
        for one in set.evaluate(event, &mut scratch) {
            if one.excepted.is_none() {
                found.extend(detector.take(rule, one, event.time));
            }
        }
    }
    found
}

fn counts(detections: &[Detection]) -> Vec<u64> {
    detections.iter().map(|detection| detection.count).collect()
}

fn su(second: i64, user: &str, container: &str) -> Event {
    let fields = [
        ("process.name", "su"),
        ("process.user.name", user),
        ("container.id", container),
    ];
    event(second, &fields)
}

#[test]
fn what_makes_a_window_hold_is_told_together_and_what_follows_by_itself() {
    let rule = rule(&source(&["process.user.name"], None));
    let mut detector = Detector::new(Place::Alone);
    let events = [
        su(0, "alice", "c"),
        su(1, "bob", "c"),
        su(4, "alice", "c"),
        su(9, "alice", "c"),
        su(9, "alice", "c"),
        // The first is ten seconds ago: three are left.
        su(10, "alice", "c"),
        su(30, "alice", "c"),
        su(31, "bob", "c"),
    ];
    let found = detections(&mut detector, &rule, &events);
    assert_eq!(counts(&found), [3, 1, 1]);
    assert_eq!(
        found[0].found.group,
        GroupKey(vec![("process.user.name".into(), "alice".into())])
    );
    assert_eq!(
        (found[0].first, found[0].last),
        (Timestamp(0), Timestamp(9 * SECOND))
    );
    let tally = detector.take_tally();
    let expected = Tally {
        taken: 8,
        told: 5,
        ..Tally::default()
    };
    assert_eq!(tally, expected);
}

#[test]
fn different_values_are_counted_once_and_those_without_not_at_all() {
    let rule = rule(&source(&[], Some("process.executable")));
    let mut detector = Detector::new(Place::Alone);
    let run = |second, path| event(second, &[("process.name", "su"), ("process.executable", path)]);
    let events = [
        run(0, "/bin/a"),
        run(1, "/bin/a"),
        run(2, "/bin/b"),
        event(3, &[("process.name", "su")]),
        run(4, "/bin/c"),
    ];
    assert_eq!(counts(&detections(&mut detector, &rule, &events)), [4]);
    assert_eq!(detector.take_tally().left_out, 1);
}

#[test]
fn an_excepted_match_does_not_count() {
    let mut source = source(&["process.user.name"], None);
    source.exceptions = vec![ExceptionSource {
        name: "agreed".to_owned(),
        condition: "container.id == \"agreed\"".to_owned(),
        expires: None,
    }];
    let rule = rule(&source);
    let mut detector = Detector::new(Place::Alone);
    let events = [
        su(0, "alice", "c"),
        su(1, "alice", "agreed"),
        su(2, "alice", "c"),
        su(3, "alice", "c"),
    ];
    assert_eq!(counts(&detections(&mut detector, &rule, &events)), [3]);
}

#[test]
fn a_node_counts_what_is_its_own_and_passes_on_what_is_not() {
    let own = rule(&source(&["container.id"], None));
    let mut node = Detector::new(Place::Node);
    let events = [su(0, "a", "c"), su(1, "b", "c"), su(2, "a", "c")];
    assert_eq!(counts(&detections(&mut node, &own, &events)), [3]);

    let shared = rule(&source(&["process.user.name"], Some("process.executable")));
    let run = |path| {
        let fields = [
            ("process.name", "su"),
            ("process.user.name", "a"),
            ("process.executable", path),
        ];
        event(0, &fields)
    };
    let passed = detections(&mut node, &shared, &[run("/bin/x"), run("/bin/x"), run("/bin/y")]);
    assert_eq!(counts(&passed), [1, 1, 1], "nothing is held back");
    let last = &passed[2].found.group.0;
    assert_eq!(
        last.as_slice(),
        [
            ("process.user.name".into(), "a".into()),
            ("process.executable".into(), "/bin/y".into())
        ],
        "the value goes with it"
    );
}

#[test]
fn counting_goes_on_after_a_restart_and_an_edit_that_means_the_same() {
    let before = source(&["process.user.name"], None);
    let mut detector = Detector::kept(Place::Alone);
    let compiled = rule(&before);
    let events = [su(0, "alice", "c"), su(1, "alice", "c")];
    assert!(detections(&mut detector, &compiled, &events).is_empty());
    let kept = detector.take_changed();
    assert_eq!(kept.len(), 1);

    let edited = RuleSource {
        title: "another title".to_owned(),
        exceptions: vec![ExceptionSource {
            name: "x".to_owned(),
            condition: "process.pid == 1".to_owned(),
            expires: None,
        }],
        ..before.clone()
    };
    for (source, goes_on) in [(&before, true), (&edited, true), (&source(&[], None), false)] {
        let rule = rule(source);
        let mut after = Detector::new(Place::Alone);
        after.restore([&*rule], kept.clone());
        after.forget([&*rule], Timestamp(2 * SECOND));
        let found = detections(&mut after, &rule, &[su(2, "alice", "c")]);
        assert_eq!(counts(&found), if goes_on { vec![3] } else { vec![] });
    }
}

#[test]
fn a_rules_own_tests_count_over_time() {
    let rule = rule(&source(&["process.user.name"], None));
    let su = |user| tree(&[("process.name", "su"), ("process.user.name", user)]);
    let outcomes = run_rule_tests(
        &rule,
        &Lifetime::default(),
        &[
            RuleTest::new("too few", [su("a"), su("a")], 0),
            RuleTest::new("enough", [su("a"), su("b"), su("a"), su("a"), su("a")], 1),
        ],
    );
    assert!(
        outcomes.iter().all(yagura_engine::testing::Outcome::passed),
        "{outcomes:?}"
    );
}
