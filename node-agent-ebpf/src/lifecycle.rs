//! Fork and exit: lineage, in records of fixed size.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use yagura_node_agent_ebpf_common::{ExitRecord, ForkRecord, Header, flags, kind};

use crate::{
    emit,
    maps::LINEAGE,
    read::read,
    task::{Task, cgroup_id},
};

/// `SIGNAL_GROUP_EXIT`: the whole process ends with the code that the signal structure holds.
const GROUP_EXIT: u32 = 4;

#[repr(C)]
struct Fork {
    header: Header,
    record: ForkRecord,
}

#[repr(C)]
struct Exit {
    header: Header,
    record: ExitRecord,
}

/// `sched_process_fork(parent, child)`: in the parent, before the child runs.
#[btf_tracepoint(function = "sched_process_fork")]
pub(crate) fn process_fork(ctx: BtfTracePointContext) -> i32 {
    count!(kind::FORK, seen);
    let parent = Task(ctx.arg::<u64>(0));
    let child = Task(ctx.arg::<u64>(1));
    if child.tgid() != child.tid() {
        // A thread, not a process.
        count!(kind::FORK, filtered);
        return 0;
    }
    let namespace = child.pid_namespace();
    let flags = if namespace.level > 0 {
        flags::IN_CONTAINER | flags::PID_NAMESPACE
    } else {
        0
    };
    let mut header = child.header(kind::FORK, cgroup_id(child.cgroup()), flags);
    header.size = (Header::SIZE + ForkRecord::SIZE) as u32;
    let cred = child.cred();
    let record = ForkRecord {
        parent_start: parent.process_start(),
        parent_tgid: parent.tgid(),
        pid_namespace: namespace.inode,
        uid: read(cred, offset!(cred_uid)),
        gid: read(cred, offset!(cred_gid)),
        euid: read(cred, offset!(cred_euid)),
        egid: read(cred, offset!(cred_egid)),
        comm: child.comm(),
    };
    emit::submit(&LINEAGE, kind::FORK, Fork { header, record });
    0
}

/// `sched_process_exit(task)`, since Linux 6.16 `(task, group_dead)`: in each thread that ends.
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn process_exit(ctx: BtfTracePointContext) -> i32 {
    count!(kind::EXIT, seen);
    let task = Task(ctx.arg::<u64>(0));
    let signal: u64 = read(task.0, offset!(task_signal));
    let last = if setting!(exit_tells_group) == 0 {
        // Two last threads may both read zero; the reader takes the second record as a repeat.
        read::<u32>(signal, offset!(signal_live)) == 0
    } else {
        ctx.arg::<u64>(1) & 0xff != 0
    };
    if !last {
        count!(kind::EXIT, filtered);
        return 0;
    }
    let signal_flags: u32 = read(signal, offset!(signal_flags));
    let status = if signal_flags & GROUP_EXIT != 0 {
        read(signal, offset!(signal_group_exit_code))
    } else {
        read(task.leader().0, offset!(task_exit_code))
    };
    let mut header = task.header(kind::EXIT, cgroup_id(task.cgroup()), 0);
    header.size = (Header::SIZE + ExitRecord::SIZE) as u32;
    let record = ExitRecord { status, reserved: 0 };
    emit::submit(&LINEAGE, kind::EXIT, Exit { header, record });
    0
}
