//! Fork and exit.

record! {
    /// A new process. The header is about the child.
    pub struct ForkRecord: 48 {
        /// Start of the process that forked, as [`crate::Header::start`].
        pub parent_start: u64,
        /// The process that forked, whoever becomes the parent for `wait`.
        pub parent_tgid: u32,
        /// Inode number of the child's process id namespace.
        pub pid_namespace: u32,
        /// Real user id.
        pub uid: u32,
        /// Real group id.
        pub gid: u32,
        /// Effective user id.
        pub euid: u32,
        /// Effective group id.
        pub egid: u32,
        /// Name of the child's main thread.
        pub comm: [u8; 16],
    }
}

record! {
    /// The last thread of a process ended.
    pub struct ExitRecord: 8 {
        /// As `wait` reports it: signal in the low 7 bits, core dump in bit 7, code above.
        pub status: u32,
        /// Zero.
        pub reserved: u32,
    }
}
