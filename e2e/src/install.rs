//! The chart's installation through Helm.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::cluster::{INSTALLATION, RELEASE};
use crate::objects::MANAGER;
use crate::tool;

/// Values of the running release, so that it can be installed again as it was.
#[derive(Debug)]
pub struct Values(tempfile::NamedTempFile);

/// The chart of this repository.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .with_file_name("charts")
        .join("yagura")
}

/// Reads the values that the release was installed with.
pub async fn values() -> Result<Values> {
    let text = helm(&[
        "get",
        "values",
        RELEASE,
        "--namespace",
        INSTALLATION,
        "--output",
        "yaml",
    ])
    .await?;
    let file = tempfile::Builder::new()
        .suffix(".yaml")
        .tempfile()
        .context("cannot create a temporary file")?;
    tokio::fs::write(file.path(), text)
        .await
        .context("cannot write the values")?;
    Ok(Values(file))
}

/// `helm upgrade` with `values` and `changes` as `--set` takes them, and nothing of what was changed before.
pub async fn upgrade(values: &Values, changes: &[&str]) -> Result<()> {
    let chart = chart().display().to_string();
    let file = values.0.path().display().to_string();
    let mut arguments = vec![
        "upgrade",
        RELEASE,
        &chart,
        "--namespace",
        INSTALLATION,
        "--reset-values",
        "--values",
        &file,
    ];
    for change in changes {
        arguments.extend(["--set", change]);
    }
    helm(&arguments).await.map(drop)
}

/// `helm uninstall`, waiting until everything is gone.
pub async fn uninstall() -> Result<()> {
    helm(&[
        "uninstall",
        RELEASE,
        "--namespace",
        INSTALLATION,
        "--wait",
        "--timeout",
        "180s",
    ])
    .await
    .map(drop)
}

/// Installs the chart as it was.
pub async fn install(values: &Values) -> Result<()> {
    let file = values.0.path().display().to_string();
    install_with(&["--values", &file]).await
}

/// Installs the chart with its defaults when the cluster does not have it: the first test on a new cluster does this.
pub(crate) async fn ensure_installed(client: &Client) -> Result<()> {
    let deployments = Api::<Deployment>::namespaced(client.clone(), INSTALLATION);
    let ours = ListParams::default().labels(&format!("app.kubernetes.io/instance={RELEASE}"));
    if !deployments
        .list(&ours)
        .await
        .context("cannot look for an installation")?
        .items
        .is_empty()
    {
        return Ok(());
    }
    let namespace: Namespace = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        // What NOTES.txt and the README tell a user: agents need host folders and capabilities.
        "metadata": {"name": INSTALLATION, "labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
    }))?;
    Api::<Namespace>::all(client.clone())
        .patch(
            INSTALLATION,
            &PatchParams::apply(MANAGER).force(),
            &Patch::Apply(&namespace),
        )
        .await
        .with_context(|| format!("cannot create namespace {INSTALLATION}"))?;
    install_with(&[]).await
}

async fn install_with(arguments: &[&str]) -> Result<()> {
    let chart = chart().display().to_string();
    let mut all = vec![
        "upgrade",
        "--install",
        RELEASE,
        &chart,
        "--namespace",
        INSTALLATION,
    ];
    all.extend(["--wait", "--timeout", "90s"]);
    all.extend(arguments);
    helm(&all).await.map(drop)
}

async fn helm(arguments: &[&str]) -> Result<String> {
    tool::run("helm", "YAGURA_HELM", arguments).await
}
