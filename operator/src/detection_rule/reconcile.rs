//! The driver: watches rules, hands them out, writes their status.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use kube::core::DeserializeGuard;
use kube::{Api, Client};
use tokio::time::{MissedTickBehavior, interval};
use yagura_crds::DetectionRule;
use yagura_event::Timestamp;
use yagura_telemetry::{Gate, chain};

use super::rules::{Entry, Rules, Told};
use super::status::Outcome;
use super::{apply, fetch, status};
use crate::context::Context;
use crate::signals::{LedgerError, now};
use crate::status::{StatusError, write};
use crate::watch::changes;

/// How often statuses are looked at: acknowledgements and counts come from elsewhere.
const TICK: Duration = Duration::from_secs(1);

/// A rule's status could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The store.
    #[error("cannot count the signals of rule {name}")]
    Count {
        /// Name of the rule.
        name: String,
        /// Why.
        #[source]
        source: LedgerError,
    },
    /// The API server.
    #[error(transparent)]
    Status(#[from] StatusError),
}

impl RuleError {
    /// For logs and metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Count { .. } => "rule_count",
            Self::Status(error) => error.category(),
        }
    }
}

/// Changes that are taken together: a list of thousands of objects is joined a few times, not once for each.
const BATCH: usize = 256;

/// Runs until the operator ends; `gate` opens when every rule that was there has been handed out.
pub async fn run(context: Context, gate: Gate) {
    let mut told = pin!(everything(&context.client).ready_chunks(BATCH));
    let mut rules = Rules::default();
    let mut lists = context.index.read().lists.subscribe();
    // Without them a rule that names one would be refused, and told so, until they come.
    tokio::select! {
        () = context.stop.cancelled() => return,
        _ = lists.wait_for(|shelf| shelf.settled) => {}
    }
    rules.relist(Arc::clone(&lists.borrow_and_update()));
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return,
            Some(batch) = told.next() => {
                for change in batch {
                    rules.take(&context.index, change);
                }
                if rules.hand_out(&context.index, now()) {
                    gate.open();
                }
            }
            Ok(()) = lists.changed() => {
                rules.relist(Arc::clone(&lists.borrow_and_update()));
                rules.hand_out(&context.index, now());
            }
            _ = tick.tick() => {
                rules.hand_out(&context.index, now());
                for (uid, entry) in rules.entries() {
                    if let Err(error) = report(&context, uid, entry).await {
                        context.metrics.controller_errors.inc([error.category()]);
                        tracing::warn!(rule = entry.name, category = error.category(), error = %chain(&error), "status of a rule not written");
                    }
                }
            }
        }
    }
}

/// Rules, and the exceptions that they may carry.
fn everything(client: &Client) -> impl Stream<Item = Told> + Send + use<> {
    let rules = changes(Api::all(client.clone())).map(Told::Rule);
    let exceptions = changes(Api::all(client.clone())).map(Told::Exception);
    let of_cluster = changes(Api::all(client.clone())).map(Told::ClusterException);
    stream::select(rules, stream::select(exceptions, of_cluster))
}

/// fetch → status: writes what became of a rule when that changed and a write is due.
async fn report(context: &Context, uid: &str, entry: &mut Entry) -> Result<(), RuleError> {
    let time: Timestamp = now();
    if !entry.pace.is_due(time) {
        return Ok(());
    }
    entry.pace.looked = Some(time);
    let signals = fetch::fetch(&context.signals, uid)
        .await
        .map_err(|source| RuleError::Count {
            name: entry.name.clone(),
            source,
        })?;
    let applied = apply::applied(&context.index.read(), uid);
    let outcome = Outcome {
        verdict: entry.verdict.as_deref(),
        enabled: entry.enabled,
        scope: entry.scope,
        takes_name: entry.takes_name,
        applied: &applied,
        signals: &signals,
    };
    let next = status::compute(&entry.status, entry.generation, &outcome, time);
    if next == entry.status {
        return Ok(());
    }
    match write::<DeserializeGuard<DetectionRule>>(context, &entry.name, &next).await {
        Ok(()) => {}
        // Its deletion is on the way through the watch.
        Err(error) if error.is_gone() => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    entry.status = next;
    entry.pace.written = Some(time);
    Ok(())
}
