//! Agents against the real server: TLS on loopback, a real store, and an API server that answers
//! the few calls that are made.

mod api_server;
mod policy;
mod records;
mod rivals;
mod rotation;
mod strangers;
mod windows;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Streaming};
use yagura_event::Severity;
use yagura_proto::v1::agent_service_client::AgentServiceClient;
use yagura_proto::v1::subscribe_request::Message as Sent;
use yagura_proto::v1::{
    Hello, NamedList, NamedListRef, ReportRequest, ReportResponse, RuleBody, SubscribeRequest,
    SubscribeResponse,
};
use yagura_proto::{PROTOCOL_VERSION, content};
use yagura_store::signals::{Limits, SignalStore};
use yagura_telemetry::{Readiness, Registry};

use super::claims::tests::token;
use super::connection::Bounds;
use super::{AgentServer, ServeError};
use crate::args::Args;
use crate::budget::WriteBudget;
use crate::context::Context;
use crate::index::pods::{ContainerRecord, PodRecord};
use crate::index::policy::{RuleMeta, ServedRule, Windows};
use crate::index::{Index, SharedIndex};
use crate::metrics::Metrics;
use crate::signals::{self, Ledger, LedgerError};
use crate::tls::Certificates;

use api_server::ApiServer;

/// Everything that should happen happens in this time.
const SOON: Duration = Duration::from_secs(20);

const ACCOUNT: &str = "system:serviceaccount:sec:yagura-agent";

/// An operator that serves agents and writes signals.
struct Operator {
    context: Context,
    address: SocketAddr,
    trust: String,
    certificates: Option<Certificates>,
    api: ApiServer,
    server: JoinHandle<Result<(), ServeError>>,
    writer: JoinHandle<Result<(), LedgerError>>,
}

impl Operator {
    async fn start() -> Self {
        let store = SignalStore::in_memory(Limits::default()).unwrap();
        Self::start_with(store, ApiServer::start().await).await
    }

    async fn start_with(store: SignalStore, api: ApiServer) -> Self {
        Self::start_bounded(store, api, Bounds::default()).await
    }

    async fn start_bounded(store: SignalStore, api: ApiServer, bounds: Bounds) -> Self {
        Self::start_flagged(store, api, bounds, &[]).await
    }

    async fn start_flagged(store: SignalStore, api: ApiServer, bounds: Bounds, flags: &[&str]) -> Self {
        let args = [
            "x",
            "--namespace",
            "sec",
            "--pod-name",
            "op",
            "--listen",
            "127.0.0.1:0",
        ];
        let args = Args::parse_from(args.iter().chain(flags));
        let metrics = Metrics::new(&mut Registry::default());
        let certificates = Certificates::establish(&api.client(), &args, &metrics)
            .await
            .unwrap();
        let context = Context {
            client: api.client(),
            index: SharedIndex::new(Index::new(1)),
            signals: Ledger::new(store, "sec", metrics.clone()),
            writes: WriteBudget::new(1_000),
            identity: certificates.identity(),
            readiness: Readiness::default(),
            stop: CancellationToken::new(),
            args: Arc::new(args),
            metrics,
        };
        let mut server = AgentServer::bind(context.clone()).await.unwrap();
        server.bounds = bounds;
        let address = server.address().unwrap();
        let operator = Self {
            server: tokio::spawn(server.serve()),
            writer: tokio::spawn(signals::write(context.clone())),
            trust: api.bundle(),
            certificates: Some(certificates),
            context,
            address,
            api,
        };
        operator.add_node("n1");
        operator
    }

    /// A node with its agent's pod, and a pod of a shop.
    fn add_node(&self, node: &str) {
        let mut index = self.context.index.write();
        index.policy.apply_node(node, BTreeMap::new());
        index.pods.apply(PodRecord {
            uid: format!("agent-{node}"),
            name: format!("yagura-agent-{node}"),
            namespace: "sec".into(),
            node: node.into(),
            owner_kind: "DaemonSet".into(),
            owner_name: "yagura-agent".into(),
            live: true,
            ..PodRecord::default()
        });
        index.pods.apply(PodRecord {
            uid: format!("cart-{node}"),
            name: format!("cart-{node}"),
            namespace: "shop".into(),
            node: node.into(),
            live: true,
            containers: vec![ContainerRecord {
                name: "cart".into(),
                id: format!("container-{node}"),
                ..ContainerRecord::default()
            }],
            ..PodRecord::default()
        });
    }

    /// A token that the API server knows, bound to the agent of a node.
    fn token_of(&self, node: &str) -> String {
        self.token_until(node, jiff::Timestamp::now().as_second() + 600)
    }

