//! What the spool promises, on real files.

use std::collections::BTreeMap;
use std::fs;

use yagura_engine::Changed;

use super::{Entry, NewRecord, Position, Spool, SpoolConfig, SpoolError, StoredRecord};

fn config(folder: &tempfile::TempDir, boot: &str, limit_bytes: u64) -> SpoolConfig {
    SpoolConfig {
        path: folder.path().join("spool.db"),
        boot_id: boot.to_owned(),
        limit_bytes,
    }
}

fn record(name: &str, rank: u8) -> NewRecord {
    NewRecord {
        body: name.as_bytes().to_vec(),
        matches: 1,
        rank,
    }
}

/// A record that takes 1,000 bytes of the limit.
fn kilobyte(letter: u8, rank: u8, matches: u64) -> NewRecord {
    NewRecord {
        body: vec![letter; 936],
        matches,
        rank,
    }
}

fn body(sequence: u64, name: &str) -> StoredRecord {
    StoredRecord {
        sequence,
        entry: Entry::Body(name.as_bytes().to_vec()),
    }
}

fn all(spool: &mut Spool) -> Vec<StoredRecord> {
    spool.read(Position::default(), usize::MAX).unwrap().records
}

#[test]
fn unacknowledged_records_come_back_after_a_restart_with_the_same_identity() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder, "boot", 1 << 20);
    let mut spool = Spool::open(&config).unwrap();
    spool.append(&[record("a", 1), record("b", 1)]).unwrap();
    let first = spool.read(Position::default(), usize::MAX).unwrap();
    assert_eq!(first.records, [body(1, "a"), body(2, "b")]);
    assert_eq!(spool.acknowledge(&first.spool, 1).unwrap(), 1);
    let usage = spool.usage();
    drop(spool);

    let mut spool = Spool::open(&config).unwrap();
    assert_eq!(spool.usage(), usage);
    let again = spool.read(Position::default(), usize::MAX).unwrap();
    assert_eq!(again.spool, first.spool);
    assert_eq!(again.records, [body(2, "b")]);
}

#[test]
fn sequences_go_on_after_everything_was_acknowledged_and_the_process_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder, "boot", 1 << 20);
    let mut spool = Spool::open(&config).unwrap();
    spool.append(&[record("a", 1), record("b", 1)]).unwrap();
    let id = spool.id().to_owned();
    spool.acknowledge(&id, 2).unwrap();
    assert_eq!(spool.usage().bytes, 0);
    drop(spool);

    let mut spool = Spool::open(&config).unwrap();
    spool.append(&[record("c", 1)]).unwrap();
    assert_eq!(spool.id(), id);
    assert_eq!(all(&mut spool), [body(3, "c")]);
}

#[test]
fn another_boot_begins_a_run_and_the_old_one_is_sent_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(&config(&folder, "one", 1 << 20)).unwrap();
    spool.append(&[record("old", 1)]).unwrap();
    let old = spool.id().to_owned();
    drop(spool);

    let mut spool = Spool::open(&config(&folder, "two", 1 << 20)).unwrap();
    spool.append(&[record("new", 1)]).unwrap();
    assert_ne!(spool.id(), old);
    let first = spool.read(Position::default(), usize::MAX).unwrap();
    assert_eq!(
        (first.spool.as_str(), &*first.records),
        (&*old, &[body(1, "old")][..])
    );
    let second = spool.read(first.next, usize::MAX).unwrap();
    assert_eq!(second.spool, spool.id());
    assert_eq!(second.records, [body(1, "new")]);

    spool.acknowledge(&old, 1).unwrap();
    assert_eq!(all(&mut spool), [body(1, "new")]);
    assert_eq!(spool.acknowledge(&old, 1).unwrap(), 0);
}

#[test]
fn a_batch_ends_before_its_limit_but_holds_at_least_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(&config(&folder, "boot", 1 << 20)).unwrap();
    let records: Vec<_> = (0..5).map(|_| kilobyte(b'x', 1, 1)).collect();
    spool.append(&records).unwrap();
    let first = spool.read(Position::default(), 2 * 936).unwrap();
    assert_eq!(first.records.len(), 2);
    let second = spool.read(first.next, 10).unwrap();
    assert_eq!(second.records.len(), 1);
    assert_eq!(second.records[0].sequence, 3);
    let end = spool.read(second.next, usize::MAX).unwrap();
    assert!(spool.read(end.next, usize::MAX).unwrap().records.is_empty());
}

