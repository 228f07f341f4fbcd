//! What every task of the operator works with.

use std::sync::Arc;

use kube::Client;
use tokio_util::sync::CancellationToken;
use yagura_telemetry::Readiness;

use crate::args::Args;
use crate::budget::WriteBudget;
use crate::index::SharedIndex;
use crate::metrics::Metrics;
use crate::signals::Ledger;
use crate::tls::Identity;

/// Shared by all tasks; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Talks to the API server.
    pub client: Client,
    /// As started.
    pub args: Arc<Args>,
    /// What is known.
    pub index: SharedIndex,
    /// Signals: the store and what waits to be written.
    pub signals: Ledger,
    /// Limits all writes to the API server together: take one before each.
    pub writes: WriteBudget,
    /// The server certificate, for agents and for the webhook.
    pub identity: Identity,
    /// Metrics.
    pub metrics: Metrics,
    /// A task that must have caught up before the operator serves makes a gate of it.
    pub readiness: Readiness,
    /// Cancelled when the operator ends.
    pub stop: CancellationToken,
}
