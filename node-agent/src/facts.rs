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
pub fn collect(root: &HostRoot, node: &Text) -> NodeFacts {
    let accounts = accounts::Accounts::read(root);
    let kubelet = match process::find(root, b"kubelet") {
        Known::Present(found) => Known::Present(kubelet::describe(root, &found)),
        Known::Absent => Known::Absent,
        Known::Unknown => Known::Unknown,
    };
    let proxy = process::find(root, b"kube-proxy").present();
    let files = files::collect(root, &accounts, kubelet.as_ref().present(), proxy.as_ref());
    NodeFacts {
        node: node.clone(),
        kubelet,
        files,
    }
}

#[cfg(test)]
mod tests;