#[test]
fn important_records_displace_the_least_important_and_leave_a_loss_in_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(&config(&folder, "boot", 3_000)).unwrap();
    spool
        .append(&[
            kilobyte(b'a', 2, 10),
            kilobyte(b'b', 1, 20),
            kilobyte(b'c', 3, 30),
        ])
        .unwrap();
    let appended = spool.append(&[kilobyte(b'd', 3, 40)]).unwrap();
    assert_eq!(
        (appended.placed, appended.unplaced, appended.evicted),
        (40, 0, 30)
    );

    // b gave 936 bytes, which is not enough for 1,000, so a had to go as well.
    let found = all(&mut spool);
    let losses: Vec<_> = found
        .iter()
        .filter_map(|record| match &record.entry {
            Entry::Loss { cause, matches } => Some((record.sequence, cause.as_str(), *matches)),
            Entry::Body(_) => None,
        })
        .collect();
    assert_eq!(losses, [(1, "spool-full", 10), (2, "spool-full", 20)]);
    assert_eq!(found.len(), 4);
    assert!(spool.usage().bytes <= 3_000);
}

#[test]
fn what_finds_no_room_is_counted_and_reported_once_there_is_some() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder, "boot", 2_000);
    let mut spool = Spool::open(&config).unwrap();
    spool
        .append(&[kilobyte(b'a', 5, 1), kilobyte(b'b', 5, 1)])
        .unwrap();
    for _ in 0..3 {
        let appended = spool.append(&[kilobyte(b'c', 5, 7)]).unwrap();
        assert_eq!((appended.placed, appended.unplaced), (0, 7));
    }
    // The count survives a restart.
    drop(spool);
    let mut spool = Spool::open(&config).unwrap();
    let id = spool.id().to_owned();
    spool.acknowledge(&id, 2).unwrap();
    spool.append(&[record("d", 1)]).unwrap();
    assert_eq!(
        all(&mut spool),
        [
            StoredRecord {
                sequence: 3,
                entry: Entry::Loss {
                    cause: "spool-full".to_owned(),
                    matches: 21
                }
            },
            body(4, "d")
        ]
    );
}

#[test]
fn a_record_that_may_be_on_its_way_is_not_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(&config(&folder, "boot", 2_000)).unwrap();
    spool
        .append(&[kilobyte(b'a', 1, 1), kilobyte(b'b', 1, 1)])
        .unwrap();
    spool.read(Position::default(), 1).unwrap();
    let appended = spool.append(&[kilobyte(b'c', 9, 1)]).unwrap();
    assert_eq!((appended.placed, appended.evicted, appended.unplaced), (0, 0, 1));
    assert!(matches!(all(&mut spool)[0].entry, Entry::Body(_)));
}

#[test]
fn losses_from_before_the_spool_take_a_sequence_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(&config(&folder, "boot", 1 << 20)).unwrap();
    let losses = BTreeMap::from([("disk-full".to_owned(), 12)]);
    spool.append_with(&[record("a", 1)], &losses, &[]).unwrap();
    let found = all(&mut spool);
    assert_eq!(
        found[0].entry,
        Entry::Loss {
            cause: "disk-full".to_owned(),
            matches: 12
        }
    );
    assert_eq!(found[1], body(2, "a"));
}

#[test]
fn an_acknowledgement_beyond_the_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(&config(&folder, "boot", 1 << 20)).unwrap();
    spool.append(&[record("a", 1)]).unwrap();
    let id = spool.id().to_owned();
    let error = spool.acknowledge(&id, 2).unwrap_err();
    assert!(matches!(error, SpoolError::AckedBeyondEnd { last: 1, .. }));
    assert_eq!(all(&mut spool).len(), 1);
}

#[test]
fn a_second_process_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder, "boot", 1 << 20);
    let mut spool = Spool::open(&config).unwrap();
    spool.append(&[record("a", 1)]).unwrap();
    let error = Spool::open(&config).unwrap_err();
    assert!(matches!(error, SpoolError::InUse { .. }), "{error:?}");
}

