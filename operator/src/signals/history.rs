//! Signals that are done, shown as JSON on the operator's loopback.
//!
//! Who may read them is decided by whoever may forward a port to the operator's pod; there is no
//! other way to it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use yagura_store::signals::{HistoryPage, HistoryQuery, Past};
use yagura_telemetry::chain;

use super::detail::time;
use super::object::object;
use super::{Ledger, LedgerError};

/// Signals of a page.
const PAGE: u32 = 200;
/// Answers that are made at a time; more are told to come again.
const AT_ONCE: usize = 2;

/// The history cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Everybody in the network could read it.
    #[error("the history may only be shown on a loopback address, and {0} is none")]
    NotLoopback(SocketAddr),
    /// The address is taken or not ours.
    #[error("cannot listen on {address} for the history")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The server ended by itself.
    #[error("the server for the history failed")]
    Serve(#[source] std::io::Error),
}

/// A listener bound to loopback.
#[derive(Debug)]
pub struct History {
    listener: TcpListener,
    shown: Shown,
}

#[derive(Clone, Debug)]
struct Shown {
    ledger: Ledger,
    at_once: Arc<Semaphore>,
}

impl History {
    /// Binds `address`, which must be loopback.
    pub async fn bind(address: SocketAddr, ledger: Ledger) -> Result<Self, HistoryError> {
        if !address.ip().is_loopback() {
            return Err(HistoryError::NotLoopback(address));
        }
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| HistoryError::Listen { address, source })?;
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        Ok(Self {
            listener,
            shown: Shown { ledger, at_once },
        })
    }

    /// The bound address; differs from the configured one when that had port 0.
    pub fn address(&self) -> Result<SocketAddr, HistoryError> {
        self.listener.local_addr().map_err(HistoryError::Serve)
    }

    /// Serves until the process stops.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), HistoryError> {
        let router = Router::new().route("/history", get(show)).with_state(self.shown);
        axum::serve(self.listener, router)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
            .map_err(HistoryError::Serve)
    }
}

async fn show(State(shown): State<Shown>, uri: Uri) -> Response {
    let Ok(_turn) = shown.at_once.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "others are reading; try again\n").into_response();
    };
    let query = match query(uri.query().unwrap_or_default()) {
        Ok(query) => query,
        Err(unknown) => return (StatusCode::BAD_REQUEST, format!("{unknown}\n")).into_response(),
    };
    match shown.ledger.history(query).await {
        Ok(page) => {
            let items: Vec<Value> = page.signals.iter().filter_map(item).collect();
            let body = json!({"items": items, "next": page.next}).to_string();
            ([(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(failed) => {
            error!(error = %chain(&failed), "cannot show the history");
            (StatusCode::INTERNAL_SERVER_ERROR, "the store failed\n").into_response()
        }
    }
}

/// What a query asks for. Values are names and numbers, so one with an escape in it names nothing.
fn query(text: &str) -> Result<HistoryQuery, String> {
    let mut query = HistoryQuery::default();
    for part in text.split('&').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let number = || value.parse().map_err(|_none| format!("{key} is a number"));
        match key {
            "namespace" => query.namespace = Some(value.to_owned()),
            "rule" => query.rule = Some(value.to_owned()),
            "name" => query.name = Some(value.to_owned()),
            "severity" => query.min_severity = u8::try_from(number()?).unwrap_or(u8::MAX),
            "before" => query.before = Some(number()?),
            _ => return Err("ask for namespace, rule, name, severity and before".to_owned()),
        }
    }
    Ok(query)
}

/// A signal as its object was, with what became of it.
fn item(past: &Past) -> Option<Value> {
    let object = object(&past.signal)
        .inspect_err(|unreadable| warn!(error = %chain(unreadable), "left out of the history"))
        .ok()?;
    let mut item = object.identity;
    item["status"] = object.status["status"].clone();
    if let Ok(triage) = serde_json::from_slice::<Value>(&past.signal.triage) {
        item["spec"]["triage"] = triage;
    }
    item["history"] = json!({
        "state": past.state.as_str(),
        "closedAt": past.signal.closed_at.map(time),
        "inCluster": past.in_cluster,
    });
    Some(item)
}

impl Ledger {
    async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, LedgerError> {
        self.with(move |store| store.history(&query, PAGE)).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use yagura_store::signals::{Entry, Incoming, Limits, SignalStore, Triage, Triaged};
    use yagura_telemetry::Registry;

    use super::super::now;
    use super::super::object::tests::matched;
    use super::*;
    use crate::metrics::Metrics;

    async fn ask(address: SocketAddr, path: &str) -> (String, Value) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().to_owned();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    #[tokio::test]
    async fn what_is_done_is_shown_with_what_became_of_it() {
        let mut store = SignalStore::in_memory(Limits::default()).unwrap();
        let record = Incoming {
            further: 0,
            sequence: 1,
            entry: Entry::Match(Box::new(matched())),
        };
        store.apply("spool", "node-3", vec![record], now()).unwrap();
        let name = store.pending(now(), 1).unwrap().remove(0).signal.name;
        let triage = json!({"state": "archived", "reason": "testing", "comment": "c"});
        let archived = Triaged {
            namespace: "shop".into(),
            name: name.clone(),
            to: Triage::Archived,
            says: triage.to_string().into_bytes(),
        };
        let metrics = Metrics::new(&mut Registry::default());
        let ledger = Ledger::new(store, "sec", metrics);
        let history = History::bind(([127, 0, 0, 1], 0).into(), ledger.clone())
            .await
            .unwrap();
        let address = history.address().unwrap();
        let stop = CancellationToken::new();
        let server = tokio::spawn(history.serve(stop.clone()));

        assert_eq!(ask(address, "/history").await.1["items"], json!([]));
        ledger
            .with(move |store| store.triage(&archived, now()))
            .await
            .unwrap();
        for path in [
            "/history".to_owned(),
            "/history?namespace=shop&severity=4".to_owned(),
            format!("/history?namespace=shop&name={name}"),
        ] {
            let (status, page) = ask(address, &path).await;
            assert_eq!(status, "200");
            assert_eq!(page["next"], Value::Null);
            let item = &page["items"][0];
            assert_eq!(item["metadata"]["name"], *name, "{path}");
            assert_eq!(item["spec"]["triage"], triage);
            assert_eq!(item["history"]["state"], "archived");
            assert_eq!(item["history"]["inCluster"], true);
            assert_eq!(item["status"]["count"], 17);
        }
        assert_eq!(ask(address, "/history?rule=other").await.1["items"], json!([]));
        assert_eq!(ask(address, "/history?before=x").await.0, "400");
        assert_eq!(ask(address, "/history?order=up").await.0, "400");
        stop.cancel();
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_address_that_others_reach_is_refused() {
        let store = SignalStore::in_memory(Limits::default()).unwrap();
        let ledger = Ledger::new(store, "sec", Metrics::new(&mut Registry::default()));
        let error = History::bind(([0, 0, 0, 0], 0).into(), ledger).await.unwrap_err();
        assert!(matches!(error, HistoryError::NotLoopback(_)), "{error}");
    }
}
