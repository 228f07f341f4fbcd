//! Putting the records of both rings into the order in which they happened.
//!
//! A record appears on its ring a little after its hook ran, and each ring has its own order. So
//! records wait in here for a bounded time, [`WINDOW`], or until there are too many of them, and
//! leave sorted by the kernel's clock; at equal times the lineage ring goes first. Their bytes
//! share one buffer, so that a record costs no allocation of its own.

use std::time::Duration;

use yagura_node_agent_ebpf_common::Header;

/// How long a record waits for an earlier one. A hook takes microseconds, unless its thread is
/// interrupted in the middle.
pub(super) const WINDOW: Duration = Duration::from_millis(5);
/// Most records that wait.
const MOST_RECORDS: usize = 64 * 1024;
/// Most bytes that wait: a few hundred executions with the longest arguments.
const MOST_BYTES: usize = 12 * 1024 * 1024;
/// What the buffer keeps when it is empty.
const KEPT_BYTES: usize = 1024 * 1024;

/// Which ring a record came from. The order is the order at equal times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ring {
    /// Fork, exit and other small records.
    Lineage,
    /// Everything else.
    Events,
}

/// Records that wait.
#[derive(Debug, Default)]
pub(super) struct Merge {
    bytes: Vec<u8>,
    waiting: Vec<Waiting>,
    arrived: u64,
    moved: Vec<u8>,
}

/// Sorted by its fields from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    ktime: u64,
    ring: Ring,
    arrival: u64,
    start: usize,
    end: usize,
}

impl Merge {
    /// Takes a record from a ring. Bytes without a whole header go to the front: whoever decodes
    /// them counts them.
    pub(super) fn push(&mut self, ring: Ring, record: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        self.waiting.push(Waiting {
            ktime: Header::take(record).map_or(0, |(header, _)| header.ktime),
            ring,
            arrival: self.arrived,
            start,
            end: self.bytes.len(),
        });
        self.arrived += 1;
    }

    /// Whether no more may be pushed before [`Merge::release`].
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MOST_RECORDS || self.bytes.len() >= MOST_BYTES
    }

    /// Hands out, in order, what happened before `until` (nanoseconds of the boot clock), or
    /// everything when there is no room for more.
    pub(super) fn release(&mut self, until: u64, mut record: impl FnMut(&[u8])) {
        let all = self.is_full();
        self.waiting.sort_unstable();
        let count = if all {
            self.waiting.len()
        } else {
            self.waiting.partition_point(|waiting| waiting.ktime < until)
        };
        if count == 0 {
            return;
        }
        for waiting in self.waiting.drain(..count) {
            record(self.bytes.get(waiting.start..waiting.end).unwrap_or_default());
        }
        self.moved.clear();
        for waiting in &mut self.waiting {
            let start = self.moved.len();
            self.moved
                .extend_from_slice(self.bytes.get(waiting.start..waiting.end).unwrap_or_default());
            (waiting.start, waiting.end) = (start, self.moved.len());
        }
        std::mem::swap(&mut self.bytes, &mut self.moved);
        self.moved.clear();
        self.moved.shrink_to(KEPT_BYTES);
        if self.bytes.is_empty() {
            self.bytes.shrink_to(KEPT_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use yagura_node_agent_ebpf_common::{Header, kind};

    use super::{MOST_RECORDS, Merge, Ring};

    fn record(ktime: u64, tgid: u32) -> Vec<u8> {
        let header = Header {
            kind: kind::EXIT,
            size: 56,
            ktime,
            start: 0,
            cgroup: 0,
            tgid,
            tid: 0,
            cpu: 0,
            flags: 0,
            generation: 0,
            reserved: 0,
        };
        header.to_bytes().to_vec()
    }

    fn released(merge: &mut Merge, until: u64) -> Vec<u32> {
        let mut order = Vec::new();
        merge.release(until, |bytes| order.push(Header::take(bytes).unwrap().0.tgid));
        order
    }

    #[test]
    fn records_leave_in_the_order_of_the_kernel_clock() {
        let mut merge = Merge::default();
        merge.push(Ring::Events, &record(20, 2));
        merge.push(Ring::Events, &record(10, 1));
        merge.push(Ring::Lineage, &record(20, 3));
        merge.push(Ring::Lineage, &record(40, 4));
        assert_eq!(released(&mut merge, 30), [1, 3, 2]);
        merge.push(Ring::Lineage, &record(35, 5));
        assert_eq!(released(&mut merge, 41), [5, 4]);
        assert_eq!(released(&mut merge, u64::MAX), [] as [u32; 0]);
    }

    #[test]
    fn a_full_window_lets_everything_go() {
        let mut merge = Merge::default();
        for index in 0..MOST_RECORDS {
            merge.push(
                Ring::Lineage,
                &record(u64::MAX - 1, u32::try_from(index).unwrap()),
            );
        }
        assert!(merge.is_full());
        assert_eq!(released(&mut merge, 1).len(), MOST_RECORDS);
        assert!(!merge.is_full());
    }

    #[test]
    fn bytes_without_a_header_are_handed_on() {
        let mut merge = Merge::default();
        merge.push(Ring::Events, b"short");
        let mut seen = Vec::new();
        merge.release(1, |bytes| seen.push(bytes.to_vec()));
        assert_eq!(seen, [b"short"]);
    }
}