#[test]
fn a_file_that_is_no_spool_is_called_damaged_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder, "boot", 1 << 20);
    let content = "not a database, but long enough to look at ".repeat(50);
    fs::write(&config.path, &content).unwrap();
    let error = Spool::open(&config).unwrap_err();
    assert!(matches!(error, SpoolError::Damaged { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(&config.path).unwrap(), content);
}

#[test]
fn a_receiver_that_lost_what_it_had_hears_what_is_left_and_how_much_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(&config(&folder, "a", 1 << 20)).unwrap();
    let records: Vec<NewRecord> = ["1", "2", "3", "4", "5"].map(|name| record(name, 1)).into();
    spool.append(&records).unwrap();
    let id = spool.id().to_owned();
    spool.acknowledge(&id, 3).unwrap();

    let resumed = spool.resume(&id, 2).unwrap().unwrap();
    assert_eq!(resumed.forgotten, 2);
    let left = spool.read(resumed.position, 1 << 20).unwrap();
    assert_eq!(left.records, [body(4, "4"), body(5, "5")]);
    let resumed = spool.resume(&id, 5).unwrap().unwrap();
    assert_eq!(resumed.forgotten, 0);
    assert_eq!(
        spool.read(resumed.position, 1 << 20).unwrap().records,
        [body(5, "5")]
    );

    assert_eq!(spool.resume(&id, 6).unwrap(), None);
    assert_eq!(spool.resume("another", 1).unwrap(), None);
    for hostile in [0, 1 << 40, u64::MAX] {
        assert_eq!(spool.resume(&id, hostile).unwrap(), None, "{hostile}");
    }
}

#[test]
fn repeats_give_way_before_firsts_and_low_severity_before_high() {
    // Ranks as the agent gives them: by severity, and above every repeat the first match of a group.
    const FIRST: u8 = 8;
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(&config(&folder, "a", 4_000)).unwrap();
    let kept = [
        kilobyte(b'a', 4, 10),
        kilobyte(b'b', FIRST + 1, 1),
        kilobyte(b'c', 1, 20),
        kilobyte(b'd', FIRST + 4, 2),
    ];
    assert_eq!(spool.append(&kept).unwrap().placed, 33);
    // Smaller, so that each of them needs the room of one.
    let urgent = NewRecord {
        body: vec![b'x'; 800],
        matches: 1,
        rank: FIRST + 5,
    };
    let mut order = Vec::new();
    for _ in 0..4 {
        let appended = spool.append(std::slice::from_ref(&urgent)).unwrap();
        assert_eq!((appended.placed, appended.unplaced), (1, 0));
        order.push(appended.evicted);
    }
    // The repeat of low severity, that of high severity, the first of low severity, the first of high severity.
    assert_eq!(order, [20, 10, 1, 2]);
    // Nothing is less important any more, so the next finds no room, and that is counted.
    let repeat = kilobyte(b'y', 5, 7);
    assert_eq!(spool.append(&[repeat]).unwrap().unplaced, 7);
    let lost: u64 = all(&mut spool)
        .iter()
        .filter_map(|stored| match &stored.entry {
            Entry::Loss { matches, .. } => Some(*matches),
            Entry::Body(_) => None,
        })
        .sum();
    assert_eq!(lost, 33);
}

#[test]
fn what_was_counted_comes_back_with_the_records_that_came_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder, "boot", 1 << 20);
    let group = |state: &str, key: &[u8], body: Option<&[u8]>| Changed {
        state: state.to_owned(),
        key: key.into(),
        group: body.map(<[u8]>::to_vec),
    };
    let mut spool = Spool::open(&config).unwrap();
    let groups = [
        group("s1", b"k1", Some(b"a")),
        group("s1", b"k2", Some(b"b")),
        group("s2", b"k1", Some(b"c")),
    ];
    spool.append_with(&[], &BTreeMap::new(), &groups).unwrap();
    let groups = [group("s1", b"k1", Some(b"d")), group("s1", b"k2", None)];
    spool
        .append_with(&[record("a", 1)], &BTreeMap::new(), &groups)
        .unwrap();
    drop(spool);

    let mut spool = Spool::open(&config).unwrap();
    assert_eq!(all(&mut spool), [body(1, "a")]);
    let kept = [group("s1", b"k1", Some(b"d")), group("s2", b"k1", Some(b"c"))];
    assert_eq!(spool.kept_groups().unwrap(), kept);
    spool.keep_states(&["s1"]).unwrap();
    assert_eq!(spool.kept_groups().unwrap(), kept[..1]);
}
