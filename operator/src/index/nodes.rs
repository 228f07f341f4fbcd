//! What is known of the agents: who is connected, what runs there, what they reported last.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use yagura_event::Timestamp;
use yagura_event::facts::NodeFacts;
use yagura_proto::v1::{AgentStatus, Hello, PolicyAck, RuleFailure};

/// The two calls of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Policy and pods, to the agent.
    Subscribe,
    /// Records, facts and status, from the agent.
    Report,
}

/// What an agent said when it ended in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// Uid of its pod.
    pub pod: String,
    /// Why it ended, in its own words.
    pub reason: String,
    /// When it said so.
    pub at: Timestamp,
}

/// What is known of one node's agent.
#[derive(Clone, Debug, Default)]
pub struct NodeState {
    /// What the agent said when it subscribed last.
    pub hello: Option<Arc<Hello>>,
    /// Whether a Subscribe stream is open.
    pub connected: bool,
    /// Revision that the agent acknowledged last.
    pub active_revision: String,
    /// Rules of that revision that do not run there, by uid.
    pub failures: BTreeMap<String, RuleFailure>,
    /// Its last status.
    pub status: Option<Arc<AgentStatus>>,
    /// Its last facts.
    pub facts: Option<Arc<NodeFacts>>,
    /// When the operator last heard from it.
    pub last_seen: Option<Timestamp>,
    /// What it said when it ended; none while an agent is connected.
    pub farewell: Option<Farewell>,
}

#[derive(Debug, Default)]
struct Node {
    state: NodeState,
    sessions: HashMap<Call, (u64, CancellationToken)>,
}

/// The agents by node name.
#[derive(Debug)]
pub struct Nodes {
    by_name: HashMap<String, Node>,
    last_session: u64,
    /// Whose state changed since somebody took the names.
    touched: HashSet<String>,
    changes: watch::Sender<u64>,
    facts: watch::Sender<u64>,
}

impl Default for Nodes {
    fn default() -> Self {
        Self {
            by_name: HashMap::new(),
            last_session: 0,
            touched: HashSet::new(),
            changes: watch::channel(0).0,
            facts: watch::channel(0).0,
        }
    }
}

/// An open stream of a node.
#[derive(Debug)]
pub struct Session {
    /// To end exactly this session.
    pub id: u64,
    /// Cancelled when a newer stream of the node takes its place.
    pub replaced: CancellationToken,
    /// Whether there was an older live stream, which is cancelled now.
    pub had_older: bool,
}

impl Nodes {
    /// A stream of `node` was authenticated; an older live one of the same call ends.
    pub fn open(&mut self, node: &str, call: Call, now: Timestamp) -> Session {
        self.last_session += 1;
        let id = self.last_session;
        let replaced = CancellationToken::new();
        let entry = self.by_name.entry(node.to_owned()).or_default();
        let older = entry.sessions.insert(call, (id, replaced.clone()));
        if let Some((_, older)) = &older {
            older.cancel();
        }
        entry.state.last_seen = Some(now);
        entry.state.connected = entry.sessions.contains_key(&Call::Subscribe);
        if call == Call::Subscribe {
            entry.state.farewell = None;
        }
        self.changed(node);
        Session {
            id,
            replaced,
            had_older: older.is_some(),
        }
    }

    /// A stream ended.
    pub fn close(&mut self, node: &str, call: Call, id: u64) {
        let Some(entry) = self.by_name.get_mut(node) else {
            return;
        };
        if entry
            .sessions
            .get(&call)
            .is_some_and(|(current, _)| *current == id)
        {
            entry.sessions.remove(&call);
            entry.state.connected = entry.sessions.contains_key(&Call::Subscribe);
            self.changed(node);
        }
    }

    /// What an agent says of itself when it subscribes.
    pub fn hello(&mut self, node: &str, hello: Hello, now: Timestamp) {
        let state = self.heard(node, now);
        state.hello = Some(Arc::new(hello));
        self.changed(node);
    }

    /// An agent activated a list, as far as it could.
    pub fn ack(&mut self, node: &str, ack: PolicyAck, now: Timestamp) {
        let state = self.heard(node, now);
        state.active_revision = ack.revision;
        state.failures = ack
            .failures
            .into_iter()
            .map(|failure| (failure.uid.clone(), failure))
            .collect();
        self.changed(node);
    }

    /// An agent's status.
    pub fn status(&mut self, node: &str, status: AgentStatus, now: Timestamp) {
        let state = self.heard(node, now);
        state.status = Some(Arc::new(status));
        self.changed(node);
    }

    /// A node's facts. Agents tell them with each connection: the same ones are kept as they are, and need no new verdict.
    pub fn facts(&mut self, node: &str, facts: NodeFacts, now: Timestamp) {
        let state = self.heard(node, now);
        if state.facts.as_deref() != Some(&facts) {
            state.facts = Some(Arc::new(facts));
        }
        self.facts.send_modify(|n| *n += 1);
    }

    /// The agent in this pod ends in order: its silence from now on has a reason.
    pub fn goodbye(&mut self, node: &str, pod: &str, reason: String, now: Timestamp) {
        let state = self.heard(node, now);
        state.farewell = Some(Farewell {
            pod: pod.to_owned(),
            reason,
            at: now,
        });
        self.changed(node);
    }

    /// A message of a node arrived.
    pub fn heard(&mut self, node: &str, now: Timestamp) -> &mut NodeState {
        let state = &mut self.by_name.entry(node.to_owned()).or_default().state;
        state.last_seen = Some(now);
        state
    }

    /// The node is gone from the cluster: its streams end and nothing of it is kept.
    pub fn delete(&mut self, node: &str) {
        if let Some(entry) = self.by_name.remove(node) {
            for (_, session) in entry.sessions.into_values() {
                session.cancel();
            }
            self.changed(node);
        }
    }

    /// What is known of a node.
    pub fn get(&self, node: &str) -> Option<&NodeState> {
        Some(&self.by_name.get(node)?.state)
    }

    /// Every node that was heard of, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &NodeState)> {
        self.by_name
            .iter()
            .map(|(name, node)| (name.as_str(), &node.state))
    }

    /// Changes whenever anything of any node does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Changes whenever a node's facts arrive.
    pub fn facts_changes(&self) -> watch::Receiver<u64> {
        self.facts.subscribe()
    }

    /// The nodes of which anything changed since the last call, for the one task that shows them.
    pub fn take_touched(&mut self) -> HashSet<String> {
        std::mem::take(&mut self.touched)
    }

    fn changed(&mut self, node: &str) {
        if !self.touched.contains(node) {
            self.touched.insert(node.to_owned());
        }
        self.changes.send_modify(|n| *n += 1);
    }
}
