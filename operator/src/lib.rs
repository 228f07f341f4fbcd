//! The controller.
//!
//! Everything runs as a supervised task: the first that ends, ends the process, and what runs it
//! (Kubernetes) starts it anew. Order at start: Lease, store, certificates, caches, serving; ready
//! only then.

#![forbid(unsafe_code)]

pub mod admission;
pub mod args;
pub mod budget;
pub mod conditions;
pub mod content;
pub mod context;
mod controllers;
mod descriptors;
pub mod detection_rule;
pub mod exception;
pub mod export;
pub mod index;
pub mod lease;
pub mod metrics;
pub mod node_sensor;
pub mod notify;
pub mod pods;
pub mod posture;
pub mod serve;
pub mod signals;
pub mod status;
mod supervise;
pub mod tls;
pub mod uninstall;
pub mod value_list;
pub mod watch;

use std::sync::Arc;

use kube::{Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use yagura_store::signals::{Limits, SignalStore};
use yagura_telemetry::admin::{Admin, AdminError};
use yagura_telemetry::profile::{Profile, ProfileError};
use yagura_telemetry::{Readiness, Registry};

use args::{Args, StoreLocation};
use budget::WriteBudget;
use content::Bundle;
use context::Context;
use index::{Index, SharedIndex};
use metrics::Metrics;
use serve::AgentServer;
use signals::{History, Ledger};
use supervise::{Supervisor, TaskError};
use tls::Certificates;

/// Owner of the fields that the operator applies.
pub const FIELD_MANAGER: &str = "yagura-operator";

/// The operator ended and should not have.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Neither a service account nor a kubeconfig leads to an API server.
    #[error("cannot find the API server: no service account and no usable kubeconfig")]
    Config(#[source] Box<kube::config::InferConfigError>),
    /// The client cannot be made.
    #[error("cannot make a client for the API server")]
    Client(#[source] Box<kube::Error>),
    /// Health and metrics are not served.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The store is not usable.
    #[error("cannot open the signal store")]
    Store(#[from] yagura_store::StoreError),
    /// Certificates are not usable.
    #[error("cannot set up certificates")]
    Tls(#[from] tls::TlsError),
    /// Agents cannot be served.
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
    /// The store cannot be filled.
    #[error("cannot fill the empty store from the cluster's signals")]
    Seed(#[from] signals::SeedError),
    /// The history cannot be shown.
    #[error(transparent)]
    History(#[from] signals::HistoryError),
    /// Profiles cannot be offered.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// Notifications cannot begin.
    #[error("cannot tell where notifications begin")]
    Notify(#[from] signals::LedgerError),
    /// Signals of the process cannot be received.
    #[error("cannot listen for termination")]
    Terminate(#[source] std::io::Error),
    /// What ships is broken.
    #[error(transparent)]
    Content(#[from] content::BundleError),
    /// Something was not removed.
    #[error("the uninstall is not complete")]
    Uninstall(#[from] uninstall::UninstallError),
    /// Signals cannot be exported as asked for.
    #[error("cannot export signals")]
    Export(#[from] export::SinkError),
    /// A task ended.
    #[error(transparent)]
    Task(#[from] TaskError),
}

/// Runs until it is told to stop or a task ends.
pub async fn run(args: Args) -> Result<(), RunError> {
    descriptors::raise_limit();
    let stop = CancellationToken::new();
    let shipped = Bundle::embedded()?.selected(&args.content_packs);
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let readiness = Readiness::default();
    let lease_gate = readiness.gate("lease");
    let store_gate = readiness.gate("store");
    // Until every other gate is made: without it, the operator would be ready for a moment between two of them.
    let start_gate = readiness.gate("start");
    let mut tasks = Supervisor::new(stop.clone());
    tasks.spawn("termination", terminated(stop.clone())?);
    let admin = Admin::bind(args.admin_listen, Arc::new(registry), readiness.clone()).await?;
    tasks.spawn("admin", admin.serve(stop.clone().cancelled_owned()));
    if let Some(address) = args.profile_listen {
        let profile = Profile::bind(address).await?;
        tasks.spawn("profile", profile.serve(stop.clone().cancelled_owned()));
    }

    let client = client().await?;

    let held = tokio::select! {
        held = lease::acquire(&client, &args.namespace, &args.lease, &args.pod_name) => held,
        ended = tasks.first_end() => return Ok(ended?),
    };
    let epoch = held.epoch();
    tasks.spawn("lease", held.hold(stop.clone().cancelled_owned()));
    lease_gate.open();

    let store = open_store(&args)?;
    store_gate.open();
    let certificates = Certificates::establish(&client, &args, &metrics).await?;
    let context = Context {
        signals: Ledger::new(store, &args.namespace, metrics.clone()),
        identity: certificates.identity(),
        index: SharedIndex::new(Index::new(epoch)),
        writes: WriteBudget::new(args.api_writes_per_second),
        args: Arc::new(args),
        client,
        metrics,
        readiness,
        stop,
    };
    signals::seed(&context.client, &context.signals).await?;
    notify::prepare(&context).await?;
    controllers::start(&mut tasks, &context, shipped);
    let agents = AgentServer::bind(context.clone()).await?;
    let rotation = tls::rotate(certificates, context.index.clone(), context.stop.clone());
    tasks.spawn("certificates", rotation);
    tasks.spawn("signal-writer", signals::write(context.clone()));
    let history = History::bind(context.args.history_listen, context.signals.clone()).await?;
    tasks.spawn("history", history.serve(context.stop.clone()));
    tasks.spawn("signal-retention", signals::retain(context.clone()));
    tasks.spawn("signal-triage", signals::watch_triage(context.clone()));
    for sink in export::sinks(&context.args.export)? {
        let (ledger, metrics) = (context.signals.clone(), context.metrics.clone());
        tasks.spawn("export", export::run(ledger, metrics, sink, context.stop.clone()));
    }
    tasks.spawn("notifications", notify::run(context.clone()));
    tasks.spawn("agents", agents.serve());
    start_gate.open();
    info!(namespace = context.args.namespace, epoch, "the operator runs");
    Ok(tasks.first_end().await?)
}

/// A client for the cluster that the operator runs in, or that the kubeconfig names.
async fn client() -> Result<Client, RunError> {
    let config = Config::infer()
        .await
        .map_err(|error| RunError::Config(Box::new(error)))?;
    Client::try_from(config).map_err(|error| RunError::Client(Box::new(error)))
}

/// Removes what the operator made.
pub async fn uninstall(args: &Args, what: &args::UninstallArgs) -> Result<(), RunError> {
    uninstall::uninstall(&client().await?, args, what).await?;
    Ok(())
}

fn open_store(args: &Args) -> Result<SignalStore, yagura_store::StoreError> {
    let limits = Limits {
        open_per_node: args.node_open_signals,
        ..Limits::default()
    };
    match &args.store {
        StoreLocation::None => SignalStore::in_memory(limits),
        StoreLocation::File(path) => SignalStore::open(path, &args.pod_name, limits),
    }
}

/// Completes when the process is told to end, or the stop comes from elsewhere.
fn terminated(
    stop: CancellationToken,
) -> Result<impl Future<Output = Result<(), std::convert::Infallible>>, RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Terminate)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Terminate)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => info!("told to terminate"),
            _ = interrupt.recv() => info!("interrupted"),
            () = stop.cancelled() => {}
        }
        Ok(())
    })
}
