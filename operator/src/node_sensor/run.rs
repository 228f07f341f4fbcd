//! Writes `NodeSensor` objects, and tells the index which nodes there are.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::{Api, ResourceExt as _};
use tokio::time::{MissedTickBehavior, interval};
use yagura_crds::{API_VERSION, NodeSensor};
use yagura_event::Timestamp;
use yagura_telemetry::{Gate, chain};

use super::pace::{Written, is_due};
use super::status;
use crate::FIELD_MANAGER;
use crate::context::Context;
use crate::signals::now;
use crate::status::{StatusError, write};
use crate::watch::{Change, changes};

/// How often silence is looked for; it is 30 s long.
const TICK: Duration = Duration::from_secs(5);
/// Changes of agents that follow each other this closely are one look.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// A NodeSensor could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SensorError {
    /// The object itself.
    #[error("cannot apply NodeSensor {name}")]
    Apply {
        /// Its name.
        name: String,
        /// What the API server says.
        #[source]
        source: Box<kube::Error>,
    },
    /// Its status.
    #[error(transparent)]
    Status(#[from] StatusError),
}

impl SensorError {
    /// For logs and metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Apply { .. } => "sensor_apply",
            Self::Status(error) => error.category(),
        }
    }
}

/// The nodes of the cluster and what is written of them.
#[derive(Debug, Default)]
struct Sensors {
    /// Uid of each node.
    nodes: HashMap<String, String>,
    /// Objects that are there.
    written: HashMap<String, Object>,
}

#[derive(Debug, Default)]
struct Object {
    generation: Option<i64>,
    written: Written,
}

/// Runs until the operator ends; `gate` opens when every node is known.
pub async fn run(context: Context, gate: Gate) {
    let mut nodes = pin!(changes(Api::<PartialObjectMeta<Node>>::all(
        context.client.clone()
    )));
    let mut objects = pin!(changes(Api::<DeserializeGuard<NodeSensor>>::all(
        context.client.clone()
    )));
    let mut agents = context.index.read().nodes.changes();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let started = now();
    let mut sensors = Sensors::default();
    let mut listed = false;
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return,
            Some(change) = nodes.next() => {
                sensors.node(change, &context, &gate);
                continue;
            }
            Some(change) = objects.next() => {
                listed |= matches!(change, Change::Synced);
                sensors.object(change);
                continue;
            }
            changed = agents.changed() => {
                if changed.is_err() {
                    return;
                }
                tokio::time::sleep(DEBOUNCE).await;
                agents.mark_unchanged();
            }
            _ = tick.tick() => {}
        }
        if listed {
            sensors.write_due(&context, started).await;
        }
    }
}

impl Sensors {
    fn node(&mut self, change: Change<PartialObjectMeta<Node>>, context: &Context, gate: &Gate) {
        match change {
            Change::Apply(node) => {
                self.nodes.insert(node.name_any(), node.uid().unwrap_or_default());
                context
                    .index
                    .write()
                    .policy
                    .apply_node(&node.name_any(), node.labels().clone());
            }
            Change::Delete(gone) => {
                // A node that came back under its name is another one, and is told before.
                if self.nodes.get(&gone.name).is_some_and(|uid| *uid == gone.uid) {
                    self.nodes.remove(&gone.name);
                    let mut index = context.index.write();
                    index.policy.delete_node(&gone.name);
                    index.nodes.delete(&gone.name);
                }
            }
            Change::Synced => gate.open(),
        }
    }

    fn object(&mut self, change: Change<DeserializeGuard<NodeSensor>>) {
        match change {
            Change::Apply(guard) => {
                let name = guard.name_any();
                let object = self.written.entry(name).or_default();
                // An object that cannot be read is written anew.
                if let Ok(sensor) = guard.0 {
                    object.generation = sensor.metadata.generation;
                    object.written.status = sensor.status.unwrap_or_default();
                }
            }
            Change::Delete(gone) => {
                self.written.remove(&gone.name);
            }
            Change::Synced => {}
        }
    }

    async fn write_due(&mut self, context: &Context, started: Timestamp) {
        let names: Vec<String> = {
            let index = context.index.read();
            let heard = index.nodes.iter().map(|(name, _)| name.to_owned());
            heard.chain(self.written.keys().cloned()).collect()
        };
        for name in names {
            // Without the node there is nothing to own the object, and its deletion is on the way.
            let Some(uid) = self.nodes.get(&name) else {
                continue;
            };
            if let Err(error) = write_one(context, &name, uid, &mut self.written, started).await {
                context.metrics.controller_errors.inc([error.category()]);
                tracing::warn!(node = name, category = error.category(), error = %chain(&error), "NodeSensor not written");
            }
        }
    }
}

async fn write_one(
    context: &Context,
    name: &str,
    uid: &str,
    objects: &mut HashMap<String, Object>,
    started: Timestamp,
) -> Result<(), SensorError> {
    let time = now();
    if !objects.contains_key(name) {
        let created = create(context, name, uid).await?;
        objects.insert(
            name.to_owned(),
            Object {
                generation: created.metadata.generation,
                written: Written::default(),
            },
        );
    }
    let Some(object) = objects.get_mut(name) else {
        return Ok(());
    };
    let next = status::compute(
        &context.index.read(),
        name,
        &object.written.status,
        object.generation,
        started,
        time,
    );
    if is_due(&object.written, &next, time) {
        write::<NodeSensor>(context, name, &next).await?;
        object.written = Written {
            status: next,
            at: Some(time),
        };
    }
    Ok(())
}

async fn create(context: &Context, name: &str, uid: &str) -> Result<NodeSensor, SensorError> {
    let object = serde_json::json!({
        "apiVersion": API_VERSION,
        "kind": "NodeSensor",
        "metadata": {
            "name": name,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}],
        },
    });
    context.writes.take().await;
    Api::<NodeSensor>::all(context.client.clone())
        .patch(
            name,
            &PatchParams::apply(FIELD_MANAGER).force(),
            &Patch::Apply(&object),
        )
        .await
        .map_err(|source| SensorError::Apply {
            name: name.to_owned(),
            source: Box::new(source),
        })
}
