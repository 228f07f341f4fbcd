//! The endpoints for probes and scrapers: `/healthz`, `/readyz`, `/metrics`.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::{Readiness, Registry};

/// The endpoints could not be offered.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address} for health and metrics")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The server ended by itself.
    #[error("the server for health and metrics failed")]
    Serve(#[source] std::io::Error),
}

/// A listener bound to the administrative address.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    router: Router,
}

#[derive(Clone)]
struct Endpoints {
    registry: Arc<Registry>,
    readiness: Readiness,
}

impl Admin {
    /// Binds `address`, so that a wrong one is reported before anything else starts.
    pub async fn bind(
        address: SocketAddr,
        registry: Arc<Registry>,
        readiness: Readiness,
    ) -> Result<Self, AdminError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| AdminError::Listen { address, source })?;
        let router = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(Endpoints { registry, readiness });
        Ok(Self { listener, router })
    }

    /// The bound address; differs from the configured one when that had port 0.
    pub fn address(&self) -> Result<SocketAddr, AdminError> {
        self.listener.local_addr().map_err(AdminError::Serve)
    }

    /// Serves until `stop` completes.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), AdminError> {
        axum::serve(self.listener, self.router)
            .with_graceful_shutdown(stop)
            .await
            .map_err(AdminError::Serve)
    }
}

async fn ready(State(endpoints): State<Endpoints>) -> Response {
    let missing = endpoints.readiness.missing();
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    let body = format!("not ready: {}\n", missing.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

async fn metrics(State(endpoints): State<Endpoints>) -> Response {
    match endpoints.registry.encode() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::Admin;
    use crate::{Counter, Metric, Readiness, Registry};

    /// The whole answer to a request.
    pub(crate) async fn get(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn probes_and_metrics_are_answered_until_the_stop() {
        let mut registry = Registry::default();
        let seen: Counter = registry.counter(&Metric {
            name: "yagura_test_seen_total",
            help: "Seen.",
            labels: [],
        });
        seen.inc();
        let readiness = Readiness::default();
        let gate = readiness.gate("store");
        let admin = Admin::bind(([127, 0, 0, 1], 0).into(), Arc::new(registry), readiness)
            .await
            .unwrap();
        let address = admin.address().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(admin.serve(async move {
            stopped.await.ok();
        }));

        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("not ready: store"));
        gate.open();
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(
            get(address, "/metrics")
                .await
                .contains("yagura_test_seen_total 1")
        );

        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
    }
}
