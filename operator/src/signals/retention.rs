//! What is done leaves the cluster, and what is old leaves the store.

use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject, Preconditions};
use kube::{Api, CustomResourceExt};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{info, warn};
use yagura_crds::SecuritySignal;
use yagura_event::Timestamp;
use yagura_store::signals::{HistoryLimits, Leaving, Pruned};
use yagura_telemetry::chain;

use super::{Ledger, LedgerError, now};
use crate::context::Context;

/// How often is looked for what may go.
const EVERY: Duration = Duration::from_mins(1);
/// Signals that leave the cluster in one round.
const ROUND: u32 = 500;
/// Rounds of removing from the store, each of a bounded number, in a minute.
const PRUNES: usize = 20;
/// A call that takes longer failed.
const CALL: Duration = Duration::from_secs(10);

/// How it went with one object.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    /// It is not in the cluster any more.
    Gone,
    /// Somebody opened it again.
    Stays,
    /// The API server does not take it now.
    Failed,
}

/// Takes out what is done until the process stops.
pub async fn run(context: Context) -> Result<(), LedgerError> {
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return Ok(()),
            _ = every.tick() => {}
        }
        let too_large = prune(&context).await?;
        context.signals.forget_windows().await?;
        tokio::select! {
            () = context.stop.cancelled() => return Ok(()),
            done = leave(&context, too_large) => done?,
        }
    }
}

/// Takes signals out of the cluster that were closed for long enough; all that are closed when
/// the store is too large to wait for them.
async fn leave(context: &Context, too_large: bool) -> Result<(), LedgerError> {
    let ledger = &context.signals;
    let kept = if too_large { 0 } else { context.args.retention.0 };
    let before = Timestamp(now().0.saturating_sub(kept));
    for leaving in ledger.to_leave(before).await? {
        match take_out(context, &leaving).await? {
            Left::Gone => {
                ledger.deleted(leaving.namespace, leaving.name).await?;
                context.metrics.left_signals.inc();
            }
            Left::Stays => ledger.stay(leaving.id).await?,
            Left::Failed => {
                ledger.stay(leaving.id).await?;
                break;
            }
        }
    }
    Ok(())
}

async fn take_out(context: &Context, leaving: &Leaving) -> Result<Left, LedgerError> {
    let resource = SecuritySignal::api_resource();
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &leaving.namespace, &resource);
    let found = match call(api.get_opt(&leaving.name)).await {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Left::Gone),
        Err(error) => return Ok(failed(leaving, &error)),
    };
    // Noted before the deletion, so that what the watch reports is not taken for triage.
    if !is_done(&found) || !context.signals.note_leaving(leaving.id).await? {
        return Ok(Left::Stays);
    }
    context.writes.take().await;
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: found.metadata.uid,
            resource_version: found.metadata.resource_version,
        }),
        ..DeleteParams::default()
    };
    Ok(match call(api.delete(&leaving.name, &params)).await {
        Ok(_) => Left::Gone,
        Err(kube::Error::Api(status)) if status.code == 404 => Left::Gone,
        Err(kube::Error::Api(status)) if status.code == 409 => Left::Stays,
        Err(error) => failed(leaving, &error),
    })
}

fn failed(leaving: &Leaving, error: &kube::Error) -> Left {
    let signal = format!("{}/{}", leaving.namespace, leaving.name);
    warn!(signal, error = %chain(error), "cannot take a closed signal out of the cluster; trying again");
    Left::Failed
}

/// Whether nobody has to look at the object: archived, or everything passes.
fn is_done(object: &DynamicObject) -> bool {
    let state = object.data.pointer("/spec/triage/state");
    let resolved = object.data.pointer("/status/resolvedAt");
    state.is_some_and(|state| state == "archived") || resolved.is_some_and(|time| !time.is_null())
}

/// Removes from the store what is past its limits. True when the store stays too large.
async fn prune(context: &Context) -> Result<bool, LedgerError> {
    let limits = HistoryLimits {
        age: context.args.history_age.0,
        bytes: context.args.history_bytes.0,
    };
    let metrics = &context.metrics;
    let mut removed = Pruned::default();
    for _ in 0..PRUNES {
        let pruned = context.signals.prune(limits).await?;
        metrics.removed_history.add(["age"], pruned.by_age);
        metrics.removed_history.add(["size"], pruned.by_size);
        removed.by_age += pruned.by_age;
        removed.by_size += pruned.by_size;
        removed.too_large = pruned.too_large;
        if pruned.by_age + pruned.by_size == 0 {
            break;
        }
    }
    if removed.by_age + removed.by_size > 0 {
        info!(
            age = removed.by_age,
            size = removed.by_size,
            "removed old signals from the store"
        );
    }
    let (signals, bytes) = context.signals.history_size().await?;
    metrics
        .history_signals
        .set(i64::try_from(signals).unwrap_or(i64::MAX));
    metrics.store_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    Ok(removed.too_large)
}

async fn call<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    timeout(CALL, request)
        .await
        .unwrap_or_else(|elapsed| Err(kube::Error::Service(Box::new(elapsed))))
}

impl Ledger {
    async fn to_leave(&self, before: Timestamp) -> Result<Vec<Leaving>, LedgerError> {
        self.with(move |store| store.to_leave(before, ROUND)).await
    }

    async fn note_leaving(&self, id: i64) -> Result<bool, LedgerError> {
        self.with(move |store| store.leave(id)).await
    }

    async fn stay(&self, id: i64) -> Result<(), LedgerError> {
        self.with(move |store| store.stay(id)).await
    }

    async fn prune(&self, limits: HistoryLimits) -> Result<Pruned, LedgerError> {
        self.with(move |store| store.prune(limits, now())).await
    }

    async fn forget_windows(&self) -> Result<u64, LedgerError> {
        self.with(|store| store.forget_windows(now())).await
    }

    async fn history_size(&self) -> Result<(u64, u64), LedgerError> {
        self.with(|store| Ok((store.history_len()?, store.bytes()?)))
            .await
    }
}
