//! Names, addresses and folders of the one-node cluster.

use std::path::{Path, PathBuf};

use crate::cache::Places;

/// The node's name.
pub(crate) const NODE: &str = "node-1";

/// The node's address, on an interface of its own: nothing listens on an address of the machine, and pods reach the
/// API server, which they cannot on a loopback address.
pub(crate) const NODE_ADDRESS: &str = "10.201.0.1";

/// The interface that carries [`NODE_ADDRESS`].
pub(crate) const NODE_INTERFACE: &str = "yagura-node";

/// The bridge that pods are attached to.
pub(crate) const POD_BRIDGE: &str = "yagura-pods";

/// Addresses of pods.
pub(crate) const POD_NETWORK: &str = "10.202.0.0/24";

/// Addresses of services.
pub(crate) const SERVICE_NETWORK: &str = "10.203.0.0/24";

/// The first address of [`SERVICE_NETWORK`], which is the API server's.
pub(crate) const API_SERVICE: &str = "10.203.0.1";

/// Name of the CNI network, by which its leftovers are recognised.
pub(crate) const CNI_NETWORK: &str = "yagura";

/// The folder in which everything of a running cluster is, and the names below it.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout inside the cache folder.
    pub(crate) fn new(places: &Places) -> Self {
        Self {
            root: places.cluster(),
        }
    }

    /// The layout in any folder.
    #[cfg(test)]
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Kept between clusters: the lock, the last logs.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Held by the one xtask that changes the cluster.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Logs of the last cluster.
    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The log of one part.
    pub(crate) fn log(&self, part: &str) -> PathBuf {
        self.logs().join(format!("{part}.log"))
    }

    /// State of the running cluster, gone when it is down. Its path is also the mark on the cluster's processes.
    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// A folder or file in the state.
    pub(crate) fn in_state(&self, name: &str) -> PathBuf {
        self.state().join(name)
    }

    /// Certificates and keys.
    pub(crate) fn pki(&self, file: &str) -> PathBuf {
        self.in_state("pki").join(file)
    }

    /// The administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// The kubeconfig of one part.
    pub(crate) fn part_kubeconfig(&self, part: &str) -> PathBuf {
        self.in_state("kubeconfigs").join(part)
    }

    /// containerd's socket.
    pub(crate) fn containerd_socket(&self) -> PathBuf {
        self.in_state("containerd.sock")
    }
}

/// The API server's URL.
pub(crate) fn api_server() -> String {
    format!("https://{NODE_ADDRESS}:6443")
}
