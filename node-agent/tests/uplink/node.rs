//! The rest of the agent, as far as its connection needs it.

use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use yagura_node_agent::policy::Policy;
use yagura_node_agent::uplink::Node;
use yagura_proto::v1::{AgentStatus, NodeFacts, PodUpdate, RuleBody, RuleFailure};

/// Remembers what it was told, and says that one rule failed.
pub(crate) struct FakeNode {
    active: Mutex<Vec<RuleBody>>,
    changes: watch::Sender<u64>,
    facts: watch::Sender<Option<Arc<NodeFacts>>>,
}

impl Default for FakeNode {
    fn default() -> Self {
        Self {
            active: Mutex::default(),
            changes: watch::Sender::new(0),
            facts: watch::Sender::new(None),
        }
    }
}

impl FakeNode {
    pub(crate) fn active(&self) -> Vec<RuleBody> {
        self.active.lock().unwrap().clone()
    }
}

impl Node for FakeNode {
    fn activate(&self, policy: &Policy) -> Vec<RuleFailure> {
        self.active.lock().unwrap().clone_from(&policy.bodies);
        vec![RuleFailure {
            uid: "other".to_owned(),
            reason: "AgentTooOld".to_owned(),
            message: "said by the node".to_owned(),
        }]
    }

    fn pods(&self, _update: PodUpdate) {}

    fn status(&self) -> AgentStatus {
        AgentStatus::default()
    }

    fn status_changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn facts(&self) -> watch::Receiver<Option<Arc<NodeFacts>>> {
        self.facts.subscribe()
    }
}
