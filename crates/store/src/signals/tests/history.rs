//! What is done leaves the cluster once, and the store keeps it within its limits.

use super::*;

/// A store with signals of the groups `k1` to `k{count}`, all written and archived, closed one
/// second after the other from second 50 on.
fn archived(count: u64) -> (SignalStore, Vec<String>) {
    let limits = Limits {
        open_per_rule_and_namespace: 1_000,
        ..Limits::default()
    };
    let mut store = SignalStore::in_memory(limits).unwrap();
    let records = (1..=count).map(|n| record(n, found("r", &format!("k{n}"), 1)));
    apply(&mut store, records.collect(), 1);
    let mut names = Vec::new();
    let mut pending = due_at(&store, 1);
    pending.sort_by_key(|write| write.signal.id);
    for (write, closed) in pending.into_iter().zip(50..) {
        store.written(write.signal.id, write.revision, at(1)).unwrap();
        let seen = Triaged {
            namespace: "shop".into(),
            name: write.signal.name.clone(),
            to: Triage::Archived,
            says: Vec::new(),
        };
        store.triage(&seen, at(closed)).unwrap();
        names.push(write.signal.name);
    }
    (store, names)
}

/// Takes all that was closed before out of the cluster, as the operator does.
fn leave(store: &mut SignalStore, before: i64) -> usize {
    let leaving = store.to_leave(at(before), 1_000).unwrap();
    for signal in &leaving {
        assert!(store.leave(signal.id).unwrap());
        assert_eq!(triage_to(store, &signal.name, Triage::Deleted), None);
    }
    leaving.len()
}

fn names(store: &SignalStore, query: &HistoryQuery) -> Vec<String> {
    let page = store.history(query, 1_000).unwrap();
    page.signals.into_iter().map(|past| past.signal.name).collect()
}

#[test]
fn what_is_closed_for_long_leaves_and_stays_in_the_history_as_it_was() {
    let (mut store, names_of_all) = archived(3);
    assert_eq!(leave(&mut store, 51), 1);
    assert_eq!(leave(&mut store, 51), 0, "once");
    let page = store.history(&HistoryQuery::default(), 100).unwrap();
    let seen: Vec<_> = page.signals.iter().map(|p| (p.state, p.in_cluster)).collect();
    assert_eq!(
        seen,
        [
            (State::Archived, true),
            (State::Archived, true),
            (State::Archived, false)
        ]
    );
    assert_eq!(page.signals[2].signal.name, names_of_all[0]);
    assert_eq!(
        store.written_signals().unwrap().len(),
        2,
        "the watch misses nothing"
    );
    // A match of a group that left opens another signal, which knows the one before.
    apply(&mut store, vec![record(4, found("r", "k1", 1))], 60);
    let opened = due_at(&store, 60).remove(0).signal;
    assert_eq!(opened.previous, Some(("shop".into(), names_of_all[0].clone())));
}

#[test]
fn a_signal_that_is_opened_again_does_not_leave() {
    let (mut store, names) = archived(1);
    let leaving = store.to_leave(at(100), 10).unwrap().remove(0);
    assert!(store.leave(leaving.id).unwrap());
    assert_eq!(
        triage_to(&mut store, &names[0], Triage::Open),
        Some(ChangeKind::Reopened)
    );
    assert!(!store.leave(leaving.id).unwrap());
    assert_eq!(
        triage_to(&mut store, &names[0], Triage::Deleted),
        Some(ChangeKind::Deleted),
        "what deletes it now is a person"
    );
}

#[test]
fn what_waits_to_be_written_does_not_leave_yet() {
    let mut store = store();
    apply(&mut store, vec![record(1, found("r", "k", 1))], 1);
    let write = due_at(&store, 1).remove(0);
    triage_to(&mut store, &write.signal.name, Triage::Archived);
    assert!(store.to_leave(at(100), 10).unwrap().is_empty());
    store.written(write.signal.id, write.revision, at(2)).unwrap();
    assert_eq!(store.to_leave(at(100), 10).unwrap().len(), 1);
}

#[test]
fn the_store_keeps_what_left_for_its_age_and_within_its_size_and_open_signals_always() {
    let (mut store, names_of_all) = archived(200);
    apply(&mut store, vec![record(201, found("r", "open", 1))], 1);
    leave(&mut store, 240);
    let limits = |age: i64, bytes| HistoryLimits {
        age: age.saturating_mul(SECOND),
        bytes,
    };
    let pruned = store.prune(limits(1_000, u64::MAX), at(1_000)).unwrap();
    assert_eq!(pruned, Pruned::default());
    let pruned = store.prune(limits(940, u64::MAX), at(1_000)).unwrap();
    assert_eq!((pruned.by_age, pruned.by_size), (10, 0));
    assert!(!names(&store, &HistoryQuery::default()).contains(&names_of_all[9]));
    assert!(names(&store, &HistoryQuery::default()).contains(&names_of_all[199]));

    let bytes = store.bytes().unwrap();
    let pruned = store.prune(limits(i64::MAX, bytes - 8_192), at(1_000)).unwrap();
    assert!(
        pruned.by_size > 0 && pruned.by_size < 150 && !pruned.too_large,
        "{pruned:?}"
    );
    let pruned = store.prune(limits(i64::MAX, 0), at(1_000)).unwrap();
    assert!(pruned.too_large, "what is in the cluster stays");
    assert_eq!(store.history_len().unwrap(), 0);
    assert_eq!(
        names(&store, &HistoryQuery::default()).len(),
        10,
        "those that did not leave"
    );
    assert_eq!(store.summary("r").unwrap().open, 1);
}

#[test]
fn pages_lead_through_all_of_it_and_a_question_is_answered_exactly() {
    let (store, names_of_all) = archived(25);
    let mut query = HistoryQuery::default();
    let mut read = Vec::new();
    loop {
        let page = store.history(&query, 10).unwrap();
        read.extend(page.signals.into_iter().map(|past| past.signal.name));
        query.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    read.reverse();
    assert_eq!(read, names_of_all);
    let only = |query: HistoryQuery| names(&store, &query).len();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        only(HistoryQuery {
            namespace: text("shop"),
            ..HistoryQuery::default()
        }),
        25
    );
    assert_eq!(
        only(HistoryQuery {
            namespace: text("other"),
            ..HistoryQuery::default()
        }),
        0
    );
    assert_eq!(
        only(HistoryQuery {
            rule: text("r-name"),
            min_severity: 3,
            ..HistoryQuery::default()
        }),
        25
    );
    assert_eq!(
        only(HistoryQuery {
            min_severity: 4,
            ..HistoryQuery::default()
        }),
        0
    );
    let one = HistoryQuery {
        name: Some(names_of_all[7].clone()),
        ..HistoryQuery::default()
    };
    assert_eq!(names(&store, &one), [names_of_all[7].clone()]);
}
