//! The header in front of every record.

record! {
    /// In front of every record on either ring.
    pub struct Header: 56 {
        /// What follows, one of [`kind`].
        pub kind: u32,
        /// Bytes of header, record and tail together.
        pub size: u32,
        /// When the hook ran: nanoseconds of the boot clock, the one of process start times.
        pub ktime: u64,
        /// Start of the process (its thread group leader) in nanoseconds of the boot clock. With
        /// `tgid` it names a process for as long as the machine runs.
        pub start: u64,
        /// Id of the process's cgroup in the hierarchy that [`crate::Settings`] names.
        pub cgroup: u64,
        /// Process id as the host's initial namespace counts.
        pub tgid: u32,
        /// Id of the thread that acted, in the same namespace.
        pub tid: u32,
        /// Processor that the hook ran on.
        pub cpu: u32,
        /// Bits of [`flags`].
        pub flags: u32,
        /// Generation of the settings that the record was made under.
        pub generation: u32,
        /// Zero; keeps the next 8-byte field aligned.
        pub reserved: u32,
    }
}

/// Kinds of records. They also index the counters.
pub mod kind {
    /// A new process, [`crate::ForkRecord`], on the lineage ring.
    pub const FORK: u32 = 0;
    /// A program was executed, [`crate::ExecRecord`] with a tail, on the event ring.
    pub const EXEC: u32 = 1;
    /// A process ended, [`crate::ExitRecord`], on the lineage ring.
    pub const EXIT: u32 = 2;
    /// A program was executed but its full record could not be delivered,
    /// [`crate::ExecLineageRecord`], on the lineage ring.
    pub const EXEC_LINEAGE: u32 = 3;
    /// A cgroup was seen for the first time, [`crate::CgroupRecord`] with its path, on the
    /// lineage ring and before the first record that names it.
    pub const CGROUP: u32 = 4;
    /// How many kinds there are.
    pub const COUNT: u32 = 5;
    /// The kinds by number, as metrics and status name them.
    pub const NAMES: [&str; COUNT as usize] = ["fork", "exec", "exit", "exec_lineage", "cgroup"];
}

/// Bits of [`Header::flags`].
pub mod flags {
    /// The process is in a container: its cgroup path names one, or its process id namespace is
    /// not the host's. Decided in the kernel on every exec.
    pub const IN_CONTAINER: u32 = 1;
    /// The process id namespace is not the host's initial one.
    pub const PID_NAMESPACE: u32 = 1 << 1;
    /// The executable had no name in its file system any more when it was executed.
    pub const DELETED: u32 = 1 << 2;
    /// The executable is an anonymous memory file.
    pub const MEMFD: u32 = 1 << 3;
    /// The executable lies on an overlay file system.
    pub const OVERLAY: u32 = 1 << 4;
    /// The executable lies in the writable layer of an overlay file system.
    pub const UPPER_LAYER: u32 = 1 << 5;
    /// The executable's path is longer or deeper than a record holds; its front is missing.
    pub const PATH_TRUNCATED: u32 = 1 << 6;
    /// The same for the working directory.
    pub const CWD_TRUNCATED: u32 = 1 << 7;
    /// The arguments are longer than a record holds; their end is missing.
    pub const ARGS_TRUNCATED: u32 = 1 << 8;
    /// The arguments could not be read at all.
    pub const ARGS_UNREADABLE: u32 = 1 << 9;
    /// The path ends at a directory that no mount of a tree reaches.
    pub const PATH_DETACHED: u32 = 1 << 10;
    /// The call gained privileges: set-user-id, set-group-id, file capabilities.
    pub const SECURE_EXEC: u32 = 1 << 11;
    /// The cgroup's path is deeper or longer than a record holds.
    pub const CGROUP_TRUNCATED: u32 = 1 << 12;
}
