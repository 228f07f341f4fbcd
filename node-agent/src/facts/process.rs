//! Finding a node component among the host's processes.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use yagura_event::Known;

use super::HostRoot;

/// More processes than a node may have; beyond it the search gives up.
const MAX_PROCESSES: usize = 4 << 20;

/// A running component: its command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Component {
    /// Arguments, without `argv[0]`.
    pub args: Vec<Vec<u8>>,
    /// Whether it sees the host's mounts, so that paths in its arguments are the host's.
    pub host_mounts: bool,
}

/// The component whose program is called `name`. A container can call its program anything, so
/// it must run as the user of the host's first process (root), in the host's process namespace,
/// and of several the one with the host's mounts is taken, then the oldest.
pub(super) fn find(root: &HostRoot, name: &[u8]) -> Known<Component> {
    let proc = root.proc();
    let Ok(entries) = fs::read_dir(&proc) else {
        return Known::Unknown;
    };
    let owner = |folder: &Path| fs::metadata(folder).ok().map(|data| data.uid());
    let host_owner = owner(&proc.join("1"));
    let host_pids = fs::read_link(proc.join("1/ns/pid")).ok();
    let host_mounts = fs::read_link(proc.join("1/ns/mnt")).ok();
    let mut best: Option<((bool, u64), Component)> = None;
    for entry in entries.take(MAX_PROCESSES).flatten() {
        let folder = entry.path();
        if !is_pid(&folder) || owner(&folder) != host_owner {
            continue;
        }
        let Some(args) = arguments(&folder, name) else {
            continue;
        };
        if fs::read_link(folder.join("ns/pid")).ok() != host_pids {
            continue;
        }
        let host_mounts = fs::read_link(folder.join("ns/mnt")).ok() == host_mounts;
        let key = (!host_mounts, start_ticks(&folder));
        if best.as_ref().is_none_or(|(other, _)| key < *other) {
            best = Some((key, Component { args, host_mounts }));
        }
    }
    Known::from(best.map(|(_, component)| component))
}

fn is_pid(folder: &Path) -> bool {
    folder
        .file_name()
        .is_some_and(|name| name.as_bytes().iter().all(u8::is_ascii_digit))
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
