//! The driver with a real store, a receiver on the loopback, and an API server that has one route.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, patch};
use axum::{Json, Router};
use clap::Parser as _;
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;
use yagura_store::signals::{Limits, SignalStore, Triage, Triaged};
use yagura_telemetry::{Readiness, Registry};

use super::receiver::tests::Server;
use crate::args::Args;
use crate::budget::WriteBudget;
use crate::context::Context;
use crate::index::{Index, SharedIndex};
use crate::metrics::Metrics;
use crate::signals::{Ledger, LedgerError, OwnFinding, OwnRule, now};
use crate::tls::{Authority, Identity};

const SOON: Duration = Duration::from_secs(30);

/// The routes, and the last status that was written.
#[derive(Clone)]
struct Routes {
    object: Arc<Mutex<Value>>,
    status: Arc<Mutex<Value>>,
    url: String,
}

impl Routes {
    async fn start(spec: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let object = json!({
            "apiVersion": "yagura.dev/v1alpha1",
            "kind": "NotificationRoute",
            "metadata": {"name": "ops", "uid": "u", "generation": 1, "resourceVersion": "1"},
            "spec": spec,
        });
        let routes = Self {
            object: Arc::new(Mutex::new(object)),
            status: Arc::default(),
            url: format!("http://{}", listener.local_addr().unwrap()),
        };
        let path = "/apis/yagura.dev/v1alpha1/notificationroutes";
        let served = Router::new()
            .route(path, get(list))
            .route(&format!("{path}/ops/status"), patch(write))
            .with_state(routes.clone());
        tokio::spawn(async move { axum::serve(listener, served).await });
        routes
    }

    fn status(&self) -> Value {
        self.status.lock().unwrap()["status"].clone()
    }
}

async fn list(State(routes): State<Routes>, uri: Uri) -> Response {
    if uri.query().is_some_and(|query| query.contains("watch=true")) {
        // Nothing changes: the watch stays open.
        return axum::body::Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>())
            .into_response();
    }
    let object = routes.object.lock().unwrap().clone();
    Json(json!({
        "apiVersion": "yagura.dev/v1alpha1",
        "kind": "NotificationRouteList",
        "metadata": {"resourceVersion": "1"},
        "items": [object],
    }))
    .into_response()
}

async fn write(State(routes): State<Routes>, body: axum::body::Bytes) -> Json<Value> {
    let written: Value = serde_json::from_slice(&body).unwrap();
    *routes.status.lock().unwrap() = written;
    Json(routes.object.lock().unwrap().clone())
}

