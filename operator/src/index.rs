//! What the operator knows, in memory: rules per node, pods, agents.
//!
//! Pure and synchronous: watches and streams feed it, and everything that it decides is tested
//! without a cluster.

pub mod nodes;
pub mod pods;
pub mod policy;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use yagura_proto::v1::RuleFailure;

use crate::content::Names;
use nodes::Nodes;
use pods::Pods;
use policy::Policy;

/// Everything that is known.
#[derive(Debug, Default)]
pub struct Index {
    /// Rules and the list of each node.
    pub policy: Policy,
    /// Pods.
    pub pods: Pods,
    /// Agents.
    pub nodes: Nodes,
    /// Names that the shipped content takes.
    pub shipped: Names,
}

/// On how many nodes a rule should run and does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleNodes {
    /// Nodes that it should run on.
    pub desired: usize,
    /// Nodes that acknowledged a list with this edit of it and did not refuse it.
    pub active: usize,
    /// Nodes that refused it, with the reason, sorted by node.
    pub failed: Vec<(String, RuleFailure)>,
}

impl Index {
    /// An index whose policy lists carry this epoch.
    pub fn new(epoch: u64) -> Self {
        Self {
            policy: Policy::new(epoch),
            ..Self::default()
        }
    }

    /// Where a rule runs, by what the agents acknowledged.
    pub fn nodes_of_rule(&self, uid: &str) -> RuleNodes {
        let mut result = RuleNodes::default();
        for (name, list) in self.policy.nodes_of_rule(uid) {
            result.desired += 1;
            let Some(state) = self.nodes.get(name) else {
                continue;
            };
            // An agent that runs an older list does not run this edit of the rule for certain.
            if list.revision != state.active_revision {
                continue;
            }
            match state.failures.get(uid) {
                Some(failure) => result.failed.push((name.to_owned(), failure.clone())),
                None => result.active += 1,
            }
        }
        result.failed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        result
    }
}

/// The index behind a lock that is never held across an await. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SharedIndex(Arc<RwLock<Index>>);

impl SharedIndex {
    /// Shares an index.
    pub fn new(index: Index) -> Self {
        Self(Arc::new(RwLock::new(index)))
    }

    /// To look something up.
    pub fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To learn something.
    pub fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
