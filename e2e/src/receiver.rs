//! A receiver of notifications on the host.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::{Api, ListParams};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What was posted, in order.
type Bodies = Arc<Mutex<Vec<Value>>>;

/// Keeps what is posted to it.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    bodies: Bodies,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Listens on the address of the one node, which pods reach.
    pub async fn start(client: &Client) -> Result<Self> {
        let nodes = Api::<Node>::all(client.clone())
            .list(&ListParams::default())
            .await
            .context("cannot list nodes")?;
        let addresses = nodes
            .items
            .into_iter()
            .filter_map(|node| node.status?.addresses)
            .flatten();
        let mut internal = addresses.filter(|address| address.type_ == "InternalIP");
        let node = internal
            .next()
            .context("no node has an internal address")?
            .address;
        let listener = TcpListener::bind((node.as_str(), 0))
            .await
            .with_context(|| format!("cannot listen on {node}: the tests must run on the node"))?;
        let address = listener.local_addr().context("a socket without an address")?;
        let bodies = Bodies::default();
        let service = Router::new()
            .route("/", post(keep))
            .with_state(Arc::clone(&bodies));
        let task = tokio::spawn(async move {
            // It ends with the test, and what it does not take the test misses.
            axum::serve(listener, service).await.ok();
        });
        Ok(Self {
            address,
            bodies,
            task,
        })
    }

    /// Where to post to.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What was posted so far.
    pub fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(State(bodies): State<Bodies>, Json(body): Json<Value>) {
    bodies.lock().unwrap_or_else(PoisonError::into_inner).push(body);
}
