//! Leaving nothing behind: whatever state a cluster was left in, afterwards no process, mount, cgroup, interface or
//! log folder of it exists.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal};

use super::layout::{CNI_NETWORK, Layout};
use super::network;
use crate::process::{ended, owned, signal, stop, wait_until};

/// The order in which parts are asked to end: what would start something new first.
const ORDER: &[&str] = &[
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "containerd",
    "kube-proxy",
    "coredns",
    "kube-apiserver",
    "etcd",
];

/// Where the kubelet writes the logs of pods; its place is fixed, because node agents look there.
const POD_LOGS: &str = "/var/log/pods";

/// The agent's folder on a node, where the chart puts it by default. What one cluster's agent kept means nothing to the
/// next cluster.
const AGENT_STATE: &str = "/var/lib/yagura";

/// Marks folders outside the state that are to go with the cluster, because they were not there before.
pub(crate) fn remember(layout: &Layout) -> Result<()> {
    let mark = layout.in_state("remove-agent-state");
    if Path::new(AGENT_STATE).exists() {
        return Ok(());
    }
    std::fs::write(&mark, AGENT_STATE).with_context(|| format!("cannot write {}", mark.display()))
}

/// Stops and removes everything.
pub(crate) fn everything(layout: &Layout) -> Result<()> {
    stop_parts(layout)?;
    let pods = pod_uids(layout);
    kill_pods(&pods)?;
    unmount_below(&layout.state())?;
    remove_pod_cgroups(&pods)?;
    network::tear_down(layout)?;
    remove_pod_logs(&pods)?;
    remove_network_notes()?;
    remove_dead_sockets()?;
    let state = layout.state();
    if layout.in_state("remove-agent-state").exists() && Path::new(AGENT_STATE).exists() {
        std::fs::remove_dir_all(AGENT_STATE).with_context(|| format!("cannot remove {AGENT_STATE}"))?;
    }
    if state.exists() {
        std::fs::remove_dir_all(&state).with_context(|| format!("cannot remove {}", state.display()))?;
    }
    match std::fs::remove_file(layout.kubeconfig()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("cannot remove the kubeconfig")
        }
        _ => Ok(()),
    }
}

/// Stops an API server that is alone, and removes its folder.
pub(crate) fn alone(layout: &Layout) -> Result<()> {
    stop_parts(layout)?;
    match std::fs::remove_dir_all(layout.root()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", layout.root().display()))
        }
        _ => Ok(()),
    }
}

fn stop_parts(layout: &Layout) -> Result<()> {
    let processes = owned(&layout.state())?;
    for part in ORDER {
        let pids: Vec<Pid> = processes
            .iter()
            .filter(|process| process.part == *part)
            .map(|process| process.pid)
            .collect();
        // A shim carries containerd's mark, and outlives it on purpose.
        let (shims, daemons): (Vec<Pid>, Vec<Pid>) = pids.into_iter().partition(|pid| is_shim(*pid));
        stop(&daemons, Duration::from_secs(5))?;
        for shim in shims {
            signal(shim, Signal::KILL)?;
        }
    }
    // Whatever else carries the mark, such as a plugin that was running; it may also start between two looks.
    let gone = wait_until(Duration::from_secs(10), || {
        let left = owned(&layout.state())?;
        for process in &left {
            signal(process.pid, Signal::KILL)?;
        }
        Ok(left.iter().all(|process| ended(process.pid)))
    })?;
    if !gone {
        bail!(
            "processes of the cluster are still there: {:?}",
            owned(&layout.state())?
        );
    }
    Ok(())
}

fn is_shim(pid: Pid) -> bool {
    std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).is_ok_and(|line| {
        line.split(|byte| *byte == 0)
            .next()
            .is_some_and(|name| name.ends_with(b"containerd-shim-runc-v2"))
    })
}

/// The pods that the kubelet knew.
fn pod_uids(layout: &Layout) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(layout.in_state("kubelet").join("pods")) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Cgroup folders of our pods, in every hierarchy, parents before children.
fn pod_cgroups(pods: &[String]) -> Vec<PathBuf> {
    let mut hierarchies = vec![PathBuf::from("/sys/fs/cgroup")];
    hierarchies.extend(folders(Path::new("/sys/fs/cgroup")));
    let mut found = Vec::new();
    for hierarchy in hierarchies {
        let kubepods = hierarchy.join("kubepods");
        for parent in [
            kubepods.clone(),
            kubepods.join("burstable"),
            kubepods.join("besteffort"),
        ] {
            found.extend(
                pods.iter()
                    .map(|pod| parent.join(format!("pod{pod}")))
                    .filter(|folder| folder.is_dir()),
            );
        }
    }
    let mut all = Vec::new();
    while let Some(folder) = found.pop() {
        found.extend(folders(&folder));
        all.push(folder);
    }
    all
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn kill_pods(pods: &[String]) -> Result<()> {
    let gone = wait_until(Duration::from_secs(20), || {
        let mut alive = false;
        for cgroup in pod_cgroups(pods) {
            let processes = std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
            for pid in processes
                .lines()
                .filter_map(|line| line.parse().ok())
                .filter_map(Pid::from_raw)
            {
                // A zombie stays in its cgroup until its parent notices.
                if !ended(pid) {
                    alive = true;
                    signal(pid, Signal::KILL)?;
                }
            }
        }
        Ok(!alive)
    })?;
    if !gone {
        bail!("processes of pods did not end although they were killed");
    }
    Ok(())
}

fn remove_pod_cgroups(pods: &[String]) -> Result<()> {
    let removed = wait_until(Duration::from_secs(10), || {
        let mut left = pod_cgroups(pods);
        left.sort_by_key(|folder| std::cmp::Reverse(folder.components().count()));
        // A cgroup can be busy for a moment after its last process ended.
        Ok(left
            .iter()
            .filter(|folder| std::fs::remove_dir(folder).is_err())
            .count()
            == 0)
    })?;
    if !removed {
        bail!("cgroups of pods could not be removed: {:?}", pod_cgroups(pods));
    }
    // The parents belong to any kubelet: they go only when nothing else is in them.
    let mut hierarchies = vec![PathBuf::from("/sys/fs/cgroup")];
    hierarchies.extend(folders(Path::new("/sys/fs/cgroup")));
    for kubepods in hierarchies
        .iter()
        .map(|hierarchy| hierarchy.join("kubepods"))
        .filter(|folder| folder.is_dir())
    {
        for folder in [kubepods.join("burstable"), kubepods.join("besteffort"), kubepods] {
            match std::fs::remove_dir(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(_) if !folders(&folder).is_empty() => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot remove {}", folder.display()));
                }
            }
        }
    }
    Ok(())
}

