//! `yagura-agent run`: puts the parts together, waits for an end, and takes them apart in the
//! order in which nothing is lost.

mod error;
mod redaction;
mod watch;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use yagura_event::Host;
use yagura_store::spool::SpoolConfig;
use yagura_telemetry::admin::Admin;
use yagura_telemetry::{Readiness, Registry, chain};

use crate::agent::Agent;
use crate::args::{KernelArgs, OutputFormat, RunArgs};
use crate::bpf::{CounterSnapshot, LoadConfig, Sensor, SensorConfig};
use crate::enrich::Names;
use crate::facts::HostRoot;
use crate::heartbeat::Heartbeat;
use crate::host::identify;
use crate::journal::Journal;
use crate::judge::Judge;
use crate::metrics::Metrics;
use crate::output::Printer;
use crate::pods::Pods;
use crate::policy::{Held, snapshot};
use crate::recorder::{Recorder, SensorLosses};
use crate::redact::Redactor;
use crate::rules::{Active, Rules, compile_policy, files};
use crate::sight::Sight;
use crate::uplink::credentials::Operator;
use crate::uplink::{Farewell, Uplink};
pub use error::RunError;
pub use redaction::RedactionError;

/// How long the agent tries to hand over what is in the spool before it ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// Runs until a signal, the end of the time, or the end of whoever reads the output.
pub fn run(args: &RunArgs) -> Result<(), RunError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    runtime.block_on(serve(args))
}

async fn serve(args: &RunArgs) -> Result<(), RunError> {
    let stop = CancellationToken::new();
    watch::signals(&stop)?;
    let tasks = TaskTracker::new();
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let readiness = Readiness::default();
    let (sensing, has_policy) = (readiness.gate("sensor"), readiness.gate("policy"));
    if let Some(address) = args.metrics_address {
        let admin = Admin::bind(address, Arc::new(registry), readiness).await?;
        tasks.spawn(administer(admin, stop.clone()));
    }

    let host = Arc::new(identify(args.node_name.as_deref())?);
    let operator = args
        .operator
        .as_deref()
        .map(|url| operator(url, args))
        .transpose()?;
    let (active, held) = starting_rules(args, &host)?;
    metrics
        .rules_active
        .set(active.rules.len().try_into().unwrap_or(i64::MAX));
    if operator.is_none() || !active.revision.is_empty() {
        has_policy.open();
    }
    let rules = Rules::new(active);
    let journal = operator.as_ref().map(|_| journal(args, &host)).transpose()?;

    // Whatever leaves goes through it: what is printed, spooled and told of the node.
    let redactor = Arc::new(redaction::redactor(args)?);
    let (printer, output) = printer(args, operator.is_none(), &redactor, &metrics, &stop)?;
    let (recorder, recording) =
        Recorder::start(journal.clone(), printer.clone(), Arc::clone(&redactor), &metrics)
            .map_err(RunError::Thread)?;
    let events = printer.clone().filter(|_| !args.only_signals);
    let judge = Judge::new(&rules, recorder.clone(), events, &metrics);
    let names = Arc::new(Names::default());
    let sight = look(&args.kernel, &host, &names, judge, operator.is_some())?;
    if sight.blind().is_empty() {
        sensing.open();
    }
    tracing::info!(
        node = %host.name,
        rules = rules.active().rules.len(),
        kernel = %host.kernel,
        "watching"
    );

    let agent = Arc::new(Agent::new(
        Arc::clone(&host),
        rules,
        Pods::new(names),
        sight,
        redactor,
        metrics.clone(),
        args.state_dir.join("policy"),
        has_policy,
    ));
    let hang_up = CancellationToken::new();
    let farewell = Farewell::default();
    let heartbeat = heartbeat(args, &host);
    let gap = heartbeat.as_ref().and_then(|last| last.gap(SystemTime::now()));
    watch::gap(gap, &recorder, printer, &metrics);
    if let Some(heartbeat) = heartbeat.clone() {
        tasks.spawn(until(&hang_up, heartbeat.run()));
    }
    if let (Some(operator), Some(journal)) = (operator, journal.clone()) {
        let root = Arc::new(HostRoot::open(&args.kernel.host_root)?);
        tasks.spawn(until(&hang_up, Arc::clone(&agent).collect_facts(root)));
        tasks.spawn(until(&hang_up, watch::spool(journal.usage(), metrics.clone())));
        let uplink = Uplink {
            operator,
            host,
            journal,
            node: Arc::clone(&agent),
            metrics: metrics.clone(),
            held,
            farewell: farewell.clone(),
        };
        tasks.spawn(uplink.run(hang_up.clone()));
    }

    let mut losses = SensorLosses::default();
    let ended = watch::end(args.time, &agent, &recorder, &mut losses, &stop).await;
    let reason = reason(ended.is_ok(), &stop);
    farewell.because(reason);
    // Nothing new comes, what was seen is folded and written, then it is handed over.
    let sensor = agent.sight.take();
    let last = move || sensor.and_then(|sensor| counted(sensor, recorder, &losses));
    let (counters, flush) = join(last, recording).await;
    if let Some(journal) = journal {
        watch::handed_over(&journal, FAREWELL).await;
    }
    hang_up.cancel();
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    watch::ended(heartbeat.filter(|_| ended.is_ok()), reason);
    let drain = match output {
        Some(output) => join(|| {}, output).await.1,
        None => Ok(()),
    };
    watch::summary(&metrics, counters.flatten().as_ref());
    flush.and(drain).and(ended)
}

