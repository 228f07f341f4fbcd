//! How long a signal takes matches, and what follows it: exact, whenever the process dies.

use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600;

fn lasting(cooldown: i64, keep_open: i64, max_duration: i64) -> Lifetime {
    Lifetime {
        cooldown: cooldown * SECOND,
        keep_open: keep_open * SECOND,
        max_duration: max_duration * SECOND,
    }
}

fn at_time(time: i64, lifetime: Lifetime) -> Match {
    Match {
        first: at(time),
        last: at(time),
        lifetime,
        window: None,
        ..found("r", "k", 1)
    }
}

/// All signals that wait to be written, the oldest first: (count, whether it has one before it).
fn signals(store: &SignalStore) -> Vec<(u64, bool)> {
    let mut all = due_at(store, 1_000_000);
    all.sort_by_key(|pending| pending.signal.id);
    all.iter()
        .map(|pending| (pending.signal.count, pending.signal.previous.is_some()))
        .collect()
}

#[test]
fn a_silent_or_old_signal_takes_no_more_and_the_next_links_to_it() {
    let mut store = store();
    let lifetime = lasting(0, HOUR, 3 * HOUR);
    let times = [0, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR + 1, 4 * HOUR + 2];
    let records = (1..)
        .zip(times)
        .map(|(n, time)| record(n, at_time(time, lifetime)));
    assert_eq!(apply(&mut store, records.collect(), 1).opened, 3);
    assert_eq!(signals(&store), [(3, false), (1, true), (2, true)]);
    assert_eq!(
        store.summary("r").unwrap().open,
        3,
        "nobody looked at any of them"
    );
}

#[test]
fn within_the_cooldown_an_archived_signal_counts_on_in_silence() {
    let mut store = store();
    let lifetime = lasting(600, HOUR, HOUR);
    apply(&mut store, vec![record(1, at_time(0, lifetime))], 1);
    let name = due_at(&store, 1)[0].signal.name.clone();
    triage_to(&mut store, &name, Triage::Archived);
    let position = store.latest_change().unwrap();
    apply(&mut store, vec![record(2, at_time(599, lifetime))], 1);
    assert_eq!(signals(&store), [(2, false)]);
    assert_eq!(store.summary("r").unwrap().open, 0, "it stays archived");
    assert!(store.changes_since(position, 9).unwrap().changes.is_empty());
    apply(&mut store, vec![record(3, at_time(600, lifetime))], 1);
    assert_eq!(signals(&store), [(2, false), (1, true)]);
}

#[test]
fn within_the_cooldown_a_deleted_signal_counts_on_in_the_store_alone() {
    let mut store = store();
    let lifetime = lasting(600, HOUR, HOUR);
    apply(&mut store, vec![record(1, at_time(0, lifetime))], 1);
    let first = due_at(&store, 1).remove(0).signal;
    triage_to(&mut store, &first.name, Triage::Deleted);
    apply(&mut store, vec![record(2, at_time(5, lifetime))], 1);
    assert!(due_at(&store, 1_000).is_empty(), "its object does not come back");
    assert_eq!(store.find("shop", &first.name).unwrap().unwrap().count, 2);
}

#[test]
fn at_the_limit_an_open_signal_goes_on_rather_than_into_the_overflow() {
    let limits = Limits {
        open_per_rule_and_namespace: 1,
        ..Limits::default()
    };
    let mut store = SignalStore::in_memory(limits).unwrap();
    let lifetime = lasting(0, 10, 10);
    let records = [0, 100, 200];
    let records = (1..)
        .zip(records)
        .map(|(n, time)| record(n, at_time(time, lifetime)));
    assert_eq!(apply(&mut store, records.collect(), 1).opened, 1);
    assert_eq!(signals(&store), [(3, false)]);
}

#[test]
fn a_signal_that_takes_no_more_still_fills_its_place_until_somebody_looked() {
    let limits = Limits {
        open_per_rule_and_namespace: 2,
        ..Limits::default()
    };
    let mut store = SignalStore::in_memory(limits).unwrap();
    let lifetime = lasting(0, 10, 10);
    let other = Match {
        key: b"other".to_vec(),
        ..at_time(100, lifetime)
    };
    let records = vec![
        record(1, at_time(0, lifetime)),
        record(2, at_time(100, lifetime)),
        record(3, other.clone()),
    ];
    apply(&mut store, records, 1);
    let overflow = |store: &SignalStore| due_at(store, 1).iter().filter(|p| p.signal.overflow).count();
    assert_eq!(overflow(&store), 1);
    let lapsed = due_at(&store, 1)
        .iter()
        .map(|p| p.signal.clone())
        .min_by_key(|s| s.id);
    assert_eq!(
        triage_to(&mut store, &lapsed.unwrap().name, Triage::Archived),
        Some(ChangeKind::Archived)
    );
    apply(&mut store, vec![record(4, other)], 1);
    let own = due_at(&store, 1).into_iter().find(|p| p.signal.key == b"other");
    assert_eq!(own.unwrap().signal.count, 1);
}

