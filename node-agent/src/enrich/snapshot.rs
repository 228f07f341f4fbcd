//! The processes that were there before the sensor, from `/proc`.
//!
//! What another process may change under our hands is read once and taken as it is; what cannot
//! be read is unknown.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    fs, io,
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
};

use yagura_event::{
    Known, Process, ProcessId, Text,
    process::{DescriptorKind, Executable, User},
};

use super::{clock, image};

/// A process as `/proc` shows it.
#[derive(Debug)]
pub(super) struct Found {
    /// The process, without lineage.
    pub(super) process: Process,
    /// Its parent at this moment; 0 for the first process and the kernel's own.
    pub(super) parent: u32,
    /// Its memberships, as `/proc/<pid>/cgroup` lists them.
    pub(super) cgroups: String,
}

/// Turns user ids into users.
pub(super) trait UserNames {
    fn user(&self, id: u32) -> User;
}

/// Process ids that are in use.
pub(super) fn pids(proc: &Path) -> io::Result<HashSet<u32>> {
    Ok(fs::read_dir(proc)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect())
}

/// All processes that can be read; one that exits meanwhile is left out.
pub(super) fn read_all(proc: &Path, offset: i64, users: &impl UserNames) -> io::Result<HashMap<u32, Found>> {
    Ok(pids(proc)?
        .into_iter()
        .filter_map(|pid| Some((pid, read(&proc.join(pid.to_string()), pid, offset, users)?)))
        .collect())
}

fn read(folder: &Path, pid: u32, offset: i64, users: &impl UserNames) -> Option<Found> {
    let stat = fs::read(folder.join("stat")).ok()?;
    let stat = Stat::parse(&stat)?;
    let status = Status::parse(&fs::read_to_string(folder.join("status")).unwrap_or_default());
    let mut process = Process {
        id: ProcessId {
            pid,
            start_ticks: stat.start_ticks,
        },
        name: Text::from(stat.comm),
        executable: executable(folder),
        working_directory: link(&folder.join("cwd"))
            .map_or(Known::Unknown, |(path, _)| Known::Present(Text::from(path))),
        tty: terminal(stat.tty).into(),
        user: users.user(status.euid),
        real_user: users.user(status.uid),
        gid: status.egid,
        real_gid: status.gid,
        login_user: login(folder, users),
        capabilities_effective: status.capabilities,
        pid_namespace: namespace(folder, "pid"),
        mount_namespace: namespace(folder, "mnt"),
        network_namespace: namespace(folder, "net"),
        stdio: ["fd/0", "fd/1", "fd/2"].map(|fd| descriptor(&folder.join(fd))),
        session: stat.session,
        start: clock::wall(
            stat.start_ticks.saturating_mul(clock::NANOSECONDS_PER_TICK),
            offset,
        ),
        ..Process::default()
    };
    let arguments = fs::read(folder.join("cmdline")).unwrap_or_default();
    let most = yagura_node_agent_ebpf_common::ARGS_MAX;
    let cut = arguments.len() > most;
    process.args_length = u32::try_from(arguments.len()).unwrap_or(u32::MAX);
    image::set_arguments(&mut process, arguments.get(..most).unwrap_or(&arguments), cut);
    Some(Found {
        process,
        parent: stat.parent,
        cgroups: fs::read_to_string(folder.join("cgroup")).unwrap_or_default(),
    })
}

/// What `/proc/<pid>/stat` says that is needed here.
#[derive(Debug, PartialEq, Eq)]
struct Stat<'a> {
    comm: &'a [u8],
    parent: u32,
    session: u32,
    tty: u32,
    start_ticks: u64,
}

impl<'a> Stat<'a> {
    /// The name stands in parentheses and may contain any byte, also parentheses: the last one
    /// ends it.
    fn parse(text: &'a [u8]) -> Option<Self> {
        let open = text.iter().position(|byte| *byte == b'(')?;
        let close = text.iter().rposition(|byte| *byte == b')')?;
        let comm = text.get(open + 1..close)?;
        let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
        // The third field of the file is the first one here.
        let fields = rest.split_ascii_whitespace().collect::<Vec<_>>();
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            comm,
            parent: field(4)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            tty: field(7)?.parse::<i32>().ok()?.cast_unsigned(),
            start_ticks: field(22)?.parse().ok()?,
        })
    }
}

/// What `/proc/<pid>/status` says that is needed here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Status {
    uid: u32,
    euid: u32,
    gid: u32,
    egid: u32,
    capabilities: u64,
}

impl Status {
    fn parse(text: &str) -> Self {
        let mut status = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let mut ids = value
                .split_ascii_whitespace()
                .map(|id| id.parse().unwrap_or(u32::MAX));
            match key {
                "Uid" => (status.uid, status.euid) = pair(&mut ids),
                "Gid" => (status.gid, status.egid) = pair(&mut ids),
                "CapEff" => status.capabilities = u64::from_str_radix(value.trim(), 16).unwrap_or(0),
                _ => {}
            }
        }
        status
    }
}

fn pair(ids: &mut impl Iterator<Item = u32>) -> (u32, u32) {
    (ids.next().unwrap_or(u32::MAX), ids.next().unwrap_or(u32::MAX))
}

