//! What the store promises: exact counts, stable identities, limits, pace, one holder.

mod changes;
mod exact;
mod history;
mod life;
mod windows;

use yagura_event::Timestamp;

use super::*;

const SECOND: i64 = 1_000_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * SECOND)
}

fn store() -> SignalStore {
    SignalStore::in_memory(Limits::default()).unwrap()
}

fn found(rule: &str, key: &str, count: u64) -> Match {
    Match {
        rule: rule.into(),
        rule_name: format!("{rule}-name"),
        key: key.into(),
        namespace: "shop".into(),
        overflow_namespace: "home".into(),
        count,
        first: at(10),
        last: at(11),
        incomplete: false,
        severity: 3,
        lifetime: Lifetime::default(),
        window: None,
        detail: format!("{rule}/{key}").into_bytes(),
        overflow_detail: format!("{rule}/overflow").into_bytes(),
        samples: vec![key.into()],
    }
}

fn record(sequence: u64, found: Match) -> Incoming {
    Incoming {
        sequence,
        further: 0,
        entry: Entry::Match(Box::new(found)),
    }
}

fn apply(store: &mut SignalStore, records: Vec<Incoming>, now: i64) -> Applied {
    store.apply("spool", "node", records, at(now)).unwrap()
}

fn triage_to(store: &mut SignalStore, name: &str, to: Triage) -> Option<ChangeKind> {
    let seen = Triaged {
        namespace: "shop".into(),
        name: name.into(),
        to,
        says: format!("{to:?}").into_bytes(),
    };
    store.triage(&seen, at(50)).unwrap()
}

fn due_at(store: &SignalStore, now: i64) -> Vec<Pending> {
    store.pending(at(now), 1_000).unwrap()
}

#[test]
fn matches_of_a_group_count_in_one_signal_with_its_first_samples() {
    let mut store = store();
    let records = (1..=5).map(|n| record(n, found("r", "k", n))).collect();
    let applied = apply(&mut store, records, 20);
    assert_eq!(
        applied,
        Applied {
            watermark: 5,
            fresh: 5,
            matches: 15,
            opened: 1,
            ..Applied::default()
        }
    );
    let pending = due_at(&store, 20);
    assert_eq!(pending.len(), 1);
    let signal = &pending[0].signal;
    assert_eq!((signal.count, signal.samples.len()), (15, 3));
    assert_eq!(signal.anchor, ("spool".to_owned(), 1));
    assert!(pending[0].opening && signal.name.starts_with("r-name-"));
    assert_eq!(signal.name.len(), "r-name-".len() + 16);
}

#[test]
fn a_gap_is_refused_and_what_was_before_it_stays() {
    let mut store = store();
    let first = vec![record(1, found("r", "k", 1)), record(3, found("r", "k", 1))];
    let applied = apply(&mut store, first, 1);
    assert_eq!((applied.watermark, applied.gap), (1, Some(2)));
    let second = vec![record(3, found("r", "k", 1))];
    let applied = apply(&mut store, second, 1);
    assert_eq!((applied.watermark, applied.fresh, applied.gap), (1, 0, Some(2)));
    let whole = (1..=3).map(|n| record(n, found("r", "k", 1))).collect();
    let applied = apply(&mut store, whole, 1);
    assert_eq!((applied.watermark, applied.repeated, applied.fresh), (3, 1, 2));
}

#[test]
fn a_spool_never_seen_starts_where_its_first_record_is() {
    let mut store = store();
    let applied = apply(&mut store, vec![record(500, found("r", "k", 1))], 1);
    assert_eq!((applied.watermark, applied.gap), (500, None));
    let zero = vec![record(0, found("r", "k", 1))];
    assert_eq!(store.apply("other", "node", zero, at(1)).unwrap().fresh, 0);
}

#[test]
fn a_spool_belongs_to_the_node_that_sent_it_first() {
    let mut store = store();
    apply(&mut store, vec![record(1, found("r", "k", 1))], 1);
    let error = store.apply("spool", "other", Vec::new(), at(1)).unwrap_err();
    assert!(matches!(error, StoreError::ForeignSpool { .. }), "{error}");
}

