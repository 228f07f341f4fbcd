//! The agents' port: gRPC over TLS. Every call proves which node it comes from.

mod alarms;
mod auth;
mod claims;
mod connection;
mod pace;
mod report;
mod session;
mod streams;
mod subscribe;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use tracing::info;
use yagura_event::Timestamp;
use yagura_proto::v1::agent_service_server::{AgentService, AgentServiceServer};
use yagura_proto::v1::{ReportRequest, ReportResponse, SubscribeRequest, SubscribeResponse};
use yagura_telemetry::Gate;

use crate::context::Context;
use crate::index::nodes::Call;
use crate::signals;
use alarms::Alarms;
use auth::Authenticator;
use connection::{Bounds, Peer, Peers};
use pace::{Paces, Rates};
use session::{Caller, OpenSession};
use streams::Streams;

/// Bytes of one message of an agent: a batch of at most 1 MiB with room to spare.
const MAX_MESSAGE: usize = 4 * 1_024 * 1_024;
/// Calls at a time on one connection: an agent has two.
const MAX_CALLS: u32 = 8;
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
        let watch = Arc::new(Watch {
            alarms: Alarms::default(),
            streams: Streams::default(),
            peers: Peers::new(context.metrics.clone()),
            paces: Paces::new(Rates {
                records: context.args.node_records_per_second,
                bytes: context.args.node_bytes_per_second,
            }),
            since: signals::now(),
            bounds,
        });
        let service = Service {
            auth: Arc::new(Authenticator::new(&context)),
            context: context.clone(),
            watch: Arc::clone(&watch),
            calls: calls.clone(),
        };
        let service = AgentServiceServer::new(service)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        info!(address = %context.args.listen, "serving agents");
        let server = Server::builder()
            .max_concurrent_streams(MAX_CALLS)
            .http2_keepalive_interval(Some(bounds.ping))
            .http2_keepalive_timeout(Some(bounds.ping))
            .http2_max_header_list_size(64 * 1_024)
            .add_service(service)
            .serve_with_incoming_shutdown(
                connection::incoming(&context, listener, bounds),
                stop.clone().cancelled_owned(),
            );
        gate.open();
        let alarms = watch.alarms.run(&context.signals, &stop);
        let (ended, ()) = tokio::join!(server, alarms);
        calls.close();
        calls.wait().await;
        watch.alarms.flush(&context.signals).await;
        Ok(ended?)
    }
}

/// What is watched over all agents.
#[derive(Debug)]
struct Watch {
    alarms: Alarms,
    streams: Streams,
    peers: Peers,
    paces: Paces,
    /// When this operator began to serve.
    since: Timestamp,
    bounds: Bounds,
}

/// Answers calls.
#[derive(Clone)]
struct Service {
    context: Context,
    auth: Arc<Authenticator>,
    watch: Arc<Watch>,
    calls: TaskTracker,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Service {
    async fn authenticate<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        let agent = self.auth.authenticate(request.metadata()).await?;
        let peer = request.extensions().get::<Arc<Peer>>().map(Arc::clone);
        if let Some(peer) = &peer {
            self.watch.peers.authenticated(&agent.node, peer);
        }
        let instance = streams::instance(request.metadata());
        Ok(Caller {
            agent,
            peer,
            instance,
        })
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
        let caller = self.authenticate(&request).await?;
        let session = OpenSession::new(&self.context, &self.watch, caller, Call::Subscribe);
        let (answers, stream) = mpsc::channel(ANSWERS);
        let call = subscribe::run(session, request.into_inner(), answers);
        self.calls.spawn(call);
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn report(
        &self,
        request: Request<Streaming<ReportRequest>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let caller = self.authenticate(&request).await?;
        let session = OpenSession::new(&self.context, &self.watch, caller, Call::Report);
        let (answers, stream) = mpsc::channel(ANSWERS);
        let call = report::run(session, request.into_inner(), answers);
        self.calls.spawn(call);
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

#[cfg(test)]
mod tests;
