//! What a cgroup's path says about a container: its id, runtime and pod.
//!
//! Runtimes name cgroups in two ways, after their cgroup driver: nested directories (`cgroupfs`)
//! or systemd units (`.slice`, `.scope`), where dashes in names become underscores.

use yagura_event::{Known, Text};

/// Hexadecimal digits of a container id.
const ID: usize = 64;

/// A container as far as its cgroup tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The runtime's id.
    pub id: Text,
    /// `containerd`, `cri-o`, `docker` or `podman`; unknown where the path does not say, as below
    /// a kubelet with the `cgroupfs` driver.
    pub runtime: Known<Text>,
    /// Uid of the pod; absent outside Kubernetes.
    pub pod_uid: Known<Text>,
}

/// Reads a cgroup's path. `None` when it names no container.
///
/// The innermost container counts, so that a container within a container is its own, and what
/// systemd makes below a container belongs to it.
pub fn parse(path: &[u8]) -> Option<Identity> {
    let mut outer = path;
    loop {
        let (rest, name) = split_last(outer)?;
        if let Some((prefix, id)) = container(name) {
            return Some(Identity {
                id: Text::from(id),
                runtime: runtime(prefix, rest),
                pod_uid: pod(rest).into(),
            });
        }
        outer = rest;
    }
}

fn split_last(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    Some((path.get(..slash)?, path.get(slash + 1..)?))
}

/// Prefix and id of a directory's name, such as `docker-` and the digits in
/// `docker-<id>.scope`. The monitor of a container (`crio-conmon-<id>.scope`) is not it.
fn container(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let name = name.strip_suffix(b".scope").unwrap_or(name);
    let (prefix, id) = name.split_at_checked(name.len().checked_sub(ID)?)?;
    let hexadecimal = id
        .iter()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
    let named = prefix.is_empty() || prefix.ends_with(b"-");
    (hexadecimal && named && !prefix.ends_with(b"conmon-")).then_some((prefix, id))
}

fn runtime(prefix: &[u8], parents: &[u8]) -> Known<Text> {
    let name = match prefix {
        b"cri-containerd-" | b"nerdctl-" => "containerd",
        b"crio-" => "cri-o",
        b"docker-" => "docker",
        b"libpod-" => "podman",
        _ => match split_last(parents).map(|(_, parent)| parent) {
            Some(b"docker") => "docker",
            Some(b"libpod_parent") => "podman",
            Some(b"k8s.io" | b"default" | b"moby") => "containerd",
            _ => return Known::Unknown,
        },
    };
    Known::Present(Text::from(name))
}

/// Uid of the pod that one of the directories names: `pod<uid>`, or
/// `kubepods-<class>-pod<uid>.slice` with underscores.
fn pod(parents: &[u8]) -> Option<Text> {
    parents.rsplit(|byte| *byte == b'/').find_map(|name| {
        if let Some(uid) = name.strip_prefix(b"pod") {
            return is_uid(uid, b'-').then(|| Text::from(uid));
        }
        let unit = name.strip_suffix(b".slice")?;
        let unit = unit.strip_prefix(b"kubepods")?;
        let at = unit.windows(4).position(|window| window == b"-pod")?;
        let uid = unit.get(at + 4..)?;
        is_uid(uid, b'_').then(|| {
            let dashed = uid.iter().map(|byte| if *byte == b'_' { b'-' } else { *byte });
            Text::from(dashed.collect::<Vec<_>>())
        })
    })
}

/// A uuid with the given separator, or the 32 digits of a static pod's hash.
fn is_uid(text: &[u8], separator: u8) -> bool {
    let digits = text.iter().filter(|byte| byte.is_ascii_hexdigit()).count();
    let dashed = text.split(|byte| *byte == separator).count();
    digits == 32 && digits + dashed - 1 == text.len() && matches!(dashed, 1 | 5)
}

#[cfg(test)]
mod tests;
