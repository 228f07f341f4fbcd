//! The facts that an execution gives about a process, as the domain names them.

use yagura_event::{
    Known, Text,
    process::{DescriptorKind, Executable, Process, User},
};
use yagura_node_agent_ebpf_common::{ExecRecord, Header, flags};

use crate::decode::ExecTail;

/// Most arguments that become a list; what is beyond is cut and said to be.
const MOST_ARGS: usize = 1024;

/// Writes what an execution changes over `process`; identity and lineage stay. What belongs to a
/// feature that is `lost` on this kernel is unknown, not absent.
pub(super) fn apply(
    process: &mut Process,
    header: &Header,
    exec: &ExecRecord,
    tail: &ExecTail<'_>,
    lost: &[&str],
    user: impl Fn(u32) -> User,
) {
    let is = |flag| header.flags & flag != 0;
    process.name = name(&exec.comm);
    // A path whose front is missing could pass for another one, so it is no path.
    process.executable = if is(flags::PATH_TRUNCATED | flags::PATH_DETACHED) {
        Known::Unknown
    } else {
        Known::Present(executable(header, exec, tail, lost))
    };
    let cut = is(flags::ARGS_TRUNCATED | flags::ARGS_UNREADABLE);
    set_arguments(process, tail.args, cut);
    process.args_length = exec.args_total;
    process.working_directory = if is(flags::CWD_TRUNCATED) {
        Known::Unknown
    } else {
        Known::Present(Text::from(tail.cwd))
    };
    process.tty = if lost.contains(&"terminal") {
        Known::Unknown
    } else {
        terminal(&exec.tty).into()
    };
    process.user = user(exec.euid);
    process.real_user = user(exec.uid);
    process.gid = exec.egid;
    process.real_gid = exec.gid;
    process.login_user = match exec.login_uid {
        _ if lost.contains(&"login") => Known::Unknown,
        u32::MAX => Known::Absent,
        id => Known::Present(user(id)),
    };
    process.capabilities_effective = exec.cap_effective;
    process.pid_namespace = exec.pid_namespace;
    process.mount_namespace = exec.mount_namespace;
    process.network_namespace = exec.network_namespace;
    process.secure_exec = is(flags::SECURE_EXEC);
    process.stdio = [
        (exec.stdin_type, exec.stdin_device),
        (exec.stdout_type, exec.stdout_device),
        (exec.stderr_type, exec.stderr_device),
    ]
    .map(|(mode, device)| {
        if lost.contains(&"stdio") {
            Known::Unknown
        } else {
            descriptor(mode, device)
        }
    });
    process.session = exec.session_leader;
}

fn executable(header: &Header, exec: &ExecRecord, tail: &ExecTail<'_>, lost: &[&str]) -> Executable {
    let is = |flag| header.flags & flag != 0;
    Executable {
        path: Text::from(tail.path),
        inode: exec.inode,
        device: exec.device,
        mode: u16::try_from(exec.mode & 0xffff).unwrap_or(0),
        uid: exec.owner_uid,
        gid: exec.owner_gid,
        overlay_upper: if is(flags::OVERLAY) && lost.contains(&"overlay") {
            Known::Unknown
        } else {
            Known::Present(is(flags::UPPER_LAYER))
        },
        memfd: is(flags::MEMFD),
        deleted: is(flags::DELETED) || exec.links == 0,
    }
}

/// Takes arguments apart, each ended by a zero byte.
pub(super) fn set_arguments(process: &mut Process, bytes: &[u8], mut cut: bool) {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let mut arguments = bytes.split(|byte| *byte == 0).map(Text::from);
    process.arg0 = arguments.next().unwrap_or_default();
    process.args = arguments.by_ref().take(MOST_ARGS).collect();
    cut |= arguments.next().is_some();
    process.args_truncated = cut;
}

/// A thread's name, up to its first zero byte.
pub(super) fn name(comm: &[u8; 16]) -> Text {
    Text::from(until_zero(comm))
}

