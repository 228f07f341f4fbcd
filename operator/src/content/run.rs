//! Applies what ships, keeps it so, and removes what does not ship any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::runtime::events::{Event, Recorder, Reporter};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use yagura_telemetry::chain;

use super::bundle::{Bundle, Item, Key, Kind};
use super::exact::{correction, is_as_shipped};
use super::plan::{Action, has_label, plan};
use super::{LABEL, events};
use crate::FIELD_MANAGER;
use crate::context::Context;
use crate::watch::{Change, changes};

/// After a write nothing is done about the object for so long, doubled with each further write: the
/// watch has told of the write by then, and others that insist on their edit are not fought with.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// An object that was left alone for so long is new again.
const FORGET: Duration = Duration::from_mins(30);

/// A write of shipped content failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} shipped {kind} {name}")]
pub struct ContentError {
    verb: &'static str,
    kind: &'static str,
    name: String,
    #[source]
    source: Box<kube::Error>,
}

impl ContentError {
    /// For logs and metrics.
    pub fn category(&self) -> &'static str {
        "content_write"
    }
}

/// Runs until the operator ends.
pub async fn run(context: Context, bundle: Bundle) {
    let mut objects = stream::select_all(Kind::ALL.map(|kind| {
        let api = api(&context, kind);
        changes(api).map(move |change| (kind, change)).boxed()
    }));
    let reporter = Reporter {
        controller: FIELD_MANAGER.to_owned(),
        instance: Some(context.args.pod_name.clone()),
    };
    let mut keeper = Keeper {
        recorder: Recorder::new(context.client.clone(), reporter),
        context: context.clone(),
        bundle: Arc::new(bundle),
        found: BTreeMap::new(),
        lost: BTreeSet::new(),
        taken: BTreeSet::new(),
        awaited: Kind::ALL.into(),
        due: BTreeMap::new(),
        writes: BTreeMap::new(),
    };
    loop {
        let next = keeper.next();
        tokio::select! {
            () = context.stop.cancelled() => return,
            Some((kind, change)) = objects.next() => keeper.take(kind, change),
            // Polled only when there is a key.
            () = sleep_until(next.as_ref().map_or_else(Instant::now, |(_, at)| *at)), if next.is_some() => {
                if let Some((key, _)) = next {
                    keeper.settle(&key).await;
                }
            }
        }
    }
}

fn api(context: &Context, kind: Kind) -> Api<DynamicObject> {
    Api::all_with(context.client.clone(), &kind.resource())
}

/// How often an object was written, and when last.
#[derive(Clone, Copy, Debug)]
struct Writes {
    count: u32,
    last: Instant,
}

/// What is wanted, what is there, and what is still to be done.
struct Keeper {
    context: Context,
    recorder: Recorder,
    bundle: Arc<Bundle>,
    /// Objects that are in the bundle or have the label.
    found: BTreeMap<Key, DynamicObject>,
    /// Shipped objects that somebody deleted.
    lost: BTreeSet<Key>,
    /// Shipped names that users' objects have.
    taken: BTreeSet<Key>,
    /// Kinds that were not listed once.
    awaited: BTreeSet<Kind>,
    /// What is looked at, and when.
    due: BTreeMap<Key, Instant>,
    writes: BTreeMap<Key, Writes>,
}

impl Keeper {
    fn take(&mut self, kind: Kind, change: Change<DynamicObject>) {
        match change {
            Change::Apply(object) => {
                let name = object.metadata.name.clone().unwrap_or_default();
                let key = Key { kind, name };
                if has_label(&object) || self.bundle.get(&key).is_some() {
                    self.found.insert(key.clone(), object);
                    self.look_at(key);
                } else {
                    self.found.remove(&key);
                }
            }
            Change::Delete(gone) => {
                let key = Key {
                    kind,
                    name: gone.name,
                };
                let same = |object: &DynamicObject| object.metadata.uid.as_ref() == Some(&gone.uid);
                if self.found.get(&key).is_some_and(same) {
                    let object = self.found.remove(&key);
                    if self.bundle.get(&key).is_some() {
                        if object.is_some_and(|object| has_label(&object)) {
                            self.lost.insert(key.clone());
                        }
                        self.look_at(key);
                    }
                }
            }
            Change::Synced => {
                self.awaited.remove(&kind);
                if self.awaited.is_empty() {
                    let absent = self.bundle.keys().filter(|key| !self.found.contains_key(*key));
                    for key in absent.cloned().collect::<Vec<_>>() {
                        self.look_at(key);
                    }
                }
            }
        }
    }

    fn look_at(&mut self, key: Key) {
        let at = self.not_before(&key);
        self.due.insert(key, at);
    }