#[test]
fn refused_records_move_the_watermark_and_count_nothing() {
    let mut store = store();
    let nothing = Incoming {
        further: 0,
        sequence: 1,
        entry: Entry::Nothing,
    };
    let applied = apply(&mut store, vec![nothing], 1);
    assert_eq!((applied.watermark, applied.fresh, applied.matches), (1, 1, 0));
    assert!(due_at(&store, 100).is_empty());
}

#[test]
fn a_match_after_archiving_or_deletion_opens_a_signal_that_links_to_the_old() {
    let mut store = store();
    apply(&mut store, vec![record(1, found("r", "k", 1))], 1);
    let first = due_at(&store, 1).remove(0).signal;
    for (triage, sequence) in [(Triage::Archived, 2), (Triage::Deleted, 3)] {
        let before = due_at(&store, 1_000).pop().map_or(first.clone(), |p| p.signal);
        triage_to(&mut store, &before.name, triage);
        apply(&mut store, vec![record(sequence, found("r", "k", 1))], 1);
        let opened = due_at(&store, 1)
            .into_iter()
            .find(|pending| pending.signal.anchor.1 == sequence)
            .unwrap();
        assert_eq!(opened.signal.count, 1);
        assert_ne!(opened.signal.name, before.name);
        assert!(opened.signal.previous.is_some());
    }
    assert_eq!(store.summary("r").unwrap().open, 1);
}

#[test]
fn an_archived_signal_opens_again_only_while_its_group_has_no_other() {
    let mut store = store();
    apply(&mut store, vec![record(1, found("r", "k", 1))], 1);
    let first = due_at(&store, 1).remove(0).signal;
    let triage = |store: &mut SignalStore, to| triage_to(store, &first.name, to);
    triage(&mut store, Triage::Archived);
    assert_eq!(store.summary("r").unwrap().open, 0);
    triage(&mut store, Triage::Open);
    assert_eq!(store.summary("r").unwrap().open, 1);
    triage(&mut store, Triage::Archived);
    apply(&mut store, vec![record(2, found("r", "k", 1))], 1);
    triage(&mut store, Triage::Open);
    assert_eq!(store.summary("r").unwrap().open, 2, "both are to be looked at");
    apply(&mut store, vec![record(3, found("r", "k", 5))], 1);
    let counts: Vec<_> = due_at(&store, 1_000).iter().map(|p| p.signal.count).collect();
    assert_eq!(counts, [1, 6], "the newer one takes the matches");
}

#[test]
fn beyond_the_limits_one_overflow_signal_per_rule_counts_on() {
    let limits = Limits {
        open_per_rule_and_namespace: 2,
        open: 3,
        ..Limits::default()
    };
    let mut store = SignalStore::in_memory(limits).unwrap();
    let records = (1..=6)
        .map(|n| record(n, found("r", &format!("k{n}"), 1)))
        .collect();
    assert_eq!(apply(&mut store, records, 1).opened, 3);
    let overflow = due_at(&store, 1)
        .into_iter()
        .find(|p| p.signal.overflow)
        .unwrap()
        .signal;
    assert_eq!((overflow.count, &*overflow.namespace), (4, "home"));
    assert_eq!(overflow.detail, b"r/overflow");
    // The limit of all rules together holds for another rule too.
    apply(&mut store, vec![record(7, found("q", "k", 1))], 1);
    let of_q = due_at(&store, 1)
        .into_iter()
        .find(|p| p.signal.rule == "q")
        .unwrap();
    assert!(of_q.signal.overflow);
    // A group with a signal of its own goes on counting there.
    apply(&mut store, vec![record(8, found("r", "k1", 5))], 1);
    let own = due_at(&store, 1)
        .into_iter()
        .find(|p| p.signal.key == b"k1")
        .unwrap();
    assert_eq!(own.signal.count, 6);
}

