//! A namespace for one test, with what the test creates outside of it.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use anyhow::{Context as _, Result, anyhow};
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};

use crate::cluster::INSTALLATION;
use crate::{cluster, dump, install, objects};

/// The label on everything that a test creates; its value is the test's namespace.
pub const LABEL: &str = "e2e.yagura.dev/space";

/// What a test gets: a client and a namespace of its own.
#[derive(Clone)]
pub struct Space {
    /// An administrator's client.
    pub client: Client,
    /// The namespace, which is also the stem of unique names for cluster-scoped objects.
    pub name: String,
}

impl Space {
    /// A name for a cluster-scoped object of this test.
    pub fn named(&self, stem: &str) -> String {
        format!("{}-{stem}", self.name)
    }
}

/// Runs a test in a new namespace and removes it and all that the test applied, also when the test fails or panics;
/// then it first writes what the cluster looked like to standard error.
pub async fn with_namespace<T, F>(test: T) -> Result<()>
where
    T: FnOnce(Space) -> F,
    F: Future<Output = Result<()>>,
{
    with_labelled_namespace(&[], test).await
}

/// The same, the namespace having more labels, such as the Pod Security level that the test needs.
pub async fn with_labelled_namespace<T, F>(labels: &[(&str, &str)], test: T) -> Result<()>
where
    T: FnOnce(Space) -> F,
    F: Future<Output = Result<()>>,
{
    let client = cluster::client().await?;
    install::ensure_installed(&client).await?;
    let space = create(&client, labels).await?;
    let outcome = AssertUnwindSafe(test(space.clone())).catch_unwind().await;
    if !matches!(outcome, Ok(Ok(()))) {
        dump::write(&space).await;
    }
    let removed = remove(&space).await;
    match outcome {
        Ok(Ok(())) => removed,
        Ok(Err(error)) => Err(error),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

async fn create(client: &Client, labels: &[(&str, &str)]) -> Result<Space> {
    let name = format!("e2e-{:08x}", rand::random::<u32>());
    let mut all: BTreeMap<_, _> = labels
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    all.insert(LABEL.to_owned(), name.clone());
    let namespace = Namespace {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            labels: Some(all),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    Api::<Namespace>::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await
        .with_context(|| format!("cannot create namespace {name}"))?;
    Ok(Space {
        client: client.clone(),
        name,
    })
}

/// Rules, checks and routes go first, so that nothing of this test is reported on while its pods end.
async fn remove(space: &Space) -> Result<()> {
    let mut failed = Vec::new();
    for kind in [
        "DetectionRule",
        "PostureFramework",
        "PostureCheck",
        "NotificationRoute",
        "ClusterException",
        "ValueList",
    ] {
        let selector = format!("{LABEL}={}", space.name);
        if let Err(error) = objects::delete_selected(&space.client, kind, &selector).await {
            failed.push(format!("{error:#}"));
        }
    }
    if let Err(error) = remove_signals_elsewhere(space).await {
        failed.push(format!("{error:#}"));
    }
    let namespaces = Api::<Namespace>::all(space.client.clone());
    if let Err(error) = namespaces.delete(&space.name, &DeleteParams::background()).await {
        failed.push(error.to_string());
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(anyhow!("cannot clean up {}: {}", space.name, failed.join("; ")))
    }
}

/// Signals about the node, and those that a namespace that is being removed no longer takes, are in the operator's.
async fn remove_signals_elsewhere(space: &Space) -> Result<()> {
    let stem = format!("{}-", space.name);
    for signal in objects::list(&space.client, "SecuritySignal", Some(INSTALLATION), "").await? {
        let rule = signal["spec"]["rule"]["name"].as_str().unwrap_or_default();
        if rule.starts_with(&stem) {
            let name = signal["metadata"]["name"].as_str().unwrap_or_default();
            objects::delete(&space.client, "SecuritySignal", Some(INSTALLATION), name).await?;
        }
    }
    Ok(())
}
