//! What the loader tells the programs, constant for the life of a loaded object.

record! {
    /// A read-only global of the kernel programs, so that the verifier sees constants and drops
    /// what is switched off.
    pub struct Settings: 20 {
        /// Number of this configuration, copied into every header.
        pub generation: u32,
        /// Index of the cgroup v1 controller whose hierarchy names containers, or
        /// [`crate::MISSING`] for the unified hierarchy.
        pub cgroup_subsystem: u32,
        /// 1 when the exit tracepoint passes whether the process is gone, else 0.
        pub exit_tells_group: u32,
        /// Most executions that one cgroup may deliver in full at once.
        pub exec_burst: u32,
        /// Nanoseconds after which a cgroup may deliver one more; never 0.
        pub exec_interval: u32,
    }
}

/// Scratch slots a processor has. A program that is preempted in the middle keeps its slot.
pub const SLOTS_PER_CPU: u32 = 2;
