//! The outbox's worker: the only one that writes signals to the API server.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, CustomResourceExt};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, warn};
use yagura_crds::SecuritySignal;
use yagura_event::Timestamp;
use yagura_store::signals::Pending;
use yagura_telemetry::chain;

use super::{Ledger, LedgerError, now, object};
use crate::FIELD_MANAGER;
use crate::context::Context;

/// A call that takes longer failed.
const CALL: Duration = Duration::from_secs(10);
/// Waits after failures: the first, doubled with each, at most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// A signal that the API server finds invalid is tried again after this.
const INVALID_WAIT: Duration = Duration::from_mins(10);
/// The outbox is looked at this often even when nothing seems due.
const LOOK: Duration = Duration::from_secs(30);

/// What the API server made of a write.
#[derive(Debug)]
enum Written {
    /// It took it.
    Done,
    /// Somebody deleted the object.
    Deleted,
    /// Its namespace does not take it: terminating, over quota, gone or forbidden.
    NamespaceRefuses(Box<kube::Error>),
    /// The object is not valid there.
    Invalid(Box<kube::Error>),
    /// The API server does not answer, or not now.
    Unavailable(Box<kube::Error>),
}

/// Writes what is due until the process stops.
pub async fn run(context: Context) -> Result<(), LedgerError> {
    let stop = context.stop.clone();
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        ended = Writer::new(context).work() => ended,
    }
}

struct Writer {
    context: Context,
    ledger: Ledger,
    resource: ApiResource,
    failures: HashMap<i64, u32>,
    /// Signals that are written as small as they can be, since they were refused once.
    cut: HashSet<i64>,
    /// Those that were refused even so: the store alone has their newest state.
    refused: HashSet<i64>,
    /// Failures of the API server itself in a row.
    outage: u32,
}

impl Writer {
    fn new(context: Context) -> Self {
        Self {
            ledger: context.signals.clone(),
            resource: SecuritySignal::api_resource(),
            failures: HashMap::new(),
            cut: HashSet::new(),
            refused: HashSet::new(),
            outage: 0,
            context,
        }
    }

    async fn work(mut self) -> Result<(), LedgerError> {
        loop {
            // One at a time: a signal that opens meanwhile comes first.
            let (next, due, waiting) = self.ledger.next_write(now()).await?;
            self.context
                .metrics
                .waiting_writes
                .set(i64::try_from(waiting).unwrap_or(i64::MAX));
            let Some(pending) = next else {
                self.ledger.wait_for_due(due).await;
                continue;
            };
            self.context.writes.take().await;
            let written = self.write(&pending).await;
            self.settle(&pending, written).await?;
        }
    }

    async fn write(&self, pending: &Pending) -> Written {
        let made = if self.cut.contains(&pending.signal.id) {
            object::smallest(&pending.signal)
        } else {
            object::object(&pending.signal)
        };
        let object = match made {
            Ok(object) => object,
            Err(error) => return Written::Invalid(Box::new(kube::Error::Service(error.into()))),
        };
        let api: Api<DynamicObject> = Api::namespaced_with(
            self.context.client.clone(),
            &pending.signal.namespace,
            &self.resource,
        );
        let name = &pending.signal.name;
        let params = PatchParams::apply(FIELD_MANAGER).force();
        if pending.opening {
            let patch = Patch::Apply(&object.identity);
            if let Err(error) = call(api.patch(name, &params, &patch)).await {
                return opening_failed(error);
            }
            self.context.writes.take().await;
        }
        let patch = Patch::Apply(&object.status);
        match call(api.patch_status(name, &params, &patch)).await {
            Ok(_) => Written::Done,
            Err(error) => status_failed(error),
        }
    }

