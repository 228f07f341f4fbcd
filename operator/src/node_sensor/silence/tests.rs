//! Silence case by case: when it is told, when it is excused, and when it ends.

use std::collections::HashMap;

use yagura_event::Timestamp;

use super::{JITTER, PATIENCE, SECOND, Saying, Seen, Silence, Standing, Subject, Times};
use crate::node_sensor::excuse::{Cause, Excuse};

const TIMES: Times = Times {
    not_ready: 30 * SECOND,
    signal: 120 * SECOND,
};

fn at(second: i64) -> Timestamp {
    Timestamp(second * SECOND)
}

/// A node that was heard at a second; `None` for one that has a stream.
fn node(name: &str, heard: Option<i64>) -> Seen {
    Seen {
        node: name.to_owned(),
        connected: heard.is_none(),
        heard: heard.map(at),
        excuse: None,
        cause: Cause::NotConnected,
    }
}

fn excused(name: &str, excuse: Excuse) -> Seen {
    Seen {
        excuse: Some(excuse),
        ..node(name, Some(0))
    }
}

/// An operator that has listened since long before second 0.
struct Operator(Silence);

impl Operator {
    fn new() -> Self {
        Self(Silence::new(TIMES, at(-10_000)))
    }

    /// Looks, says what is to be said, and returns what was said that is news: who began and who ended.
    fn look(&mut self, seen: &[Seen], second: i64) -> (HashMap<String, Standing>, Vec<Saying>) {
        let standings = self.0.look(seen, at(second));
        let news = self.0.to_say(&standings, at(second));
        let mut told = Vec::new();
        for saying in news {
            let before = self.0.said.get(&saying.about).cloned().flatten();
            if !saying.nodes.is_empty() || before.is_some_and(|before| !before.nodes.is_empty()) {
                told.push(saying.clone());
            }
            self.0.said(saying);
        }
        assert_eq!(self.0.to_say(&standings, at(second)), [], "nothing is said twice");
        (standings, told)
    }

    fn said(&mut self, seen: &[Seen], second: i64) -> Vec<(Subject, usize)> {
        let (_, said) = self.look(seen, second);
        said.into_iter()
            .map(|saying| (saying.about, saying.nodes.len()))
            .collect()
    }

    fn standing(&mut self, seen: &Seen, second: i64) -> Standing {
        let (standings, _) = self.look(std::slice::from_ref(seen), second);
        standings[&seen.node]
    }
}

fn one(name: &str) -> Subject {
    Subject::Node(name.to_owned())
}

const MANY: Subject = Subject::Many(Cause::NotConnected);

#[test]
fn silence_is_not_ready_after_thirty_seconds_and_a_signal_after_two_more_minutes() {
    let mut operator = Operator::new();
    let silent = [node("n", Some(0))];
    assert_eq!(operator.standing(&node("n", None), 0), Standing::Connected);
    assert_eq!(operator.standing(&silent[0], 29), Standing::Waiting);
    assert_eq!(
        operator.standing(&silent[0], 30),
        Standing::Silent(Cause::NotConnected)
    );
    assert_eq!(operator.said(&silent, 149), []);
    assert_eq!(operator.said(&silent, 150), [(one("n"), 1)]);
    assert_eq!(operator.said(&silent, 900), []);
    // It speaks.
    assert_eq!(operator.said(&[node("n", None)], 901), [(one("n"), 0)]);
    assert_eq!(operator.said(&[node("n", Some(901))], 930), []);
    assert_eq!(operator.said(&[node("n", Some(901))], 1_051), [(one("n"), 1)]);
}

#[test]
fn a_new_operator_gives_all_agents_the_time_to_come_back() {
    let mut operator = Operator(Silence::new(TIMES, at(1_000)));
    let jitter = JITTER / SECOND;
    for heard in [None, Some(at(10))] {
        let silent = Seen {
            connected: false,
            heard,
            ..node("n", None)
        };
        assert_eq!(operator.standing(&silent, 1_000 + jitter + 29), Standing::Waiting);
        assert_eq!(
            operator.standing(&silent, 1_000 + jitter + 30),
            Standing::Silent(Cause::NotConnected)
        );
    }
    assert_eq!(operator.said(&[node("n", Some(10))], 1_000 + jitter + 149), []);
    assert_eq!(
        operator.said(&[node("n", Some(10))], 1_000 + jitter + 150),
        [(one("n"), 1)]
    );
}

#[test]
fn a_new_operator_ends_what_an_earlier_one_may_have_said() {
    let mut silence = Silence::new(TIMES, at(0));
    let standings = silence.look(&[node("n", None), node("m", Some(0))], at(1));
    let said = silence.to_say(&standings, at(1));
    // Of the one that is silent nothing is known yet, nor of many together.
    assert_eq!(
        said.iter().map(|s| (&s.about, s.nodes.len())).collect::<Vec<_>>(),
        [(&one("n"), 0)]
    );
    let later = silence.to_say(&standings, at(400));
    assert_eq!(
        later
            .iter()
            .filter(|s| matches!(s.about, Subject::Many(_)))
            .count(),
        Cause::ALL.len()
    );
}

