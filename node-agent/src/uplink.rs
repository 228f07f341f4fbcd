//! The connection to the operator: policy and pods come down, records, facts and status go up.
//!
//! One connection carries both streams. When either ends, both do, and the next connection reads
//! trust and token anew. Whatever is not acknowledged is sent again.

mod backoff;
pub mod credentials;
mod report;
mod subscribe;

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use yagura_event::Host;
use yagura_proto::v1::agent_service_client::AgentServiceClient;
use yagura_proto::v1::{AgentStatus, NodeFacts, PodUpdate, RuleFailure};
use yagura_telemetry::chain;

use crate::journal::{Journal, JournalError};
use crate::metrics::Metrics;
use crate::policy::{Held, Policy, PolicyError};
use backoff::Backoff;
use credentials::{CredentialError, Operator};

/// A message of the operator: a chunk of bodies is at most 1 MiB, with some room for its frame.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// How long after the end of one stream the other may still tell the reason.
const REFUSAL_WAIT: Duration = Duration::from_secs(1);

/// How long the operator may take to hear a goodbye.
const GOODBYE_WAIT: Duration = Duration::from_secs(1);

/// Longest wait for a token or certificate that is not there yet.
const CREDENTIAL_WAIT: Duration = Duration::from_secs(2);

/// What the connection needs of the rest of the agent.
pub trait Node: Send + Sync + 'static {
    /// Compiles and runs `policy` from now on. Returns the rules of it that do not run here.
    fn activate(&self, policy: &Policy) -> Vec<RuleFailure>;
    /// Takes the names of this node's pods.
    fn pods(&self, update: PodUpdate);
    /// How the agent is doing.
    fn status(&self) -> AgentStatus;
    /// Changes when the status should be sent before the next heartbeat.
    fn status_changes(&self) -> watch::Receiver<u64>;
    /// The node's facts, unset until they were collected once.
    fn facts(&self) -> watch::Receiver<Option<Arc<NodeFacts>>>;
}

/// A connection came to its end.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    #[error("cannot connect")]
    Connect(#[source] tonic::transport::Error),
    #[error("the operator does not accept this agent's identity ({}); is the token of the agent's own service account and for the operator's audience?", .0.message())]
    Identity(#[source] Box<Status>),
    #[error("the stream ended with {:?}: {}", .0.code(), .0.message())]
    Stream(#[source] Box<Status>),
    #[error("the operator ended the stream")]
    Ended,
    #[error("the operator refuses this agent, {reason}: {message}")]
    Refused { reason: String, message: String },
    #[error("the operator's policy is not usable")]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl From<Status> for SessionError {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => Self::Identity(Box::new(status)),
            _ => Self::Stream(Box::new(status)),
        }
    }
}

/// What every call says of this process: while one with another name still speaks for the node, there is an agent too
/// many.
const INSTANCE: &str = "yagura-instance";

/// Shows the token with every call.
#[derive(Clone)]
struct Authorization {
    token: Option<AsciiMetadataValue>,
    instance: AsciiMetadataValue,
}

impl tonic::service::Interceptor for Authorization {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert(INSTANCE, self.instance.clone());
        if let Some(value) = &self.token {
            metadata.insert("authorization", value.clone());
        }
        Ok(request)
    }
}

type Client = AgentServiceClient<InterceptedService<Channel, Authorization>>;

/// Keeps a connection to the operator.
pub struct Uplink<N> {
    /// Where and as whom.
    pub operator: Operator,
    /// This node.
    pub host: Arc<Host>,
    /// What waits to be reported.
    pub journal: Journal,
    /// The rest of the agent.
    pub node: Arc<N>,
    /// Counts connections and refusals.
    pub metrics: Metrics,
    /// Rules at hand from the last run.
    pub held: Held,
    /// Why the agent ends, set before it is stopped; the operator is told.
    pub farewell: Farewell,
}

/// Why the agent ends, in one CamelCase word. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Farewell(Arc<OnceLock<&'static str>>);

impl Farewell {
    /// Sets the reason; the first one counts.
    pub fn because(&self, reason: &'static str) {
        self.0.get_or_init(|| reason);
    }

    fn reason(&self) -> &'static str {
        self.0.get().copied().unwrap_or("Stopped")
    }
}

impl<N: Node> Uplink<N> {
    /// Connects, and again whenever the connection ends, until `stop`. Then it says goodbye.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        let connected = self.metrics.connected.clone();
        let over = async {
            stop.cancelled().await;
            if connected.get() > 0 {
                tokio::time::sleep(GOODBYE_WAIT).await;
            }
        };
        tokio::pin!(over);
        loop {
            let mut answered = false;
            let session = self.session(&mut answered, &stop);
            let error = tokio::select! {
                result = session => match result {
                    Ok(never) => match never {},
                    Err(error) => error,
                },
                () = &mut over => return,
            };
            self.metrics.connected.set(0);
            if stop.is_cancelled() {
                return;
            }
            if answered {
                backoff.reset();
            }
            let wait = match &error {
                SessionError::Refused { .. } => Backoff::after_refusal(),
                // Looking at a file again costs nobody anything.
                SessionError::Credentials(_) => backoff.after_failure().min(CREDENTIAL_WAIT),
                _ => backoff.after_failure(),
            };
            self.metrics.sessions_ended.inc([cause(&error)]);
            tracing::warn!(
                operator = %self.operator.address(),
                error = %chain(&error),
                retry_seconds = wait.as_secs_f32(),
                "no connection to the operator"
            );
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn session(
        &mut self,
        answered: &mut bool,
        stop: &CancellationToken,
    ) -> Result<Infallible, SessionError> {
        let client = self.connect().await?;
        let report = report::run(
            client.clone(),
            &self.operator,
            &self.journal,
            self.node.as_ref(),
            &self.metrics,
        );
        let subscribe = subscribe::run(
            client,
            &self.host,
            &mut self.held,
            &self.node,
            &self.metrics,
            answered,
            async {
                stop.cancelled().await;
                self.farewell.reason()
            },
        );
        tokio::pin!(subscribe);
        tokio::select! {
            result = report => {
                // An operator that refuses this agent ends both streams, and says why on this one.
                let refusal = tokio::time::timeout(REFUSAL_WAIT, subscribe).await;
                refusal.unwrap_or(result)
            }
            result = &mut subscribe => result,
        }
    }

    async fn connect(&self) -> Result<Client, SessionError> {
        let authorization = Authorization {
            token: self.operator.authorization()?,
            instance: self.operator.instance(),
        };
        let channel = self
            .operator
            .endpoint()?
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .connect()
            .await
            .map_err(SessionError::Connect)?;
        Ok(AgentServiceClient::with_interceptor(channel, authorization)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES))
    }
}

/// A bounded label for the metric.
fn cause(error: &SessionError) -> &'static str {
    match error {
        SessionError::Credentials(_) => "credentials",
        SessionError::Connect(_) => "connect",
        SessionError::Identity(_) => "identity",
        SessionError::Stream(_) => "stream",
        SessionError::Ended => "ended",
        SessionError::Refused { .. } => "refused",
        SessionError::Policy(_) => "policy",
        SessionError::Journal(_) => "journal",
    }
}
