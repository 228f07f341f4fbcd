//! Cgroups: which one is a container's, and its budget.
//!
//! The first exec in a cgroup walks its path once and tells the reader. What follows from the
//! path is remembered by id; when the record cannot be delivered it is not remembered, so that
//! the next exec tries again and the reader never meets an id without having been told its path.

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_ringbuf_output};
use yagura_node_agent_ebpf_common::{CgroupRecord, CgroupState, Header, flags, kind};

use crate::{
    emit,
    maps::{CGROUPS, LINEAGE},
    path,
    read::read,
    scratch::{PATH, RECORD, Slot},
    task::Task,
};

/// Levels of a cgroup's path that are followed.
const DEPTH: usize = 32;
/// Hexadecimal digits in the id of a container.
const ID: u32 = 64;

/// Takes one execution from the budget of a cgroup. Races between processors may let a few more
/// through; the budget is a guard, not a count.
#[inline(always)]
pub(crate) fn take_token(state: *mut CgroupState, now: u64) -> bool {
    let interval = u64::from(setting!(exec_interval)).max(1);
    let burst = u64::from(setting!(exec_burst));
    // SAFETY: the map's memory outlives the program.
    unsafe {
        let refilled = core::ptr::read_volatile(&raw const (*state).refilled);
        let mut tokens = core::ptr::read_volatile(&raw const (*state).tokens);
        let elapsed = now.saturating_sub(refilled);
        if elapsed >= interval {
            let earned = elapsed / interval;
            tokens = (tokens + earned).min(burst);
            core::ptr::write_volatile(&raw mut (*state).refilled, refilled + earned * interval);
        }
        if tokens == 0 {
            core::ptr::write_volatile(&raw mut (*state).tokens, 0);
            return false;
        }
        core::ptr::write_volatile(&raw mut (*state).tokens, tokens - 1);
    }
    true
}

/// Resolves a cgroup for the first time: tells the reader its path and remembers it. Returns the
/// flags that follow from the path.
#[inline(never)]
pub(crate) fn introduce(slot: *mut Slot, task: u64, cgroup: u64, id: u64) -> u32 {
    count!(kind::CGROUP, seen);
    let task = Task(task);
    walk(slot, cgroup);
    let found = load!(slot, flags);

    let at = (Header::SIZE + CgroupRecord::SIZE) as u32;
    let length = path::copy_out(slot, at);
    let mut header = task.header(kind::CGROUP, id, found);
    header.size = at + length;
    let record = CgroupRecord {
        id,
        path_len: length,
        reserved: 0,
    };
    // SAFETY: header and record fit the slot, and the verifier checks the bound of the length.
    let result = unsafe {
        let start = (&raw mut (*slot).record).cast::<u8>();
        start.cast::<Header>().write(header);
        start.add(Header::SIZE).cast::<CgroupRecord>().write(record);
        let size = (at + length) as usize;
        if size > RECORD {
            count!(kind::CGROUP, oversized);
            return found;
        }
        bpf_ringbuf_output(
            (&raw const LINEAGE).cast_mut().cast(),
            start.cast(),
            size as u64,
            emit::NO_WAKEUP,
        )
    };
    if result == 0 {
        count!(kind::CGROUP, submitted);
        let state = CgroupState {
            tokens: u64::from(setting!(exec_burst)),
            refilled: header.ktime,
            flags: found,
            reserved: 0,
        };
        // A full map evicts; an error only means that the cgroup is introduced once more.
        let _ = CGROUPS.insert(id, state, 0);
    } else {
        count!(kind::CGROUP, ring_full);
    }
    found
}

/// Builds the path of a cgroup in the slot and its flags in the slot's `flags`.
#[inline(always)]
fn walk(slot: *mut Slot, cgroup: u64) {
    store!(slot, position, PATH as u32);
    store!(slot, flags, flags::CGROUP_TRUNCATED);
    store!(slot, dentry, read::<u64>(cgroup, offset!(cgroup_node)));
    for _ in 0..DEPTH {
        let node = load!(slot, dentry);
        let parent: u64 = read(node, offset!(node_parent));
        if parent == 0 {
            let found = load!(slot, flags) & !flags::CGROUP_TRUNCATED;
            store!(slot, flags, found);
            break;
        }
        if !prepend(slot, read(node, offset!(node_name))) {
            break;
        }
        store!(slot, dentry, parent);
    }
}

