//! One sink's way along the changes: read, deliver, move on.

use std::time::Duration;

use rand::Rng;
use tokio::time::sleep;
use tracing::{error, info, warn};
use yagura_telemetry::chain;

use super::finding::Finding;
use super::sink::{Sink, SinkError};
use crate::metrics::Metrics;
use crate::signals::{Ledger, LedgerError};

/// Changes in one batch.
const BATCH: u32 = 64;
/// How often a sink that has everything looks for more.
const LOOK: Duration = Duration::from_millis(500);
/// Waits after failures: the first, doubled with each, at most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The export ended.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The changes cannot be read.
    #[error("cannot follow the signals to export them")]
    Ledger(#[from] LedgerError),
}

/// Delivers every change to a sink, in order, each at least once. Ends only when the store fails.
pub async fn follow(ledger: Ledger, metrics: Metrics, mut sink: Sink) -> Result<(), ExportError> {
    let name = sink.name();
    let consumer = format!("export/{name}");
    let mut position = ledger.position(&consumer).await?.unwrap_or(0);
    info!(sink = name, position, "exporting signals");
    loop {
        let page = ledger.changes_since(position, BATCH).await?;
        if page.missed > 0 {
            metrics.exported.add([name, "missed"], page.missed);
            error!(
                sink = name,
                changes = page.missed,
                "the sink was away for too long: changes that it never got are lost"
            );
        }
        let mut findings = Vec::with_capacity(page.changes.len());
        for change in &page.changes {
            match Finding::read(change) {
                Ok(finding) => findings.push(finding),
                Err(error) => {
                    metrics.exported.inc([name, "unreadable"]);
                    error!(sink = name, error = %chain(&error), "a signal cannot be exported");
                }
            }
        }
        deliver(&mut sink, &metrics, &findings).await;
        if page.through > position {
            position = page.through;
            ledger.advance(&consumer, position).await?;
        } else {
            sleep(LOOK).await;
        }
    }
}

/// Delivers all of them, however long it takes. What a sink refuses in a batch is sent one by one,
/// so that only what it really does not want is left out.
async fn deliver(sink: &mut Sink, metrics: &Metrics, findings: &[Finding]) {
    let all: Vec<&Finding> = findings.iter().collect();
    if all.is_empty() {
        return;
    }
    let Err(error) = persist(sink, metrics, &all).await else {
        return;
    };
    if let [finding] = all[..] {
        return refused(sink, metrics, finding, &error);
    }
    for finding in all {
        if let Err(error) = persist(sink, metrics, &[finding]).await {
            refused(sink, metrics, finding, &error);
        }
    }
}

fn refused(sink: &Sink, metrics: &Metrics, finding: &Finding, error: &SinkError) {
    metrics.exported.inc([sink.name(), "refused"]);
    error!(sink = sink.name(), signal = finding.name, error = %chain(error), "the sink does not take a signal");
}

/// Tries until the sink takes or refuses them; the error is a refusal.
async fn persist(sink: &mut Sink, metrics: &Metrics, findings: &[&Finding]) -> Result<(), SinkError> {
    let mut failures = 0;
    loop {
        match sink.deliver(findings).await {
            Ok(rejected) => {
                let rejected = rejected.min(findings.len() as u64);
                metrics
                    .exported
                    .add([sink.name(), "delivered"], findings.len() as u64 - rejected);
                if rejected > 0 {
                    metrics.exported.add([sink.name(), "refused"], rejected);
                    warn!(
                        sink = sink.name(),
                        records = rejected,
                        "the collector rejects a part of a batch"
                    );
                }
                if failures > 0 {
                    info!(sink = sink.name(), failures, "the sink takes signals again");
                }
                return Ok(());
            }
            Err(error) if error.is_refusal() => return Err(error),
            Err(error) => {
                failures += 1;
                metrics.export_failures.inc([sink.name()]);
                let wait = wait(failures).max(error.retry_after().unwrap_or_default().min(LONGEST_WAIT));
                warn!(sink = sink.name(), error = %chain(&error), wait = ?wait, "cannot export now");
                // Not all at the same time after an outage.
                let jitter = rand::rng().random_range(0.8..1.2);
                sleep(wait.mul_f64(jitter)).await;
            }
        }
    }
}

fn wait(failures: u32) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(LONGEST_WAIT)
}