fn executable(folder: &Path) -> Known<Executable> {
    let path = folder.join("exe");
    let target = match fs::read_link(&path) {
        Ok(target) => target,
        // The kernel's own processes run no file.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Known::Absent,
        Err(_) => return Known::Unknown,
    };
    let Ok(metadata) = fs::metadata(&path) else {
        return Known::Unknown;
    };
    let (name, deleted) = without_mark(target);
    let device = metadata.dev();
    Known::Present(Executable {
        memfd: name.starts_with(b"/memfd:"),
        path: Text::from(name),
        inode: metadata.ino(),
        device: (rustix::fs::major(device) << 20) | rustix::fs::minor(device),
        mode: u16::try_from(metadata.mode() & 0xffff).unwrap_or(0),
        uid: metadata.uid(),
        gid: metadata.gid(),
        overlay_upper: Known::Unknown,
        deleted: deleted || metadata.nlink() == 0,
    })
}

/// Where a link of `/proc` leads, and whether that has no name any more.
fn link(path: &Path) -> Option<(Vec<u8>, bool)> {
    Some(without_mark(fs::read_link(path).ok()?))
}

/// The kernel writes ` (deleted)` behind the path of what has no name.
fn without_mark(target: PathBuf) -> (Vec<u8>, bool) {
    let mut name = target.into_os_string().into_vec();
    let mark = b" (deleted)";
    let deleted = name.ends_with(mark);
    if deleted {
        name.truncate(name.len() - mark.len());
    }
    (name, deleted)
}

fn login(folder: &Path, users: &impl UserNames) -> Known<User> {
    match fs::read_to_string(folder.join("loginuid")) {
        Ok(text) => match text.trim().parse() {
            Ok(u32::MAX) => Known::Absent,
            Ok(id) => Known::Present(users.user(id)),
            Err(_) => Known::Unknown,
        },
        Err(_) => Known::Unknown,
    }
}

/// Inode number of a namespace, from a link such as `pid:[4026531836]`; 0 when it is hidden.
pub(super) fn namespace(folder: &Path, kind: &str) -> u32 {
    let target = fs::read_link(folder.join("ns").join(kind)).unwrap_or_default();
    let text = OsStr::as_bytes(target.as_os_str());
    let digits = text
        .iter()
        .copied()
        .skip_while(|byte| *byte != b'[')
        .skip(1)
        .take_while(u8::is_ascii_digit)
        .collect::<Vec<_>>();
    String::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

fn descriptor(path: &Path) -> Known<DescriptorKind> {
    match fs::metadata(path) {
        Ok(metadata) => {
            let device = metadata.rdev();
            let device = (rustix::fs::major(device) << 20) | rustix::fs::minor(device);
            image::descriptor((metadata.mode() & 0o170_000) | 1, device)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Known::Absent,
        Err(_) => Known::Unknown,
    }
}

/// Name of a terminal by its device number in the form of `/proc/<pid>/stat`.
fn terminal(device: u32) -> Option<Text> {
    let major = (device >> 8) & 0xfff;
    let minor = (device & 0xff) | ((device >> 12) & 0xf_ff00);
    match major {
        136..=143 => Some(Text::from(format!("pts/{}", (major - 136) * 256 + minor))),
        4 if minor < 64 => Some(Text::from(format!("tty{minor}"))),
        4 => Some(Text::from(format!("ttyS{}", minor - 64))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use yagura_event::{Known, Text, process::User};

    use super::{Stat, Status, UserNames, read, terminal};

    struct Nobody;

    impl UserNames for Nobody {
        fn user(&self, id: u32) -> User {
            User {
                id,
                name: Known::Unknown,
            }
        }
    }

    #[test]
    fn a_name_may_contain_parentheses_and_any_byte() {
        let line = b"12 (a) (b\xff\n) S 1 12 7 34816 12 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(stat.comm, b"a) (b\xff\n");
        assert_eq!((stat.parent, stat.session, stat.start_ticks), (1, 7, 4711));
        assert_eq!(terminal(stat.tty), Some(Text::from("pts/0")));
        assert_eq!(Stat::parse(b"12 (cut"), None);
        assert_eq!(Stat::parse(b")("), None);
    }

    #[test]
    fn ids_and_capabilities_are_read_from_status() {
        let text = "Name:\tx\nUid:\t1000\t0\t0\t0\nGid:\t5\t6\t6\t6\nCapEff:\t00000000a80425fb\n";
        assert_eq!(
            Status::parse(text),
            Status {
                uid: 1000,
                euid: 0,
                gid: 5,
                egid: 6,
                capabilities: 0xa804_25fb
            }
        );
    }

    #[test]
    fn this_process_finds_itself() {
        let pid = std::process::id();
        let found = read(Path::new("/proc/self"), pid, 0, &Nobody).unwrap();
        let Known::Present(executable) = found.process.executable else {
            panic!("a process may read its own link");
        };
        assert_eq!(
            executable.path.to_string(),
            std::env::current_exe().unwrap().to_string_lossy()
        );
        assert!(found.process.pid_namespace != 0);
        assert!(!found.process.arg0.is_empty());
    }
}
