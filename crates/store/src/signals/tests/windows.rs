//! Windows across nodes: exact over resends, deaths and restarts.

use yagura_event::Registry;
use yagura_rules::detect::{Method, NewValue, Sequence, Shape, Threshold};
use yagura_rules::source::{CaseSource, CorrelationSource, DetectSource, MethodSource, QuerySource};
use yagura_rules::{Lists, RuleSource, compile};

use super::*;

fn window(count: u64) -> Window {
    Window {
        state: "state".to_owned(),
        method: Method::Threshold(Threshold {
            count,
            within: 60 * SECOND,
            shape: Shape::Sliding,
            distinct: None,
            lateness: 120 * SECOND,
        }),
        values: Vec::new(),
        steps: 0,
        text: Vec::new(),
        cases: Vec::new(),
    }
}

fn seen(key: &str, count: u64, second: i64) -> Match {
    Match {
        window: Some(window(5)),
        first: at(second),
        last: at(second),
        ..found("rule", key, count)
    }
}

fn all(store: &mut SignalStore) -> Vec<(u64, Timestamp, Timestamp)> {
    let pending = store.pending(at(1_000_000), 100).unwrap();
    let told = |pending: Pending| (pending.signal.count, pending.signal.first, pending.signal.last);
    pending.into_iter().map(told).collect()
}

#[test]
fn matches_of_several_nodes_are_one_signal_when_they_are_enough() {
    let mut store = store();
    let of = |store: &mut SignalStore, node: &str, sequence, found| {
        let records = vec![record(sequence, found)];
        let spool = format!("spool-{node}");
        store.apply(&spool, node, records, at(100)).unwrap()
    };
    let first = of(&mut store, "n1", 1, seen("k", 3, 10));
    assert_eq!((first.opened, first.matches, first.watermark), (0, 3, 1));
    assert_eq!(of(&mut store, "n2", 1, seen("k", 1, 11)).opened, 0);
    // It was sent again: nothing counts twice, not even towards the threshold.
    for _ in 0..3 {
        assert_eq!(of(&mut store, "n2", 1, seen("k", 1, 11)).repeated, 1);
    }
    assert_eq!(of(&mut store, "n1", 2, seen("other", 4, 11)).opened, 0);
    assert!(all(&mut store).is_empty());
    assert_eq!(of(&mut store, "n2", 2, seen("k", 1, 12)).opened, 1);
    of(&mut store, "n1", 3, seen("k", 2, 13));
    assert_eq!(all(&mut store), [(7, at(10), at(13))]);
    let late = of(&mut store, "n1", 4, seen("k", 9, -1_000));
    assert_eq!((late.late, late.fresh), (9, 1), "it is acknowledged and counted");
}

#[test]
fn a_death_before_the_commit_leaves_no_trace_in_the_window() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let open = || SignalStore::open(&path, "test", Limits::default()).unwrap();
    for sequence in 1..=7 {
        let mut store = open();
        let records = || vec![record(sequence, seen("k", 1, 10 + sequence.cast_signed()))];
        store.die_before_commit(true);
        store.apply("spool", "node", records(), at(20)).unwrap_err();
        drop(store);
        let mut store = open();
        store.apply("spool", "node", records(), at(20)).unwrap();
    }
    assert_eq!(all(&mut open()), [(7, at(11), at(17))]);
}

#[test]
fn too_many_groups_make_room_and_old_ones_are_forgotten() {
    let limits = Limits {
        window_groups: 10,
        ..Limits::default()
    };
    let mut store = SignalStore::in_memory(limits).unwrap();
    let records = (1..=10)
        .map(|n: u64| record(n, seen(&n.to_string(), 1, n.cast_signed())))
        .collect();
    let applied = apply(&mut store, records, 1);
    assert_eq!((applied.evicted.groups, applied.fresh), (0, 10));
    let more = apply(&mut store, vec![record(11, seen("more", 1, 50))], 1);
    assert_eq!(more.evicted.groups, 1);
    // The oldest is gone: what comes for it begins anew.
    let again = apply(&mut store, vec![record(12, seen("1", 4, 51))], 1);
    assert_eq!((again.evicted.groups, again.opened), (1, 0));
    let kept = apply(&mut store, vec![record(13, seen("3", 4, 51))], 1);
    assert_eq!((kept.evicted.groups, kept.opened), (0, 1));

    // A group matters for the window and for what may be late.
    let long = 60 + 120;
    assert_eq!(store.forget_windows(at(long + 4)).unwrap(), 0);
    assert_eq!(store.forget_windows(at(long + 12)).unwrap(), 7);
    assert_eq!(store.forget_windows(at(10 * long)).unwrap(), 3);
}