/// Health and metrics until the agent ends.
async fn administer(admin: Admin, stop: CancellationToken) {
    if let Err(error) = admin.serve(stop.cancelled_owned()).await {
        tracing::error!(error = %chain(&error), "health and metrics are not served any more");
    }
}

/// Why the agent ends, for the operator and for the next agent.
fn reason(in_order: bool, stop: &CancellationToken) -> &'static str {
    match (in_order, stop.is_cancelled()) {
        (false, _) => "Failed",
        (true, true) => "Terminated",
        (true, false) => "TimeOver",
    }
}

/// The sign of life: an agent of a node always keeps one, one that is alone where there is a folder for it.
fn heartbeat(args: &RunArgs, host: &Host) -> Option<Heartbeat> {
    let keeps = args.operator.is_some() || args.state_dir.is_dir();
    keeps.then(|| Heartbeat::new(&args.state_dir, &host.boot_id.to_string()))
}

/// Stops something and waits for its thread, off the runtime's own. What stopping gave is there
/// unless it panicked.
async fn join<T: Send + 'static>(
    stop: impl FnOnce() -> T + Send + 'static,
    thread: JoinHandle<()>,
) -> (Option<T>, Result<(), RunError>) {
    let joined = tokio::task::spawn_blocking(move || {
        let stopped = stop();
        (stopped, thread.join().is_ok())
    });
    match joined.await {
        Ok((stopped, true)) => (Some(stopped), Ok(())),
        Ok((stopped, false)) => (Some(stopped), Err(RunError::ThreadFailed)),
        Err(_) => (None, Err(RunError::ThreadFailed)),
    }
}

/// Stops the sensor, reads its final counters, and tells what it lost at last.
fn counted(sensor: Sensor, recorder: Recorder, losses: &SensorLosses) -> Option<CounterSnapshot> {
    let counters = sensor.stop();
    if let Ok(counters) = &counters {
        recorder.lose(losses.news(counters));
    }
    // The recorder's thread ends with its last handle.
    drop(recorder);
    counters
        .inspect_err(
            |error| tracing::warn!(error = %chain(error), "the sensor's last counters cannot be read"),
        )
        .ok()
}

/// Runs a task until it is told to hang up.
fn until(
    stop: &CancellationToken,
    task: impl Future<Output = ()> + Send + 'static,
) -> impl Future<Output = ()> + Send + 'static {
    let stop = stop.clone();
    async move {
        stop.run_until_cancelled(task).await;
    }
}

