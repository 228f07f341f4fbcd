//! The part of the API server that the server for agents and the writer talk to.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::tls::Trust;

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
    /// The authority's Secret as base64, how often it was written, and the bundle that was published last.
    secret: BTreeMap<String, Value>,
    secret_writes: usize,
    bundle: String,
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
            .route(
                "/api/v1/namespaces/sec/secrets/yagura-ca",
                get(secret).patch(change_secret),
            )
            .route(
                "/api/v1/namespaces/sec/configmaps/yagura-trust-bundle",
                patch(apply_bundle),
            )
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

    /// What agents are told to trust.
    pub(super) fn bundle(&self) -> String {
        self.known.lock().unwrap().bundle.clone()
    }

    /// Keeps an authority as an earlier operator left it.
    pub(super) fn keep(&self, trust: &Trust) {
        let data = trust.data().into_iter();
        let data = data.filter_map(|(key, value)| Some((key.to_owned(), json!(BASE64.encode(value?)))));
        self.known.lock().unwrap().secret = data.collect();
    }

    /// The authority as it is kept.
    pub(super) fn kept(&self) -> Trust {
        let secret = self.known.lock().unwrap().secret.clone();
        let bytes = |value: &Value| BASE64.decode(value.as_str().unwrap()).unwrap();
        let data = secret.iter().map(|(key, value)| (key.clone(), bytes(value)));
        Trust::read(&data.collect()).unwrap()
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

async fn secret(State(server): State<ApiServer>) -> Answer {
    let known = server.known.lock().unwrap();
    let version = known.secret_writes.to_string();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "data": known.secret,
        "metadata": {"name": "yagura-ca", "resourceVersion": version},
    });
    (StatusCode::OK, Json(secret))
}

async fn change_secret(State(server): State<ApiServer>, body: axum::body::Bytes) -> Answer {
    let change: Value = serde_json::from_slice(&body).unwrap();
    let version = change["metadata"]["resourceVersion"].clone();
    {
        let mut known = server.known.lock().unwrap();
        let current = known.secret_writes.to_string();
        if version.as_str() != Some(current.as_str()) {
            return refuse(StatusCode::CONFLICT, "Conflict");
        }
        known.secret_writes += 1;
        for (key, value) in change["data"].as_object().unwrap() {
            match value {
                Value::Null => known.secret.remove(key),
                value => known.secret.insert(key.clone(), value.clone()),
            };
        }
    }
    secret(State(server)).await
}

async fn apply_bundle(State(server): State<ApiServer>, body: axum::body::Bytes) -> Answer {
    let object: Value = serde_json::from_slice(&body).unwrap();
    let bundle = object["data"]["ca.crt"].as_str().unwrap().to_owned();
    server.known.lock().unwrap().bundle = bundle;
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
