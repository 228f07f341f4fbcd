//! Writes `NodeSensor` objects, and tells the index which nodes there are.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::{Api, ResourceExt as _};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use yagura_crds::{API_VERSION, NodeSensor};
use yagura_event::Timestamp;
use yagura_telemetry::{Gate, chain};

use super::excuse::{Agents, Cause, Excuse, NodeFacts, Scene, revision};
use super::pace::{Written, is_news, refreshes};
use super::queue::Queue;
use super::silence::{Seen, Silence, Standing, Times};
use super::{status, tell};
use crate::FIELD_MANAGER;
use crate::context::Context;
use crate::signals::now;
use crate::status::{StatusError, write};
use crate::watch::{Change, changes};

/// How often silence is looked for; it is 30 s long.
const TICK: Duration = Duration::from_secs(5);
/// Time for the API server to show that it is there.
const ANSWER: Duration = Duration::from_secs(3);
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
#[derive(Debug)]
struct Sensors {
    nodes: HashMap<String, NodeFacts>,
    /// The agent that had a stream last, by node.
    spoke: HashMap<String, Spoke>,
    silence: Silence,
    /// As of the last look.
    standings: HashMap<String, Standing>,
    /// Objects that are there.
    written: HashMap<String, Object>,
    /// Nodes to look at: something of them changed, or their object is old.
    queue: Queue,
    /// Nodes whose object could not be written.
    failed: Vec<String>,
}

/// An agent that had a stream.
#[derive(Debug)]
struct Spoke {
    /// Revision of its pod.
    revision: String,
    /// Whether it still has it: then the revision need not be looked up.
    connected: bool,
}

#[derive(Debug, Default)]
struct Object {
    generation: Option<i64>,
    written: Written,
}

/// Runs until the operator ends; `gate` opens when every node is known.
pub async fn run(context: Context, gate: Gate) {
    let mut nodes = pin!(changes(Api::<Node>::all(context.client.clone())));
    let mut objects = pin!(changes(Api::<DeserializeGuard<NodeSensor>>::all(
        context.client.clone()
    )));
    let mut agents = context.index.read().nodes.changes();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sensors = Sensors::new(&context);
    let mut listed = false;
    let mut look: Option<Instant> = None;
    // While rules are still being listed, every node seems to want another policy than its object says.
    let mut ready = false;
    loop {
        // Objects come last and one at a time: at 20 writes a second, 10,000 of them take minutes, and a node that joins
        // meanwhile must be known at once.
        tokio::select! {
            biased;
            () = context.stop.cancelled() => return,
            Some(change) = nodes.next() => sensors.node(change, &context, &gate),
            Some(change) = objects.next() => {
                listed |= matches!(change, Change::Synced);
                sensors.object(change);
            }
            changed = agents.changed(), if look.is_none() => {
                if changed.is_err() {
                    return;
                }
                look = Some(Instant::now() + DEBOUNCE);
            }
            () = sleep_until(look.unwrap_or_else(Instant::now)), if look.is_some() => {
                look = None;
                for name in context.index.write().nodes.take_touched() {
                    sensors.queue.push(name, false);
                }
            }
            () = gate.others(), if !ready => ready = true,
            _ = tick.tick() => {
                if ready && listed {
                    sensors.look(&context).await;
                    sensors.tell(&context).await;
                }
                sensors.touch_old();
            }
            () = std::future::ready(()), if ready && listed && !sensors.queue.is_empty() => {
                sensors.write_next(&context).await;
            }
        }
    }
}

impl Sensors {
    fn new(context: &Context) -> Self {
        let seconds = |seconds: u32| i64::from(seconds) * 1_000_000_000;
        let times = Times {
            not_ready: seconds(context.args.silent_after_seconds),
            signal: seconds(context.args.silence_signal_after_seconds),
        };
        Self {
            nodes: HashMap::new(),
            spoke: HashMap::new(),
            written: HashMap::new(),
            silence: Silence::new(times, now()),
            standings: HashMap::new(),
            queue: Queue::default(),
            failed: Vec::new(),
        }
    }

    fn node(&mut self, change: Change<Node>, context: &Context, gate: &Gate) {
        match change {
            Change::Apply(node) => {
                self.nodes.insert(node.name_any(), NodeFacts::of(&node));
                context
                    .index
                    .write()
                    .policy
                    .apply_node(&node.name_any(), node.labels().clone());
            }
            Change::Delete(gone) => {
                // A node that came back under its name is another one, and is told before.
                if self
                    .nodes
                    .get(&gone.name)
                    .is_some_and(|node| node.uid == gone.uid)
                {
                    self.nodes.remove(&gone.name);
                    self.spoke.remove(&gone.name);
                    let mut index = context.index.write();
                    index.policy.delete_node(&gone.name);
                    index.nodes.delete(&gone.name);
                }
            }
            Change::Synced => {
                context.index.write().policy.nodes_are_listed();
                gate.open();
            }
        }
    }

    /// How every node's agent stands. When one is silent, and only then, the API server is asked whether it is there:
    /// what excuses a node is known through it.
    async fn look(&mut self, context: &Context) {
        let mut seen = self.seen(context);
        let time = now();
        self.standings = self.silence.look(&seen, time);
        if !self.silence.is_about_to_tell(&self.standings) || answers(context).await {
            return;
        }
        for seen in seen.iter_mut().filter(|seen| !seen.connected) {
            seen.excuse = Some(Excuse::ApiServerAway);
        }
        self.standings = self.silence.look(&seen, time);
    }

