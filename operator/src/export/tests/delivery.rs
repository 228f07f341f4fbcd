//! Sinks against servers on loopback, and what survives a restart.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::post;
use clap::Parser;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use yagura_store::signals::{Limits, SignalStore};
use yagura_telemetry::Registry;

use super::super::args::ExportArgs;
use super::super::{follow, sinks};
use crate::metrics::Metrics;
use crate::signals::{Ledger, OwnFinding, OwnRule, now};

/// Longer than any step takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a server was sent.
#[derive(Clone, Debug)]
struct Posted {
    path: String,
    authorization: Option<String>,
    content_type: String,
    body: String,
}

/// A server that answers with the statuses it is given, then with 200.
#[derive(Clone)]
struct Server {
    posted: watch::Sender<Vec<Posted>>,
    answers: Arc<Mutex<Vec<(StatusCode, String)>>>,
    address: std::net::SocketAddr,
}

impl Server {
    async fn start(answers: &[(StatusCode, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answers = answers
            .iter()
            .rev()
            .map(|(status, body)| (*status, (*body).to_owned()));
        let server = Self {
            posted: watch::Sender::new(Vec::new()),
            answers: Arc::new(Mutex::new(answers.collect())),
            address: listener.local_addr().unwrap(),
        };
        let router = Router::new().fallback(post(take)).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    async fn has(&self, enough: impl Fn(&[Posted]) -> bool) -> Vec<Posted> {
        let mut posted = self.posted.subscribe();
        let seen = timeout(PATIENCE, posted.wait_for(|posted| enough(posted))).await;
        seen.unwrap_or_else(|_elapsed| panic!("only this was posted: {:?}", self.posted.borrow()))
            .unwrap()
            .clone()
    }
}

async fn take(
    State(server): State<Server>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let posted = Posted {
        path: uri.to_string(),
        authorization: header("authorization"),
        content_type: header("content-type").unwrap_or_default(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let answer = server.answers.lock().unwrap().pop();
    server.posted.send_modify(|all| all.push(posted));
    answer.unwrap_or((StatusCode::OK, "{}".to_owned()))
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    export: ExportArgs,
}

fn export(flags: &[&str]) -> ExportArgs {
    Cli::parse_from([&["x"], flags].concat()).export
}

fn metrics() -> Metrics {
    Metrics::new(&mut Registry::default())
}

fn ledger(store: SignalStore) -> Ledger {
    Ledger::new(store, "yagura-system", metrics())
}

/// Opens a signal about a node.
async fn open(ledger: &Ledger, node: &str) {
    let found = OwnFinding::of_node(OwnRule::SecondStream, node, 1, now());
    ledger.own_state(found).await.unwrap();
}

/// Follows the changes of a ledger with the only sink of these flags.
fn start(ledger: &Ledger, flags: &[&str]) -> (tokio::task::JoinHandle<()>, Metrics) {
    let metrics = metrics();
    let sink = sinks(&export(flags)).unwrap().pop().unwrap();
    let (ledger, counted) = (ledger.clone(), metrics.clone());
    let worker = tokio::spawn(async move { follow(ledger, counted, sink).await.unwrap() });
    (worker, metrics)
}

fn findings(posted: &[Posted]) -> Vec<Value> {
    let lines = posted.iter().flat_map(|posted| posted.body.lines());
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_sink_that_is_away_gets_everything_later_with_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let server = Server::start(&[
        (StatusCode::SERVICE_UNAVAILABLE, "later"),
        (StatusCode::UNAUTHORIZED, "who"),
    ])
    .await;
    let ledger = ledger(SignalStore::in_memory(Limits::default()).unwrap());
    open(&ledger, "node-1").await;
    open(&ledger, "node-2").await;
    let url = format!("http://{}/ingest?x=1", server.address);
    let (worker, metrics) = start(
        &ledger,
        &[
            "--export-http",
            &url,
            "--export-http-token-file",
            token.to_str().unwrap(),
        ],
    );
    let posted = server.has(|posted| posted.len() >= 3).await;
    open(&ledger, "node-3").await;
    let all = server.has(|posted| posted.len() >= 4).await;
    worker.abort();

    let third = &posted[2];
    assert_eq!(third.path, "/ingest?x=1");
    assert_eq!(third.authorization.as_deref(), Some("Bearer s3cret"));
    assert_eq!(third.content_type, "application/x-ndjson");
    let findings = findings(&all[2..]);
    let nodes: Vec<&str> = findings
        .iter()
        .map(|finding| finding["device"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(nodes, ["node-1", "node-2", "node-3"]);
    assert_eq!(metrics.export_failures.get(["ocsf-http"]), 2);
    assert!(metrics.exported.get(["ocsf-http", "delivered"]) >= 2);
}

#[tokio::test]
async fn only_what_a_sink_refuses_is_left_out() {
    let server = Server::start(&[
        (StatusCode::BAD_REQUEST, "one of them"),
        (StatusCode::OK, ""),
        (StatusCode::BAD_REQUEST, "this one"),
    ])
    .await;
    let ledger = ledger(SignalStore::in_memory(Limits::default()).unwrap());
    for node in ["node-1", "node-2", "node-3"] {
        open(&ledger, node).await;
    }
    let url = format!("http://{}/", server.address);
    let (worker, metrics) = start(&ledger, &["--export-http", &url]);
    server.has(|posted| posted.len() >= 4).await;
    // The position moves behind the batch.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while ledger.position("export/ocsf-http").await.unwrap().is_none() {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    worker.abort();
    assert_eq!(metrics.exported.get(["ocsf-http", "delivered"]), 2);
    assert_eq!(metrics.exported.get(["ocsf-http", "refused"]), 1);
}

#[tokio::test]
async fn a_collector_gets_log_records() {
    let partial = r#"{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no"}}"#;
    let server = Server::start(&[(StatusCode::OK, partial)]).await;
    let ledger = ledger(SignalStore::in_memory(Limits::default()).unwrap());
    open(&ledger, "node-1").await;
    open(&ledger, "node-2").await;
    let url = format!("http://{}/otel/", server.address);
    let (worker, metrics) = start(&ledger, &["--export-otlp", &url]);
    let posted = server.has(|posted| !posted.is_empty()).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while metrics.exported.get(["otlp", "refused"]) == 0 {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    worker.abort();
    assert_eq!(
        (posted[0].path.as_str(), posted[0].content_type.as_str()),
        ("/otel/v1/logs", "application/json")
    );
    let request: Value = serde_json::from_str(&posted[0].body).unwrap();
    let records = request
        .pointer("/resourceLogs/0/scopeLogs/0/logRecords")
        .unwrap()
        .as_array()
        .unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["eventName"], "yagura.signal.opened");
    assert_eq!(metrics.exported.get(["otlp", "delivered"]), 1);
}

#[tokio::test]
async fn a_restart_repeats_at_most_and_skips_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = || SignalStore::open(&folder.path().join("store.db"), "test", Limits::default()).unwrap();
    let file = folder.path().join("signals.jsonl");
    let flags = ["--export-file", file.to_str().unwrap()];
    for (round, node) in ["node-1", "node-2", "node-3"].into_iter().enumerate() {
        let ledger = ledger(store());
        open(&ledger, node).await;
        let (worker, _) = start(&ledger, &flags);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while lines(&file).iter().filter(|line| line.contains(node)).count() == 0 {
            assert!(tokio::time::Instant::now() < deadline, "round {round}");
            tokio::task::yield_now().await;
        }
        // As a kill: wherever it is, delivered or not yet noted.
        worker.abort();
        worker.await.unwrap_err();
        // A call that still runs holds the store.
        drop(ledger);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while SignalStore::open(&folder.path().join("store.db"), "test", Limits::default()).is_err() {
            assert!(tokio::time::Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
    }
    let lines = lines(&file);
    let uids: BTreeSet<String> = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["metadata"]["uid"].to_string())
        .collect();
    assert_eq!(uids.len(), 3, "{lines:?}");
}

fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn flags_that_cannot_work_are_refused_at_the_start() {
    let refused = |flags: &[&str]| sinks(&export(flags)).unwrap_err().to_string();
    for url in ["ftp://x/", "https://user:secret@x/", "x y", "/path"] {
        let error = refused(&["--export-http", url]);
        assert!(
            error.contains("cannot be used") && !error.contains("secret"),
            "{error}"
        );
    }
    let error = refused(&[
        "--export-otlp",
        "http://127.0.0.1:1",
        "--export-otlp-token-file",
        "/none/token",
    ]);
    assert!(error.contains("token file"), "{error}");
    assert!(sinks(&export(&[])).unwrap().is_empty());
}
