//! The agents' port: gRPC over TLS. Every call proves which node it comes from.

mod auth;
mod claims;
mod connection;
mod report;
mod session;
mod subscribe;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use tracing::info;
use yagura_proto::v1::agent_service_server::{AgentService, AgentServiceServer};
use yagura_proto::v1::{ReportRequest, ReportResponse, SubscribeRequest, SubscribeResponse};
use yagura_telemetry::Gate;

use crate::context::Context;
use crate::index::nodes::Call;
use auth::{Agent, Authenticator};
use connection::{Bounds, Peer};
use session::OpenSession;

/// Bytes of one message of an agent: a batch of at most 1 MiB with room to spare.
const MAX_MESSAGE: usize = 4 * 1_024 * 1_024;
/// Calls at a time on one connection: an agent has two.
const MAX_CALLS: u32 = 8;
/// A peer that does not answer pings is gone.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_WAIT: Duration = Duration::from_secs(10);
/// Answers that wait for a slow peer: each is at most a chunk of 1 MiB.
const ANSWERS: usize = 4;

/// Agents cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address} for agents")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The server ended by itself.
    #[error("the server for agents failed")]
    Serve(#[from] tonic::transport::Error),
}

/// A bound port for agents.
pub struct AgentServer {
    context: Context,
    listener: TcpListener,
    gate: Gate,
    bounds: Bounds,
}

impl AgentServer {
    /// Binds the port; nothing is accepted yet.
    pub async fn bind(context: Context) -> Result<Self, ServeError> {
        let address = context.args.listen;
        let gate = context.readiness.gate("serving");
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| ServeError::Listen { address, source })?;
        Ok(Self {
            context,
            listener,
            gate,
            bounds: Bounds::default(),
        })
    }

    /// The bound address; differs from the configured one when that had port 0.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits until everything else is ready, so that no report meets an index that does not know
    /// its rule or its pod yet; then serves until the process stops.
    pub async fn serve(self) -> Result<(), ServeError> {
        let Self {
            context,
            listener,
            gate,
            bounds,
        } = self;
        let stop = context.stop.clone();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = gate.others() => {}
        }
        let calls = TaskTracker::new();
        let service = Service {
            auth: Arc::new(Authenticator::new(&context)),
            context: context.clone(),
            calls: calls.clone(),
        };
        let service = AgentServiceServer::new(service)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        info!(address = %context.args.listen, "serving agents");
        let server = Server::builder()
            .max_concurrent_streams(MAX_CALLS)
            .http2_keepalive_interval(Some(PING_EVERY))
            .http2_keepalive_timeout(Some(PING_WAIT))
            .http2_max_header_list_size(64 * 1_024)
            .add_service(service)
            .serve_with_incoming_shutdown(
                connection::incoming(&context, listener, bounds),
                stop.clone().cancelled_owned(),
            );
        gate.open();
        server.await?;
        calls.close();
        calls.wait().await;
        Ok(())
    }
}

/// Answers calls.
#[derive(Clone)]
struct Service {
    context: Context,
    auth: Arc<Authenticator>,
    calls: TaskTracker,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Service {
    async fn authenticate<T>(&self, request: &Request<T>) -> Result<Agent, Status> {
        let agent = self.auth.authenticate(request.metadata()).await?;
        if let Some(peer) = request.extensions().get::<Arc<Peer>>() {
            peer.authenticated();
        }
        Ok(agent)
    }
}

#[tonic::async_trait]
impl AgentService for Service {
    type SubscribeStream = Answers<SubscribeResponse>;
    type ReportStream = Answers<ReportResponse>;

    async fn subscribe(
        &self,
        request: Request<Streaming<SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let agent = self.authenticate(&request).await?;
        let session = OpenSession::new(&self.context, &agent, Call::Subscribe);
        let (answers, stream) = mpsc::channel(ANSWERS);
        let call = subscribe::run(session, request.into_inner(), answers);
        self.calls.spawn(call);
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn report(
        &self,
        request: Request<Streaming<ReportRequest>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let agent = self.authenticate(&request).await?;
        let session = OpenSession::new(&self.context, &agent, Call::Report);
        let (answers, stream) = mpsc::channel(ANSWERS);
        let call = report::run(session, request.into_inner(), answers);
        self.calls.spawn(call);
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

#[cfg(test)]
mod tests;
