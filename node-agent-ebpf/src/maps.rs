//! Maps and globals of the kernel programs.

use aya_ebpf::{
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray, RingBuf},
};
use yagura_node_agent_ebpf_common::{CgroupState, Counters, MISSING, Offsets, SLOTS_PER_CPU, Settings, kind};

use crate::scratch::Slot;

/// Offsets of this kernel. The loader replaces the value before the verifier sees it.
#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::UNKNOWN;

/// Settings. The loader replaces the value before the verifier sees it.
#[unsafe(no_mangle)]
pub(crate) static SETTINGS: Settings = Settings {
    generation: 0,
    cgroup_subsystem: MISSING,
    exit_tells_group: 0,
    exec_burst: 1,
    exec_interval: 1,
};

/// Fork, exit, first sight of a cgroup, and executions without payload: small and never
/// displaced by large records.
#[map]
pub(crate) static LINEAGE: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Everything else.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(4 << 20, 0);

/// One set of counters a kind and processor.
#[map]
pub(crate) static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(kind::COUNT, 0);

/// Scratch, [`SLOTS_PER_CPU`] for each processor. The loader sizes it.
#[map]
pub(crate) static SCRATCH: Array<Slot> = Array::with_max_entries(SLOTS_PER_CPU, 0);

/// What is known of each cgroup, by id.
#[map]
pub(crate) static CGROUPS: LruHashMap<u64, CgroupState> = LruHashMap::with_max_entries(8192, 0);
