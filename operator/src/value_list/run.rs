//! Watches lists, tells of changes, and writes statuses.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Api;
use kube::core::DeserializeGuard;
use kube::runtime::events::{Event, Recorder, Reporter};
use tokio::time::{MissedTickBehavior, interval};
use yagura_crds::{ValueList, ValueListStatus};
use yagura_event::Timestamp;
use yagura_telemetry::chain;

use super::events::stopped;
use super::shelf::{Judged, Object, Shelf};
use super::status::{compute, decides_otherwise};
use crate::FIELD_MANAGER;
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
    let recorder = Recorder::new(
        context.client.clone(),
        Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: Some(context.args.pod_name.clone()),
        },
    );
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
                    let shelf = Arc::new(shelf);
                    let (before, uses) = {
                        let index = context.index.read();
                        (index.lists.send_replace(Arc::clone(&shelf)), Arc::clone(&index.list_uses))
                    };
                    for (object, event) in stopped(&before, &shelf, &uses) {
                        context.writes.take().await;
                        publish(&recorder, &object, &event).await;
                    }
                }
            }
            _ = tick.tick() => tell(&context, &mut statuses).await,
        }
    }
}

/// Events are for people who look: what is lost with one stands in the statuses, too.
async fn publish(recorder: &Recorder, object: &Object, event: &Event) {
    let about = ObjectReference {
        api_version: Some(yagura_crds::API_VERSION.to_owned()),
        kind: Some("ValueList".to_owned()),
        name: Some(object.name.clone()),
        uid: Some(object.uid.clone()),
        ..ObjectReference::default()
    };
    if let Err(error) = recorder.publish(event, &about).await {
        tracing::warn!(list = object.name, error = %chain(&error), "event of a list not written");
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