#[test]
fn one_node_keeps_so_many_signals_open_and_others_have_their_own_room() {
    let limits = Limits {
        open_per_node: 2,
        ..Limits::default()
    };
    let mut store = SignalStore::in_memory(limits).unwrap();
    let flood = (1..=5).map(|n| record(n, found(&format!("r{n}"), "k", 1)));
    store.apply("spool", "node", flood.collect(), at(1)).unwrap();
    let overflowing = |store: &SignalStore| {
        let pending = due_at(store, 1).into_iter();
        pending.filter(|p| p.signal.overflow).count()
    };
    assert_eq!(overflowing(&store), 3);
    // An open group counts on, and an archived one makes room.
    let name = due_at(&store, 1).remove(0).signal.name;
    triage_to(&mut store, &name, Triage::Archived);
    let next = vec![record(6, found("r6", "k", 1)), record(7, found("r7", "k", 1))];
    store.apply("spool", "node", next, at(1)).unwrap();
    assert_eq!(overflowing(&store), 4);
    let other = vec![record(1, found("r1", "other", 1))];
    store.apply("other", "other-node", other, at(1)).unwrap();
    let mut own = found("own", "k", 1);
    own.namespace = "home".into();
    store.incident(&own, at(1)).unwrap();
    assert_eq!(overflowing(&store), 4, "another node and the operator itself");
}

#[test]
fn a_node_that_names_ever_new_spools_keeps_few_and_takes_none_of_the_operators() {
    let mut store = store();
    for n in 0..100 {
        let spool = format!("spool-{n}");
        store
            .apply(&spool, "node", vec![record(1, found("r", "k", 1))], at(n))
            .unwrap();
        let kept = vec![record(u64::try_from(n).unwrap() + 1, found("r", "k", 1))];
        store.apply("kept", "node", kept, at(n)).unwrap();
    }
    let spools: i64 = store
        .connection
        .query_row("SELECT count(*) FROM spool", [], |row| row.get(0))
        .unwrap();
    assert_eq!(spools, 16);
    assert_eq!(store.watermark("kept").unwrap(), Some(100), "one in use stays");
    let claim = store.apply("operator", "node", vec![record(1, found("r", "k", 1))], at(1));
    assert!(matches!(claim, Err(StoreError::ForeignSpool { .. })), "{claim:?}");
    store.incident(&found("own", "k", 1), at(1)).unwrap();
}

#[test]
fn a_store_of_the_first_schema_learns_whose_its_signals_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(schema::STEPS[0]).unwrap();
    connection
        .execute_batch(
            "PRAGMA user_version = 1;
             INSERT INTO spool VALUES ('s', 'node', 7);
             INSERT INTO signal VALUES (1, 'r', 'r-name', x'6b', 0, 'r-1', 'shop', NULL, 's', 3, NULL, 0,
                 1, 1, 1, 9, 0, 0, NULL, x'', 1, 1, 1);",
        )
        .unwrap();
    drop(connection);
    let limits = Limits {
        open_per_node: 1,
        ..Limits::default()
    };
    let mut store = SignalStore::open(&path, "test", limits).unwrap();
    let next = vec![record(8, found("q", "k", 1)), record(9, found("r", "k", 1))];
    store.apply("s", "node", next, at(1)).unwrap();
    assert_eq!(store.find("shop", "r-1").unwrap().unwrap().count, 10);
    let pending = due_at(&store, 100);
    let of_q = pending.iter().find(|p| p.signal.rule == "q").unwrap();
    assert!(of_q.signal.overflow, "the node has one open already");
}