/// Unmounts everything whose mount point is below a folder, the newest first.
fn unmount_below(folder: &Path) -> Result<()> {
    // One mount can hide another at the same place, so one look is not always enough.
    for _ in 0..8 {
        let table = std::fs::read_to_string("/proc/self/mountinfo").context("cannot read the mounts")?;
        let points = mount_points_below(&table, folder);
        if points.is_empty() {
            return Ok(());
        }
        for point in points.iter().rev() {
            match unmount(point, UnmountFlags::DETACH) {
                Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot unmount {}", point.display()));
                }
            }
        }
    }
    bail!("mounts below {} keep coming back", folder.display())
}

/// Mount points below a folder in the text of a mountinfo file, in the order of mounting.
fn mount_points_below(table: &str, folder: &Path) -> Vec<PathBuf> {
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(unescape(point)))
        .filter(|point| point.starts_with(folder))
        .collect()
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

fn remove_pod_logs(pods: &[String]) -> Result<()> {
    for folder in folders(Path::new(POD_LOGS)) {
        let ours = folder
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.rsplit_once('_'))
            .is_some_and(|(_, uid)| pods.iter().any(|pod| pod == uid));
        if ours {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
    }
    let Ok(links) = std::fs::read_dir("/var/log/containers") else {
        return Ok(());
    };
    for link in links.flatten().map(|entry| entry.path()) {
        let dangling =
            std::fs::read_link(&link).is_ok_and(|target| target.starts_with(POD_LOGS) && !target.exists());
        if dangling {
            std::fs::remove_file(&link).with_context(|| format!("cannot remove {}", link.display()))?;
        }
    }
    Ok(())
}

/// The network library notes each attachment of a sandbox in a fixed folder: one file for our network, and one for the
/// loopback interface, which every network has.
fn remove_network_notes() -> Result<()> {
    let folder = Path::new("/var/lib/cni/results");
    let Ok(notes) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    let names: Vec<String> = notes
        .flatten()
        .filter_map(|note| note.file_name().into_string().ok())
        .collect();
    for name in notes_of_ours(&names) {
        let path = folder.join(name);
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// Notes of sandboxes that our network knows.
fn notes_of_ours(names: &[String]) -> Vec<&str> {
    let sandbox = |name: &str| -> Option<String> {
        let (sandbox, _interface) = name
            .strip_prefix(CNI_NETWORK)?
            .strip_prefix('-')?
            .rsplit_once('-')?;
        Some(sandbox.to_owned())
    };
    let ours: Vec<String> = names.iter().filter_map(|name| sandbox(name)).collect();
    names
        .iter()
        .map(String::as_str)
        .filter(|name| ours.iter().any(|sandbox| name.contains(sandbox.as_str())))
        .collect()
}

/// A shim that was killed leaves its socket in a fixed folder. One that nobody listens on is of use to nobody.
fn remove_dead_sockets() -> Result<()> {
    let Ok(entries) = std::fs::read_dir("/run/containerd/s") else {
        return Ok(());
    };
    let table = std::fs::read_to_string("/proc/net/unix").context("cannot read the list of sockets")?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let listened = table
            .lines()
            .filter_map(|line| line.split_whitespace().nth(7))
            .any(|name| Path::new(name) == path);
        if !listened {
            std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_the_folder_count() {
        let table = "21 1 254:0 / / rw - ext4 /dev/vda rw\n\
                     30 21 0:40 / /c/state/kubelet/pods/a/volumes/x\\040y rw - tmpfs tmpfs rw\n\
                     31 21 0:41 / /c/state-of-others rw - tmpfs tmpfs rw\n\
                     32 21 0:4 net:[1] /c/state/netns/cni-1 rw - nsfs nsfs rw\n";
        let points = mount_points_below(table, Path::new("/c/state"));
        assert_eq!(
            points,
            [
                PathBuf::from("/c/state/kubelet/pods/a/volumes/x y"),
                PathBuf::from("/c/state/netns/cni-1")
            ]
        );
    }

    #[test]
    fn notes_of_other_networks_stay() {
        let names = [
            "yagura-1ac3-eth0",
            "cni-loopback-1ac3-lo",
            "cni-loopback-77ff-lo",
            "other-77ff-eth0",
        ];
        let names = names.map(str::to_owned);
        assert_eq!(
            notes_of_ours(&names),
            ["yagura-1ac3-eth0", "cni-loopback-1ac3-lo"]
        );
    }
}
