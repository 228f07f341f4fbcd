//! What is configured on the node, collected without judging it.
//!
//! Everything is read through a [`HostRoot`], so that an agent in a container sees the host's
//! files. No secret is collected: no file's content but the kubelet's configuration, of that only
//! the members that checks read, and of the command line no value of a flag that names one.

mod accounts;
mod files;
mod host_root;
mod kubelet;
mod process;

use yagura_event::facts::NodeFacts;
use yagura_event::{Known, Text};

pub use host_root::{HostRoot, HostRootError};

/// Collects the facts of this node.
///
/// What the kubelet's arguments name is looked for in the file system that the kubelet sees, which
/// needs no mount of the host's files; without a kubelet the host's own root has to do.
pub fn collect(host: &HostRoot, node: &Text) -> NodeFacts {
    let found = process::find(host, b"kubelet");
    let root = match &found {
        Known::Present(kubelet) => kubelet.root.as_ref(),
        Known::Absent => Known::Present(host),
        Known::Unknown => Known::Unknown,
    };
    let kubelet = found.as_ref().map(|found| kubelet::describe(root, found));
    let proxy = process::find(host, b"kube-proxy").present();
    let mounts = found.as_ref().present().and_then(|found| found.mounts.as_ref());
    let files = files::collect(
        root,
        kubelet.as_ref().present(),
        proxy
            .as_ref()
            .filter(|proxy| mounts.is_some() && proxy.mounts.as_ref() == mounts),
    );
    NodeFacts {
        node: node.clone(),
        kubelet,
        files,
    }
}

#[cfg(test)]
mod tests;
