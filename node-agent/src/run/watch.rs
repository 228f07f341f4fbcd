//! What the agent waits for while its threads work.

use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch::Receiver;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use yagura_event::Timestamp;
use yagura_proto::v1;
use yagura_store::spool::Usage;

use super::RunError;
use crate::agent::Agent;
use crate::bpf::CounterSnapshot;
use crate::heartbeat::{Gap, Heartbeat};
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::output::{self, Line, Printer};
use crate::recorder::{Recorder, SensorLosses};

/// How often the agent looks at itself.
const LOOK: Duration = Duration::from_secs(1);

/// How often growing losses of the sensor are told: a storm of them is a trickle of records.
const LOSSES_EVERY: Duration = Duration::from_secs(10);

/// Cancels `stop` at the first SIGTERM or SIGINT.
pub(super) fn signals(stop: &CancellationToken) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}

/// Waits for the end: asked for, of time, or of the sensor.
pub(super) async fn end(
    time: Option<Duration>,
    agent: &Agent,
    recorder: &Recorder,
    losses: &mut SensorLosses,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let over = async {
        match time {
            Some(time) => sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => Ok(()),
        () = stop.cancelled() => Ok(()),
        error = failure(agent, recorder, losses) => Err(error),
    }
}

/// Watches over the sensor's thread, and over what the operator should hear of at once.
async fn failure(agent: &Agent, recorder: &Recorder, losses: &mut SensorLosses) -> RunError {
    let mut told: Option<Instant> = None;
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = (0, 0);
    loop {
        ticks.tick().await;
        if agent.sight.is_lost() {
            return RunError::SensorStopped;
        }
        if let Some(counters) = agent.sight.counters() {
            let news = losses.news(&counters);
            let due = told.is_none_or(|told| told.elapsed() >= LOSSES_EVERY);
            // What finds no room now is told with what is lost until the next time.
            if due && !news.is_empty() && recorder.lose(news.clone()) {
                losses.told(&news);
                told = Some(Instant::now());
            }
            agent.metrics.sensor.update(counters);
        }
        let now = (agent.metrics.spool_failed.get(), agent.metrics.shed_in_all());
        if now != last {
            last = now;
            agent.status_changed();
        }
    }
}

/// Keeps the gauges of the spool in step with it.
pub(super) async fn spool(mut usage: Receiver<Usage>, metrics: Metrics) {
    usage.mark_changed();
    while usage.changed().await.is_ok() {
        let now = *usage.borrow_and_update();
        metrics
            .spool_records
            .set(now.records.try_into().unwrap_or(i64::MAX));
        metrics.spool_bytes.set(now.bytes.try_into().unwrap_or(i64::MAX));
    }
}

/// Waits until the operator has everything, but not for long: the spool keeps the rest.
pub(super) async fn handed_over(journal: &Journal, patience: Duration) {
    let mut usage = journal.usage();
    let empty = usage.wait_for(|usage| usage.records == 0);
    if timeout(patience, empty).await.is_err() {
        let left = journal.usage().borrow().records;
        tracing::info!(records = left, "the rest is reported after the next start");
    }
}

/// Tells for how long nobody watched before this agent: the operator, whoever reads the output, and the metrics.
pub(super) fn gap(gap: Option<Gap>, recorder: &Recorder, printer: Option<Printer>, metrics: &Metrics) {
    let Some(gap) = gap else { return };
    tracing::info!(
        seconds = gap.time.as_secs(),
        explanation = gap.explanation,
        "an earlier agent watched until this long ago"
    );
    metrics.gap.set(gap.time.as_secs().try_into().unwrap_or(i64::MAX));
    let since = timestamp(gap.since);
    let until = since.after(i64::try_from(gap.time.as_nanos()).unwrap_or(i64::MAX));
    let told = recorder.gap(v1::Gap {
        since: since.0,
        until: until.0,
        explanation: gap.explanation.clone().unwrap_or_default(),
    });
    if !told {
        tracing::error!("the gap before this start cannot be told: matches already wait");
    }
    if let Some(printer) = printer {
        printer.print(Line::Gap(output::Gap {
            since,
            until,
            explanation: gap.explanation,
        }));
    }
}

/// Tells the next agent that this one ended in order.
pub(super) fn ended(heartbeat: Option<Heartbeat>, reason: &str) {
    if let Some(heartbeat) = heartbeat
        && let Err(error) = heartbeat.end(reason)
    {
        tracing::warn!(%error, "the next agent cannot know that this one ended in order");
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// What happened in all.
pub(super) fn summary(metrics: &Metrics, sensor: Option<&CounterSnapshot>) {
    let unexplained = sensor.map(CounterSnapshot::unexplained);
    if unexplained.is_some_and(|unexplained| unexplained > 0) {
        let differences = sensor.map(CounterSnapshot::differences);
        tracing::error!(
            ?differences,
            "the sensor's counters do not add up; please report it"
        );
    }
    let matched = metrics.events.get(["matched"]);
    tracing::info!(
        seen = sensor.map(CounterSnapshot::seen),
        lost = sensor.map(CounterSnapshot::lost),
        unexplained,
        events = matched + metrics.events.get(["unmatched"]),
        matched,
        matches = metrics.matches.get(),
        kept = metrics.spooled.get(),
        excepted = metrics.suppressed.get([crate::judge::EXCEPTION]),
        shed = metrics.shed_in_all(),
        "ended"
    );
}

/// Shows what is wrong with rules as compilers do: on standard error, not as log lines.
pub(super) fn show(messages: &[String]) {
    let mut out = std::io::stderr().lock();
    for message in messages {
        if writeln!(out, "{}", message.trim_end()).is_err() {
            // Nobody reads; the exit code still tells.
            return;
        }
    }
}
