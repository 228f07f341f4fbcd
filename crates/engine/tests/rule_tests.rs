//! Tests that rules carry: times, late events, and what is expected of each signal.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::sync::Arc;

use yagura_engine::testing::run_rule_tests;
use yagura_event::lifetime::Lifetime;
use yagura_event::{Registry, Severity, Tree};
use yagura_rules::source::{DetectSource, ExpectedSignal, MethodSource, TestEvent, ThresholdSource};
use yagura_rules::{ExceptionSource, Lists, Rule, RuleSource, RuleTest, compile};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;

/// `su` of a user on a node.
fn su(user: &str, node: &str) -> Tree {
    Tree::map([
        ("kind".into(), "process.exec".into()),
        ("process.name".into(), "su".into()),
        ("process.user.name".into(), user.into()),
        ("host.name".into(), node.into()),
    ])
}

fn at(seconds: i64, late: i64, fields: Tree) -> TestEvent {
    TestEvent {
        fields,
        at: Some(seconds * SECOND),
        late: late * SECOND,
    }
}

/// `su`, each user a group.
fn source() -> RuleSource {
    let mut source = RuleSource::new("r", "process.name == \"su\"");
    "{{process.name}} of {{process.user.name}}".clone_into(&mut source.signal.title);
    source.signal.group_by = vec!["process.user.name".to_owned()];
    source.severity = Severity::High;
    source
}

/// Three of a user within ten seconds.
fn threshold() -> RuleSource {
    let mut source = source();
    source.signal.group_by.clear();
    source.detect = Some(DetectSource {
        group_by: vec!["process.user.name".to_owned()],
        method: MethodSource::Threshold(ThresholdSource {
            count: 3,
            within: 10 * SECOND,
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

/// What a failed test says; empty when it passed.
#[track_caller]
fn failure(source: &RuleSource, events: Vec<TestEvent>, signals: u64, each: Vec<ExpectedSignal>) -> String {
    let test = RuleTest {
        name: "t".to_owned(),
        events,
        signals,
        marks: None,
        each,
    };
    let outcomes = run_rule_tests(&rule(source), &Lifetime::default(), &[test]);
    let failure = &outcomes.first().unwrap().failure;
    failure.as_ref().map_or_else(String::new, ToString::to_string)
}

fn count(count: u64) -> ExpectedSignal {
    ExpectedSignal {
        count: Some(count),
        ..ExpectedSignal::default()
    }
}

#[test]
fn events_happen_when_they_say_so() {
    let three = |times: [i64; 3]| times.map(|time| at(time, 0, su("alice", "n"))).to_vec();
    assert_eq!(failure(&threshold(), three([0, 4, 9]), 1, vec![count(3)]), "");
    assert_eq!(failure(&threshold(), three([0, 4, 10]), 0, vec![]), "");
    // Without a time a second after the event that is written before.
    let mut events = three([0, 9, 0]);
    events[2].at = None;
    assert_eq!(failure(&threshold(), events, 0, vec![]), "");
}

#[test]
fn what_comes_late_is_counted_where_it_happened_as_long_as_it_is_waited_for() {
    let late = |late| {
        let others = [0, 2, 300].map(|time| at(time, 0, su("alice", "n")));
        others
            .into_iter()
            .chain([at(1, late, su("alice", "n"))])
            .collect::<Vec<_>>()
    };
    assert_eq!(failure(&threshold(), late(5), 1, vec![count(3)]), "");
    assert_eq!(
        failure(&threshold(), late(300), 1, vec![count(3)]),
        "expected 1 signal, got 0; events[0] to [3] matched\n\
         in no window, too late or without a value: events[3]\n\
         securitySignals[0]: did not open"
    );
}

#[test]
fn each_signal_is_compared_with_what_is_expected_of_it() {
    let events = || {
        let users = ["alice", "bob", "alice"];
        (0..)
            .zip(users)
            .map(|(second, user)| at(second, 0, su(user, "n")))
            .collect::<Vec<_>>()
    };
    let whole = |user: &str, count| ExpectedSignal {
        count: Some(count),
        group: vec![("process.user.name".to_owned(), user.into())],
        severity: Some(Severity::High),
        title: Some(format!("su of {user}")),
    };
    assert_eq!(
        failure(&source(), events(), 2, vec![whole("alice", 2), whole("bob", 1)]),
        ""
    );
    assert_eq!(
        failure(
            &source(),
            events(),
            2,
            vec![whole("bob", 2), ExpectedSignal::default()]
        ),
        "expected 2 signals, got 2 that differ; events[0] to [2] matched\n\
         securitySignals[0].group.process.user.name: expected \"bob\", got \"alice\"\n\
         securitySignals[0].title: expected \"su of bob\", got \"su of alice\""
    );
    let other = ExpectedSignal {
        group: vec![("process.pid".to_owned(), Tree::Int(1))],
        severity: Some(Severity::Low),
        title: Some("a title that is so long that it would not fit into one line with the other".to_owned()),
        ..ExpectedSignal::default()
    };
    assert_eq!(
        failure(&source(), events(), 1, vec![other]),
        "expected 1 signal, got 2; events[0] to [2] matched\n\
         securitySignals[0].group.process.pid:\n\
         \x20 expected 1\n\
         \x20 got      a rule that does not group by it\n\
         securitySignals[0].severity: expected low, got high\n\
         securitySignals[0].title:\n\
         \x20 expected \"a title that is so long that it would not fit into one line with the other\"\n\
         \x20 got      \"su of alice\"\n\
         one too many, of count 1: \"su of bob\""
    );
}

#[test]
fn what_is_absent_in_a_group_is_null() {
    let mut event = su("x", "n");
    let Tree::Map(members) = &mut event else {
        unreachable!("an event is a map")
    };
    members.retain(|(name, _)| name.as_bytes() != b"process.user.name");
    let grouped = |value| ExpectedSignal {
        group: vec![("process.user.name".to_owned(), value)],
        ..ExpectedSignal::default()
    };
    assert_eq!(
        failure(
            &source(),
            vec![at(0, 0, event.clone())],
            1,
            vec![grouped(Tree::Null)]
        ),
        ""
    );
    assert_eq!(
        failure(&source(), vec![at(0, 0, event)], 1, vec![grouped("x".into())]),
        "expected 1 signal, got 1 that differ; events[0] matched\n\
         securitySignals[0].group.process.user.name: expected \"x\", got null"
    );
}

#[test]
fn nodes_have_signals_of_their_own_and_a_day_ends_one() {
    let events = [
        at(0, 0, su("alice", "a")),
        at(1, 0, su("alice", "b")),
        at(2, 0, su("alice", "a")),
        at(25 * HOUR / SECOND, 0, su("alice", "a")),
    ];
    assert_eq!(
        failure(&source(), events.to_vec(), 3, vec![count(2), count(1), count(1)]),
        ""
    );
}

#[test]
fn a_failure_says_what_was_excepted() {
    let mut source = source();
    source.exceptions = vec![ExceptionSource {
        name: "bob".to_owned(),
        condition: "process.user.name == \"bob\"".to_owned(),
        expires: None,
    }];
    let events = ["bob", "alice", "bob"].map(|user| at(0, 0, su(user, "n")));
    assert_eq!(
        failure(&source, events.to_vec(), 2, vec![]),
        "expected 2 signals, got 1; events[1] matched\nexcepted: events[0], events[2]"
    );
}