#[test]
fn writes_keep_their_pace_and_the_newest_state_is_what_is_written() {
    let mut store = store();
    let mut sequence = 0;
    let mut more = |store: &mut SignalStore, now| {
        sequence += 1;
        apply(store, vec![record(sequence, found("r", "k", 1))], now);
    };
    let mut written_at = 100;
    more(&mut store, written_at);
    for pace in [1, 10, 60, 60] {
        let pending = due_at(&store, written_at).remove(0);
        // Matches that come while the write is under way wait for the next.
        more(&mut store, written_at);
        store
            .written(pending.signal.id, pending.revision, at(written_at))
            .unwrap();
        assert_eq!(store.next_due().unwrap(), Some(at(written_at + pace)));
        assert!(due_at(&store, written_at + pace - 1).is_empty());
        written_at += pace;
    }
    let last = due_at(&store, written_at).remove(0);
    assert_eq!((last.signal.count, last.opening), (5, false));
    store
        .written(last.signal.id, last.revision, at(written_at))
        .unwrap();
    assert_eq!((store.next_due().unwrap(), store.waiting().unwrap()), (None, 0));
}

#[test]
fn signals_never_written_come_first() {
    let mut store = store();
    apply(&mut store, vec![record(1, found("r", "old", 1))], 1);
    let old = due_at(&store, 1).remove(0);
    store.written(old.signal.id, old.revision, at(1)).unwrap();
    apply(&mut store, vec![record(2, found("r", "old", 1))], 1);
    apply(&mut store, vec![record(3, found("r", "new", 1))], 90);
    let order: Vec<_> = due_at(&store, 100).into_iter().map(|p| p.signal.key).collect();
    assert_eq!(order, [b"new".to_vec(), b"old".to_vec()]);
}

#[test]
fn what_a_rule_finds_first_does_not_wait_behind_the_flood_of_another() {
    let mut store = store();
    let flood = (1..=50)
        .map(|n| record(n, found("flooded", &format!("k{n}"), 1)))
        .collect();
    apply(&mut store, flood, 1);
    apply(&mut store, vec![record(51, found("quiet", "k", 1))], 9);
    apply(&mut store, vec![record(52, found("quiet", "l", 1))], 9);
    let order: Vec<_> = due_at(&store, 10).into_iter().map(|p| p.signal.rule).collect();
    assert_eq!(
        (&*order[0], &*order[1]),
        ("flooded", "quiet"),
        "the first of each rule"
    );
    assert_eq!(
        order.last().map(String::as_str),
        Some("quiet"),
        "its second takes its turn"
    );
}

#[test]
fn a_relocated_signal_says_where_it_belongs() {
    let mut store = store();
    apply(&mut store, vec![record(1, found("r", "k", 1))], 1);
    let id = due_at(&store, 1)[0].signal.id;
    store.relocate(id, "home").unwrap();
    store.relocate(id, "elsewhere").unwrap();
    let signal = due_at(&store, 1).remove(0).signal;
    assert_eq!(&*signal.namespace, "elsewhere");
    assert_eq!(signal.origin_namespace.as_deref(), Some("shop"));
}

#[test]
fn a_check_opens_changes_resolves_and_opens_anew() {
    let mut store = store();
    let observe = |store: &mut SignalStore, failing, detail: &str, now| {
        let observation = Observation {
            rule: "c".into(),
            rule_name: "check".into(),
            key: b"shop".to_vec(),
            namespace: "shop".into(),
            overflow_namespace: "home".into(),
            failing,
            time: at(now),
            severity: 3,
            detail: detail.into(),
            overflow_detail: Vec::new(),
        };
        store.observe(&observation, at(now)).unwrap()
    };
    assert_eq!(observe(&mut store, 0, "", 1), Observed::Unchanged);
    assert_eq!(observe(&mut store, 2, "a,b", 2), Observed::Opened);
    assert_eq!(observe(&mut store, 2, "a,b", 3), Observed::Unchanged);
    assert_eq!(observe(&mut store, 1, "a", 4), Observed::Changed);
    let first = due_at(&store, 4).remove(0).signal;
    assert_eq!((first.count, &*first.detail), (1, &b"a"[..]));
    assert_eq!(observe(&mut store, 0, "a", 5), Observed::Resolved);
    let resolved = due_at(&store, 5).remove(0).signal;
    assert_eq!((resolved.resolved_at, resolved.count), (Some(at(5)), 0));
    assert_eq!(store.summary("c").unwrap().open, 0);
    assert_eq!(observe(&mut store, 1, "a", 6), Observed::Opened);
    let second = due_at(&store, 6)
        .into_iter()
        .find(|p| p.signal.id != first.id)
        .unwrap();
    assert_eq!(second.signal.previous, Some((first.namespace, first.name)));
}

