//! Names, addresses and folders of the one-node cluster.

use std::path::{Path, PathBuf};

use crate::cache::Places;

/// The node's name.
pub(crate) const NODE: &str = "node-1";

/// The node's address, on an interface of its own: nothing listens on an address of the machine, and pods reach the
/// API server, which they cannot on a loopback address.
pub(crate) const NODE_ADDRESS: &str = "10.201.0.1";

/// The address of an API server that is alone.
pub(crate) const LOOPBACK: &str = "127.0.0.1";

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
    address: &'static str,
}

impl Layout {
    /// The layout inside the cache folder.
    pub(crate) fn new(places: &Places) -> Self {
        Self {
            root: places.cluster(),
            address: NODE_ADDRESS,
        }
    }

    /// The layout of an API server alone in any folder: it needs no interface, and runs beside a cluster.
    pub(crate) fn alone(root: PathBuf) -> Self {
        Self {
            root,
            address: LOOPBACK,
        }
    }

    /// The address of etcd and the API server.
    pub(crate) fn address(&self) -> &'static str {
        self.address
    }

    /// The API server's URL.
    pub(crate) fn api_server(&self) -> String {
        format!("https://{}:6443", self.address)
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
