//! What is due when: tables over a board, and properties over random lives of it.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use yagura_event::{Severity, Timestamp};

use super::{Batch, Board, Next, PATIENCE};
use crate::notify::route::Route;
use crate::notify::route::tests::route;
use crate::notify::row::{Row, first};
use crate::notify::subject::Stage::{self, Closed, Open};

const SECOND: i64 = 1_000_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp(second * SECOND)
}

fn chat(more: &Value) -> Route {
    of(
        json!({"slack": {"url": {"secretKeyRef": {"name": "s", "key": "k"}}}}),
        more,
    )
}

fn pager(more: &Value) -> Route {
    of(
        json!({"pagerDuty": {"routingKey": {"secretKeyRef": {"name": "s", "key": "k"}}}}),
        more,
    )
}

fn of(mut receiver: Value, more: &Value) -> Route {
    receiver["name"] = json!("r");
    let mut spec = json!({"receivers": [receiver]});
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    route(&spec).unwrap()
}

fn row(signal: i64, group: &str, severity: Severity) -> Row {
    Row {
        signal,
        route: "ops".to_owned(),
        receiver: "r".to_owned(),
        group: group.to_owned(),
        severity,
        stage: Open,
        told: None,
        gave_up: None,
        due: None,
        tried: None,
        at: None,
    }
}

fn opened(board: &mut Board, route: &Route, signal: i64, group: &str, now: Timestamp) {
    let row = first(row(signal, group, Severity::High), &route.targets["r"], now).unwrap();
    assert!(board.put(row));
}

fn next(board: &mut Board, route: &Route, now: Timestamp) -> Next {
    board.next(route, &route.targets["r"], now)
}

/// Sends what is due and returns its signals.
fn send(board: &mut Board, route: &Route, now: Timestamp) -> Vec<i64> {
    let Next::Send(batch) = next(board, route, now) else {
        return Vec::new();
    };
    deliver(board, route, &batch, now);
    batch.signals
}

fn deliver(board: &mut Board, route: &Route, batch: &Batch, now: Timestamp) {
    board.started(batch);
    assert_eq!(next(board, route, now), Next::Nothing, "one message at a time");
    let target = &route.targets["r"];
    for mut row in board.delivered(batch, target, now) {
        row.delivered(batch.stage, target, now);
        board.put(row);
    }
}

#[test]
fn signals_of_a_group_share_a_message_and_the_next_one_keeps_its_distance() {
    let route = chat(&json!({"group": {"by": ["rule"], "wait": "5s", "interval": "60s"}}));
    let mut board = Board::default();
    opened(&mut board, &route, 1, "a", at(0));
    opened(&mut board, &route, 2, "a", at(3));
    opened(&mut board, &route, 3, "b", at(1));
    assert_eq!(next(&mut board, &route, at(4)), Next::At(at(5)));
    assert_eq!(send(&mut board, &route, at(5)), [1, 2]);
    assert_eq!(send(&mut board, &route, at(6)), [3]);
    opened(&mut board, &route, 4, "a", at(10));
    assert_eq!(next(&mut board, &route, at(20)), Next::At(at(65)));
    assert_eq!(send(&mut board, &route, at(65)), [4]);
    assert_eq!(next(&mut board, &route, at(66)), Next::Nothing);
    assert_eq!(board.waiting(), 0);
}

#[test]
fn a_pager_gets_every_signal_at_once_and_by_itself() {
    let route = pager(&json!({}));
    let mut board = Board::default();
    opened(&mut board, &route, 1, "a", at(0));
    opened(&mut board, &route, 2, "a", at(0));
    assert_eq!(send(&mut board, &route, at(0)), [1]);
    assert_eq!(send(&mut board, &route, at(0)), [2]);
}

#[test]
fn the_last_message_of_a_period_carries_everything_that_waits() {
    let route = chat(&json!({
        "group": {"by": ["signal"], "wait": "0s", "interval": "0s"},
        "rateLimit": {"messages": 2, "per": "60s"},
    }));
    let mut board = Board::default();
    for signal in 1..=5 {
        opened(&mut board, &route, signal, &signal.to_string(), at(0));
    }
    assert_eq!(send(&mut board, &route, at(0)), [1]);
    assert_eq!(send(&mut board, &route, at(1)), [2, 3, 4, 5]);
    opened(&mut board, &route, 6, "6", at(2));
    assert_eq!(next(&mut board, &route, at(2)), Next::At(at(60)));
    assert_eq!(send(&mut board, &route, at(60)), [6]);
}

#[test]
fn a_limited_pager_is_still_told_of_ends() {
    let route = pager(&json!({"rateLimit": {"messages": 1, "per": "60s"}}));
    let mut board = Board::default();
    opened(&mut board, &route, 1, "a", at(0));
    opened(&mut board, &route, 2, "a", at(0));
    assert_eq!(send(&mut board, &route, at(0)), [1]);
    assert_eq!(next(&mut board, &route, at(1)), Next::At(at(60)));
    let mut ended = row(1, "a", Severity::High);
    ended.told = Some(Open);
    ended.follow(Closed, &route.targets["r"], at(1));
    board.put(ended);
    let Next::Send(batch) = next(&mut board, &route, at(1)) else {
        panic!("the end is told at once")
    };
    assert_eq!((batch.stage, batch.signals), (Closed, vec![1]));
}