#[test]
fn a_value_that_no_node_saw_before_is_a_signal() {
    let mut store = store();
    let seen = |value: u64, second: i64| Match {
        window: Some(Window {
            state: "state".to_owned(),
            method: Method::NewValue(NewValue {
                learn_for: 60 * SECOND,
                learn_matches: 0,
                forget_after: 30 * 24 * 3_600 * SECOND,
            }),
            values: vec![value],
            steps: 0,
            text: Vec::new(),
            cases: Vec::new(),
        }),
        first: at(second),
        last: at(second),
        ..found("rule", "k", 1)
    };
    let mut opened = Vec::new();
    for (sequence, value, second) in [(1, 1, 0), (2, 2, 30), (3, 1, 61), (4, 3, 62), (5, 3, 63)] {
        let applied = apply(&mut store, vec![record(sequence, seen(value, second))], 1);
        opened.push(applied.opened);
        // It is remembered for as long as its values are, not for as long as a window is.
        assert_eq!(store.forget_windows(at(second + 48 * 3_600)).unwrap(), 0);
    }
    assert_eq!(opened, [0, 0, 0, 1, 0]);
    assert_eq!(all(&mut store), [(1, at(62), at(62))]);
}

#[test]
fn steps_on_different_nodes_are_one_sequence() {
    let mut store = store();
    let seen = |steps: u16, second: i64| Match {
        window: Some(Window {
            state: "state".to_owned(),
            method: Method::Sequence(Sequence {
                within: 60 * SECOND,
                counts: [1, 2].into(),
                lateness: 120 * SECOND,
            }),
            values: Vec::new(),
            steps,
            text: Vec::new(),
            cases: Vec::new(),
        }),
        first: at(second),
        last: at(second),
        ..found("rule", "k", 1)
    };
    let of = |store: &mut SignalStore, node: &str, sequence, found| {
        let spool = format!("spool-{node}");
        store
            .apply(&spool, node, vec![record(sequence, found)], at(100))
            .unwrap()
    };
    assert_eq!(of(&mut store, "n1", 1, seen(0b01, 10)).opened, 0);
    assert_eq!(of(&mut store, "n2", 1, seen(0b10, 13)).opened, 0);
    // What happened before it came later.
    assert_eq!(of(&mut store, "n3", 1, seen(0b10, 12)).opened, 1);
    assert_eq!(all(&mut store), [(3, at(10), at(13))]);
}

/// A query `n` on everything, and two cases: more than two, more than one.
fn correlation() -> Method {
    let case = |when: &str| CaseSource {
        when: when.to_owned(),
        ..CaseSource::default()
    };
    let mut source = RuleSource::new("r", "process.pid == 1");
    source.detect = Some(DetectSource {
        group_by: Vec::new(),
        method: MethodSource::Correlation(CorrelationSource {
            within: 60 * SECOND,
            queries: vec![QuerySource {
                name: "n".to_owned(),
                condition: "process.pid == 1".to_owned(),
                ..QuerySource::default()
            }],
            cases: vec![case("n > 2"), case("n > 1")],
        }),
    });
    let rule = compile(&source, Registry::workload(), &Lists::default())
        .rule
        .unwrap();
    rule.detect.as_ref().unwrap().method.clone()
}

#[test]
fn a_signal_says_what_its_most_urgent_case_says() {
    let mut store = store();
    let says = |severity: u8| CaseSays {
        severity,
        detail: vec![severity],
    };
    let seen = |second: i64| Match {
        window: Some(Window {
            state: "state".to_owned(),
            method: correlation(),
            values: Vec::new(),
            steps: 1,
            text: Vec::new(),
            cases: vec![says(5), says(2)],
        }),
        first: at(second),
        last: at(second),
        severity: 1,
        ..found("rule", "k", 1)
    };
    let mut shown = Vec::new();
    for (sequence, second) in [(1, 10), (2, 20), (3, 30), (4, 85)] {
        apply(&mut store, vec![record(sequence, seen(second))], 1);
        let pending = store.pending(at(1_000_000), 100).unwrap();
        shown.push(pending.first().map(|pending| {
            let signal = &pending.signal;
            (signal.count, signal.detail.clone())
        }));
    }
    let expected = [
        None,
        Some((2, vec![2])),
        Some((3, vec![5])),
        // The last two within a minute are two: it stays as urgent as it was.
        Some((4, vec![5])),
    ];
    assert_eq!(shown, expected);
}
