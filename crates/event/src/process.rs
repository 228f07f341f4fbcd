//! Processes as rules see them.

use std::sync::Arc;

use crate::{Known, Text, Timestamp};

/// A process for as long as the machine runs: a pid alone is reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    /// Thread group id in the initial pid namespace.
    pub pid: u32,
    /// Start of the thread group leader since boot in `USER_HZ` (10 ms) ticks: field 22 of
    /// `/proc/<pid>/stat`, and `task_struct.start_boottime` divided by 10,000,000 in the kernel.
    pub start_ticks: u64,
}

/// A user by number, and by name where the node's or the container's user database has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Numeric id as the initial user namespace sees it.
    pub id: u32,
    /// Its name.
    pub name: Known<Text>,
}

/// The file that a process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executable {
    /// Resolved path in the mount namespace of the process: no links, no `..`.
    pub path: Text,
    /// Inode number.
    pub inode: u64,
    /// Device number, `major << 20 | minor` as the kernel has it.
    pub device: u32,
    /// Permission bits and file type (`i_mode`).
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// In the writable layer of the container: the file came after the image.
    pub overlay_upper: Known<bool>,
    /// An anonymous file in memory (`memfd_create`).
    pub memfd: bool,
    /// Has no name any more (link count 0).
    pub deleted: bool,
}

/// What a descriptor refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DescriptorKind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Pipe or FIFO.
    Pipe,
    /// Socket.
    Socket,
    /// Terminal.
    Terminal,
    /// Another character device, such as `/dev/null`.
    CharacterDevice,
    /// Block device.
    BlockDevice,
    /// Anything else.
    Other,
}

impl DescriptorKind {
    /// The lower-case name that rules compare with.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Pipe => "pipe",
            Self::Socket => "socket",
            Self::Terminal => "terminal",
            Self::CharacterDevice => "character-device",
            Self::BlockDevice => "block-device",
            Self::Other => "other",
        }
    }
}

/// A process: who it is, what it runs and for whom.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// Identity.
    pub id: ProcessId,
    /// Base name of the path given to exec, at most 15 bytes (`task_struct.comm` at exec time).
    /// A busybox applet or a script has its own name here. Later changes by `prctl` do not show.
    pub name: Text,
    /// The file it runs. Unknown when the process is older than the agent and `/proc` hid it.
    pub executable: Known<Executable>,
    /// Arguments, without `argv[0]`; cut at 32 KiB in all.
    pub args: Vec<Text>,
    /// `argv[0]` as given, which need not be the program's name.
    pub arg0: Text,
    /// Length of all arguments in bytes before any cut.
    pub args_length: u32,
    /// Whether `args` was cut.
    pub args_truncated: bool,
    /// Working directory at exec time.
    pub working_directory: Known<Text>,
    /// Name of the controlling terminal, such as `pts/0`.
    pub tty: Known<Text>,
    /// Effective user.
    pub user: User,
    /// Real user.
    pub real_user: User,
    /// Effective group id.
    pub gid: u32,
    /// Real group id.
    pub real_gid: u32,
    /// User that logged in (`loginuid`), absent for what no login started.
    pub login_user: Known<User>,
    /// Effective capabilities as a bit set (`1 << CAP_…`).
    pub capabilities_effective: u64,
    /// Inode number of its pid namespace.
    pub pid_namespace: u32,
    /// Inode number of its mount namespace.
    pub mount_namespace: u32,
    /// Inode number of its network namespace.
    pub network_namespace: u32,
    /// Whether exec gained privileges from a set-user-id or set-group-id file (`bprm->secureexec`).
    pub secure_exec: bool,
    /// What descriptors 0, 1 and 2 are.
    pub stdio: [Known<DescriptorKind>; 3],
    /// Session id (`setsid`) in the initial pid namespace.
    pub session: u32,
    /// When it started.
    pub start: Timestamp,
    /// The processes it descends from, nearest first, as recorded at fork time: a parent that
    /// exits later is still here, and reparenting changes nothing.
    pub ancestors: Vec<Arc<Ancestor>>,
    /// Whether `ancestors` reaches the first process; false when lineage before the agent's start
    /// could not be read or was cut at 64.
    pub ancestors_complete: bool,
}

impl Process {
    /// Adds the program's own name and its arguments, joined by spaces, to a line.
    pub fn write_command_line(&self, line: &mut Vec<u8>) {
        let first = if self.arg0.is_empty() {
            &self.name
        } else {
            &self.arg0
        };
        line.reserve(first.len() + self.args.iter().map(|arg| arg.len() + 1).sum::<usize>());
        line.extend_from_slice(first.as_bytes());
        for arg in &self.args {
            line.push(b' ');
            line.extend_from_slice(arg.as_bytes());
        }
    }
}

/// A process that others descend from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ancestor {
    /// Identity.
    pub id: ProcessId,
    /// See [`Process::name`].
    pub name: Text,
    /// See [`Executable::path`].
    pub executable: Known<Text>,
    /// See [`Process::args`]; cut at 4 KiB.
    pub args: Vec<Text>,
    /// Effective user.
    pub user: User,
}
