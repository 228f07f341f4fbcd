//! Node identity with the tokens that a real API server makes.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Parser;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Code, Request};
use yagura_operator::args::Args;
use yagura_operator::budget::WriteBudget;
use yagura_operator::context::Context;
use yagura_operator::index::pods::PodRecord;
use yagura_operator::index::{Index, SharedIndex};
use yagura_operator::metrics::Metrics;
use yagura_operator::serve::AgentServer;
use yagura_operator::signals::Ledger;
use yagura_operator::tls::{Authority, Identity, names};
use yagura_proto::v1::agent_service_client::AgentServiceClient;
use yagura_store::signals::{Limits, SignalStore};
use yagura_telemetry::{Readiness, Registry};

use crate::namespace::{create, with_namespace};

#[tokio::test]
#[ignore = "needs a cluster; cargo xtask test runs it"]
async fn only_a_token_bound_to_the_agents_pod_on_its_node_is_taken_apiserver() {
    with_namespace(|client, namespace| async move {
        let node = first_node(&client).await;
        for account in ["yagura-agent", "other"] {
            let object = json!({"metadata": {"name": account}});
            create::<ServiceAccount>(&client, &namespace, object).await;
        }
        let agent = pod(&client, &namespace, &node, "agent", "yagura-agent").await;
        let other = pod(&client, &namespace, &node, "other", "other").await;

        let args = Args::parse_from([
            "x",
            "--namespace",
            &namespace,
            "--pod-name",
            "op",
            "--listen",
            "127.0.0.1:0",
        ]);
        let (now, day) = (Timestamp::now(), SignedDuration::from_hours(24));
        let authority = Authority::generate(now, day).unwrap();
        let leaf = authority.issue(names(&args), now, day).unwrap();
        let metrics = Metrics::new(&mut Registry::default());
        let store = SignalStore::in_memory(Limits::default()).unwrap();
        let context = Context {
            client: client.clone(),
            index: SharedIndex::new(Index::new(0)),
            signals: Ledger::new(store, &namespace, metrics.clone()),
            writes: WriteBudget::new(100),
            identity: Identity::new(leaf).unwrap(),
            readiness: Readiness::default(),
            stop: CancellationToken::new(),
            args: Arc::new(args),
            metrics,
        };
        {
            let mut index = context.index.write();
            index.policy.apply_node(&node, BTreeMap::new());
            index.pods.apply(PodRecord {
                uid: agent.clone(),
                namespace: namespace.clone(),
                node: node.clone(),
                owner_kind: "DaemonSet".into(),
                owner_name: "yagura-agent".into(),
                live: true,
                ..PodRecord::default()
            });
        }
        let server = AgentServer::bind(context.clone()).await.unwrap();
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&authority.certificate))
            .domain_name(format!("yagura-operator.{namespace}.svc"));
        let url = format!("https://{}", server.address().unwrap());
        let endpoint = Endpoint::from_shared(url).unwrap().tls_config(tls).unwrap();
        let server = tokio::spawn(server.serve());
        let mut caller = AgentServiceClient::new(endpoint.connect().await.unwrap());

        let token = |account: &'static str, audience: &'static str, pod: Option<(&'static str, String)>| {
            let (client, namespace) = (client.clone(), namespace.clone());
            async move { token_of(&client, &namespace, account, audience, pod).await }
        };
        let ours = "yagura-operator";
        let bound = |uid: &str| Some(("agent", uid.to_owned()));
        let cases = [
            (token("yagura-agent", ours, bound(&agent)).await, None),
            (
                token("yagura-agent", "another", bound(&agent)).await,
                Some("wrong-audience"),
            ),
            (token("yagura-agent", ours, None).await, Some("not-bound")),
            (
                token("other", ours, Some(("other", other))).await,
                Some("wrong-subject"),
            ),
        ];
        for (token, refused) in cases {
            let mut request = Request::new(tokio_stream::pending());
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
            let answered = caller.report(request).await.map(|_| ()).map_err(|s| s.code());
            let expected = refused.map_or(Ok(()), |_| Err(Code::Unauthenticated));
            assert_eq!(answered, expected, "{refused:?}");
            if let Some(cause) = refused {
                assert_eq!(context.metrics.refused_streams.get([cause]), 1, "{cause}");
            }
        }
        context.stop.cancel();
        server.await.unwrap().unwrap();
    })
    .await;
}

async fn first_node(client: &Client) -> String {
    let nodes: Api<Node> = Api::all(client.clone());
    let nodes = nodes.list(&ListParams::default().limit(1)).await.unwrap();
    nodes.items[0].metadata.name.clone().unwrap()
}

/// A pod on the node; whether its image can be had does not matter here.
async fn pod(client: &Client, namespace: &str, node: &str, name: &str, account: &str) -> String {
    let object = json!({
        "metadata": {"name": name},
        "spec": {
            "nodeName": node,
            "serviceAccountName": account,
            "automountServiceAccountToken": false,
            "containers": [{"name": "x", "image": "none.invalid/x:1", "imagePullPolicy": "Never"}],
        },
    });
    let pod: Pod = create(client, namespace, object).await;
    pod.metadata.uid.unwrap()
}

async fn token_of(
    client: &Client,
    namespace: &str,
    account: &str,
    audience: &str,
    pod: Option<(&str, String)>,
) -> String {
    let reference =
        pod.map(|(name, uid)| json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}));
    let request: Value = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {},
        "spec": {"audiences": [audience], "expirationSeconds": 600, "boundObjectRef": reference},
    });
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = serde_json::from_value(request).unwrap();
    let made = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await
        .unwrap();
    made.status.unwrap().token.unwrap()
}
