//! The part of the API server that the server for agents and the writer talk to.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{patch, post};
use axum::{Json, Router};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What it knows and was told.
#[derive(Default)]
struct Known {
    /// Account, pod and node by token.
    tokens: HashMap<String, (String, String, String)>,
    reviews: usize,
    fails_reviews: bool,
    /// Signals by namespace and name.
    signals: BTreeMap<(String, String), Value>,
    status_writes: usize,
    closed_namespaces: Vec<String>,
}

/// A server on loopback. Cheap to clone.
#[derive(Clone)]
pub(super) struct ApiServer {
    known: Arc<Mutex<Known>>,
    url: String,
}

type Answer = (StatusCode, Json<Value>);

impl ApiServer {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            known: Arc::default(),
            url: format!("http://{}", listener.local_addr().unwrap()),
        };
        let signal = "/apis/yagura.dev/v1alpha1/namespaces/{namespace}/securitysignals/{name}";
        let router = Router::new()
            .route("/apis/authentication.k8s.io/v1/tokenreviews", post(review))
            .route(signal, patch(apply))
            .route(&format!("{signal}/status"), patch(apply_status))
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    pub(super) fn client(&self) -> Client {
        // Clients of tests that do not install a provider of their own agree on this one.
        rustls::crypto::ring::default_provider().install_default().ok();
        Client::try_from(Config::new(self.url.parse().unwrap())).unwrap()
    }

    /// Makes a token known as bound to a pod on a node.
    pub(super) fn bind(&self, token: &str, account: &str, pod: &str, node: &str) {
        let bound = (account.to_owned(), pod.to_owned(), node.to_owned());
        self.known.lock().unwrap().tokens.insert(token.to_owned(), bound);
    }

    /// Refuses new objects in a namespace, as one that is terminating does.
    pub(super) fn close_namespace(&self, namespace: &str) {
        let mut known = self.known.lock().unwrap();
        known.closed_namespaces.push(namespace.to_owned());
    }

    /// Answers reviews with an internal error.
    pub(super) fn fail_reviews(&self, fails: bool) {
        self.known.lock().unwrap().fails_reviews = fails;
    }

    pub(super) fn reviews(&self) -> usize {
        self.known.lock().unwrap().reviews
    }

    pub(super) fn status_writes(&self) -> usize {
        self.known.lock().unwrap().status_writes
    }

    /// Signals by namespace and name, as they stand.
    pub(super) fn signals(&self) -> BTreeMap<(String, String), Value> {
        self.known.lock().unwrap().signals.clone()
    }

    /// The sum of all counts that were written.
    pub(super) fn counted(&self) -> u64 {
        let counts = self.signals().into_values();
        counts
            .filter_map(|signal| signal["status"]["count"].as_u64())
            .sum()
    }

    pub(super) fn delete_signals(&self) {
        self.known.lock().unwrap().signals.clear();
    }
}

async fn review(State(server): State<ApiServer>, Json(mut review): Json<Value>) -> Answer {
    let mut known = server.known.lock().unwrap();
    known.reviews += 1;
    if known.fails_reviews {
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
    }
    let token = review["spec"]["token"].as_str().unwrap_or_default();
    review["status"] = match known.tokens.get(token) {
        None => json!({"authenticated": false, "error": "unknown"}),
        Some((account, pod, node)) => json!({
            "authenticated": true,
            "audiences": review["spec"]["audiences"],
            "user": {"username": account, "extra": {
                "authentication.kubernetes.io/pod-uid": [pod],
                "authentication.kubernetes.io/node-name": [node],
            }},
        }),
    };
    (StatusCode::CREATED, Json(review))
}

fn refuse(code: StatusCode, reason: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": reason, "reason": reason, "code": code.as_u16(),
    });
    (code, Json(status))
}

async fn apply(
    State(server): State<ApiServer>,
    Path(key): Path<(String, String)>,
    body: axum::body::Bytes,
) -> Answer {
    let mut known = server.known.lock().unwrap();
    if known.closed_namespaces.contains(&key.0) {
        return refuse(StatusCode::FORBIDDEN, "Forbidden");
    }
    let object: Value = serde_json::from_slice(&body).unwrap();
    known.signals.insert(key, object.clone());
    (StatusCode::OK, Json(object))
}

async fn apply_status(
    State(server): State<ApiServer>,
    Path(key): Path<(String, String)>,
    body: axum::body::Bytes,
) -> Answer {
    let mut known = server.known.lock().unwrap();
    known.status_writes += 1;
    let applied: Value = serde_json::from_slice(&body).unwrap();
    let Some(object) = known.signals.get_mut(&key) else {
        return refuse(StatusCode::NOT_FOUND, "NotFound");
    };
    object["status"] = applied["status"].clone();
    (StatusCode::OK, Json(object.clone()))
}
