//! Program execution.

record! {
    /// A program was executed. The tail holds, each with the length given here and without
    /// separators: path, working directory, arguments.
    pub struct ExecRecord: 160 {
        /// Start of the parent, as [`crate::Header::start`].
        pub parent_start: u64,
        /// Inode number of the executable.
        pub inode: u64,
        /// Effective capabilities after the call.
        pub cap_effective: u64,
        /// The parent at this moment.
        pub parent_tgid: u32,
        /// Real user id.
        pub uid: u32,
        /// Real group id.
        pub gid: u32,
        /// Effective user id.
        pub euid: u32,
        /// Effective group id.
        pub egid: u32,
        /// Who logged in, for auditing; all ones when nobody did.
        pub login_uid: u32,
        /// Process id of the session's leader as the host counts; 0 when it has none.
        pub session_leader: u32,
        /// Device of the executable: major in the upper 12 bits, minor in the lower 20.
        pub device: u32,
        /// Type and permission bits of the executable.
        pub mode: u32,
        /// Owner of the executable.
        pub owner_uid: u32,
        /// Group of the executable.
        pub owner_gid: u32,
        /// Number of hard links to the executable.
        pub links: u32,
        /// Inode number of the process id namespace.
        pub pid_namespace: u32,
        /// Inode number of the mount namespace.
        pub mount_namespace: u32,
        /// Inode number of the network namespace.
        pub network_namespace: u32,
        /// What descriptor 0 refers to: the type bits of the file's mode, and bit 0 set when it
        /// is open at all.
        pub stdin_type: u32,
        /// See `stdin_type`.
        pub stdout_type: u32,
        /// See `stdin_type`.
        pub stderr_type: u32,
        /// Device numbers behind descriptors 0, 1 and 2 that are devices, in the form of `device`.
        pub stdin_device: u32,
        /// See `stdin_device`.
        pub stdout_device: u32,
        /// See `stdin_device`.
        pub stderr_device: u32,
        /// Bytes of all arguments as the process has them, also those that are not in the tail.
        pub args_total: u32,
        /// Bytes in the tail: resolved path of the executable.
        pub path_len: u32,
        /// Bytes in the tail: working directory.
        pub cwd_len: u32,
        /// Bytes in the tail: arguments, each ended by a zero byte.
        pub args_len: u32,
        /// Zero.
        pub reserved: u32,
        /// Name of the terminal such as `pts0`, padded with zeros; empty without one.
        pub tty: [u8; 16],
        /// Name of the main thread after the call.
        pub comm: [u8; 16],
    }
}

record! {
    /// What is always delivered about an execution: identity, and which file it was.
    pub struct ExecLineageRecord: 64 {
        /// Start of the parent, as [`crate::Header::start`].
        pub parent_start: u64,
        /// Inode number of the executable.
        pub inode: u64,
        /// The parent at this moment.
        pub parent_tgid: u32,
        /// Device of the executable: major in the upper 12 bits, minor in the lower 20.
        pub device: u32,
        /// Type and permission bits of the executable.
        pub mode: u32,
        /// Real user id.
        pub uid: u32,
        /// Effective user id.
        pub euid: u32,
        /// Effective group id.
        pub egid: u32,
        /// Why the full record is missing, one of [`payload_loss`].
        pub reason: u32,
        /// Inode number of the process id namespace.
        pub pid_namespace: u32,
        /// Name of the main thread after the call.
        pub comm: [u8; 16],
    }
}

/// Why an [`ExecRecord`] was replaced by an [`ExecLineageRecord`].
pub mod payload_loss {
    /// The cgroup's budget was used up.
    pub const THROTTLED: u32 = 1;
    /// Every scratch slot of the processor was in use.
    pub const SCRATCH_BUSY: u32 = 2;
    /// The event ring was full.
    pub const RING_FULL: u32 = 3;
    /// The record was larger than its slot.
    pub const OVERSIZED: u32 = 4;
}

/// Longest path in bytes that a record carries.
pub const PATH_MAX: usize = 4095;
/// Most components of a path that are followed.
pub const PATH_DEPTH_MAX: usize = 300;
/// Longest name of one component, the kernel's own limit.
pub const NAME_MAX: usize = 255;
/// Most bytes of arguments that a record carries: one less than 32 KiB, so that a bit mask bounds
/// the length for the verifier.
pub const ARGS_MAX: usize = 32 * 1024 - 1;
/// Most bytes behind an [`ExecRecord`]: two paths and the arguments.
pub const EXEC_TAIL_MAX: usize = 2 * PATH_MAX + ARGS_MAX;