    fn not_before(&self, key: &Key) -> Instant {
        let now = Instant::now();
        self.writes.get(key).map_or(now, |writes| {
            let doublings = writes.count.saturating_sub(1).min(16);
            writes.last + (PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
        })
    }

    /// The key that is due next; in the order of kinds where several are. None before everything that
    /// is there is known.
    fn next(&self) -> Option<(Key, Instant)> {
        if !self.awaited.is_empty() {
            return None;
        }
        let now = Instant::now();
        let (key, at) = self.due.iter().min_by_key(|(_, at)| (**at).max(now))?;
        Some((key.clone(), *at))
    }

    async fn settle(&mut self, key: &Key) {
        self.due.remove(key);
        let bundle = Arc::clone(&self.bundle);
        let wanted = bundle.get(key);
        let action = plan(key.kind, wanted, self.found.get(key));
        self.notice(key, action == Action::Taken);
        let wrote = match (action, wanted) {
            (Action::Remove, _) => self.remove(key).await,
            (Action::Create, Some(item)) => self.create(key, item).await,
            (Action::Update, Some(item)) => self.update(key, item).await,
            (Action::Revert { by, members }, Some(item)) => self.revert(key, item, &by, &members).await,
            _ => return,
        };
        let now = Instant::now();
        self.writes
            .retain(|_, writes| now.duration_since(writes.last) < FORGET);
        let count = self
            .writes
            .get(key)
            .map_or(1, |writes| writes.count.saturating_add(1));
        self.writes.insert(key.clone(), Writes { count, last: now });
        let result = match wrote {
            Ok(result) => result,
            Err(error) => {
                self.context.metrics.controller_errors.inc([error.category()]);
                tracing::warn!(kind = key.kind.as_str(), name = key.name, category = error.category(),
                    error = %chain(&error), "shipped content is not as it should be, trying again");
                self.look_at(key.clone());
                "failed"
            }
        };
        self.context.metrics.content_writes.inc([result]);
    }

    /// Says once that a name is taken, and once that it is free again.
    fn notice(&mut self, key: &Key, taken: bool) {
        let changed = if taken {
            self.taken.insert(key.clone())
        } else {
            self.taken.remove(key)
        };
        if !changed {
            return;
        }
        let (kind, name) = (key.kind.as_str(), &key.name);
        if taken {
            tracing::warn!(
                kind,
                name,
                label = LABEL,
                "not applied: an object of a user has the shipped name"
            );
        } else {
            tracing::info!(kind, name, "the shipped name is free");
        }
        let count = i64::try_from(self.taken.len()).unwrap_or(i64::MAX);
        self.context.metrics.content_taken_names.set(count);
    }

    async fn create(&mut self, key: &Key, item: &Item) -> Result<&'static str, ContentError> {
        // Without force: an object that a user makes at this moment is not taken over.
        let object = self.apply(key, item, false).await?;
        tracing::info!(
            kind = key.kind.as_str(),
            name = key.name,
            "shipped content created"
        );
        if self.lost.remove(key) {
            self.tell(key, &object, events::restored(key)).await;
        }
        Ok("created")
    }

    async fn update(&self, key: &Key, item: &Item) -> Result<&'static str, ContentError> {
        self.make_exact(key, item).await?;
        tracing::info!(
            kind = key.kind.as_str(),
            name = key.name,
            "shipped content updated"
        );
        Ok("updated")
    }

    async fn revert(
        &self,
        key: &Key,
        item: &Item,
        by: &[String],
        members: &[String],
    ) -> Result<&'static str, ContentError> {
        let object = self.make_exact(key, item).await?;
        tracing::warn!(
            kind = key.kind.as_str(),
            name = key.name,
            ?by,
            ?members,
            "edits of shipped content taken back"
        );
        self.tell(key, &object, events::reverted(key, by, members)).await;
        Ok("reverted")
    }

    async fn remove(&self, key: &Key) -> Result<&'static str, ContentError> {
        let Some(object) = self.found.get(key) else {
            return Ok("gone");
        };
        let params = DeleteParams {
            // Whoever takes the label away at this moment keeps the object.
            preconditions: Some(Preconditions {
                uid: object.metadata.uid.clone(),
                resource_version: object.metadata.resource_version.clone(),
            }),
            ..DeleteParams::background()
        };
        self.context.writes.take().await;
        match api(&self.context, key.kind).delete(&key.name, &params).await {
            Ok(_) => {
                tracing::info!(
                    kind = key.kind.as_str(),
                    name = key.name,
                    "removed: it does not ship, or its pack is not wanted"
                );
                Ok("removed")
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok("gone"),
            Err(source) => Err(failed("remove", key, source)),
        }
    }

    /// Applies, and corrects what applying leaves.
    async fn make_exact(&self, key: &Key, item: &Item) -> Result<DynamicObject, ContentError> {
        let object = self.apply(key, item, true).await?;
        if is_as_shipped(key.kind, item, &object) {
            return Ok(object);
        }
        let patch = json!({
            "metadata": {"resourceVersion": object.metadata.resource_version},
            "spec": correction(item, &object),
        });
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        self.patch(key, "correct", &params, &Patch::Merge(&patch)).await
    }

    async fn apply(&self, key: &Key, item: &Item, force: bool) -> Result<DynamicObject, ContentError> {
        let patch = json!({
            "apiVersion": yagura_crds::API_VERSION,
            "kind": key.kind.as_str(),
            "metadata": {"name": key.name, "labels": {LABEL: item.pack.as_str()}},
            "spec": item.spec.members(),
        });
        let mut params = PatchParams::apply(FIELD_MANAGER);
        params.force = force;
        self.patch(key, "apply", &params, &Patch::Apply(&patch)).await
    }

    async fn patch(
        &self,
        key: &Key,
        verb: &'static str,
        params: &PatchParams,
        patch: &Patch<&Value>,
    ) -> Result<DynamicObject, ContentError> {
        self.context.writes.take().await;
        let written = api(&self.context, key.kind).patch(&key.name, params, patch).await;
        written.map_err(|source| failed(verb, key, source))
    }

    /// An Event that cannot be written is no reason to try again: the log says the same.
    async fn tell(&self, key: &Key, object: &DynamicObject, event: Event) {
        use kube::Resource as _;

        self.context.writes.take().await;
        let about = object.object_ref(&key.kind.resource());
        if let Err(error) = self.recorder.publish(&event, &about).await {
            tracing::warn!(kind = key.kind.as_str(), name = key.name, error = %chain(&error), "event not written");
        }
    }
}

fn failed(verb: &'static str, key: &Key, source: kube::Error) -> ContentError {
    ContentError {
        verb,
        kind: key.kind.as_str(),
        name: key.name.clone(),
        source: Box::new(source),
    }
}
