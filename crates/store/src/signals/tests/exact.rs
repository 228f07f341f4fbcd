//! Counts are exact whatever the network and the process do.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{at, found, record};
use crate::signals::{Incoming, Limits, SignalStore};

/// What happens next between an agent and the store.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The agent sends `length` records from `back` before its acknowledged position.
    Send { back: u64, length: u64 },
    /// The same, and the process dies after the statements and before the commit.
    SendAndDie { back: u64, length: u64 },
    /// The process restarts between transactions.
    Restart,
    /// The acknowledgement is lost: the agent starts again from an older position.
    LoseAcks { back: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..20u64, 1..15u64).prop_map(|(back, length)| Step::Send { back, length }),
        1 => (0..20u64, 1..15u64).prop_map(|(back, length)| Step::SendAndDie { back, length }),
        1 => Just(Step::Restart),
        1 => (0..30u64).prop_map(|back| Step::LoseAcks { back }),
    ]
}

/// The records of one spool, fixed before anything is sent: sequence n counts n in group n mod 5.
fn incoming(sequence: u64) -> Incoming {
    record(sequence, found("r", &format!("k{}", sequence % 5), sequence))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_record_counts_once(
        steps in proptest::collection::vec((step(), 0..3usize), 1..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let open = || SignalStore::open(&path, "test", Limits::default()).unwrap();
        let mut store = open();
        let spools = ["a", "b", "c"];
        let mut acknowledged = [0u64; 3];
        let mut durable = [0u64; 3];

        for (step, spool) in steps {
            let send = |store: &mut SignalStore, position: u64, back: u64, length: u64| {
                let from = position.saturating_sub(back) + 1;
                let records = (from..from + length).map(incoming).collect();
                store.apply(spools[spool], "node", records, at(1)).unwrap()
            };
            match step {
                Step::Send { back, length } => {
                    let applied = send(&mut store, acknowledged[spool], back, length);
                    prop_assert_eq!(applied.gap, None);
                    prop_assert!(applied.watermark >= durable[spool]);
                    durable[spool] = applied.watermark;
                    acknowledged[spool] = applied.watermark;
                }
                Step::SendAndDie { back, length } => {
                    store.die_before_commit(true);
                    let from = acknowledged[spool].saturating_sub(back) + 1;
                    let records = (from..from + length).map(incoming).collect();
                    prop_assert!(store.apply(spools[spool], "node", records, at(1)).is_err());
                    drop(store);
                    store = open();
                }
                Step::Restart => {
                    drop(store);
                    store = open();
                }
                Step::LoseAcks { back } => {
                    acknowledged[spool] = acknowledged[spool].saturating_sub(back);
                }
            }
        }

        let mut expected: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for last in durable {
            for sequence in 1..=last {
                *expected.entry(format!("k{}", sequence % 5).into_bytes()).or_default() += sequence;
            }
        }
        let counted: BTreeMap<Vec<u8>, u64> = store
            .pending(at(1_000), 100)
            .unwrap()
            .into_iter()
            .map(|pending| (pending.signal.key, pending.signal.count))
            .collect();
        prop_assert_eq!(counted, expected);
        for (spool, last) in spools.into_iter().zip(durable) {
            prop_assert_eq!(store.watermark(spool).unwrap().unwrap_or(0), last);
        }
    }
}
