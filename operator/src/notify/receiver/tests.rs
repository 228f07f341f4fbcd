//! Servers on the loopback that speak the receivers' protocols, for the tests of every receiver.

pub(super) mod smtp;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use super::super::route::Target;
use super::super::route::tests::route;
use super::super::secrets::Secrets;

/// The receiver that a route with this spec has.
pub(in crate::notify) fn target(mut receiver: Value) -> Target {
    receiver["name"] = json!("r");
    route(&json!({"receivers": [receiver]})).unwrap().targets["r"].clone()
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(in crate::notify) struct Request {
    pub(in crate::notify) path: String,
    headers: BTreeMap<String, String>,
    pub(in crate::notify) body: String,
}

impl Request {
    pub(in crate::notify) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(in crate::notify) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    body: String,
    headers: Vec<(String, String)>,
}

#[derive(Debug)]
struct Shared {
    requests: Mutex<Vec<Request>>,
    answer: Mutex<Answer>,
}

/// A web server that keeps what it is sent, and a folder for Secrets.
#[derive(Debug)]
pub(in crate::notify) struct Server {
    address: std::net::SocketAddr,
    shared: Arc<Shared>,
    folder: tempfile::TempDir,
}

impl Server {
    pub(in crate::notify) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            answer: Mutex::new(Answer {
                status: 200,
                body: "ok".to_owned(),
                headers: Vec::new(),
            }),
        });
        let router = Router::new().fallback(take).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            shared,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(in crate::notify) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Adds a key of a Secret; returns all of them.
    pub(in crate::notify) fn secrets(&self, name: &str, key: &str, value: &str) -> Secrets {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(key), value).unwrap();
        Secrets::new(self.folder.path())
    }

    pub(in crate::notify) fn answer(&self, status: u16, body: &str) {
        self.answer_with(status, body, &[]);
    }

    pub(in crate::notify) fn answer_with(&self, status: u16, body: &str, headers: &[(&str, &str)]) {
        *self.shared.answer.lock().unwrap() = Answer {
            status,
            body: body.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
    }

    pub(in crate::notify) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Forgets what arrived so far.
    pub(in crate::notify) fn forget(&self) {
        self.shared.requests.lock().unwrap().clear();
    }

    pub(in crate::notify) fn only(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert_eq!(method, Method::POST);
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    shared.requests.lock().unwrap().push(Request {
        path: uri.to_string(),
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let answer = shared.answer.lock().unwrap().clone();
    let mut response = (StatusCode::from_u16(answer.status).unwrap(), answer.body).into_response();
    for (name, value) in answer.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// A certificate authority in PEM, and a server for `localhost` with a certificate of it.
pub(in crate::notify) fn authority() -> (String, TlsAcceptor) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&server_key, &issuer)
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(server.der().to_vec())],
            PrivateKeyDer::try_from(server_key.serialize_der()).unwrap(),
        )
        .unwrap();
    (ca.pem(), TlsAcceptor::from(Arc::new(config)))
}
