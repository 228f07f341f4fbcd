//! Whoever tells others about signals hears of every change once, whenever the process dies.

use super::*;

fn kinds(store: &SignalStore, after: i64) -> Vec<ChangeKind> {
    let read = store.changes_since(after, 100).unwrap();
    assert_eq!(read.missed, 0);
    read.changes.into_iter().map(|change| change.kind).collect()
}

#[test]
fn every_change_that_people_want_to_hear_of_is_noted_in_order() {
    let mut store = store();
    apply(&mut store, vec![record(1, found("r", "k", 1))], 1);
    apply(&mut store, vec![record(2, found("r", "k", 1))], 1);
    let name = due_at(&store, 1)[0].signal.name.clone();
    let urgent = Match {
        severity: 5,
        detail: b"urgent".to_vec(),
        ..found("r", "k", 1)
    };
    apply(&mut store, vec![record(3, urgent)], 1);
    triage_to(&mut store, &name, Triage::UnderReview);
    triage_to(&mut store, &name, Triage::UnderReview);
    triage_to(&mut store, &name, Triage::Archived);
    triage_to(&mut store, &name, Triage::Open);
    triage_to(&mut store, &name, Triage::Deleted);
    assert_eq!(
        kinds(&store, 0),
        [
            ChangeKind::Opened,
            ChangeKind::Raised,
            ChangeKind::Acknowledged,
            ChangeKind::Archived,
            ChangeKind::Reopened,
            ChangeKind::Deleted,
        ]
    );
    let first = store.changes_since(0, 1).unwrap();
    assert_eq!(first.through, 1);
    assert_eq!(first.changes[0].signal.detail, b"urgent", "as it stands now");
    assert_eq!(kinds(&store, first.through).len(), 5);
    assert_eq!(store.latest_change().unwrap(), 6);
    assert_eq!(store.changes_since(6, 10).unwrap().through, 6);
}

#[test]
fn a_position_and_what_follows_from_it_move_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let open = || SignalStore::open(&path, "test", Limits::default()).unwrap();
    let mut store = open();
    apply(&mut store, vec![record(1, found("r", "k", 1))], 1);
    let signal = due_at(&store, 1)[0].signal.id;
    let delivery = Delivery {
        signal,
        route: "pager".into(),
        due: Some(at(5)),
        attempts: 0,
        result: None,
        at: None,
        state: b"s".to_vec(),
    };
    let through = store.changes_since(0, 10).unwrap().through;
    assert_eq!(store.position("notify").unwrap(), None);

    store.die_before_commit(true);
    store
        .advance("notify", through, std::slice::from_ref(&delivery), at(2))
        .unwrap_err();
    drop(store);
    let mut store = open();
    assert_eq!(store.position("notify").unwrap(), None);
    assert!(store.deliveries_of(signal).unwrap().is_empty());

    store
        .advance("notify", through, std::slice::from_ref(&delivery), at(2))
        .unwrap();
    drop(store);
    let store = open();
    assert_eq!(store.position("notify").unwrap(), Some(through));
    assert!(kinds(&store, through).is_empty());
    assert_eq!(store.next_delivery().unwrap(), Some(at(5)));
    assert!(store.due_deliveries(at(4), 10).unwrap().is_empty());
    assert_eq!(store.due_deliveries(at(5), 10).unwrap(), [delivery]);
}

#[test]
fn a_result_is_shown_in_the_signals_status() {
    let mut store = store();
    apply(&mut store, vec![record(1, found("r", "k", 1))], 1);
    let opened = due_at(&store, 1).remove(0);
    store.written(opened.signal.id, opened.revision, at(1)).unwrap();
    let delivery = |due, result: Option<&str>| Delivery {
        signal: opened.signal.id,
        route: "pager".into(),
        due,
        attempts: 1,
        result: result.map(str::to_owned),
        at: Some(at(9)),
        state: Vec::new(),
    };
    store
        .put_deliveries(&[delivery(Some(at(10)), None)], at(9))
        .unwrap();
    assert!(due_at(&store, 1_000).is_empty(), "nothing to show yet");
    store
        .put_deliveries(&[delivery(None, Some("delivered"))], at(9))
        .unwrap();
    let write = due_at(&store, 1_000).remove(0);
    let told = Told {
        route: "pager".into(),
        result: "delivered".into(),
        at: at(9),
    };
    assert_eq!(write.signal.told, [told]);
    assert_eq!(store.next_delivery().unwrap(), None);

    store
        .put_deliveries(&[delivery(Some(at(20)), Some("failed"))], at(9))
        .unwrap();
    store.forget_route("pager").unwrap();
    assert_eq!(store.next_delivery().unwrap(), None);
    let stranger = Delivery {
        signal: 404,
        ..delivery(None, None)
    };
    store.put_deliveries(&[stranger], at(9)).unwrap();
    assert!(store.deliveries_of(404).unwrap().is_empty());
}
