//! What a posture check's evaluation means for its signals. Pure.

use std::sync::Arc;

use yagura_crds::security_signal::{GroupValue, SignalResource};
use yagura_event::Timestamp;
use yagura_store::signals::Observation;

use super::{detail, key, resources};
use crate::index::policy::RuleMeta;

/// Resources that a signal lists; the count tells how many there are.
const MAX_RESOURCES: usize = 32;
/// Controls that a signal lists.
const MAX_CONTROLS: usize = 64;

/// What a posture signal is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The resources of one namespace.
    Namespace(String),
    /// Nodes and cluster-wide objects, or everything that failed when the check was first
    /// evaluated: the signal goes to the operator's namespace.
    Cluster,
}

/// A check's result for one scope.
#[derive(Clone, Debug)]
pub struct PostureChange {
    /// The check: kind `PostureCheck`, source `posture`.
    pub check: Arc<RuleMeta>,
    /// What was evaluated.
    pub scope: Scope,
    /// How many resources fail; 0 resolves an open signal.
    pub failing: u64,
    /// The first of them, with their evidence.
    pub resources: Vec<SignalResource>,
    /// Controls of frameworks that the check proves, as `framework/control`.
    pub controls: Vec<String>,
    /// When it was evaluated.
    pub time: Timestamp,
}

/// The kind of object that a posture signal names as its rule.
pub const CHECK_KIND: &str = "PostureCheck";

/// What the store keeps a check's signals under: its name, not its uid, so that a check which is
/// deleted and applied again goes on with the signals that it has. A uid has no slash.
pub(super) fn store_key(check: &str) -> String {
    format!("{CHECK_KIND}/{check}")
}

impl PostureChange {
    /// The store's part of it.
    pub(super) fn observation(&self, home: &str) -> Observation {
        let (scope, namespace) = match &self.scope {
            Scope::Namespace(name) => (format!("namespace/{name}"), name.as_str()),
            Scope::Cluster => ("cluster".to_owned(), home),
        };
        let mut says = detail::of_rule(&self.check, self.check.title.clone(), None);
        says.spec
            .group
            .insert("scope".to_owned(), GroupValue(scope.clone()));
        says.status.resources = self.resources.iter().take(MAX_RESOURCES).cloned().collect();
        says.status.resource = resources::headline(&says.status.resources);
        says.status.controls.clone_from(&self.controls);
        says.status.controls.sort_unstable();
        says.status.controls.dedup();
        says.status.controls.truncate(MAX_CONTROLS);
        let overflow = detail::of_rule(
            &self.check,
            format!("{}: more signals than are kept open", self.check.title),
            None,
        );
        Observation {
            rule: store_key(&self.check.name),
            rule_name: self.check.name.clone(),
            key: key::of_scope(&scope),
            namespace: namespace.to_owned(),
            overflow_namespace: home.to_owned(),
            failing: self.failing,
            time: self.time,
            severity: self.check.severity.rank(),
            detail: says.to_bytes(),
            overflow_detail: overflow.to_bytes(),
        }
    }
}