    /// What is known of every node that has an agent, or had one.
    fn seen(&mut self, context: &Context) -> Vec<Seen> {
        let index = context.index.read();
        let agents = Agents {
            namespace: &context.args.namespace,
            daemon_set: &context.args.agent_daemon_set,
        };
        let mut seen = Vec::with_capacity(self.nodes.len());
        for (name, facts) in &self.nodes {
            let state = index.nodes.get(name);
            let connected = state.is_some_and(|state| state.connected);
            if connected && self.spoke.get(name).is_some_and(|spoke| spoke.connected) {
                seen.push(Seen {
                    node: name.clone(),
                    connected,
                    heard: None,
                    excuse: None,
                    cause: Cause::NotConnected,
                });
                continue;
            }
            let pods = index.pods.of_node(name);
            let current = agents.current(&pods);
            if connected {
                let revision = current.and_then(revision).unwrap_or_default().to_owned();
                self.spoke.insert(name.clone(), Spoke { revision, connected });
            } else if let Some(spoke) = self.spoke.get_mut(name) {
                spoke.connected = false;
            }
            if state.is_none() && current.is_none() && !self.written.contains_key(name) {
                continue;
            }
            let scene = Scene {
                facts,
                pods: &pods,
                agents,
                farewell: state.and_then(|state| state.farewell.as_ref()),
                spoke: self.spoke.get(name).map(|spoke| spoke.revision.as_str()),
            };
            seen.push(Seen {
                node: name.clone(),
                connected,
                heard: state.and_then(|state| state.last_seen),
                excuse: scene.excuse(),
                cause: scene.cause(),
            });
        }
        seen
    }

    async fn tell(&mut self, context: &Context) {
        for saying in self.silence.to_say(&self.standings, now()) {
            let finding = tell::finding(&saying, self.standings.len(), now());
            match context.signals.own_state(finding).await {
                Ok(_) => self.silence.said(saying),
                // The next look says it.
                Err(error) => {
                    context.metrics.controller_errors.inc(["silence_store"]);
                    tracing::error!(error = %chain(&error), "cannot store that nodes are silent");
                    return;
                }
            }
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
                    // What a predecessor wrote is not older for that.
                    let reported = object.written.status.last_report.as_ref();
                    object.written.at = object.written.at.max(reported.map(timestamp));
                }
            }
            Change::Delete(gone) => {
                self.written.remove(&gone.name);
            }
            Change::Synced => {}
        }
    }

    /// Nodes whose agent is not connected are written again and again as far as that is news: silence is a change that
    /// nobody reports. And the oldest objects are refreshed.
    fn touch_old(&mut self) {
        for name in std::mem::take(&mut self.failed) {
            self.queue.push(name, false);
        }
        let objects = self.written.iter();
        for name in refreshes(
            objects.map(|(name, object)| (name.as_str(), &object.written)),
            now(),
        ) {
            self.queue.push(name.to_owned(), true);
        }
        for (name, standing) in &self.standings {
            if *standing != Standing::Connected {
                self.queue.push(name.clone(), false);
            }
        }
    }

    /// Looks at the node that waits longest, and writes what is new of it.
    async fn write_next(&mut self, context: &Context) {
        let Some((name, refresh)) = self.queue.pop() else {
            return;
        };
        // Without the node there is nothing to own the object, and its deletion is on the way.
        let Some(node) = self.nodes.get(&name) else {
            return;
        };
        let standing = self.standings.get(&name).copied();
        if let Err(error) = write_one(context, &name, &node.uid, &mut self.written, refresh, standing).await {
            context.metrics.controller_errors.inc([error.category()]);
            tracing::warn!(node = name, category = error.category(), error = %chain(&error), "NodeSensor not written");
            self.failed.push(name);
        }
    }
}

/// The time that an object shows, in whole seconds.
fn timestamp(shown: &Time) -> Timestamp {
    Timestamp(shown.0.as_second().saturating_mul(1_000_000_000))
}

/// Whether the API server answers at all.
async fn answers(context: &Context) -> bool {
    matches!(
        timeout(ANSWER, context.client.apiserver_version()).await,
        Ok(Ok(_))
    )
}

async fn write_one(
    context: &Context,
    name: &str,
    uid: &str,
    objects: &mut HashMap<String, Object>,
    refresh: bool,
    standing: Option<Standing>,
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
    let next = {
        let index = context.index.read();
        // Whether it is connected is known better than at the last look.
        let connected = index.nodes.get(name).is_some_and(|state| state.connected);
        let standing = match standing {
            _ if connected => Standing::Connected,
            None | Some(Standing::Connected) => Standing::Waiting,
            Some(standing) => standing,
        };
        let old = &object.written.status;
        status::compute(&index, name, old, object.generation, standing, time)
    };
    let differs = next != object.written.status;
    if is_news(&object.written, &next) || (refresh && differs) {
        // A rollout changes thousands of them at once; signals must not wait for that.
        context.writes.spare().await;
        write::<NodeSensor>(context, name, &next).await?;
        object.written = Written {
            status: next,
            at: Some(time),
        };
    } else if refresh {
        // Nothing to tell: it is as good as new.
        object.written.at = Some(time);
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
    context.writes.spare().await;
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
