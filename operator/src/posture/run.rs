//! Watches objects, checks, frameworks and facts; evaluates; writes.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::SelectAll;
use futures::{Stream, StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::DeserializeGuard;
use kube::{Api, Client, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use yagura_crds::posture_check::ResourceType;
use yagura_crds::security_signal::SOURCE_LABEL;
use yagura_crds::{PostureCheck, PostureFramework, SecuritySignal};
use yagura_telemetry::chain;

use super::catalog::Active;
use super::work::{Work, is_of_pod};
use crate::context::Context;
use crate::pods::PodEvent;
use crate::signals::now;
use crate::status::write;
use crate::value_list::shelf::Shelf;
use crate::watch::{Change, changes};

/// Changes that follow each other this closely are one evaluation.
const DEBOUNCE: Duration = Duration::from_millis(500);
/// How often is looked whether facts became stale, or a status is due.
const TICK: Duration = Duration::from_mins(1);
/// After a failed write or list it is tried again so much later.
const RETRY: Duration = Duration::from_secs(5);
/// Objects of one page of a list.
const PAGE: u32 = 500;

/// The API server or the store did not answer.
#[derive(Debug, thiserror::Error)]
pub enum PostureError {
    /// A list failed.
    #[error("cannot list {kind}")]
    List {
        /// What was listed.
        kind: &'static str,
        /// What the API server says.
        #[source]
        source: Box<kube::Error>,
    },
}

impl PostureError {
    /// For logs and metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::List { .. } => "posture_list",
        }
    }
}

/// A change of roles or bindings.
type RbacChange = (Rbac, Change<DynamicObject>);

/// A kind of role or binding.
#[derive(Clone, Copy, Debug)]
struct Rbac {
    resource: ResourceType,
    kind: &'static str,
    plural: &'static str,
    api: fn() -> ApiResource,
}

const RBAC: [Rbac; 4] = [
    Rbac {
        resource: ResourceType::Role,
        kind: "Role",
        plural: "roles",
        api: || ApiResource::erase::<Role>(&()),
    },
    Rbac {
        resource: ResourceType::ClusterRole,
        kind: "ClusterRole",
        plural: "clusterroles",
        api: || ApiResource::erase::<ClusterRole>(&()),
    },
    Rbac {
        resource: ResourceType::RoleBinding,
        kind: "RoleBinding",
        plural: "rolebindings",
        api: || ApiResource::erase::<RoleBinding>(&()),
    },
    Rbac {
        resource: ResourceType::ClusterRoleBinding,
        kind: "ClusterRoleBinding",
        plural: "clusterrolebindings",
        api: || ApiResource::erase::<ClusterRoleBinding>(&()),
    },
];

/// Evaluates until the operator ends. `pods` is the operator's one watch of pods.
pub async fn run(context: Context, mut pods: mpsc::Receiver<PodEvent>) {
    let client = &context.client;
    let mut checks = pin!(changes(Api::<DeserializeGuard<PostureCheck>>::all(
        client.clone()
    )));
    let mut frameworks = pin!(changes(Api::<DeserializeGuard<PostureFramework>>::all(
        client.clone()
    )));
    let mut rbac = watch_rbac(client);
    let mut facts = context.index.read().nodes.facts_changes();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut state = State::new(open_signals(&context).await);
    state.work.catalog.shipped = context.index.read().shipped.clone();
    let mut lists = context.index.read().lists.subscribe();
    // Without them a check that names one would be refused, and told so, until they come.
    tokio::select! {
        () = context.stop.cancelled() => return,
        _ = lists.wait_for(|shelf| shelf.settled) => {}
    }
    state.relist(&lists.borrow_and_update());
    loop {
        let evaluation = state.due;
        tokio::select! {
            () = context.stop.cancelled() => return,
            Some(change) = checks.next() => state.check(&change),
            Some(change) = frameworks.next() => state.framework(change),
            Ok(()) = lists.changed() => state.relist(&lists.borrow_and_update()),
            // Objects wait until it is known what they are judged by.
            Some((kind, change)) = rbac.next(), if state.knows_checks() => state.object(kind, change),
            event = pods.recv(), if state.knows_checks() => match event {
                Some(event) => state.pod(event),
                None => return,
            },
            changed = facts.changed() => {
                if changed.is_err() {
                    return;
                }
                state.soon();
            }
            _ = tick.tick() => state.soon(),
            () = sleep_until(evaluation.unwrap_or_else(Instant::now)), if evaluation.is_some() && state.is_synced() => {
                state.evaluate(&context).await;
            }
        }
    }
}

