//! Counting, and putting records on their rings.

use aya_ebpf::{bindings::BPF_RB_NO_WAKEUP, maps::RingBuf};
use yagura_node_agent_ebpf_common::Counters;

use crate::{atomic, maps::COUNTERS};

/// Adds one to a counter of a kind on this processor. Atomic, because a program may be preempted
/// between the load and the store by another one of the same kind.
macro_rules! count {
    ($kind:expr, $counter:ident) => {
        $crate::emit::add_one(
            $kind,
            core::mem::offset_of!(yagura_node_agent_ebpf_common::Counters, $counter),
        )
    };
}

#[inline(always)]
pub(crate) fn add_one(kind: u32, offset: usize) {
    if let Some(counters) = COUNTERS.get_ptr_mut(kind) {
        let counters: *mut Counters = counters;
        // SAFETY: the offset is one of a field of this type, and every field is a 64-bit integer.
        unsafe { atomic::add(counters.byte_add(offset).cast(), 1) };
    }
}

/// The reader polls, so that a process that executes a program does not pay for a wake-up.
pub(crate) const NO_WAKEUP: u64 = BPF_RB_NO_WAKEUP as u64;

/// Puts a record of fixed size on a ring and counts what came of it.
#[inline(always)]
pub(crate) fn submit<T: 'static>(ring: &RingBuf, kind: u32, record: T) {
    match ring.reserve::<T>(0) {
        Some(mut entry) => {
            entry.write(record);
            entry.submit(NO_WAKEUP);
            count!(kind, submitted);
        }
        None => count!(kind, ring_full),
    }
}
