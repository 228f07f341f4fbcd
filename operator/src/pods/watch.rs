//! Feeds the index from the watches of pods and of namespaces' metadata.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::{Api, ResourceExt as _};
use tokio::sync::mpsc;
use yagura_telemetry::Gate;

use super::record;
use crate::context::Context;
use crate::index::pods::PodRecord;
use crate::watch::{Change, changes};

/// A pod as its configuration is judged: passed on whole, kept by nobody.
#[derive(Debug)]
pub enum PodEvent {
    /// It is there, new or changed.
    Apply(Box<Pod>),
    /// The pod with this uid is gone.
    Delete(String),
    /// Every pod that was there has been passed on.
    Synced,
}

/// Watches until the operator ends. The watch waits for whoever judges pods: a burst of changes is
/// held by the API server's connection, not by memory.
pub async fn run(context: Context, gate: Gate, judged: mpsc::Sender<PodEvent>) {
    let mut pods = pin!(changes(Api::<DeserializeGuard<Pod>>::all(context.client.clone())));
    let mut namespaces = pin!(changes(Api::<PartialObjectMeta<Namespace>>::all(
        context.client.clone()
    )));
    let mut labels = NamespaceLabels::default();
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return,
            Some(change) = namespaces.next() => labels.take(change, &context),
            Some(change) = pods.next() => {
                let event = match change {
                    Change::Apply(DeserializeGuard(Err(error))) => {
                        // Its containers stay unknown, which signals say; nothing else waits for it.
                        tracing::warn!(%error, "a pod cannot be read");
                        continue;
                    }
                    Change::Apply(DeserializeGuard(Ok(pod))) => {
                        let labels = labels.of(pod.namespace().as_deref().unwrap_or_default());
                        context.index.write().pods.apply(record(&pod, labels));
                        PodEvent::Apply(Box::new(pod))
                    }
                    Change::Delete(gone) => {
                        context.index.write().pods.delete(&gone.uid);
                        PodEvent::Delete(gone.uid)
                    }
                    Change::Synced => {
                        gate.open();
                        PodEvent::Synced
                    }
                };
                // Posture ends only with the operator.
                if judged.send(event).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Labels of namespaces by name.
#[derive(Debug, Default)]
struct NamespaceLabels {
    by_name: HashMap<String, BTreeMap<String, String>>,
    none: BTreeMap<String, String>,
}

impl NamespaceLabels {
    fn of(&self, namespace: &str) -> &BTreeMap<String, String> {
        self.by_name.get(namespace).unwrap_or(&self.none)
    }

    fn take(&mut self, change: Change<PartialObjectMeta<Namespace>>, context: &Context) {
        let name = match change {
            Change::Apply(namespace) => {
                let name = namespace.name_any();
                if self
                    .by_name
                    .insert(name.clone(), namespace.labels().clone())
                    .as_ref()
                    == Some(namespace.labels())
                {
                    return;
                }
                name
            }
            Change::Delete(gone) => {
                self.by_name.remove(&gone.name);
                context.index.write().namespaces.remove(&gone.name);
                return;
            }
            Change::Synced => return,
        };
        let mut index = context.index.write();
        index.namespaces.insert(name.clone(), self.of(&name).clone());
        let stale: Vec<PodRecord> = index
            .pods
            .iter()
            .filter(|pod| pod.namespace == name)
            .map(|pod| PodRecord::clone(pod))
            .collect();
        for pod in stale {
            index.pods.apply(PodRecord {
                namespace_labels: self.of(&name).clone(),
                ..pod
            });
        }
    }
}