#[test]
fn triage_is_kept_as_people_wrote_it() {
    let mut store = store();
    apply(&mut store, vec![record(1, found("r", "k", 1))], 1);
    let name = due_at(&store, 1)[0].signal.name.clone();
    let signal = |store: &SignalStore| store.find("shop", &name).unwrap().unwrap();
    triage_to(&mut store, &name, Triage::UnderReview);
    assert_eq!(signal(&store).acknowledged_at, Some(at(50)));
    triage_to(&mut store, &name, Triage::Open);
    assert_eq!(signal(&store).acknowledged_at, None);
    triage_to(&mut store, &name, Triage::Archived);
    assert_eq!(signal(&store).triage, b"Archived");
    assert_eq!(signal(&store).closed_at, Some(at(50)));
    assert_eq!(triage_to(&mut store, &name, Triage::Deleted), None);
    assert_eq!(
        signal(&store).triage,
        b"Archived",
        "why it was archived is not forgotten"
    );
    assert_eq!(triage_to(&mut store, "nobody-knows-it", Triage::Archived), None);
}

/// What happens to the one group of the property below.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A match this long after the one before; the process may die before the commit and be asked
    /// again.
    Match { after: i64, dies: bool },
    /// Somebody does something to the group's newest signal.
    Triage(Triage),
}

/// What the store should say of a signal.
struct Modelled {
    name: String,
    opened: i64,
    last: i64,
    count: u64,
    /// Whether people left it open.
    open: bool,
    /// Whether its object is in the cluster.
    there: bool,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..200i64, any::<bool>()).prop_map(|(after, dies)| Step::Match { after, dies }),
        1 => prop_oneof![
            Just(Triage::Open), Just(Triage::UnderReview), Just(Triage::Archived), Just(Triage::Deleted)
        ].prop_map(Step::Triage),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn each_match_counts_once_in_the_signal_that_the_rule_says(
        cooldown in 0..150i64,
        keep_open in 1..150i64,
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let max_duration = 300;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let open = || SignalStore::open(&path, "test", Limits::default()).unwrap();
        let mut store = open();
        let lifetime = lasting(cooldown, keep_open, max_duration);
        let mut model: Vec<Modelled> = Vec::new();
        let (mut time, mut sequence) = (0, 0);

        for step in steps {
            match step {
                Step::Match { after, dies } => {
                    time += after;
                    sequence += 1;
                    let records = || vec![record(sequence, at_time(time, lifetime))];
                    if dies {
                        store.die_before_commit(true);
                        prop_assert!(store.apply("spool", "node", records(), at(1)).is_err());
                        drop(store);
                        store = open();
                    }
                    let opened = apply(&mut store, records(), 1).opened;
                    let goes_on = model.last().is_some_and(|newest| {
                        let age = time - newest.opened;
                        let in_time = newest.open && time - newest.last <= keep_open && age < max_duration;
                        in_time || age < cooldown
                    });
                    prop_assert_eq!(opened, u64::from(!goes_on));
                    if goes_on {
                        let newest = model.last_mut().unwrap();
                        newest.last = time;
                        newest.count += 1;
                    } else {
                        let newest = due_at(&store, 10_000).into_iter().max_by_key(|p| p.signal.id);
                        model.push(Modelled {
                            name: newest.unwrap().signal.name,
                            opened: time,
                            last: time,
                            count: 1,
                            open: true,
                            there: true,
                        });
                    }
                }
                Step::Triage(to) => {
                    if let Some(newest) = model.last_mut() {
                        triage_to(&mut store, &newest.name, to);
                        newest.there &= to != Triage::Deleted;
                        newest.open = newest.there && to != Triage::Archived;
                    }
                }
            }
        }
        for expected in &model {
            let signal = store.find("shop", &expected.name).unwrap().unwrap();
            prop_assert_eq!((signal.opened, signal.last), (at(expected.opened), at(expected.last)));
            prop_assert_eq!(signal.count, expected.count);
        }
    }
}