fn watch_rbac(client: &Client) -> SelectAll<stream::BoxStream<'static, RbacChange>> {
    stream::select_all(RBAC.map(|kind| {
        let api = Api::<DynamicObject>::all_with(client.clone(), &(kind.api)());
        changes(api).map(move |change| (kind, change)).boxed()
    }))
}

/// The posture signals that are there; without them everything that fails counts as baseline.
async fn open_signals(context: &Context) -> Vec<SecuritySignal> {
    let api: Api<DeserializeGuard<SecuritySignal>> = Api::all(context.client.clone());
    let params = ListParams::default().labels(&format!("{SOURCE_LABEL}=posture"));
    loop {
        match api.list(&params).await {
            Ok(list) => return list.items.into_iter().filter_map(|guard| guard.0.ok()).collect(),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "cannot list posture signals, trying again");
                tokio::select! {
                    () = context.stop.cancelled() => return Vec::new(),
                    () = tokio::time::sleep(RETRY) => {}
                }
            }
        }
    }
}

/// What is known, and what is still awaited.
struct State {
    work: Work,
    /// The catalog changed since it was taken over.
    reload: bool,
    /// When to evaluate next.
    due: Option<Instant>,
    /// What has not been listed once.
    awaited: BTreeSet<&'static str>,
}

impl State {
    fn new(open: Vec<SecuritySignal>) -> Self {
        let kinds = RBAC.iter().map(|kind| kind.plural);
        Self {
            work: Work::new(open),
            reload: false,
            due: None,
            awaited: ["checks", "frameworks", "pods"]
                .into_iter()
                .chain(kinds)
                .collect(),
        }
    }

    fn knows_checks(&self) -> bool {
        !self.awaited.contains("checks") && !self.awaited.contains("frameworks")
    }

    fn is_synced(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Evaluates once changes pause, or half a second after the first.
    fn soon(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + DEBOUNCE);
    }

    fn check(&mut self, change: &Change<DeserializeGuard<PostureCheck>>) {
        match change {
            Change::Apply(guard) => self.reload |= self.work.catalog.apply_check(guard),
            Change::Delete(gone) => self.reload |= self.work.catalog.checks.remove(&gone.name).is_some(),
            Change::Synced => self.listed("checks"),
        }
        self.soon();
    }

    fn framework(&mut self, change: Change<DeserializeGuard<PostureFramework>>) {
        match change {
            Change::Apply(guard) => self.reload |= self.work.catalog.apply_framework(guard),
            Change::Delete(gone) => self.reload |= self.work.catalog.frameworks.remove(&gone.name).is_some(),
            Change::Synced => self.listed("frameworks"),
        }
        self.soon();
    }

    fn relist(&mut self, told: &Shelf) {
        self.reload |= self.work.catalog.relist(told.lists.clone());
        self.soon();
    }

    fn listed(&mut self, what: &'static str) {
        self.awaited.remove(what);
        // At the start nothing was judged before the checks were known: no list is needed.
        if self.reload && self.knows_checks() && self.awaited.contains("pods") {
            self.reload = false;
            self.work.reload();
        }
    }

    fn object(&mut self, kind: Rbac, change: Change<DynamicObject>) {
        match change {
            Change::Apply(object) => {
                let active = self.work.active().clone();
                self.work.object(kind.resource, kind.kind, &object, &active);
            }
            Change::Delete(gone) => self.work.object_gone(kind.resource, &gone.uid),
            Change::Synced => self.listed(kind.plural),
        }
        self.soon();
    }

    fn pod(&mut self, event: PodEvent) {
        match event {
            PodEvent::Apply(pod) => {
                let active = self.work.active().clone();
                self.work.pod(&pod, &active);
            }
            PodEvent::Delete(uid) => self.work.pod_gone(&uid),
            PodEvent::Synced => self.listed("pods"),
        }
        self.soon();
    }

