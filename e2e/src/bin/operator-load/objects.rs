//! The cluster that never was: nodes without kubelets, and pods that nobody runs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::authentication::v1::TokenRequestSpec;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::{Api, PostParams};
use kube::config::Kubeconfig;
use kube::{Client, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use yagura_e2e::cluster::{self, INSTALLATION};
use yagura_e2e::peer;

/// Calls at a time.
const PARALLEL: usize = 48;

/// The agents' service account and `DaemonSet`, as the operator's flags have them by default.
const AGENT: &str = "yagura-agent";

/// Audience of the agents' tokens.
const AUDIENCE: &str = "yagura-operator";

/// Namespaces with workloads; nodes take turns.
pub(crate) const NAMESPACES: usize = 20;

/// Tokens must last for the whole run: one day.
const LIFE: i64 = 86_400;

/// Who an agent is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Its node.
    pub(crate) node: String,
    /// Uid of a pod on that node that is not its own.
    pub(crate) workload: String,
    /// Its token.
    pub(crate) token: String,
}

/// Makes nodes and pods, and a token for each agent.
pub(crate) async fn make(client: &Client, agents: usize, workloads: usize) -> Result<Vec<Identity>> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for n in 0..NAMESPACES {
        create(&namespaces, json!({"metadata": {"name": namespace(n)}})).await?;
    }
    let sets: Api<DaemonSet> = Api::namespaced(client.clone(), INSTALLATION);
    let owner = create(&sets, daemon_set()).await?;
    let owner = owner.uid().context("a DaemonSet without a uid")?;
    stream::iter(0..agents)
        .map(|n| one(client, n, workloads, &owner))
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await
}

/// A kubeconfig with the operator's own service account, so that the API server treats it as in a cluster.
pub(crate) async fn kubeconfig(client: &Client, folder: &Path) -> Result<PathBuf> {
    let admin = Kubeconfig::read_from(cluster::kubeconfig()?)?;
    let cluster = admin
        .clusters
        .first()
        .and_then(|named| named.cluster.as_ref())
        .context("the kubeconfig has no cluster")?;
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "operator",
        "clusters": [{"name": "bench", "cluster": {
            "server": cluster.server, "certificate-authority": cluster.certificate_authority,
        }}],
        "users": [{"name": "operator", "user": {"token": token(client, "yagura-operator", None).await?}}],
        "contexts": [{"name": "operator", "context": {"cluster": "bench", "user": "operator"}}],
    });
    let path = folder.join("operator.kubeconfig");
    std::fs::write(&path, config.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

async fn one(client: &Client, n: usize, workloads: usize, owner: &str) -> Result<Identity> {
    let node = format!("bench-{n:05}");
    create(&Api::<Node>::all(client.clone()), node_object(&node, n)).await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), INSTALLATION);
    let agent = create(&pods, agent_pod(&node, owner)).await?;
    let mut workload = String::new();
    for k in 0..workloads {
        let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace(n + k));
        let pod = create(&pods, workload_pod(&node, n, k)).await?;
        workload = pod.uid().unwrap_or_default();
    }
    let token = token(client, AGENT, Some(&agent)).await?;
    Ok(Identity {
        node,
        workload,
        token,
    })
}

async fn token(client: &Client, account: &str, pod: Option<&Pod>) -> Result<String> {
    let spec = TokenRequestSpec {
        // An agent's token is for the operator only, the operator's for the API server.
        audiences: pod.map(|_| vec![AUDIENCE.to_owned()]),
        expiration_seconds: Some(LIFE),
        ..TokenRequestSpec::default()
    };
    peer::request_token(client, account, pod, spec).await
}

async fn create<K>(api: &Api<K>, object: Value) -> Result<K>
where
    K: kube::Resource + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let object: K = serde_json::from_value(object).context("not an object of its kind")?;
    api.create(&PostParams::default(), &object)
        .await
        .with_context(|| {
            format!(
                "cannot create {}",
                object.meta().name.as_deref().unwrap_or_default()
            )
        })
}

fn namespace(n: usize) -> String {
    format!("shop-{:02}", n % NAMESPACES)
}

fn node_object(name: &str, n: usize) -> Value {
    json!({"metadata": {"name": name, "labels": {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": "large",
        "topology.kubernetes.io/zone": format!("zone-{}", n % 3),
    }}})
}

fn daemon_set() -> Value {
    let labels = json!({"app.kubernetes.io/name": AGENT});
    json!({"metadata": {"name": AGENT}, "spec": {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {
            "serviceAccountName": AGENT,
            "containers": [{"name": "agent", "image": "yagura/agent"}],
        }},
    }})
}

fn agent_pod(node: &str, owner: &str) -> Value {
    json!({
        "metadata": {
            "name": format!("{AGENT}-{node}"),
            "labels": {"app.kubernetes.io/name": AGENT},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "DaemonSet", "name": AGENT, "uid": owner, "controller": true,
            }],
        },
        "spec": {
            "nodeName": node,
            "serviceAccountName": AGENT,
            "containers": [{"name": "agent", "image": "yagura/agent"}],
        },
    })
}

fn workload_pod(node: &str, n: usize, k: usize) -> Value {
    json!({
        "metadata": {
            "name": format!("web-{n:05}-{k}"),
            "labels": {"app": "web", "pod-template-hash": "7d9c", "team": "shop", "version": "v12"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d9c", "controller": true,
                "uid": format!("00000000-0000-0000-0000-{n:012}"),
            }],
        },
        "spec": {
            "nodeName": node,
            "containers": [
                {"name": "web", "image": "registry.example/shop/web:1.12.4",
                 "env": [{"name": "MODE", "value": "production"}],
                 "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}}},
                {"name": "proxy", "image": "registry.example/mesh/proxy:3.1"},
            ],
        },
    })
}
