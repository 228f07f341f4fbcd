//! Counters of the kernel side and of the reader, and the sums that must agree.

use std::sync::atomic::{AtomicU64, Ordering};

use aya::maps::{MapData, MapError, PerCpuArray};
use yagura_node_agent_ebpf_common::{COUNTER_NAMES, Counters, kind};

/// Number of counters in a set.
const SET: usize = COUNTER_NAMES.len();

/// What became of the hits of one kind of record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindCounts {
    /// Name of the kind, such as `exec`.
    pub kind: &'static str,
    /// Hits that the kernel did not pass to the program, because it was running already.
    pub missed: u64,
    /// The hook ran.
    pub seen: u64,
    /// Not an event of this kind (a thread, not a process).
    pub filtered: u64,
    /// Over the budget of a cgroup.
    pub throttled: u64,
    /// No scratch memory was free.
    pub scratch_busy: u64,
    /// The ring was full.
    pub ring_full: u64,
    /// The record was too large.
    pub oversized: u64,
    /// Put on the ring.
    pub submitted: u64,
    /// Taken from the ring.
    pub received: u64,
    /// Understood.
    pub decoded: u64,
    /// Not understood.
    pub undecodable: u64,
}

/// All counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CounterSnapshot {
    /// By kind.
    pub kinds: Vec<KindCounts>,
    /// Records from a ring whose kind is not known, or that have no header.
    pub foreign: u64,
}

impl KindCounts {
    /// Hits that gave no record: what was lost, not what was not asked for.
    pub fn lost(&self) -> u64 {
        self.missed + self.throttled + self.scratch_busy + self.ring_full + self.oversized
    }

    /// What the kernel side says became of the hits that it saw.
    fn explained(&self) -> u64 {
        self.filtered + self.throttled + self.scratch_busy + self.ring_full + self.oversized + self.submitted
    }
}

impl CounterSnapshot {
    /// The counts of a kind by its name.
    pub fn kind(&self, name: &str) -> Option<&KindCounts> {
        self.kinds.iter().find(|counts| counts.kind == name)
    }

    /// Runs of the hooks.
    pub fn seen(&self) -> u64 {
        self.kinds.iter().map(|counts| counts.seen).sum()
    }

    /// Records that never became an event, each by a named cause.
    pub fn lost(&self) -> u64 {
        self.kinds
            .iter()
            .map(|counts| counts.lost() + counts.undecodable)
            .sum::<u64>()
            + self.foreign
    }

    /// The same by cause, as losses name it.
    pub fn lost_by_cause(&self) -> [(&'static str, u64); 6] {
        let sum = |of: fn(&KindCounts) -> u64| self.kinds.iter().map(of).sum::<u64>();
        [
            ("sensor-missed", sum(|counts| counts.missed)),
            ("sensor-oversized", sum(|counts| counts.oversized)),
            ("sensor-ring-full", sum(|counts| counts.ring_full)),
            ("sensor-scratch-busy", sum(|counts| counts.scratch_busy)),
            ("sensor-throttled", sum(|counts| counts.throttled)),
            (
                "sensor-undecodable",
                sum(|counts| counts.undecodable) + self.foreign,
            ),
        ]
    }

    /// Records that no counter explains: 0 at rest.
    pub fn unexplained(&self) -> u64 {
        let of_kind = |counts: &KindCounts| {
            counts.seen.abs_diff(counts.explained())
                + counts.submitted.abs_diff(counts.received)
                + counts.received.abs_diff(counts.decoded + counts.undecodable)
        };
        self.kinds.iter().map(of_kind).sum()
    }

    /// Where the sums do not agree; empty at rest. Each text names the kind and both sides.
    pub fn differences(&self) -> Vec<String> {
        let mut differences = Vec::new();
        for counts in &self.kinds {
            let explained = counts.explained();
            if counts.seen != explained {
                differences.push(format!(
                    "{}: seen {} but {explained} explained",
                    counts.kind, counts.seen
                ));
            }
            if counts.submitted != counts.received {
                differences.push(format!(
                    "{}: submitted {} but received {}",
                    counts.kind, counts.submitted, counts.received
                ));
            }
            if counts.received != counts.decoded + counts.undecodable {
                differences.push(format!(
                    "{}: received {} but decoded {} and undecodable {}",
                    counts.kind, counts.received, counts.decoded, counts.undecodable
                ));
            }
        }
        if self.foreign != 0 {
            differences.push(format!("{} records of no known kind", self.foreign));
        }
        differences
    }
}

/// The reader's half, shared between its thread and whoever asks.
#[derive(Debug, Default)]
pub(super) struct ReaderCounts {
    decoded: [AtomicU64; kind::COUNT as usize],
    undecodable: [AtomicU64; kind::COUNT as usize],
    foreign: AtomicU64,
}

impl ReaderCounts {
    /// A record was taken from a ring and understood.
    pub(super) fn decoded(&self, kind: u32) {
        self.add(&self.decoded, Some(kind));
    }

