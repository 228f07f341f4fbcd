//! Counters that reconcile.

record! {
    /// One set a record kind and processor. At rest
    /// `seen = filtered + throttled + scratch_busy + ring_full + oversized + submitted`.
    pub struct Counters: 56 {
        /// The hook ran.
        pub seen: u64,
        /// Not an event of this kind, or nobody asked for it.
        pub filtered: u64,
        /// Over the budget of its cgroup.
        pub throttled: u64,
        /// No scratch slot was free on this processor.
        pub scratch_busy: u64,
        /// The ring had no room.
        pub ring_full: u64,
        /// The record was larger than its slot.
        pub oversized: u64,
        /// The record was put on its ring.
        pub submitted: u64,
    }
}

/// Names of the counters in the order of their fields.
pub const COUNTER_NAMES: [&str; 7] = [
    "seen",
    "filtered",
    "throttled",
    "scratch_busy",
    "ring_full",
    "oversized",
    "submitted",
];