    async fn settle(&mut self, pending: &Pending, written: Written) -> Result<(), LedgerError> {
        let signal = &pending.signal;
        let name = format!("{}/{}", signal.namespace, signal.name);
        let result = match written {
            Written::Done => {
                self.failures.remove(&signal.id);
                self.refused.remove(&signal.id);
                self.outage = 0;
                if pending.opening {
                    let waited = now().since(pending.due);
                    self.context
                        .metrics
                        .signal_delay
                        .observe(Duration::from_nanos(waited.unsigned_abs()).as_secs_f64());
                }
                self.ledger.written(signal.id, pending.revision).await?;
                "written"
            }
            Written::Deleted => {
                debug!(signal = name, "deleted by somebody, which counts as triage");
                self.failures.remove(&signal.id);
                self.cut.remove(&signal.id);
                self.refused.remove(&signal.id);
                self.ledger
                    .deleted(signal.namespace.clone(), signal.name.clone())
                    .await?;
                "deleted"
            }
            Written::NamespaceRefuses(error) if signal.namespace != self.ledger.home() => {
                warn!(signal = name, error = %chain(&error), "its namespace refuses the signal; it goes to the operator's");
                self.ledger.relocate(signal.id).await?;
                "relocated"
            }
            Written::Invalid(error) if self.cut.insert(signal.id) => {
                warn!(signal = name, error = %chain(&error), "the API server refuses the signal; it is cut and tried once more");
                self.ledger.postpone(signal.id, Duration::ZERO).await?;
                "cut"
            }
            Written::NamespaceRefuses(error) | Written::Invalid(error) => {
                self.refused.insert(signal.id);
                error!(signal = name, error = %chain(&error), "the API server refuses the signal; it stays in the store");
                self.ledger.postpone(signal.id, INVALID_WAIT).await?;
                "refused"
            }
            Written::Unavailable(error) => {
                let failures = self.failures.entry(signal.id).or_default();
                *failures += 1;
                let wait = backoff(*failures);
                warn!(signal = name, error = %chain(&error), wait = ?wait, "cannot write the signal now");
                self.ledger.postpone(signal.id, wait).await?;
                self.outage += 1;
                sleep(backoff(self.outage).min(Duration::from_secs(5))).await;
                "failed"
            }
        };
        let metrics = &self.context.metrics;
        metrics.signal_writes.inc([result]);
        metrics
            .refused_signals
            .set(i64::try_from(self.refused.len()).unwrap_or(i64::MAX));
        Ok(())
    }
}

fn backoff(failures: u32) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(LONGEST_WAIT)
}

/// The identity was not taken.
fn opening_failed(error: kube::Error) -> Written {
    match code(&error) {
        Some(403 | 404) => Written::NamespaceRefuses(Box::new(error)),
        Some(400 | 413 | 422) => Written::Invalid(Box::new(error)),
        _ => Written::Unavailable(Box::new(error)),
    }
}

/// The status was not taken.
fn status_failed(error: kube::Error) -> Written {
    match code(&error) {
        Some(404) => Written::Deleted,
        Some(400 | 403 | 413 | 422) => Written::Invalid(Box::new(error)),
        _ => Written::Unavailable(Box::new(error)),
    }
}

fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

async fn call<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    timeout(CALL, request)
        .await
        .unwrap_or_else(|elapsed| Err(kube::Error::Service(Box::new(elapsed))))
}

impl Ledger {
    /// The first write that is due, when the next one is, and how many wait.
    async fn next_write(
        &self,
        now: Timestamp,
    ) -> Result<(Option<Pending>, Option<Timestamp>, u64), LedgerError> {
        self.with(move |store| {
            let next = store.pending(now, 1)?.pop();
            Ok((next, store.next_due()?, store.waiting()?))
        })
        .await
    }

    /// Waits until `due`, or something else may be due.
    async fn wait_for_due(&self, due: Option<Timestamp>) {
        let left = due.map_or(LOOK, |due| {
            Duration::from_nanos(u64::try_from(due.since(now())).unwrap_or(0))
        });
        // What became due came with a notification, so the timeout is no failure.
        timeout(left.min(LOOK), self.due.notified()).await.ok();
    }

    async fn written(&self, id: i64, revision: i64) -> Result<(), LedgerError> {
        self.with(move |store| store.written(id, revision, now())).await
    }

    async fn postpone(&self, id: i64, wait: Duration) -> Result<(), LedgerError> {
        let nanoseconds = i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX);
        self.with(move |store| store.postpone(id, now().after(nanoseconds)))
            .await
    }

    async fn relocate(&self, id: i64) -> Result<(), LedgerError> {
        let home = self.home().to_owned();
        self.with(move |store| store.relocate(id, &home)).await
    }
}

#[cfg(test)]
mod tests;
