//! Scratch memory for records that are too large for the stack.
//!
//! A program may be preempted and another one run on the same processor, so a plain per-processor
//! buffer could put one process's path on another's record. Each processor has a few slots, and a
//! slot is claimed by adding one to its user count and looking whether the count is one: whoever
//! reads one is alone until it subtracts again. Two claims that cross both fail and try the next
//! slot. This needs no instruction newer than an atomic add, which every kernel with BTF has.

use aya_ebpf::helpers::bpf_get_smp_processor_id;
use yagura_node_agent_ebpf_common::SLOTS_PER_CPU;

use crate::{atomic, maps::SCRATCH};

/// Room for header, record and paths. A power of two, so that a mask bounds an offset.
pub(crate) const HEAD: usize = 16 * 1024;
/// Room for the arguments behind that.
pub(crate) const RECORD: usize = HEAD + 32 * 1024;
/// Where a path is built, from its end to its front.
pub(crate) const PATH: usize = 4096;

/// One slot. Loop state lives in here and not in registers: the verifier then forgets it from one
/// round to the next and does not multiply its cases.
#[repr(C)]
pub(crate) struct Slot {
    users: u64,
    pub(crate) dentry: u64,
    pub(crate) mount: u64,
    pub(crate) root: u64,
    pub(crate) position: u32,
    pub(crate) length: u32,
    pub(crate) flags: u32,
    pub(crate) reserved: u32,
    pub(crate) record: [u8; RECORD],
    /// The last component may start just below the end, so there is room for a whole name.
    pub(crate) path: [u8; PATH + 256],
    pub(crate) name: [u8; 512],
}

/// A claimed slot.
#[derive(Clone, Copy)]
pub(crate) struct Claim(pub(crate) *mut Slot);

/// Reads a field of a slot without letting the compiler remember its value.
macro_rules! load {
    ($slot:expr, $field:ident) => {
        // SAFETY: a claimed slot is valid and not shared.
        unsafe { core::ptr::read_volatile(&raw const (*$slot).$field) }
    };
}

/// Writes a field of a slot.
macro_rules! store {
    ($slot:expr, $field:ident, $value:expr) => {{
        let value = $value;
        // SAFETY: a claimed slot is valid and not shared.
        unsafe { core::ptr::write_volatile(&raw mut (*$slot).$field, value) }
    }};
}

/// Claims a slot of this processor; `None` when all are in use.
#[inline(always)]
pub(crate) fn claim() -> Option<Claim> {
    // SAFETY: the helper has no precondition.
    let first = unsafe { bpf_get_smp_processor_id() } * SLOTS_PER_CPU;
    claim_at(first).or_else(|| claim_at(first + 1))
}

const _: () = assert!(SLOTS_PER_CPU == 2, "claim tries two slots");

#[inline(always)]
fn claim_at(index: u32) -> Option<Claim> {
    let slot = SCRATCH.get_ptr_mut(index)?;
    // SAFETY: the map's memory outlives the program, and the field is only added to.
    unsafe {
        let users = &raw mut (*slot).users;
        atomic::add(users, 1);
        if core::ptr::read_volatile(users) == 1 {
            return Some(Claim(slot));
        }
        atomic::add(users, LEAVE);
    }
    None
}

/// Added to the user count to subtract one.
const LEAVE: u64 = u64::MAX;

impl Claim {
    /// Gives the slot back.
    #[inline(always)]
    pub(crate) fn release(self) {
        // SAFETY: as in `claim_at`.
        unsafe { atomic::add(&raw mut (*self.0).users, LEAVE) };
    }
}
