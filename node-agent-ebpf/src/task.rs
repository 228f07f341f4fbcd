//! Facts about a task, read from its `task_struct`.

use aya_ebpf::helpers::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns};
use yagura_node_agent_ebpf_common::{Header, MISSING};

use crate::read::read;

/// Address of a `task_struct`.
#[derive(Clone, Copy)]
pub(crate) struct Task(pub(crate) u64);

/// The process id namespace of a process.
#[derive(Clone, Copy)]
pub(crate) struct PidNamespace {
    /// Inode number of the namespace.
    pub(crate) inode: u32,
    /// 0 in the host's initial namespace.
    pub(crate) level: u32,
}

impl Task {
    #[inline(always)]
    pub(crate) fn tgid(self) -> u32 {
        read(self.0, offset!(task_tgid))
    }

    #[inline(always)]
    pub(crate) fn tid(self) -> u32 {
        read(self.0, offset!(task_pid))
    }

    /// The main thread of the task's process.
    #[inline(always)]
    pub(crate) fn leader(self) -> Self {
        Self(read(self.0, offset!(task_leader)))
    }

    #[inline(always)]
    pub(crate) fn parent(self) -> Self {
        Self(read(self.0, offset!(task_parent)))
    }

    /// Start of the process on the boot clock, in nanoseconds.
    #[inline(always)]
    pub(crate) fn process_start(self) -> u64 {
        read(self.leader().0, offset!(task_start))
    }

    #[inline(always)]
    pub(crate) fn comm(self) -> [u8; 16] {
        read(self.0, offset!(task_comm))
    }

    /// Address of the task's `cred`: what it is, not what it acts as for a moment.
    #[inline(always)]
    pub(crate) fn cred(self) -> u64 {
        read(self.0, offset!(task_cred))
    }

    /// Address of the task's cgroup in the hierarchy that the settings name.
    #[inline(always)]
    pub(crate) fn cgroup(self) -> u64 {
        let set: u64 = read(self.0, offset!(task_cgroups));
        let subsystem = setting!(cgroup_subsystem);
        if subsystem == MISSING {
            read(set, offset!(css_set_unified))
        } else {
            let state: u64 = read(set, offset!(css_set_subsys) + subsystem * 8);
            read(state, offset!(css_cgroup))
        }
    }

    #[inline(always)]
    pub(crate) fn pid_namespace(self) -> PidNamespace {
        let pid: u64 = read(self.leader().0, offset!(task_thread_pid));
        // The kernel nests process id namespaces 32 deep at most.
        let level = read::<u32>(pid, offset!(pid_level)) & 63;
        let entry = pid
            .wrapping_add(u64::from(offset!(pid_numbers)))
            .wrapping_add(u64::from(level) * u64::from(offset!(upid_size)));
        let namespace: u64 = read(entry, offset!(upid_ns));
        PidNamespace {
            inode: read(namespace, offset!(pid_ns_inum)),
            level,
        }
    }

    /// A header about this task, without its size.
    #[inline(always)]
    pub(crate) fn header(self, kind: u32, cgroup: u64, flags: u32) -> Header {
        Header {
            kind,
            size: 0,
            // SAFETY: the helper has no precondition.
            ktime: unsafe { bpf_ktime_get_boot_ns() },
            start: self.process_start(),
            cgroup,
            tgid: self.tgid(),
            tid: self.tid(),
            // SAFETY: the helper has no precondition.
            cpu: unsafe { bpf_get_smp_processor_id() },
            flags,
            generation: setting!(generation),
            reserved: 0,
        }
    }
}

/// Id of a cgroup: inode number of its directory.
#[inline(always)]
pub(crate) fn cgroup_id(cgroup: u64) -> u64 {
    let node: u64 = read(cgroup, offset!(cgroup_node));
    read(node, offset!(node_id))
}