    async fn evaluate(&mut self, context: &Context) {
        if context.index.read().policy.nodes().is_none() {
            // What a node's facts said before is kept until the node speaks, so it must be known which nodes there are.
            self.due = Some(Instant::now() + DEBOUNCE);
            return;
        }
        self.due = None;
        if self.reload {
            let fresh = self.work.reload();
            if let Err(error) = list(&context.client, &mut self.work, &fresh).await {
                context.metrics.controller_errors.inc([error.category()]);
                tracing::warn!(category = error.category(), error = %chain(&error), "posture waits for a list");
                // The catalog is taken over; what it lacks is listed with the next try.
                self.work.distrust(&fresh);
                self.due = Some(Instant::now() + RETRY);
                return;
            }
            self.reload = false;
        }
        let changed = self.work.changed_nodes(&context.index.read(), now());
        for node in changed {
            self.work.node(node);
            // All nodes of a cluster report when the operator starts: others must not wait for all of them.
            tokio::task::yield_now().await;
        }
        let outcome = self.work.settle(now());
        let uses = self.work.catalog.list_uses();
        if context.index.read().list_uses.checks != uses {
            Arc::make_mut(&mut context.index.write().list_uses).checks = uses;
        }
        let mut failed = false;
        for (check, change) in outcome.signals {
            let scope = change.scope.clone();
            if let Err(error) = context.signals.posture(change).await {
                context.metrics.controller_errors.inc(["posture_signal"]);
                tracing::warn!(check, category = "posture_signal", error = %chain(&error), "posture signal not stored");
                self.work.untold(&check, &scope);
                failed = true;
            }
        }
        for (name, status) in outcome.checks {
            if put::<DeserializeGuard<PostureCheck>>(context, &name, &status).await {
                self.work.check_written(&name, status);
            } else {
                failed = true;
            }
        }
        for (name, status) in outcome.frameworks {
            if put::<DeserializeGuard<PostureFramework>>(context, &name, &status).await {
                self.work.framework_written(&name, status);
            } else {
                failed = true;
            }
        }
        context.metrics.posture_evaluations.inc();
        if failed {
            self.due = Some(Instant::now() + RETRY);
        }
    }
}

/// Writes a status; whether that is done. An object that is gone needs none.
async fn put<K>(context: &Context, name: &str, status: &impl Serialize) -> bool
where
    K: kube::Resource<DynamicType = ()> + DeserializeOwned,
{
    match write::<K>(context, name, status).await {
        Ok(()) => true,
        Err(error) if error.is_gone() => true,
        Err(error) => {
            context.metrics.controller_errors.inc([error.category()]);
            tracing::warn!(name, category = error.category(), error = %chain(&error), "status not written");
            false
        }
    }
}

/// Judges everything that these checks speak about. Needs the client.
async fn list(
    client: &Client,
    work: &mut Work,
    fresh: &BTreeMap<String, Active>,
) -> Result<(), PostureError> {
    if fresh.values().any(|check| is_of_pod(check.resource)) {
        let mut listed = BTreeSet::new();
        let mut pages = pin!(pages(Api::<DeserializeGuard<Pod>>::all(client.clone())));
        while let Some(page) = pages.next().await {
            for pod in page.map_err(|source| PostureError::List { kind: "pods", source })? {
                listed.insert(pod.uid().unwrap_or_default());
                if let Ok(pod) = &pod.0 {
                    work.pod(pod, fresh);
                }
            }
        }
        work.retain(ResourceType::Pod, &listed);
    }
    for kind in RBAC {
        if fresh.values().all(|check| check.resource != kind.resource) {
            continue;
        }
        let mut listed = BTreeSet::new();
        let api = Api::<DynamicObject>::all_with(client.clone(), &(kind.api)());
        let mut pages = pin!(pages(api));
        while let Some(page) = pages.next().await {
            for object in page.map_err(|source| PostureError::List {
                kind: kind.plural,
                source,
            })? {
                listed.insert(object.uid().unwrap_or_default());
                work.object(kind.resource, kind.kind, &object, fresh);
            }
        }
        work.retain(kind.resource, &listed);
    }
    Ok(())
}

/// A list in pages, so that no more than one is held.
fn pages<K>(api: Api<K>) -> impl Stream<Item = Result<Vec<K>, Box<kube::Error>>>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    stream::try_unfold(Some(ListParams::default().limit(PAGE)), move |params| {
        let api = api.clone();
        async move {
            let Some(params) = params else { return Ok(None) };
            let list = api.list(&params).await.map_err(Box::new)?;
            let next = list.metadata.continue_.filter(|token| !token.is_empty());
            let next = next.map(|token| ListParams::default().limit(PAGE).continue_token(&token));
            Ok(Some((list.items, next)))
        }
    })
}
