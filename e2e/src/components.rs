//! Operator and agents: finding them, ending them the hard way, waiting for them.

use std::fmt;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use crate::cluster::INSTALLATION;
use crate::{eventually, host, workload};

/// A part of the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// The one controller.
    Operator,
    /// The agent of each node.
    Agent,
}

impl Component {
    fn selector(self) -> String {
        format!("app.kubernetes.io/name=yagura,app.kubernetes.io/component={self}")
    }
}

impl fmt::Display for Component {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Operator => "operator",
            Self::Agent => "agent",
        })
    }
}

/// Its pods that are not being deleted.
pub async fn pods(client: &Client, component: Component) -> Result<Vec<Pod>> {
    let selected = ListParams::default().labels(&component.selector());
    let found = Api::<Pod>::namespaced(client.clone(), INSTALLATION)
        .list(&selected)
        .await
        .with_context(|| format!("cannot list pods of the {component}"))?;
    Ok(found
        .items
        .into_iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .collect())
}

/// Waits for a ready pod of it.
pub async fn ready(client: &Client, component: Component) -> Result<Pod> {
    eventually(&format!("the {component} is ready"), || async {
        let pods = pods(client, component).await?;
        pods.into_iter()
            .find(is_ready)
            .with_context(|| format!("no pod of the {component} is ready"))
    })
    .await
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}

/// Ends its processes with SIGKILL, as the kernel does when memory runs out, and waits until the kubelet has started
/// its container again.
pub async fn kill(client: &Client, component: Component) -> Result<()> {
    let pod = ready(client, component).await?;
    let (name, before) = (pod.name_any(), restarts(&pod));
    host::kill_container(&workload::container_id(&pod)?).await?;
    let api = Api::<Pod>::namespaced(client.clone(), INSTALLATION);
    eventually(&format!("{name} is started again"), || async {
        let after = restarts(&api.get(&name).await?);
        ensure!(after > before, "{after} restarts");
        Ok(())
    })
    .await
}

/// How often its containers were started again.
pub fn restarts(pod: &Pod) -> i32 {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|container| container.restart_count).sum()
}

/// What its containers said before they ended.
pub fn last_words(pod: &Pod) -> Vec<String> {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses
        .flat_map(|container| [&container.state, &container.last_state])
        .filter_map(|state| state.as_ref()?.terminated.as_ref()?.message.clone())
        .collect()
}

/// Sets the number of operators, 0 or 1.
pub async fn set_operators(client: &Client, replicas: u32) -> Result<()> {
    let api = Api::<Deployment>::namespaced(client.clone(), INSTALLATION);
    let selected = ListParams::default().labels(&Component::Operator.selector());
    let found = api.list(&selected).await.context("cannot list deployments")?;
    let name = found
        .items
        .first()
        .context("the operator has no deployment")?
        .name_any();
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    api.patch_scale(&name, &PatchParams::default(), &patch)
        .await
        .with_context(|| format!("cannot scale {name}"))
        .map(drop)
}

/// The same, and waits until that many run.
pub async fn scale_operator(client: &Client, replicas: u32) -> Result<()> {
    set_operators(client, replicas).await?;
    if replicas == 0 {
        return eventually("the operator is gone", || async {
            let selected = ListParams::default().labels(&Component::Operator.selector());
            let left = Api::<Pod>::namespaced(client.clone(), INSTALLATION)
                .list(&selected)
                .await?;
            ensure!(left.items.is_empty(), "{} pods are left", left.items.len());
            Ok(())
        })
        .await;
    }
    ready(client, Component::Operator).await.map(drop)
}
