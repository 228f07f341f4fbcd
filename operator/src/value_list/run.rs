//! Watches lists, tells of changes, and writes statuses.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::Api;
use kube::core::DeserializeGuard;
use tokio::time::{MissedTickBehavior, interval};
use yagura_crds::{ValueList, ValueListStatus};
use yagura_event::Timestamp;
use yagura_telemetry::chain;

use super::shelf::{Judged, Object, Shelf};
use super::status::{compute, decides_otherwise};
use crate::context::Context;
use crate::signals::now;
use crate::status::{StatusError, write};
use crate::watch::{Change, changes};

/// How often statuses are looked at: who uses a list is decided elsewhere.
const TICK: Duration = Duration::from_secs(1);
/// Who uses a list is written once in this time at most, in nanoseconds.
const PACE: i64 = 10_000_000_000;
/// Changes that are taken together.
const BATCH: usize = 64;

/// Runs until the operator ends.
pub async fn run(context: Context) {
    let api = Api::<DeserializeGuard<ValueList>>::all(context.client.clone());
    let mut told = pin!(changes(api).ready_chunks(BATCH));
    let mut objects = Objects::default();
    let mut statuses: BTreeMap<String, Told> = BTreeMap::new();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return,
            Some(batch) = told.next() => {
                for change in batch {
                    objects.take(change);
                }
                if let Some(shelf) = objects.shelf() {
                    context.index.read().lists.send_replace(Arc::new(shelf));
                }
            }
            _ = tick.tick() => tell(&context, &mut statuses).await,
        }
    }
}

/// The objects by uid.
#[derive(Debug, Default)]
pub(super) struct Objects {
    by_uid: BTreeMap<String, Arc<Object>>,
    synced: bool,
    changed: bool,
}

impl Objects {
    /// Learns of a change. No client.
    pub(super) fn take(&mut self, change: Change<DeserializeGuard<ValueList>>) {
        match change {
            Change::Apply(guard) => {
                let meta = kube::Resource::meta(&guard);
                let known = meta.uid.as_ref().and_then(|uid| self.by_uid.get(uid));
                // Its own status is no change.
                if known.is_some_and(|known| known.generation == meta.generation) {
                    return;
                }
                let object = Object::read(&guard);
                self.by_uid.insert(object.uid.clone(), Arc::new(object));
                self.changed = true;
            }
            Change::Delete(gone) => self.changed |= self.by_uid.remove(&gone.uid).is_some(),
            Change::Synced => {
                self.changed |= !self.synced;
                self.synced = true;
            }
        }
    }

    /// The lists, if they changed and all that were there have been told.
    pub(super) fn shelf(&mut self) -> Option<Shelf> {
        if !self.synced || !self.changed {
            return None;
        }
        self.changed = false;
        Some(Shelf::new(self.by_uid.values()))
    }
}

/// What a list's status says.
struct Told {
    status: ValueListStatus,
    written: Option<Timestamp>,
}

/// Writes the statuses that changed, once it is known which rules there are.
async fn tell(context: &Context, statuses: &mut BTreeMap<String, Told>) {
    let (shelf, uses) = {
        let index = context.index.read();
        if !index.exceptions.settled {
            return;
        }
        (Arc::clone(&index.lists.borrow()), Arc::clone(&index.list_uses))
    };
    let time = now();
    let there = |uid: &String| shelf.judged.iter().any(|judged| judged.object.uid == *uid);
    statuses.retain(|uid, _| there(uid));
    for judged in &shelf.judged {
        let told = statuses.entry(judged.object.uid.clone()).or_insert_with(|| Told {
            status: judged.object.told.clone(),
            written: None,
        });
        let next = compute(&told.status, judged, &uses, time);
        let due = told.written.is_none_or(|written| time.since(written) >= PACE);
        if decides_otherwise(&told.status, &next) || (next != told.status && due) {
            match put(context, judged, &next).await {
                Ok(()) => {
                    told.status = next;
                    told.written = Some(time);
                }
                Err(error) => {
                    context.metrics.controller_errors.inc([error.category()]);
                    tracing::warn!(list = judged.object.name, category = error.category(), error = %chain(&error), "status of a list not written");
                }
            }
        }
    }
}

async fn put(context: &Context, judged: &Judged, next: &ValueListStatus) -> Result<(), StatusError> {
    match write::<DeserializeGuard<ValueList>>(context, &judged.object.name, next).await {
        // Its deletion is on the way through the watch.
        Err(error) if error.is_gone() => Ok(()),
        other => other,
    }
}
