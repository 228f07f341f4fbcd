//! The outbox against an API server on loopback that refuses some of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::patch;
use axum::{Json, Router};
use clap::Parser;
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use yagura_store::signals::{Entry, Incoming, Limits, Match, SignalStore};
use yagura_telemetry::{Readiness, Registry};

use super::super::object::tests::matched;
use super::*;
use crate::args::Args;
use crate::budget::WriteBudget;
use crate::index::{Index, SharedIndex};
use crate::metrics::Metrics;
use crate::tls::{Authority, Identity, names};

/// Everything that should happen happens in this time, also where a thousand signals share a busy machine.
const SOON: Duration = Duration::from_mins(5);

/// A status larger than this is refused for signals of the rule `large`.
const LARGE: usize = 4_000;

#[derive(Default)]
struct Known {
    signals: BTreeMap<(String, String), Value>,
    refusals: usize,
}

type Server = Arc<Mutex<Known>>;
type Answer = (StatusCode, Json<Value>);

async fn start() -> (Server, Context) {
    let server = Server::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let signal = "/apis/yagura.dev/v1alpha1/namespaces/{namespace}/securitysignals/{name}";
    let router = Router::new()
        .route(signal, patch(apply))
        .route(&format!("{signal}/status"), patch(apply_status))
        .with_state(Arc::clone(&server));
    tokio::spawn(async move { axum::serve(listener, router).await });

    rustls::crypto::ring::default_provider().install_default().ok();
    let args = Args::parse_from(["x", "--namespace", "sec", "--pod-name", "op"]);
    let (today, day) = (jiff::Timestamp::now(), jiff::SignedDuration::from_hours(24));
    let leaf = Authority::generate(today, day)
        .unwrap()
        .issue(names(&args), today, day)
        .unwrap();
    let metrics = Metrics::new(&mut Registry::default());
    let store = SignalStore::in_memory(Limits::default()).unwrap();
    let context = Context {
        client: Client::try_from(Config::new(url.parse().unwrap())).unwrap(),
        index: SharedIndex::new(Index::new(0)),
        signals: Ledger::new(store, "sec", metrics.clone()),
        writes: WriteBudget::new(100_000),
        identity: Identity::new(leaf).unwrap(),
        readiness: Readiness::default(),
        stop: CancellationToken::new(),
        args: Arc::new(args),
        metrics,
    };
    (server, context)
}

fn refuse(known: &mut Known, code: StatusCode, reason: &str) -> Answer {
    known.refusals += 1;
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": reason, "reason": reason, "code": code.as_u16(),
    });
    (code, Json(status))
}

async fn apply(State(server): State<Server>, Path(key): Path<(String, String)>, body: Bytes) -> Answer {
    let mut known = server.lock().unwrap();
    if key.1.starts_with("poison") {
        return refuse(&mut known, StatusCode::UNPROCESSABLE_ENTITY, "Invalid");
    }
    let object: Value = serde_json::from_slice(&body).unwrap();
    known.signals.insert(key, object.clone());
    (StatusCode::OK, Json(object))
}

async fn apply_status(
    State(server): State<Server>,
    Path(key): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let mut known = server.lock().unwrap();
    if key.1.starts_with("large") && body.len() > LARGE {
        return refuse(&mut known, StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge");
    }
    let applied: Value = serde_json::from_slice(&body).unwrap();
    let object = known.signals.get_mut(&key).unwrap();
    object["status"] = applied["status"].clone();
    (StatusCode::OK, Json(object.clone()))
}

async fn report(context: &Context, sequence: u64, rule: &str) {
    let sample = json!({"time": "2026-11-24T12:00:00Z", "fields": {"x": "x".repeat(LARGE)}});
    let found = Match {
        rule: format!("uid-{rule}"),
        rule_name: rule.to_owned(),
        samples: vec![sample.to_string().into_bytes()],
        ..matched()
    };
    let record = Incoming {
        further: 0,
        sequence,
        entry: Entry::Match(Box::new(found)),
    };
    context
        .signals
        .apply("spool".into(), "node-3".into(), vec![record])
        .await
        .unwrap();
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, wait)
        .await
        .unwrap_or_else(|elapsed| panic!("{what}: {elapsed}"));
}

#[tokio::test]
async fn one_signal_that_is_always_refused_holds_up_no_other() {
    let (server, context) = start().await;
    report(&context, 1, "poison").await;
    for n in 2..=1_001 {
        report(&context, n, &format!("good-{n}")).await;
    }
    let writer = tokio::spawn(run(context.clone()));
    until("a thousand signals", || {
        let known = server.lock().unwrap();
        known
            .signals
            .values()
            .filter(|signal| !signal["status"].is_null())
            .count()
            == 1_000
    })
    .await;
    let metrics = &context.metrics;
    until("both refusals are settled", || {
        metrics.signal_writes.get(["refused"]) == 1
    })
    .await;
    assert_eq!(server.lock().unwrap().refusals, 2, "as it is, and cut");
    assert_eq!(metrics.refused_signals.get(), 1);
    let kept = context.signals.summary("uid-poison".into()).await.unwrap();
    assert_eq!(kept.open, 1, "the store has it");
    context.stop.cancel();
    writer.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_signal_that_is_refused_for_its_size_is_cut_once_and_written() {
    let (server, context) = start().await;
    report(&context, 1, "large").await;
    let writer = tokio::spawn(run(context.clone()));
    let metrics = &context.metrics;
    until("the smaller one is written", || {
        metrics.signal_writes.get(["written"]) == 1
    })
    .await;
    let (refusals, signals) = {
        let known = server.lock().unwrap();
        (known.refusals, known.signals.clone())
    };
    assert_eq!(refusals, 1);
    let status = &signals.values().next().unwrap()["status"];
    assert_eq!(status["count"], 17, "{status}");
    assert_eq!(status["samples"], Value::Null);
    assert_eq!(metrics.refused_signals.get(), 0);
    context.stop.cancel();
    writer.await.unwrap().unwrap();
}

#[test]
fn waits_double_up_to_a_minute() {
    let waits: Vec<u64> = (1..=8).map(|n| backoff(n).as_secs()).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(backoff(u32::MAX), Duration::from_mins(1));
}
