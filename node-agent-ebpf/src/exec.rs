//! Program execution, in full or, when that cannot be delivered, as lineage.

use aya_ebpf::{
    helpers::{
        bpf_ktime_get_boot_ns,
        generated::{bpf_probe_read_user, bpf_ringbuf_output},
    },
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use yagura_node_agent_ebpf_common::{
    ARGS_MAX, ExecLineageRecord, ExecRecord, Header, MISSING, flags, kind, payload_loss,
};

use crate::{
    cgroup, emit,
    maps::{CGROUPS, EVENTS, LINEAGE},
    path,
    read::read,
    scratch::{HEAD, RECORD, Slot, claim},
    task::{PidNamespace, Task, cgroup_id},
};

/// `OVERLAYFS_SUPER_MAGIC`
const OVERLAY_MAGIC: u64 = 0x794c_7630;
/// Index of the session leader in `signal_struct.pids`.
const PIDTYPE_SID: u32 = 3;
/// The type bits of a file mode.
const FILE_TYPE: u32 = 0o170_000;

#[repr(C)]
struct ExecLineage {
    header: Header,
    record: ExecLineageRecord,
}

/// `sched_process_exec(task, old_pid, binprm)`: in the process, after the point of no return.
#[btf_tracepoint(function = "sched_process_exec")]
pub(crate) fn process_exec(ctx: BtfTracePointContext) -> i32 {
    count!(kind::EXEC, seen);
    let task = Task(ctx.arg::<u64>(0));
    let binprm = ctx.arg::<u64>(2);
    let namespace = task.pid_namespace();
    let flags = if namespace.level > 0 {
        flags::IN_CONTAINER | flags::PID_NAMESPACE
    } else {
        0
    };
    let cgroup = task.cgroup();
    let id = cgroup_id(cgroup);

    let known = CGROUPS.get_ptr_mut(id);
    let mut flags = flags;
    if let Some(state) = known {
        // SAFETY: the map's memory outlives the program.
        flags |= unsafe { core::ptr::read_volatile(&raw const (*state).flags) };
        // SAFETY: the helper has no precondition.
        let now = unsafe { bpf_ktime_get_boot_ns() };
        if !cgroup::take_token(state, now) {
            count!(kind::EXEC, throttled);
            lineage(task, id, flags, namespace, payload_loss::THROTTLED);
            return 0;
        }
    }

    let Some(claim) = claim() else {
        count!(kind::EXEC, scratch_busy);
        lineage(task, id, flags, namespace, payload_loss::SCRATCH_BUSY);
        return 0;
    };
    if known.is_none() {
        flags |= cgroup::introduce(claim.0, task.0, cgroup, id);
    }
    let loss = full(claim.0, task, binprm, id, flags, namespace);
    claim.release();
    if loss != 0 {
        lineage(task, id, flags, namespace, loss);
    }
    0
}

/// Builds and submits the full record. Returns 0, or why it was not delivered.
#[inline(always)]
fn full(slot: *mut Slot, task: Task, binprm: u64, cgroup: u64, flags: u32, namespace: PidNamespace) -> u32 {
    let mut header = task.header(kind::EXEC, cgroup, flags);
    // SAFETY: the slot is claimed, and the place lies in its head.
    let record = unsafe {
        &mut *(&raw mut (*slot).record)
            .cast::<u8>()
            .add(Header::SIZE)
            .cast::<ExecRecord>()
    };
    let mut at = (Header::SIZE + ExecRecord::SIZE) as u32;

    let mm: u64 = read(task.0, offset!(task_mm));
    let file: u64 = read(mm, offset!(mm_exe_file));
    credentials(record, task);
    header.flags |= executable(record, file);
    record.pid_namespace = namespace.inode;
    let parent = task.parent();
    record.parent_tgid = parent.tgid();
    record.parent_start = parent.process_start();
    record.comm = task.comm();
    surroundings(record, task);

    let place = file.wrapping_add(u64::from(offset!(file_path)));
    let walked = path::walk(
        slot,
        read(place, offset!(path_mount)),
        read(place, offset!(path_dentry)),
        1,
    );
    header.flags |= executable_path_flags(walked);
    record.path_len = path::copy_out(slot, at);
    at += record.path_len;

    let fs: u64 = read(task.0, offset!(task_fs));
    let place = fs.wrapping_add(u64::from(offset!(fs_pwd)));
    let walked = path::walk(
        slot,
        read(place, offset!(path_mount)),
        read(place, offset!(path_dentry)),
        0,
    );
    if walked & path::TRUNCATED != 0 {
        header.flags |= flags::CWD_TRUNCATED;
    }
    record.cwd_len = path::copy_out(slot, at);
    at += record.cwd_len;

    if offset!(binprm_secure) != MISSING {
        let bit = offset!(binprm_secure);
        if read::<u8>(binprm, bit / 8) & (1 << (bit % 8)) != 0 {
            header.flags |= flags::SECURE_EXEC;
        }
    }

    header.flags |= arguments(slot, record, mm, at);
    record.reserved = 0;
    let size = at + record.args_len;
    header.size = size;
    // SAFETY: as above.
    unsafe { (&raw mut (*slot).record).cast::<Header>().write(header) };

    // Read back, so that the comparison with the slot's size is not folded away.
    store!(slot, length, size);
    let size = load!(slot, length) as usize;
    if size > RECORD {
        count!(kind::EXEC, oversized);
        return payload_loss::OVERSIZED;
    }
    // SAFETY: the size is at most the slot's.
    let result = unsafe {
        bpf_ringbuf_output(
            (&raw const EVENTS).cast_mut().cast(),
            (&raw mut (*slot).record).cast(),
            size as u64,
            emit::NO_WAKEUP,
        )
    };
    if result == 0 {
        count!(kind::EXEC, submitted);
        0
    } else {
        count!(kind::EXEC, ring_full);
        payload_loss::RING_FULL
    }
}

#[inline(always)]
fn executable_path_flags(walked: u32) -> u32 {
    let mut flags = 0;
    if walked & path::TRUNCATED != 0 {
        flags |= flags::PATH_TRUNCATED;
    }
    if walked & path::DETACHED != 0 {
        flags |= flags::PATH_DETACHED;
    }
    if walked & path::UNLINKED != 0 {
        flags |= flags::DELETED;
    }
    if walked & path::MEMFD != 0 {
        flags |= flags::MEMFD;
    }
    flags
}

#[inline(always)]
fn credentials(record: &mut ExecRecord, task: Task) {
    let cred = task.cred();
    record.uid = read(cred, offset!(cred_uid));
    record.gid = read(cred, offset!(cred_gid));
    record.euid = read(cred, offset!(cred_euid));
    record.egid = read(cred, offset!(cred_egid));
    record.cap_effective = read(cred, offset!(cred_cap_effective));
    record.login_uid = u32::MAX;
    if offset!(task_login_uid) != MISSING {
        record.login_uid = read(task.0, offset!(task_login_uid));
    }
}

/// Facts about the executable's inode; returns header flags.
#[inline(always)]
fn executable(record: &mut ExecRecord, file: u64) -> u32 {
    let inode: u64 = read(file, offset!(file_inode));
    record.inode = read(inode, offset!(inode_number));
    record.mode = u32::from(read::<u16>(inode, offset!(inode_mode)));
    record.owner_uid = read(inode, offset!(inode_uid));
    record.owner_gid = read(inode, offset!(inode_gid));
    record.links = read(inode, offset!(inode_links));
    let block: u64 = read(inode, offset!(inode_sb));
    record.device = read(block, offset!(sb_device));
    if read::<u64>(block, offset!(sb_magic)) != OVERLAY_MAGIC {
        return 0;
    }
    let mut flags = flags::OVERLAY;
    if offset!(overlay_inode) != MISSING && offset!(overlay_upper) != MISSING {
        let overlay = inode.wrapping_sub(u64::from(offset!(overlay_inode)));
        if read::<u64>(overlay, offset!(overlay_upper)) != 0 {
            flags |= flags::UPPER_LAYER;
        }
    }
    flags
}

/// Terminal, session, namespaces and standard descriptors.
#[inline(always)]
fn surroundings(record: &mut ExecRecord, task: Task) {
    let signal: u64 = read(task.0, offset!(task_signal));
    record.tty = [0; 16];
    record.session_leader = 0;
    if offset!(signal_tty) != MISSING && offset!(signal_pids) != MISSING && offset!(tty_name) != MISSING {
        let tty: u64 = read(signal, offset!(signal_tty));
        if tty != 0 {
            record.tty = read(tty, offset!(tty_name));
        }
        let leader: u64 = read(signal, offset!(signal_pids) + PIDTYPE_SID * 8);
        record.session_leader = read(leader, offset!(pid_numbers) + offset!(upid_nr));
    }

    record.mount_namespace = 0;
    record.network_namespace = 0;
    if offset!(task_nsproxy) != MISSING
        && offset!(nsproxy_mount) != MISSING
        && offset!(nsproxy_network) != MISSING
        && offset!(mount_ns_inum) != MISSING
        && offset!(network_ns_inum) != MISSING
    {
        let proxy: u64 = read(task.0, offset!(task_nsproxy));
        let mount: u64 = read(proxy, offset!(nsproxy_mount));
        let network: u64 = read(proxy, offset!(nsproxy_network));
        record.mount_namespace = read(mount, offset!(mount_ns_inum));
        record.network_namespace = read(network, offset!(network_ns_inum));
    }

    record.stdin_type = 0;
    record.stdout_type = 0;
    record.stderr_type = 0;
    record.stdin_device = 0;
    record.stdout_device = 0;
    record.stderr_device = 0;
    if offset!(task_files) != MISSING
        && offset!(files_table) != MISSING
        && offset!(table_files) != MISSING
        && offset!(inode_device) != MISSING
    {
        let files: u64 = read(task.0, offset!(task_files));
        let table: u64 = read(files, offset!(files_table));
        let open: u64 = read(table, offset!(table_files));
        (record.stdin_type, record.stdin_device) = descriptor(open, 0);
        (record.stdout_type, record.stdout_device) = descriptor(open, 1);
        (record.stderr_type, record.stderr_device) = descriptor(open, 2);
    }
}

/// Type and device number of what an open descriptor refers to.
#[inline(always)]
fn descriptor(open: u64, number: u32) -> (u32, u32) {
    let file: u64 = read(open, number * 8);
    let inode: u64 = read(file, offset!(file_inode));
    let mode = u32::from(read::<u16>(inode, offset!(inode_mode)));
    let open = u32::from(inode != 0);
    (mode & FILE_TYPE | open, read(inode, offset!(inode_device)))
}

/// Copies the arguments to `at` in the record; returns header flags.
#[inline(always)]
fn arguments(slot: *mut Slot, record: &mut ExecRecord, mm: u64, at: u32) -> u32 {
    let start: u64 = read(mm, offset!(mm_arg_start));
    let end: u64 = read(mm, offset!(mm_arg_end));
    let total = end.saturating_sub(start);
    record.args_total = if total > u64::from(u32::MAX) {
        u32::MAX
    } else {
        total as u32
    };
    let mut flags = 0;
    let wanted = if total > ARGS_MAX as u64 {
        flags |= flags::ARGS_TRUNCATED;
        ARGS_MAX as u32
    } else {
        total as u32
    };
    store!(slot, length, wanted);
    let wanted = load!(slot, length) & ARGS_MAX as u32;
    // SAFETY: masked to the room for the head of a record, behind which all arguments fit.
    let result = unsafe {
        let place = (&raw mut (*slot).record)
            .cast::<u8>()
            .add(at as usize & (HEAD - 1));
        bpf_probe_read_user(place.cast(), wanted, start as *const _)
    };
    if result == 0 {
        record.args_len = wanted;
        flags
    } else {
        record.args_len = 0;
        flags | flags::ARGS_UNREADABLE
    }
}

/// Submits what is always delivered about an execution.
#[inline(always)]
fn lineage(task: Task, cgroup: u64, flags: u32, namespace: PidNamespace, reason: u32) {
    count!(kind::EXEC_LINEAGE, seen);
    let mut header = task.header(kind::EXEC_LINEAGE, cgroup, flags);
    header.size = (Header::SIZE + ExecLineageRecord::SIZE) as u32;
    let mm: u64 = read(task.0, offset!(task_mm));
    let file: u64 = read(mm, offset!(mm_exe_file));
    let inode: u64 = read(file, offset!(file_inode));
    let block: u64 = read(inode, offset!(inode_sb));
    let cred = task.cred();
    let parent = task.parent();
    let record = ExecLineageRecord {
        parent_start: parent.process_start(),
        inode: read(inode, offset!(inode_number)),
        parent_tgid: parent.tgid(),
        device: read(block, offset!(sb_device)),
        mode: u32::from(read::<u16>(inode, offset!(inode_mode))),
        uid: read(cred, offset!(cred_uid)),
        euid: read(cred, offset!(cred_euid)),
        egid: read(cred, offset!(cred_egid)),
        reason,
        pid_namespace: namespace.inode,
        comm: task.comm(),
    };
    emit::submit(&LINEAGE, kind::EXEC_LINEAGE, ExecLineage { header, record });
}
