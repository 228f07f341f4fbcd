//! An API server and etcd alone on loopback. Nothing acts on objects, so that thousands of nodes can be made up; it runs
//! beside the one-node cluster and shares nothing with it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::layout::Layout;
use super::{Cluster, Kubectl, binaries, cleanup, control_plane, pki, wait};
use crate::cache::Places;

/// A running API server; it ends and everything of it is removed when this is dropped.
pub(crate) struct Alone(Cluster);

impl Alone {
    /// Starts it in a folder, which is made anew, and waits until it answers. Every call of `logged_user` is logged.
    pub(crate) fn start(places: &Places, folder: &Path, logged_user: &str) -> Result<Self> {
        let layout = Layout::alone(folder.to_owned());
        cleanup::alone(&layout)?;
        for needed in [layout.state(), layout.logs()] {
            std::fs::create_dir_all(&needed)
                .with_context(|| format!("cannot create {}", needed.display()))?;
        }
        pki::write(&layout)?;
        let alone = Self(Cluster {
            layout,
            programs: binaries::Programs::build(places)?,
        });
        let cluster = &alone.0;
        control_plane::etcd(cluster)?;
        control_plane::api_server_alone(cluster, logged_user)?;
        let kubectl = alone.kubectl();
        wait(cluster, "kube-apiserver", || {
            Ok(kubectl.ask(&["get", "--raw", "/readyz"]).is_ok())
        })?;
        Ok(alone)
    }

    /// An administrator's kubectl.
    pub(crate) fn kubectl(&self) -> Kubectl {
        self.0.kubectl()
    }

    /// The administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.0.layout.kubeconfig()
    }

    /// The log of the user's calls.
    pub(crate) fn calls(&self) -> PathBuf {
        self.0.layout.log("audit")
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // The next start removes what is left; an error here must not hide the first one.
        drop(cleanup::alone(&self.0.layout));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs the cluster's programs, which `cargo xtask cluster up` builds"]
    fn it_answers_and_leaves_nothing() {
        let places = Places::find().unwrap();
        let folder = places.scratch("test-alone");
        let alone = Alone::start(&places, &folder, "nobody").unwrap();
        let namespaces = alone.kubectl().run(&["get", "namespaces", "-o", "name"]).unwrap();
        assert!(namespaces.contains("namespace/default"), "{namespaces}");
        assert!(alone.kubeconfig().exists() && alone.calls().exists());
        drop(alone);
        assert!(!folder.exists());
    }
}