    /// A record was taken from a ring and not understood. `kind` is what it claims to be, if
    /// anything.
    pub(super) fn undecodable(&self, kind: Option<u32>) {
        self.add(&self.undecodable, kind);
    }

    fn add(&self, counters: &[AtomicU64], kind: Option<u32>) {
        kind.and_then(|kind| counters.get(usize::try_from(kind).ok()?))
            .unwrap_or(&self.foreign)
            .fetch_add(1, Ordering::Relaxed);
    }
}

/// Reads both halves. `missed` is asked for each kind.
pub(super) fn snapshot(
    kernel: &PerCpuArray<MapData, [u64; SET]>,
    reader: &ReaderCounts,
    missed: impl Fn(u32) -> u64,
) -> Result<CounterSnapshot, MapError> {
    const { assert!(Counters::SIZE == SET * 8) };
    let mut kinds = Vec::with_capacity(kind::NAMES.len());
    for ((number, name), (decoded, undecodable)) in (0..)
        .zip(kind::NAMES)
        .zip(reader.decoded.iter().zip(&reader.undecodable))
    {
        let decoded = decoded.load(Ordering::Relaxed);
        let undecodable = undecodable.load(Ordering::Relaxed);
        let mut sum = [0_u64; SET];
        for cpu in kernel.get(&number, 0)?.iter() {
            for (total, value) in sum.iter_mut().zip(cpu) {
                *total += value;
            }
        }
        let [
            seen,
            filtered,
            throttled,
            scratch_busy,
            ring_full,
            oversized,
            submitted,
        ] = sum;
        kinds.push(KindCounts {
            kind: name,
            missed: missed(number),
            seen,
            filtered,
            throttled,
            scratch_busy,
            ring_full,
            oversized,
            submitted,
            received: decoded + undecodable,
            decoded,
            undecodable,
        });
    }
    Ok(CounterSnapshot {
        kinds,
        foreign: reader.foreign.load(Ordering::Relaxed),
    })
}

#[cfg(test)]
mod tests {
    use super::{CounterSnapshot, KindCounts};

    #[test]
    fn differences_name_what_does_not_add_up() {
        let good = KindCounts {
            kind: "exec",
            seen: 10,
            ring_full: 3,
            throttled: 1,
            submitted: 6,
            received: 6,
            decoded: 5,
            undecodable: 1,
            ..KindCounts::default()
        };
        let mut snapshot = CounterSnapshot {
            kinds: vec![good],
            foreign: 0,
        };
        assert_eq!(snapshot.differences(), [] as [String; 0]);
        assert_eq!(snapshot.kinds[0].lost(), 4);
        let by_cause: u64 = snapshot.lost_by_cause().iter().map(|(_, lost)| lost).sum();
        assert_eq!((by_cause, snapshot.lost()), (5, 5));
        snapshot.kinds[0].received = 7;
        assert_eq!(
            snapshot.differences(),
            [
                "exec: submitted 6 but received 7",
                "exec: received 7 but decoded 5 and undecodable 1"
            ]
        );
    }
}