/// Puts a slash and a name before what is there, and looks whether the name is a container's.
#[inline(always)]
fn prepend(slot: *mut Slot, text: u64) -> bool {
    // SAFETY: the buffer is longer than the bound.
    let copied = unsafe { bpf_probe_read_kernel_str((&raw mut (*slot).name).cast(), 256, text as *const _) };
    if copied < 1 {
        return false;
    }
    store!(slot, length, copied as u32 - 1);
    let length = load!(slot, length) & 0xff;
    if load!(slot, flags) & flags::IN_CONTAINER == 0 && names_container(slot, length) {
        let found = load!(slot, flags) | flags::IN_CONTAINER;
        store!(slot, flags, found);
    }
    let position = load!(slot, position);
    if position < length + 2 {
        return false;
    }
    store!(slot, position, position - length - 1);
    let start = load!(slot, position) as usize & (PATH - 1);
    let length = load!(slot, length) & 0xff;
    // SAFETY: the start is below `PATH`, and the buffer is longer by a whole name and its slash.
    unsafe {
        let place = (&raw mut (*slot).path).cast::<u8>().add(start);
        core::ptr::write_volatile(place, b'/');
        bpf_probe_read_kernel(place.add(1).cast(), length, (&raw const (*slot).name).cast());
    }
    true
}

/// Whether a directory's name is a container's: 64 hexadecimal digits, alone or behind a prefix
/// and a dash, with or without `.scope`. The monitor of a container (`conmon`) is not it.
///
/// Written without branches where it can be: the verifier follows each branch on each level of
/// the path.
#[inline(always)]
fn names_container(slot: *mut Slot, length: u32) -> bool {
    let at = |back: u32| byte(slot, length.wrapping_sub(back));
    let unit = (at(6) == b'.') & (at(5) == b's') & (at(4) == b'c') & (at(1) == b'e');
    let end = length - 6 * u32::from(unit & (length >= 6));
    if end < ID {
        return false;
    }
    let first = end - ID;
    let before = |back: u32| byte(slot, first.wrapping_sub(back));
    let dashed = (first == 0) | (before(1) == b'-');
    // "conmon-"
    let monitor = (first >= 7) & (before(2) == b'n') & (before(5) == b'n') & (before(7) == b'c');
    dashed & !monitor & hexadecimal(slot, first)
}

/// Whether the 64 bytes at `first` of the name are lower-case hexadecimal digits. Eight bytes at a
/// time: the highest bit of each byte says whether the byte is at least some character, because
/// what is added to an ASCII character never carries into the next byte.
#[inline(always)]
fn hexadecimal(slot: *mut Slot, first: u32) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const fn at_least(character: u8) -> u64 {
        (0x80 - character as u64) * EACH
    }
    let mut words = [0_u64; ID as usize / 8];
    // SAFETY: the place is masked to half of the buffer, and the rest is longer than the read.
    let result = unsafe {
        let from = (&raw const (*slot).name).cast::<u8>().add(first as usize & 0xff);
        bpf_probe_read_kernel((&raw mut words).cast(), ID, from.cast())
    };
    let mut strange = 0;
    for word in words {
        let digit = word.wrapping_add(at_least(b'0')) & !word.wrapping_add(at_least(b'9' + 1));
        let letter = word.wrapping_add(at_least(b'a')) & !word.wrapping_add(at_least(b'f' + 1));
        strange |= (word | !(digit | letter)) & HIGH;
    }
    (result == 0) & (strange == 0)
}

#[inline(always)]
fn byte(slot: *mut Slot, index: u32) -> u8 {
    // SAFETY: masked below the size of the buffer.
    unsafe { core::ptr::read_volatile((&raw const (*slot).name).cast::<u8>().add(index as usize & 0xff)) }
}