#[test]
fn whatever_excuses_silence_keeps_it_from_being_told_and_the_time_starts_anew() {
    for excuse in [
        Excuse::ApiServerAway,
        Excuse::NodeNotReady,
        Excuse::Drained,
        Excuse::Stopped,
        Excuse::Terminating,
        Excuse::Updating,
    ] {
        let mut operator = Operator::new();
        assert_eq!(operator.standing(&excused("n", excuse), 29), Standing::Waiting);
        for second in [30, 150, 500] {
            assert_eq!(
                operator.standing(&excused("n", excuse), second),
                Standing::Excused(excuse)
            );
            assert_eq!(operator.said(&[excused("n", excuse)], second), [], "{excuse:?}");
        }
        // The node is ready again, the API server answers: the agent has its time.
        assert_eq!(
            operator.standing(&node("n", Some(0)), 529),
            Standing::Waiting,
            "{excuse:?}"
        );
        assert_eq!(operator.said(&[node("n", Some(0))], 649), []);
        assert_eq!(
            operator.said(&[node("n", Some(0))], 650),
            [(one("n"), 1)],
            "{excuse:?}"
        );
    }
}

#[test]
fn a_pod_that_never_ends_or_starts_excuses_for_ten_minutes_only() {
    let patience = PATIENCE / SECOND;
    let mut operator = Operator::new();
    // From one to the other: that is still the same change.
    assert_eq!(operator.said(&[excused("n", Excuse::Terminating)], 100), []);
    for second in [400, 100 + patience - 1] {
        assert_eq!(operator.said(&[excused("n", Excuse::Updating)], second), []);
    }
    let end = 100 + patience - 1;
    assert_eq!(operator.said(&[excused("n", Excuse::Updating)], end + 149), []);
    assert_eq!(
        operator.said(&[excused("n", Excuse::Updating)], end + 150),
        [(one("n"), 1)]
    );
    // Others last as long as they hold.
    let mut operator = Operator::new();
    assert_eq!(operator.said(&[excused("n", Excuse::NodeNotReady)], 100), []);
    assert_eq!(operator.said(&[excused("n", Excuse::NodeNotReady)], 100_000), []);
}

#[test]
fn an_excuse_does_not_take_back_what_was_told() {
    let mut operator = Operator::new();
    assert_eq!(operator.said(&[node("n", Some(0))], 150), [(one("n"), 1)]);
    assert_eq!(operator.said(&[excused("n", Excuse::Drained)], 200), []);
    assert_eq!(operator.said(&[node("n", None)], 300), [(one("n"), 0)]);
}

#[test]
fn a_node_that_is_gone_is_told_of_no_more() {
    let mut operator = Operator::new();
    assert_eq!(operator.said(&[node("n", Some(0))], 150), [(one("n"), 1)]);
    assert_eq!(operator.said(&[], 160), [(one("n"), 0)]);
    assert!(operator.0.nodes.is_empty());
    assert!(!operator.0.said.contains_key(&one("n")));
    // Another one under its name is told of by itself.
    assert_eq!(operator.said(&[node("n", Some(160))], 310), [(one("n"), 1)]);
}

#[test]
fn many_silent_nodes_are_one_signal_for_each_cause() {
    let fleet = |silent: usize| -> Vec<Seen> {
        (0..40)
            .map(|n| node(&format!("n{n:02}"), (n < silent).then_some(0)))
            .collect()
    };
    // Two of forty are exactly one in twenty, and few.
    let mut operator = Operator::new();
    assert_eq!(operator.said(&fleet(2), 150), [(one("n00"), 1), (one("n01"), 1)]);
    // The third makes them many; what was told is not told again.
    assert_eq!(operator.said(&fleet(3), 200), [(MANY, 1)]);

    let mut operator = Operator::new();
    assert_eq!(operator.said(&fleet(3), 150), [(MANY, 3)]);
    assert_eq!(operator.said(&fleet(30), 200), [(MANY, 30)]);
    // They come back one after another; the last of them ends the signal.
    assert_eq!(operator.said(&fleet(1), 210), [(MANY, 1)]);
    assert_eq!(operator.said(&fleet(0), 220), [(MANY, 0)]);

    let mut operator = Operator::new();
    let mut seen = fleet(6);
    seen[0].cause = Cause::NotRunning;
    seen[1].cause = Cause::NotRunning;
    let expected = [(Subject::Many(Cause::NotRunning), 2), (MANY, 4)];
    assert_eq!(operator.said(&seen, 150), expected);
    // One of them runs now, but still does not speak.
    seen[0].cause = Cause::NotConnected;
    let expected = [(Subject::Many(Cause::NotRunning), 1), (MANY, 5)];
    assert_eq!(operator.said(&seen, 160), expected);
}

#[test]
fn those_that_fall_silent_within_the_heartbeat_of_each_other_are_told_together() {
    // Heard up to 30 s apart, because agents report twice a minute.
    let fleet: Vec<Seen> = (0..10).map(|n| node(&format!("n{n}"), Some(3 * n))).collect();
    let mut operator = Operator::new();
    assert_eq!(operator.said(&fleet, 60), []);
    assert_eq!(operator.said(&fleet, 150), [(MANY, 1)]);
    assert_eq!(operator.said(&fleet, 180), [(MANY, 10)]);
}

#[test]
fn few_nodes_of_a_small_cluster_are_told_one_by_one() {
    let fleet = [node("a", Some(0)), node("b", Some(0))];
    let mut operator = Operator::new();
    assert_eq!(operator.said(&fleet, 150), [(one("a"), 1), (one("b"), 1)]);
}

#[test]
fn only_silence_that_is_not_told_is_worth_a_question() {
    let mut operator = Operator::new();
    let (standings, _) = operator.look(&[node("n", Some(0))], 20);
    assert!(!operator.0.is_about_to_tell(&standings));
    let (standings, _) = operator.look(&[node("n", Some(0))], 40);
    assert!(operator.0.is_about_to_tell(&standings));
    let (standings, _) = operator.look(&[node("n", Some(0))], 150);
    assert!(!operator.0.is_about_to_tell(&standings));
}