/// The terminal's name as its device file is named: `pts0` is `/dev/pts/0`.
fn terminal(name: &[u8; 16]) -> Option<Text> {
    let name = until_zero(name);
    if name.is_empty() {
        return None;
    }
    Some(match name.strip_prefix(b"pts") {
        Some(number) if number.first() != Some(&b'/') => Text::from([b"pts/".as_slice(), number].concat()),
        _ => Text::from(name),
    })
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// What a descriptor refers to, from the type bits of a mode; bit 0 says that it is open.
pub(super) fn descriptor(mode: u32, device: u32) -> Known<DescriptorKind> {
    if mode == 0 {
        return Known::Absent;
    }
    let major = device >> 20;
    let minor = device & 0xf_ffff;
    Known::Present(match mode & 0o170_000 {
        0o100_000 => DescriptorKind::File,
        0o040_000 => DescriptorKind::Directory,
        0o010_000 => DescriptorKind::Pipe,
        0o140_000 => DescriptorKind::Socket,
        0o060_000 => DescriptorKind::BlockDevice,
        // 4 is virtual and serial terminals, 5:0 and 5:1 the current terminal and the console,
        // 136 to 143 pseudo terminals.
        0o020_000 => match (major, minor) {
            (4 | 136..=143, _) | (5, 0 | 1) => DescriptorKind::Terminal,
            _ => DescriptorKind::CharacterDevice,
        },
        _ => DescriptorKind::Other,
    })
}

#[cfg(test)]
mod tests {
    use yagura_event::{Known, Text, process::DescriptorKind};

    use super::{MOST_ARGS, Process, descriptor, set_arguments, terminal};

    fn arguments(bytes: &[u8]) -> Process {
        let mut process = Process::default();
        set_arguments(&mut process, bytes, false);
        process
    }

    #[test]
    fn empty_arguments_and_line_ends_are_kept() {
        let process = arguments(b"sh\0-c\0\0a\nb\xff\0");
        assert_eq!(process.arg0, Text::from("sh"));
        assert_eq!(
            process.args,
            [Text::from("-c"), Text::from(""), Text::from(&b"a\nb\xff"[..])]
        );
        assert!(!process.args_truncated);
        assert_eq!(arguments(b"").args, []);
        assert_eq!(arguments(b"\0").arg0, Text::from(""));
    }

    #[test]
    fn too_many_arguments_are_cut_and_said_to_be() {
        let process = arguments(&b"x\0".repeat(MOST_ARGS + 2));
        assert_eq!(process.args.len(), MOST_ARGS);
        assert!(process.args_truncated);
        assert!(!arguments(&b"x\0".repeat(MOST_ARGS + 1)).args_truncated);
    }

    #[test]
    fn terminals_are_named_as_their_device_files() {
        assert_eq!(
            terminal(b"pts12\0\0\0\0\0\0\0\0\0\0\0"),
            Some(Text::from("pts/12"))
        );
        assert_eq!(
            terminal(b"ttyS0\0\0\0\0\0\0\0\0\0\0\0"),
            Some(Text::from("ttyS0"))
        );
        assert_eq!(terminal(&[0; 16]), None);
    }

    #[test]
    fn descriptors_have_kinds() {
        assert_eq!(descriptor(0, 0), Known::Absent);
        assert_eq!(descriptor(0o140_001, 0), Known::Present(DescriptorKind::Socket));
        let tty = (136 << 20) | 3;
        assert_eq!(
            descriptor(0o020_001, tty),
            Known::Present(DescriptorKind::Terminal)
        );
        let null = (1 << 20) | 3;
        assert_eq!(
            descriptor(0o020_001, null),
            Known::Present(DescriptorKind::CharacterDevice)
        );
        assert_eq!(descriptor(1, 0), Known::Present(DescriptorKind::Other));
    }
}