#[test]
fn quiet_hours_hold_back_what_does_not_pierce_them() {
    // The epoch is a Thursday, midnight.
    let hours = json!({"quietHours": {"windows": [{"from": "00:00", "to": "01:00"}]}});
    let route = pager(&hours);
    let mut board = Board::default();
    opened(&mut board, &route, 1, "a", at(10));
    assert_eq!(next(&mut board, &route, at(10)), Next::At(at(3_600)));
    let target = &route.targets["r"];
    board.put(first(row(2, "a", Severity::Critical), target, at(10)).unwrap());
    assert_eq!(send(&mut board, &route, at(10)), [2]);
    assert_eq!(send(&mut board, &route, at(3_600)), [1]);
}

#[test]
fn a_receiver_that_fails_is_left_alone_longer_and_longer_and_given_up_after_a_day() {
    let route = pager(&json!({}));
    let mut board = Board::default();
    opened(&mut board, &route, 1, "a", at(0));
    let mut now = at(0);
    let mut attempts = 0;
    let expired = loop {
        match next(&mut board, &route, now) {
            Next::At(later) => {
                assert!(later > now);
                now = later;
            }
            Next::Send(batch) => {
                attempts += 1;
                board.started(&batch);
                let (kept, expired) = board.failed(&batch, None, 0.5, now);
                if kept.is_empty() {
                    break expired;
                }
            }
            Next::Nothing => panic!("it still waits"),
        }
    };
    assert_eq!(expired.len(), 1);
    assert!(now.0 >= PATIENCE && now.0 < PATIENCE + 600 * SECOND, "{now:?}");
    assert!(attempts > 140 && attempts < 250, "{attempts}");
    assert_eq!(board.waiting(), 0);
}

#[test]
fn what_a_receiver_refuses_does_not_stop_the_rest() {
    let route = pager(&json!({}));
    let mut board = Board::default();
    opened(&mut board, &route, 1, "a", at(0));
    opened(&mut board, &route, 2, "a", at(0));
    let Next::Send(batch) = next(&mut board, &route, at(0)) else {
        panic!("something is due")
    };
    board.started(&batch);
    assert_eq!(board.refused(&batch).len(), 1);
    assert_eq!(send(&mut board, &route, at(0)), [2]);
}

#[test]
fn receivers_that_are_gone_leave_nothing() {
    let route = pager(&json!({}));
    let mut board = Board::default();
    opened(&mut board, &route, 1, "a", at(0));
    assert_eq!(board.waiting_of("ops"), 1);
    board.keep(|_, receiver| receiver != "r");
    assert_eq!((board.waiting_of("ops"), board.receivers().len()), (0, 0));
}

#[derive(Clone, Debug)]
enum Act {
    Open(u8, u8),
    Close(u8),
    Pass(u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    proptest::collection::vec(
        prop_oneof![
            (0u8..20, 0u8..4).prop_map(|(signal, group)| Act::Open(signal, group)),
            (0u8..20).prop_map(Act::Close),
            (0u8..40).prop_map(Act::Pass),
        ],
        1..120,
    )
}

proptest! {
    #[test]
    fn everything_that_stays_open_is_told_once_and_the_limit_holds(
        acts in acts(),
        outcomes in proptest::collection::vec(any::<bool>(), 1..50),
    ) {
        let route = chat(&json!({
            "group": {"wait": "3s", "interval": "10s"},
            "rateLimit": {"messages": 3, "per": "30s"},
        }));
        let target = &route.targets["r"];
        let mut board = Board::default();
        let mut now = at(1);
        let mut rows = std::collections::BTreeMap::<i64, Row>::new();
        let mut told: Vec<(i64, Stage)> = Vec::new();
        let mut sent: Vec<i64> = Vec::new();
        let mut outcomes = outcomes.into_iter().cycle();
        let mut work = |board: &mut Board, rows: &mut std::collections::BTreeMap<i64, Row>, now: Timestamp, reliable: bool| {
            while let Next::Send(batch) = board.next(&route, target, now) {
                board.started(&batch);
                if reliable || outcomes.next().unwrap() {
                    sent.push(now.0);
                    for mut row in board.delivered(&batch, target, now) {
                        row.delivered(batch.stage, target, now);
                        told.push((row.signal, batch.stage));
                        rows.insert(row.signal, row.clone());
                        board.put(row);
                    }
                } else {
                    board.failed(&batch, None, 0.5, now);
                }
            }
        };
        for act in acts {
            match act {
                Act::Open(signal, group) => {
                    let signal = i64::from(signal);
                    if let std::collections::btree_map::Entry::Vacant(entry) = rows.entry(signal) {
                        let new = first(row(signal, &group.to_string(), Severity::High), target, now).unwrap();
                        entry.insert(new.clone());
                        board.put(new);
                    }
                }
                Act::Close(signal) => {
                    if let Some(row) = rows.get_mut(&i64::from(signal)) {
                        row.follow(Closed, target, now);
                        board.put(row.clone());
                    }
                }
                Act::Pass(seconds) => now = now.after(i64::from(seconds) * SECOND),
            }
            work(&mut board, &mut rows, now, false);
        }
        for _ in 0..2_000 {
            now = now.after(7 * SECOND);
            work(&mut board, &mut rows, now, true);
        }
        prop_assert_eq!(board.waiting(), 0);
        let distinct: BTreeSet<_> = told.iter().collect();
        prop_assert_eq!(distinct.len(), told.len(), "told twice: {:?}", told);
        for row in rows.values() {
            let opened = told.contains(&(row.signal, Open));
            let closed = told.contains(&(row.signal, Closed));
            if row.stage == Open {
                prop_assert!(opened && !closed);
            } else {
                prop_assert_eq!(opened, closed);
            }
        }
        for start in &sent {
            let within = sent.iter().filter(|time| **time >= *start && **time < start + 30 * SECOND).count();
            prop_assert!(within <= 3, "{:?}", sent);
        }
    }
}
