//! The cluster under test and the names of the installation in it.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Namespace of the installation.
pub const INSTALLATION: &str = "yagura-system";

/// Name of the Helm release.
pub const RELEASE: &str = "yagura";

/// Image of the pods that tests start: busybox, imported into the node, never pulled.
pub const IMAGE: &str = "docker.io/library/busybox:1";

/// A client for the cluster that `KUBECONFIG` names. Nothing else is tried: these tests delete things, and must not
/// find a cluster by accident.
pub async fn client() -> Result<Client> {
    Client::try_from(config().await?).context("cannot make a client")
}

/// The host of its API server.
pub(crate) async fn server() -> Result<String> {
    let url = config().await?.cluster_url;
    url.host()
        .map(ToOwned::to_owned)
        .with_context(|| format!("{url} has no host"))
}

async fn config() -> Result<Config> {
    let path = kubeconfig()?;
    let file = Kubeconfig::read_from(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("{} cannot be used", path.display()))
}

/// The path in `KUBECONFIG`.
pub fn kubeconfig() -> Result<PathBuf> {
    let path = std::env::var_os("KUBECONFIG")
        .context("KUBECONFIG is not set: run `cargo xtask cluster up` and export what it prints")?;
    Ok(PathBuf::from(path))
}
