//! Finding a node component among the host's processes.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use yagura_event::Known;

use super::HostRoot;

/// More processes than a node may have; beyond it the search gives up.
const MAX_PROCESSES: usize = 4 << 20;

/// A running component.
#[derive(Debug)]
pub(super) struct Component {
    /// Arguments, without `argv[0]`.
    pub(super) args: Vec<Vec<u8>>,
    /// The file system as it sees it, which its arguments speak of.
    pub(super) root: Known<HostRoot>,
    /// Its mount namespace, where it can be told.
    pub(super) mounts: Option<PathBuf>,
}

/// The component whose program is called `name`. A container can call its program anything, so
/// it must run as the user of the host's first process (root), in the namespace of process ids
/// that `/proc` is of; of several the oldest is taken.
pub(super) fn find(host: &HostRoot, name: &[u8]) -> Known<Component> {
    let proc = host.proc();
    let Ok(entries) = fs::read_dir(&proc) else {
        return Known::Unknown;
    };
    let owner = |folder: &Path| fs::metadata(folder).ok().map(|data| data.uid());
    let host_owner = owner(&proc.join("1"));
    let mut oldest: Option<(u64, PathBuf, Vec<Vec<u8>>)> = None;
    for entry in entries.take(MAX_PROCESSES).flatten() {
        let folder = entry.path();
        if !is_pid(&folder) || owner(&folder) != host_owner {
            continue;
        }
        let Some(args) = arguments(&folder, name) else {
            continue;
        };
        let start = start_ticks(&folder);
        let older = oldest.as_ref().is_none_or(|(other, ..)| start < *other);
        if older && is_outermost(&folder) {
            oldest = Some((start, folder, args));
        }
    }
    let Some((_, folder, args)) = oldest else {
        return Known::Absent;
    };
    let root = HostRoot::open(&folder.join("root"));
    Known::Present(Component {
        args,
        root: root.map_or(Known::Unknown, Known::Present),
        mounts: fs::read_link(folder.join("ns/mnt")).ok(),
    })
}

fn is_pid(folder: &Path) -> bool {
    folder
        .file_name()
        .is_some_and(|name| name.as_bytes().iter().all(u8::is_ascii_digit))
}

/// Whether a process lives in the namespace of process ids that its `/proc` is of: then it has
/// one id and not one more for each namespace in between. Reading this takes no privilege.
fn is_outermost(folder: &Path) -> bool {
    let status = fs::read(folder.join("status")).unwrap_or_default();
    status
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"NSpid:"))
        .is_some_and(|ids| {
            let ids = ids.split(u8::is_ascii_whitespace);
            ids.filter(|id| !id.is_empty()).count() == 1
        })
}

/// The arguments after the component's name, if the process is that component: `kubelet …`, or
/// one binary for all of them, as in `hyperkube kubelet …`.
fn arguments(folder: &Path, name: &[u8]) -> Option<Vec<Vec<u8>>> {
    let content = fs::read(folder.join("cmdline")).ok()?;
    let mut args: Vec<Vec<u8>> = content
        .strip_suffix(b"\0")
        .unwrap_or(&content)
        .split(|byte| *byte == 0)
        .map(<[u8]>::to_vec)
        .collect();
    let base = args.first()?.rsplit(|byte| *byte == b'/').next()?.to_vec();
    if base == name {
        args.remove(0);
        Some(args)
    } else if base == b"hyperkube" && args.get(1).is_some_and(|command| command == name) {
        args.drain(..2);
        Some(args)
    } else {
        None
    }
}

/// Field 22 of `stat`, counted from behind the name, which may hold spaces and parentheses.
fn start_ticks(folder: &Path) -> u64 {
    let stat = fs::read(folder.join("stat")).unwrap_or_default();
    let after_name = stat.rsplit(|byte| *byte == b')').next().unwrap_or_default();
    after_name
        .split(|byte| *byte == b' ')
        .nth(20)
        .and_then(|ticks| std::str::from_utf8(ticks).ok()?.parse().ok())
        .unwrap_or(u64::MAX)
}
