//! What failing resources mean for signals: pure.
//!
//! What fails when a check is evaluated for the first time is its baseline: one signal in the
//! operator's namespace sums it up. What fails from then on opens one in its namespace; what has
//! none joins the sum. A resource leaves its signal only when it was seen to pass or is gone:
//! one that cannot be judged any more stays, and so does one of a node whose facts have not come since the operator
//! started.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use yagura_crds::SecuritySignal;
use yagura_crds::security_signal::{SignalResource, TriageState};

use super::findings::CheckFindings;
use super::resources::{FILE, KUBELET, identity};
use crate::signals::Scope;

/// Most resources that a change carries; a signal shows fewer.
const MAX_RESOURCES: usize = 64;
/// Field of a posture signal's group that names its scope, and the beginning of a namespace's.
const SCOPE_FIELD: &str = "scope";
const NAMESPACE_SCOPE: &str = "namespace/";

/// Failing resources by check and signal.
#[derive(Debug, Default)]
pub(super) struct Openings {
    checks: HashMap<String, CheckOpenings>,
    /// Resources in signals that were open when the operator started, by check and identity.
    restored: HashMap<String, BTreeMap<String, (ScopeName, SignalResource)>>,
}

#[derive(Debug, Default)]
struct CheckOpenings {
    /// Resources (by identity) of each scope.
    scopes: BTreeMap<ScopeName, BTreeMap<String, SignalResource>>,
    /// What was told of each scope.
    told: BTreeMap<ScopeName, Told>,
}

/// A scope that can be ordered; the empty name is the cluster.
type ScopeName = String;

#[derive(Clone, Debug, PartialEq)]
struct Told {
    failing: u64,
    resources: Vec<SignalResource>,
}

/// A signal that must be told of: the resources in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Opening {
    pub(super) scope: Scope,
    pub(super) failing: u64,
    pub(super) resources: Vec<SignalResource>,
}

impl Openings {
    /// Knows which resources are in the posture signals that are open: they are no part of a
    /// baseline. A signal shows a part of its resources; those beyond join the sum.
    pub(super) fn restore(signals: impl IntoIterator<Item = SecuritySignal>) -> Self {
        let mut restored: HashMap<String, BTreeMap<String, (ScopeName, SignalResource)>> = HashMap::new();
        for signal in signals {
            let Some(status) = signal.status else { continue };
            let scope = signal.spec.group.get(SCOPE_FIELD).map_or("", |scope| &scope.0);
            let scope = scope.strip_prefix(NAMESPACE_SCOPE).unwrap_or_default();
            if status.resolved_at.is_some() || signal.spec.triage.state == TriageState::Archived {
                continue;
            }
            let check = restored.entry(signal.spec.rule.name).or_default();
            let shown = status.resources.into_iter();
            check.extend(shown.map(|shown| (identity(&shown), (scope.to_owned(), shown))));
        }
        Self {
            checks: HashMap::new(),
            restored,
        }
    }

    /// Forgets a check: it is gone, or its next evaluation is the first of another edit.
    pub(super) fn forget(&mut self, check: &str) {
        if let Some(openings) = self.checks.remove(check) {
            // What is in a signal stays there under the new edit.
            let restored = self.restored.entry(check.to_owned()).or_default();
            for (scope, resources) in openings.scopes {
                let resources = resources.into_iter();
                restored.extend(resources.map(|(identity, shown)| (identity, (scope.clone(), shown))));
            }
        }
    }

    /// A change did not get through: the next evaluation tells it again, even if nothing fails.
    pub(super) fn untold(&mut self, check: &str, scope: &Scope) {
        if let Some(openings) = self.checks.get_mut(check) {
            let name = match scope {
                Scope::Cluster => ScopeName::new(),
                Scope::Namespace(namespace) => namespace.clone(),
            };
            openings.told.remove(&name);
            openings.scopes.entry(name).or_default();
        }
    }

    /// Takes an evaluation over; what signals must be told of. What was known of `awaited` nodes stays as it was.
    pub(super) fn update(
        &mut self,
        check: &str,
        findings: &CheckFindings,
        awaited: &BTreeSet<String>,
    ) -> Vec<Opening> {
        let first = !self.checks.contains_key(check);
        let openings = self.checks.entry(check.to_owned()).or_default();
        let restored = if first {
            self.restored.remove(check).unwrap_or_default()
        } else {
            BTreeMap::new()
        };
        let mut placed: BTreeSet<&str> = BTreeSet::new();
        for resources in openings.scopes.values_mut() {
            resources.retain(|identity, shown| {
                if let Some(now) = findings.failing.get(identity) {
                    shown.clone_from(now);
                }
                findings.failing.contains_key(identity)
                    || findings.errors.contains(identity)
                    || is_of(shown, awaited)
            });
        }
        for resources in openings.scopes.values() {
            placed.extend(resources.keys().filter_map(|identity| {
                findings
                    .failing
                    .get_key_value(identity)
                    .map(|(identity, _)| identity.as_str())
            }));
        }
        let fresh: Vec<(&String, &SignalResource)> = findings
            .failing
            .iter()
            .filter(|(identity, _)| !placed.contains(identity.as_str()))
            .collect();
        for (identity, shown) in fresh {
            let scope = match restored.get(identity) {
                Some((scope, _)) => scope.clone(),
                None if first => ScopeName::new(),
                None => shown.namespace.clone().unwrap_or_default(),
            };
            openings
                .scopes
                .entry(scope)
                .or_default()
                .insert(identity.clone(), shown.clone());
        }
        if first {
            // Signals of before may have nothing left in them: they must be told, too.
            openings.scopes.entry(ScopeName::new()).or_default();
            for (identity, (scope, shown)) in restored {
                let resources = openings.scopes.entry(scope).or_default();
                if is_of(&shown, awaited) {
                    resources.entry(identity).or_insert(shown);
                }
            }
        }
        openings.changed()
    }
}

/// Whether a resource is part of one of these nodes' facts.
fn is_of(shown: &SignalResource, nodes: &BTreeSet<String>) -> bool {
    matches!(shown.kind.as_str(), KUBELET | FILE)
        && shown.name.as_ref().is_some_and(|node| nodes.contains(node))
}

impl CheckOpenings {
    fn changed(&mut self) -> Vec<Opening> {
        let mut changed = Vec::new();
        for (scope, resources) in &self.scopes {
            let before = self.told.get(scope);
            let mut told = Told {
                failing: u64::try_from(resources.len()).unwrap_or(u64::MAX),
                resources: resources.values().take(MAX_RESOURCES).cloned().collect(),
            };
            // A signal that is resolved still says what it was about.
            if let (true, Some(before)) = (told.resources.is_empty(), before) {
                told.resources.clone_from(&before.resources);
            }
            if before != Some(&told) {
                changed.push(Opening {
                    scope: if scope.is_empty() {
                        Scope::Cluster
                    } else {
                        Scope::Namespace(scope.clone())
                    },
                    failing: told.failing,
                    resources: told.resources.clone(),
                });
                self.told.insert(scope.clone(), told);
            }
        }
        self.scopes.retain(|_, resources| !resources.is_empty());
        self.told.retain(|scope, _| self.scopes.contains_key(scope));
        changed
    }
}