    fn token_until(&self, node: &str, expires: i64) -> String {
        let token = token(&serde_json::json!(["yagura-operator", node]), expires, ACCOUNT);
        self.api.bind(&token, ACCOUNT, &format!("agent-{node}"), node);
        token
    }

    fn apply_rule(&self, uid: &str, condition: &str) {
        self.apply_counting(uid, condition, None);
    }

    /// Applies a rule that counts over time.
    fn apply_counting(&self, uid: &str, condition: &str, windows: Option<Windows>) {
        self.apply(uid, condition, windows, Vec::new());
    }

    /// Applies a rule that uses a named list.
    fn apply_with_list(&self, uid: &str, list: &Arc<NamedList>) {
        self.apply(uid, "true", None, vec![Arc::clone(list)]);
    }

    fn apply(&self, uid: &str, condition: &str, windows: Option<Windows>, lists: Vec<Arc<NamedList>>) {
        let named = lists.iter().map(|list| NamedListRef {
            name: "n".to_owned(),
            hash: list.hash.clone(),
        });
        let body = content::seal(RuleBody {
            lists: named.collect(),
            uid: uid.into(),
            name: format!("rule-{uid}"),
            condition: condition.into(),
            ..RuleBody::default()
        });
        let meta = RuleMeta {
            kind: "DetectionRule",
            uid: uid.into(),
            name: format!("rule-{uid}"),
            generation: 1,
            severity: Severity::High,
            source: "workload".into(),
            title: "Title".into(),
            description: String::new(),
            remediation: String::new(),
            attack: Vec::new(),
            lifetime: yagura_store::signals::Lifetime::default(),
            windows,
        };
        self.context.index.write().policy.apply_rule(ServedRule {
            meta: Arc::new(meta),
            body: Arc::new(body),
            lists,
            nodes: kube::core::Selector::default(),
        });
    }

    async fn connect(&self) -> AgentServiceClient<Channel> {
        self.connect_at(self.address).await
    }

    /// Connects to an address that leads to this operator.
    async fn connect_at(&self, address: SocketAddr) -> AgentServiceClient<Channel> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.trust))
            .domain_name("yagura-operator.sec.svc");
        let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
        AgentServiceClient::new(channel)
    }

    async fn subscribe(&self, token: &str, hello: Hello) -> Result<Subscription, tonic::Status> {
        self.subscribe_at(self.address, token, "test", hello).await
    }

    /// Subscribes by way of an address, as the process of this name.
    async fn subscribe_at(
        &self,
        address: SocketAddr,
        token: &str,
        instance: &str,
        hello: Hello,
    ) -> Result<Subscription, tonic::Status> {
        let (send, requests) = mpsc::channel(8);
        let hello = SubscribeRequest {
            message: Some(Sent::Hello(hello)),
        };
        send.send(hello).await.unwrap();
        let mut request = with_token(ReceiverStream::new(requests), token);
        let instance = instance.parse().unwrap();
        request.metadata_mut().insert("yagura-instance", instance);
        let mut client = self.connect_at(address).await;
        let answers = client.subscribe(request).await?.into_inner();
        Ok(Subscription { send, answers })
    }

    async fn report(&self, token: &str) -> Result<Reporting, tonic::Status> {
        let (send, requests) = mpsc::channel(8);
        let request = with_token(ReceiverStream::new(requests), token);
        let answers = self.connect().await.report(request).await?.into_inner();
        Ok(Reporting { send, answers })
    }

    /// Ends the server and the writer and says that neither failed.
    async fn stop(self) {
        self.context.stop.cancel();
        timeout(SOON, self.server).await.unwrap().unwrap().unwrap();
        timeout(SOON, self.writer).await.unwrap().unwrap().unwrap();
    }
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

fn hello(node: &str) -> Hello {
    Hello {
        protocol: PROTOCOL_VERSION,
        node_name: node.into(),
        agent_version: "test".into(),
        ..Hello::default()
    }
}

/// An agent's Subscribe stream.
struct Subscription {
    send: mpsc::Sender<SubscribeRequest>,
    answers: Streaming<SubscribeResponse>,
}

/// An agent's Report stream.
struct Reporting {
    send: mpsc::Sender<ReportRequest>,
    answers: Streaming<ReportResponse>,
}

/// The next message of a stream, or how it ended.
async fn next<T>(answers: &mut Streaming<T>) -> Result<Option<T>, tonic::Status> {
    timeout(SOON, answers.message()).await.expect("an answer in time")
}

/// Waits until a condition holds that something else brings about.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = timeout(SOON, async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "in vain: {what}");
}