fn operator(url: &str, args: &RunArgs) -> Result<Operator, RunError> {
    let mut operator = Operator::new(url)?;
    operator.ca.clone_from(&args.ca);
    operator.token_file.clone_from(&args.token_file);
    operator.tls_server_name.clone_from(&args.tls_server_name);
    Ok(operator)
}

/// Rules from files, or those of the last policy that the operator sent.
fn starting_rules(args: &RunArgs, host: &Host) -> Result<(Active, Held), RunError> {
    if args.operator.is_some() {
        return Ok(last_policy(&args.state_dir.join("policy"), host));
    }
    if args.rules.is_empty() {
        return Ok((Active::new(Vec::new(), String::new()), Held::default()));
    }
    let loaded = files::load(&args.rules)?;
    watch::show(&loaded.messages);
    if loaded.active.rules.is_empty() && loaded.mistakes > 0 {
        return Err(files::FilesError::AllBroken {
            count: loaded.mistakes,
        }
        .into());
    }
    Ok((loaded.active, Held::default()))
}

fn last_policy(file: &Path, host: &Host) -> (Active, Held) {
    match snapshot::load(file) {
        Ok(Some(policy)) => {
            let (active, failures) = compile_policy(&policy, &BTreeMap::new());
            tracing::info!(
                node = %host.name,
                revision = %policy.list.revision,
                rules = active.rules.len(),
                failed = failures.len(),
                "the last policy is active until the operator sends another"
            );
            (active, Held::restore(&policy))
        }
        Ok(None) => (Active::new(Vec::new(), String::new()), Held::default()),
        Err(error) => {
            tracing::warn!(
                error = %chain(&error),
                "the last policy cannot be used; this node detects nothing until the operator sends one"
            );
            (Active::new(Vec::new(), String::new()), Held::default())
        }
    }
}

fn journal(args: &RunArgs, host: &Host) -> Result<Journal, RunError> {
    let path = &args.state_dir;
    std::fs::create_dir_all(path).map_err(|source| RunError::StateDir {
        path: path.clone(),
        source,
    })?;
    Ok(Journal::open(&SpoolConfig {
        path: path.join("spool.db"),
        boot_id: host.boot_id.to_string(),
        limit_bytes: args.spool_limit << 20,
    })?)
}

type Output = (Option<Printer>, Option<JoinHandle<()>>);

/// A printer where somebody reads: asked for, or because there is no operator to tell.
fn printer(
    args: &RunArgs,
    alone: bool,
    redactor: &Arc<Redactor>,
    metrics: &Metrics,
    stop: &CancellationToken,
) -> Result<Output, RunError> {
    let format = args.output.or_else(|| alone.then(OutputFormat::default));
    let Some(format) = format else {
        return Ok((None, None));
    };
    let (printer, thread) =
        Printer::start(format, Arc::clone(redactor), metrics, stop.clone()).map_err(RunError::Thread)?;
    Ok((Some(printer), Some(thread)))
}

/// Starts the sensor. An agent that has somebody to tell goes on without one, and says why.
fn look(
    args: &KernelArgs,
    host: &Arc<Host>,
    names: &Arc<Names>,
    judge: Judge,
    has_operator: bool,
) -> Result<Sight, RunError> {
    match Sensor::start(&sensor_config(args, host), Arc::clone(names), judge) {
        Ok(sensor) => Ok(Sight::of(sensor)),
        Err(error) if has_operator => {
            tracing::error!(
                error = %chain(&error),
                "this node cannot be watched; the operator is told, and nothing is detected here"
            );
            Ok(Sight::none(&error))
        }
        Err(error) => Err(error.into()),
    }
}

/// The sensor's part of the command line.
pub fn sensor_config(args: &KernelArgs, host: &Arc<Host>) -> SensorConfig {
    let mut load = LoadConfig::default();
    if let Some(btf) = &args.btf {
        load.btf.clone_from(btf);
    }
    SensorConfig {
        load,
        host_root: args.host_root.clone(),
        proc: args.host_root.join("proc"),
        host: Arc::clone(host),
    }
}
