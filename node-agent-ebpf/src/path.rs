//! Resolving a path: from a dentry up to the root of its mount tree.
//!
//! The walk ends at the root of the mount tree and not at the task's own root directory, so that
//! a `chroot` cannot hide where a file really is. In a container this is the container's root.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use yagura_node_agent_ebpf_common::{NAME_MAX, PATH_DEPTH_MAX};

use crate::{
    read::read,
    scratch::{HEAD, PATH, Slot},
};

/// The path is longer or deeper than there is room for.
pub(crate) const TRUNCATED: u32 = 1;
/// The walk ended at a directory that is no root.
pub(crate) const DETACHED: u32 = 2;
/// The file has no name in its directory any more.
pub(crate) const UNLINKED: u32 = 4;
/// The file is an anonymous memory file.
pub(crate) const MEMFD: u32 = 8;

/// Builds the path of `dentry` on `vfsmount` in the slot, from the end to the front. Returns the
/// flags of this module; the slot's `position` says where the path starts.
///
/// A file that is the root of a mount which hangs nowhere has no path: runtimes execute a copy of
/// themselves like this. With `is_file` its path within its file system stands in.
///
/// Not inlined, so that the programs hold the loop once.
#[inline(never)]
pub(crate) fn walk(slot: *mut Slot, vfsmount: u64, dentry: u64, is_file: u64) -> u32 {
    let mount = vfsmount.wrapping_sub(u64::from(offset!(mount_vfsmount)));
    store!(slot, mount, mount);
    store!(slot, root, read::<u64>(vfsmount, offset!(vfsmount_root)));
    store!(slot, dentry, dentry);
    store!(slot, position, PATH as u32);
    store!(slot, flags, TRUNCATED);

    let parent: u64 = read(dentry, offset!(dentry_parent));
    let unlinked = if parent == dentry {
        // Its own parent and not the root of a visible mount: a file without a directory.
        if anonymous(slot, dentry) { MEMFD } else { 0 }
    } else if read::<u64>(dentry, offset!(dentry_hash)) == 0 {
        UNLINKED
    } else {
        0
    };
    if unlinked == MEMFD {
        return MEMFD;
    }

    for _ in 0..PATH_DEPTH_MAX {
        let dentry = load!(slot, dentry);
        let mount = load!(slot, mount);
        let parent: u64 = read(dentry, offset!(dentry_parent));
        if dentry == load!(slot, root) {
            let above: u64 = read(mount, offset!(mount_parent));
            if above == mount {
                if is_file != 0 && load!(slot, position) == PATH as u32 {
                    store!(slot, root, 0);
                    continue;
                }
                store!(slot, flags, 0);
                break;
            }
            store!(slot, dentry, read::<u64>(mount, offset!(mount_mountpoint)));
            store!(slot, mount, above);
            let root: u64 = read(
                above.wrapping_add(u64::from(offset!(mount_vfsmount))),
                offset!(vfsmount_root),
            );
            store!(slot, root, root);
            continue;
        }
        if parent == dentry {
            let flags = if load!(slot, root) == 0 { 0 } else { DETACHED };
            store!(slot, flags, flags);
            break;
        }
        if !prepend(slot, dentry) {
            break;
        }
        store!(slot, dentry, parent);
    }
    load!(slot, flags) | unlinked
}

/// Puts a slash and the name of `dentry` before what is there; false when there is no room.
#[inline(always)]
fn prepend(slot: *mut Slot, dentry: u64) -> bool {
    let name = dentry.wrapping_add(u64::from(offset!(dentry_name)));
    let length = read::<u32>(name, offset!(qstr_len)) & NAME_MAX as u32;
    let text: u64 = read(name, offset!(qstr_name));
    store!(slot, length, length);
    let position = load!(slot, position);
    // One byte always stays free, so that a length never reaches the size of the mask below.
    if position < length + 2 {
        return false;
    }
    let start = position - length - 1;
    store!(slot, position, start);
    // Read back, so that the compiler cannot prove the masks away that the verifier needs.
    let start = load!(slot, position) as usize & (PATH - 1);
    let length = load!(slot, length) & NAME_MAX as u32;
    // SAFETY: the start is below `PATH`, and the buffer is longer by a whole name and its slash.
    unsafe {
        let place = (&raw mut (*slot).path).cast::<u8>().add(start);
        core::ptr::write_volatile(place, b'/');
        bpf_probe_read_kernel(place.add(1).cast(), length, text as *const _);
    }
    true
}

/// Whether a file that is its own parent is named as memory files are, and if so its name
/// becomes the path.
#[inline(always)]
fn anonymous(slot: *mut Slot, dentry: u64) -> bool {
    let name = dentry.wrapping_add(u64::from(offset!(dentry_name)));
    let text: u64 = read(name, offset!(qstr_name));
    // "memfd:" and the first two bytes of the name given to it.
    if read::<u64>(text, 0) & 0xffff_ffff_ffff != u64::from_le_bytes(*b"memfd:\0\0") {
        return false;
    }
    prepend(slot, dentry)
}

/// Copies the path that [`walk`] built to `at` in the record and returns its length.
#[inline(always)]
pub(crate) fn copy_out(slot: *mut Slot, at: u32) -> u32 {
    let position = load!(slot, position) as usize;
    if position >= PATH {
        // Nothing above the root itself.
        // SAFETY: masked to the room for the head of a record.
        unsafe {
            let place = (&raw mut (*slot).record)
                .cast::<u8>()
                .add(at as usize & (HEAD - 1));
            core::ptr::write_volatile(place, b'/');
        }
        return 1;
    }
    let start = position & (PATH - 1);
    let length = (PATH - start) as u32 & (PATH as u32 - 1);
    // SAFETY: both places are masked to their buffers, which are longer than place and length.
    unsafe {
        let from = (&raw const (*slot).path).cast::<u8>().add(start);
        let to = (&raw mut (*slot).record)
            .cast::<u8>()
            .add(at as usize & (HEAD - 1));
        bpf_probe_read_kernel(to.cast(), length, from.cast());
    }
    length
}
