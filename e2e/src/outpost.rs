//! A node that exists in the API server only, with the pod of an agent on it that nobody runs: a test that plays a
//! hostile agent speaks for this node, and the real agents stay as they are.

use std::panic::AssertUnwindSafe;

use anyhow::{Context as _, Result, anyhow, ensure};
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use tonic::Streaming;
use tonic::transport::Channel;
use yagura_proto::v1::SubscribeResponse;
use yagura_proto::v1::agent_service_client::AgentServiceClient;

use crate::cluster::INSTALLATION;
use crate::components::{self, Component};
use crate::space::{LABEL, Space};
use crate::{eventually, peer};

/// The node and the pod that the `DaemonSet` made for it.
#[derive(Clone)]
pub struct Outpost {
    /// Name of the node.
    pub node: String,
    /// The agent's pod, which never starts.
    pub pod: Pod,
    client: Client,
}

/// Runs a test with such a node, and takes it away afterwards, also when the test fails or panics.
pub async fn with_outpost<T, F>(space: &Space, test: T) -> Result<()>
where
    T: FnOnce(Outpost) -> F,
    F: Future<Output = Result<()>>,
{
    let node = space.named("outpost");
    let nodes = Api::<Node>::all(space.client.clone());
    let outcome = AssertUnwindSafe(async {
        let outpost = open(space, &node).await?;
        test(outpost).await
    })
    .catch_unwind()
    .await;
    let removed = nodes.delete(&node, &DeleteParams::default()).await;
    let swept = sweep(&space.client, &node).await;
    match outcome {
        Ok(Ok(())) => {
            removed.with_context(|| format!("cannot delete node {node}"))?;
            swept
        }
        Ok(Err(error)) => Err(error),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

async fn open(space: &Space, name: &str) -> Result<Outpost> {
    let nodes = Api::<Node>::all(space.client.clone());
    let labels = json!({LABEL: space.name, "kubernetes.io/os": "linux", "kubernetes.io/hostname": name});
    let node: Node = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
    }))?;
    nodes
        .create(&PostParams::default(), &node)
        .await
        .with_context(|| format!("cannot create node {name}"))?;
    // What the scheduler asks of a node; nothing will ever run there.
    let room = json!({"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "10Gi"});
    let ready = json!({"type": "Ready", "status": "True", "reason": "Test", "message": "exists in the API server only"});
    let status = json!({"status": {"capacity": room, "allocatable": room, "conditions": [ready]}});
    nodes
        .patch_status(name, &PatchParams::default(), &Patch::Strategic(status))
        .await
        .with_context(|| format!("cannot write the status of node {name}"))?;
    let pod = agent_of(&space.client, name).await?;
    Ok(Outpost {
        node: name.to_owned(),
        pod,
        client: space.client.clone(),
    })
}

async fn agent_of(client: &Client, node: &str) -> Result<Pod> {
    eventually(&format!("an agent's pod is meant for {node}"), || async {
        let pods = components::pods(client, Component::Agent).await?;
        let on = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node);
        pods.into_iter().find(on).context("there is none")
    })
    .await
}

/// Takes away what the operator made of the node and of what was said in its name.
async fn sweep(client: &Client, node: &str) -> Result<()> {
    let mut failed = Vec::new();
    let pods = components::pods(client, Component::Agent).await?;
    let here = |pod: &&Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node);
    for pod in pods.iter().filter(here) {
        if let Err(error) = delete_pod(client, &pod.name_any()).await {
            failed.push(format!("{error:#}"));
        }
    }
    let of_node = format!("yagura.dev/node={node}");
    for signal in crate::objects::list(client, "SecuritySignal", Some(INSTALLATION), &of_node).await? {
        let name = signal["metadata"]["name"].as_str().unwrap_or_default();
        if let Err(error) = crate::objects::delete(client, "SecuritySignal", Some(INSTALLATION), name).await {
            failed.push(format!("{error:#}"));
        }
    }
    let there = async || {
        crate::objects::get(client, "NodeSensor", None, node)
            .await
            .is_ok()
    };
    if there().await
        && let Err(error) = crate::objects::delete(client, "NodeSensor", None, node).await
        // It belongs to the node, so the cluster removes it as well.
        && there().await
    {
        failed.push(format!("{error:#}"));
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(anyhow!("cannot clean up after {node}: {}", failed.join("; ")))
    }
}

async fn delete_pod(client: &Client, name: &str) -> Result<()> {
    // No kubelet will say that it ended.
    let now = DeleteParams::default().grace_period(0);
    Api::<Pod>::namespaced(client.clone(), INSTALLATION)
        .delete(name, &now)
        .await
        .map(drop)
        .with_context(|| format!("cannot delete pod {name}"))
}

impl Outpost {
    /// A token as the kubelet would mount it into the agent's pod.
    pub async fn token(&self) -> Result<String> {
        let (account, audience) = (peer::account(&self.pod)?, peer::audience(&self.pod)?);
        peer::token(&self.client, account, audience, Some(&self.pod)).await
    }

    /// A stream that the operator serves to the agent with this token: it may have to hear of the node and the pod first.
    pub async fn served(&self, token: &str) -> Result<Streaming<SubscribeResponse>> {
        let (_connection, stream) = self.connected(token).await?;
        Ok(stream)
    }

    /// The same with its connection, which outlives the stream for as long as somebody holds it.
    pub async fn connected(
        &self,
        token: &str,
    ) -> Result<(AgentServiceClient<Channel>, Streaming<SubscribeResponse>)> {
        eventually("the operator serves the agent", || async {
            let mut connection = peer::connect(&self.client).await?;
            let hello = peer::hello(&self.pod, 1);
            let mut stream = peer::subscribe(&mut connection, Some(token), hello).await?;
            let first = stream.message().await?;
            ensure!(first.is_some(), "the stream ended");
            Ok((connection, stream))
        })
        .await
    }

    /// `kubectl cordon` and `kubectl uncordon`: nothing runs there that could be evicted.
    pub async fn cordon(&self, cordoned: bool) -> Result<()> {
        let nodes = Api::<Node>::all(self.client.clone());
        let changed = if cordoned {
            nodes.cordon(&self.node).await
        } else {
            nodes.uncordon(&self.node).await
        };
        changed
            .map(drop)
            .with_context(|| format!("cannot change whether {} takes pods", self.node))
    }

    /// Deletes the agent's pod; the `DaemonSet` makes another.
    pub async fn delete_pod(&self) -> Result<()> {
        delete_pod(&self.client, &self.pod.name_any()).await
    }
}