#[test]
fn a_seeded_store_counts_on_and_says_that_the_count_is_restored() {
    let mut store = store();
    assert!(store.is_empty().unwrap());
    let seed = Seed {
        rule: "r".into(),
        rule_name: "r-name".into(),
        key: b"k".to_vec(),
        overflow: false,
        name: "r-name-0123456789abcdef".into(),
        namespace: "shop".into(),
        origin_namespace: None,
        anchor: ("old".into(), 7),
        archived: false,
        under_review: false,
        triage: Vec::new(),
        severity: 3,
        opened: at(1),
        first: at(1),
        last: at(2),
        count: 40,
        resolved_at: None,
        detail: b"old".to_vec(),
        samples: vec![b"s".to_vec()],
    };
    let older = Seed {
        name: "r-name-2".into(),
        opened: at(0),
        ..seed.clone()
    };
    assert_eq!(store.seed(&[seed.clone(), older, seed], at(3)).unwrap(), 2);
    assert!(!store.is_empty().unwrap());
    apply(&mut store, vec![record(1, found("r", "k", 2))], 100);
    let signal = due_at(&store, 100).remove(0).signal;
    assert_eq!((signal.count, signal.restored), (42, true));
    assert_eq!(&*signal.name, "r-name-0123456789abcdef");
}

#[test]
fn a_second_opener_is_told_who_has_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let first = SignalStore::open(&path, "pod yagura-operator-1", Limits::default()).unwrap();
    let error = SignalStore::open(&path, "second", Limits::default()).unwrap_err();
    assert!(
        matches!(&error, StoreError::Locked { holder, .. } if holder == "pod yagura-operator-1"),
        "{error}"
    );
    drop(first);
    SignalStore::open(&path, "third", Limits::default()).unwrap();
}

#[test]
fn a_file_of_a_later_build_or_of_another_kind_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(SignalStore::open(&path, "a", Limits::default()).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = SignalStore::open(&path, "a", Limits::default()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");

    let other = folder.path().join("other.db");
    std::fs::write(
        &other,
        "not a database, but long enough to be read as one".repeat(100),
    )
    .unwrap();
    assert!(SignalStore::open(&other, "a", Limits::default()).is_err());
}

#[test]
fn a_file_of_the_first_build_goes_on_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(schema::FIRST).unwrap();
    for (id, state) in [(1, schema::OPEN), (2, schema::ARCHIVED), (3, schema::DELETED)] {
        old.execute(
            "INSERT INTO signal (id, rule, rule_name, key, overflow, name, namespace, anchor_spool,
                 anchor_sequence, state, opened, first, last, count, restored, incomplete, detail,
                 revision, writes, written_at)
             VALUES (?1, 'r', 'r-name', ?2, 0, 'n' || ?1, 'shop', 's', ?1, ?3, 5, 5, 6, 7, 0, 0, x'', 1, 1, 6)",
            rusqlite::params![id, format!("k{id}").into_bytes(), state],
        )
        .unwrap();
    }
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);

    let mut store = SignalStore::open(&path, "test", Limits::default()).unwrap();
    assert_eq!(store.summary("r").unwrap().open, 1);
    let page = store.history(&HistoryQuery::default(), 10).unwrap();
    let past: Vec<_> = page.signals.iter().map(|p| (p.state, p.in_cluster)).collect();
    assert_eq!(past, [(State::Deleted, false), (State::Archived, true)]);
    assert_eq!(store.written_signals().unwrap().len(), 2);
    let more = Match {
        first: Timestamp(6),
        last: Timestamp(6),
        ..found("r", "k1", 3)
    };
    assert_eq!(apply(&mut store, vec![record(1, more)], 100).opened, 0);
    assert_eq!(due_at(&store, 1_000)[0].signal.count, 10);
}
