//! Cgroups as kernel programs see them.

record! {
    /// A cgroup that the kernel side had not seen. The tail is its path.
    pub struct CgroupRecord: 16 {
        /// Id of the cgroup: inode number of its directory in the hierarchy.
        pub id: u64,
        /// Bytes of path in the tail.
        pub path_len: u32,
        /// Zero.
        pub reserved: u32,
    }
}

record! {
    /// What the kernel side remembers of a cgroup, by id.
    pub struct CgroupState: 24 {
        /// Executions that may still be delivered in full.
        pub tokens: u64,
        /// When the tokens were last filled up: nanoseconds of the boot clock.
        pub refilled: u64,
        /// Bits of [`crate::flags`] that follow from the path.
        pub flags: u32,
        /// Zero.
        pub reserved: u32,
    }
}

/// Longest path of a cgroup that a record carries.
pub const CGROUP_PATH_MAX: usize = crate::PATH_MAX;