/// Opens the store as soon as a killed operator's last call has let it go.
async fn open(path: &Path) -> SignalStore {
    let deadline = Instant::now() + SOON;
    let mut turns = interval(Duration::from_millis(20));
    loop {
        turns.tick().await;
        match SignalStore::open(path, "op", Limits::default()) {
            Ok(store) => return store,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

struct Operator {
    context: Context,
    task: JoinHandle<Result<(), LedgerError>>,
}

impl Operator {
    async fn start(store: &Path, routes: &Routes) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let args = Args::parse_from([
            "x",
            "--namespace",
            "sec",
            "--pod-name",
            "op",
            "--cluster-name",
            "prod-1",
        ]);
        let metrics = Metrics::new(&mut Registry::default());
        let (today, day) = (jiff::Timestamp::now(), jiff::SignedDuration::from_hours(24));
        let authority = Authority::generate(today, day).unwrap();
        let leaf = authority.issue(crate::tls::names(&args), today, day).unwrap();
        let store = open(store).await;
        let context = Context {
            client: Client::try_from(Config::new(routes.url.parse().unwrap())).unwrap(),
            index: SharedIndex::new(Index::new(1)),
            signals: Ledger::new(store, "sec", metrics.clone()),
            writes: WriteBudget::new(1_000),
            identity: Identity::new(leaf).unwrap(),
            readiness: Readiness::default(),
            stop: CancellationToken::new(),
            args: Arc::new(args),
            metrics,
        };
        super::prepare(&context).await.unwrap();
        let task = tokio::spawn(super::run(context.clone()));
        Self { context, task }
    }

    /// Ends as a process does that is killed: nothing is stored any more.
    async fn kill(self) {
        self.task.abort();
        self.task.await.unwrap_err();
    }

    async fn state(&self, node: &str, count: u64) {
        let finding = OwnFinding {
            rule: OwnRule::SecondStream,
            group: vec![("node", node.to_owned())],
            resources: Vec::new(),
            title: format!("two agents on {node}"),
            count,
            time: now(),
        };
        self.context.signals.own_state(finding).await.unwrap();
    }

    /// What the store says was told of every signal.
    async fn told(&self) -> Vec<(String, Option<String>)> {
        self.context
            .signals
            .with(|store| {
                let page = store.changes_since(0, 100)?;
                let mut told = Vec::new();
                let mut ids: Vec<i64> = page.changes.iter().map(|change| change.signal.id).collect();
                ids.dedup();
                for id in ids {
                    told.extend(
                        store
                            .deliveries_of(id)?
                            .into_iter()
                            .map(|row| (row.route, row.result)),
                    );
                }
                Ok(told)
            })
            .await
            .unwrap()
    }
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    let mut turns = interval(Duration::from_millis(20));
    while !holds().await {
        assert!(Instant::now() < deadline, "{what} did not come true");
        turns.tick().await;
    }
}

fn webhook(server: &Server) -> Value {
    json!({
        "group": {"by": ["signal"], "wait": "0s", "interval": "0s"},
        "receivers": [{"name": "hook", "webhook": {"url": {"value": server.url("/")}}}],
    })
}

/// Names of the nodes in the titles of what was sent, with the state.
fn sent(server: &Server) -> Vec<(String, String)> {
    server
        .requests()
        .iter()
        .map(|request| {
            let body = request.json();
            let title = body["signals"][0]["title"].as_str().unwrap();
            let node = title.rsplit(' ').next().unwrap();
            (node.to_owned(), body["state"].as_str().unwrap().to_owned())
        })
        .collect()
}

#[tokio::test]
async fn a_restart_sends_nothing_twice_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    let server = Server::start().await;
    let routes = Routes::start(webhook(&server)).await;
    let pair = |node: &str, state: &str| (node.to_owned(), state.to_owned());

    let operator = Operator::start(&store, &routes).await;
    operator.state("n1", 1).await;
    eventually("n1 is told", async || sent(&server) == [pair("n1", "open")]).await;
    eventually("that is stored", async || {
        operator.told().await == [("ops/hook".to_owned(), Some("delivered".to_owned()))]
    })
    .await;

    // What the receiver does not take now waits, across the end of the operator.
    server.answer(503, "later");
    operator.state("n2", 1).await;
    eventually("n2 is tried", async || {
        sent(&server).contains(&pair("n2", "open"))
    })
    .await;
    operator.kill().await;
    server.answer(200, "ok");
    server.forget();

    let operator = Operator::start(&store, &routes).await;
    eventually("n2 is told after the restart", async || {
        sent(&server) == [pair("n2", "open")]
    })
    .await;
    // The end of both is told; n1 is not told to be open again.
    operator.state("n1", 0).await;
    operator.state("n2", 0).await;
    let all = [pair("n1", "closed"), pair("n2", "closed"), pair("n2", "open")];
    eventually("both ends are told", async || {
        let mut sent = sent(&server);
        sent.sort();
        sent == all
    })
    .await;
    eventually("the ends are stored", async || {
        operator
            .told()
            .await
            .iter()
            .all(|(_, result)| result.as_deref() == Some("resolved"))
    })
    .await;
    let status = || routes.status()["conditions"].clone();
    eventually("the status says that it works", async || {
        status()[0]["status"] == "True" && status()[1]["reason"] == "Delivered"
    })
    .await;
    operator.kill().await;
}

#[tokio::test]
async fn an_escalation_is_for_what_nobody_looks_at() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start().await;
    let mut spec = webhook(&server);
    spec["receivers"][0]["escalateAfter"] = json!("2s");
    spec["receivers"][0]["sendResolved"] = json!(false);
    let routes = Routes::start(spec).await;
    let operator = Operator::start(&folder.path().join("store.db"), &routes).await;
    operator.state("looked-at", 1).await;
    operator.state("forgotten", 1).await;
    let name = operator
        .context
        .signals
        .with(|store| {
            let page = store.changes_since(0, 10)?;
            let changes = page.changes.into_iter();
            let of = |detail: &[u8]| String::from_utf8_lossy(detail).contains("looked-at");
            Ok(changes
                .filter(|change| of(&change.signal.detail))
                .map(|change| change.signal.name)
                .next())
        })
        .await
        .unwrap()
        .unwrap();
    let seen = Triaged {
        namespace: "sec".to_owned(),
        name,
        to: Triage::UnderReview,
        says: br#"{"assignee":"alice"}"#.to_vec(),
    };
    operator
        .context
        .signals
        .with(move |store| store.triage(&seen, now()))
        .await
        .unwrap();
    eventually("the forgotten one is escalated", async || {
        sent(&server) == [("forgotten".to_owned(), "open".to_owned())]
    })
    .await;
    assert_eq!(server.requests()[0].json()["escalated"], true);
    operator.kill().await;
}

#[tokio::test]
async fn a_test_is_answered_for_every_receiver_in_the_status() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start().await;
    let mut spec = webhook(&server);
    let secret = json!({"secretKeyRef": {"name": "nowhere", "key": "url"}});
    spec["receivers"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "slack", "slack": {"url": secret}}));
    let routes = Routes::start(spec).await;
    routes.object.lock().unwrap()["metadata"]["annotations"] = json!({"yagura.dev/notify-test": "42"});
    let operator = Operator::start(&folder.path().join("store.db"), &routes).await;
    eventually("the test is answered", async || {
        routes.status()["test"]["request"] == "42"
    })
    .await;
    let status = routes.status();
    let results = &status["test"]["results"];
    assert_eq!(
        (&results[0]["receiver"], &results[0]["delivered"]),
        (&json!("hook"), &json!(true))
    );
    assert_eq!(results[1]["delivered"], false);
    assert!(
        results[1]["error"]
            .as_str()
            .unwrap()
            .contains("notifications.secrets"),
        "{results}"
    );
    let body = server.only().json();
    assert_eq!(
        (&body["test"], &body["cluster"]),
        (&json!(true), &json!("prod-1"))
    );
    assert_eq!(status["conditions"][0]["reason"], "SecretMissing");
    operator.kill().await;
}
