//! What the operator knows, in memory: rules per node, pods, agents.
//!
//! Pure and synchronous: watches and streams feed it, and everything that it decides is tested
//! without a cluster.

pub mod nodes;
pub mod pods;
pub mod policy;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;
use yagura_proto::v1::RuleFailure;

use crate::content::Names;
use crate::exception::known::Exceptions;
use crate::value_list::shelf::Shelf;
use crate::value_list::uses::Uses;
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
    /// Exceptions and the rules that they may name.
    pub exceptions: Exceptions,
    /// Named lists, told to whoever compiles with them.
    pub lists: watch::Sender<Arc<Shelf>>,
    /// What uses them.
    pub list_uses: Arc<Uses>,
    /// Names that the shipped content takes.
    pub shipped: Names,
    /// Labels of namespaces by name.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
}

/// On how many nodes a rule should run and does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleNodes {
    /// Nodes that it should run on.
    pub desired: usize,
    /// Nodes that acknowledged a list with this edit of it and did not refuse it.
    pub active: usize,
    /// Nodes that run an earlier edit, or that run it though they should not any more, until they take over the change.
    pub outdated: usize,
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
        let desired: HashSet<&str> = self.policy.nodes_of_rule(uid).collect();
        let current = self.policy.hash_of_rule(uid);
        let mut result = RuleNodes {
            desired: desired.len(),
            ..RuleNodes::default()
        };
        // Many nodes, few lists.
        let mut hashes: HashMap<&str, Option<&str>> = HashMap::new();
        for (name, state) in self.nodes.iter() {
            let revision = state.active_revision.as_str();
            let hash = *hashes
                .entry(revision)
                .or_insert_with(|| self.policy.hash_in_list(revision, uid));
            let Some(hash) = hash else { continue };
            let is_current = desired.contains(name) && current == Some(hash);
            match state.failures.get(uid) {
                Some(failure) if is_current => result.failed.push((name.to_owned(), failure.clone())),
                Some(_) => {}
                None if is_current => result.active += 1,
                None => result.outdated += 1,
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
