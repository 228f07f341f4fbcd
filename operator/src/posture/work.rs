//! Everything posture knows, and what a change of it means: pure but for the engine's scratch.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use yagura_crds::posture_check::ResourceType;
use yagura_crds::{PostureCheckStatus, PostureFrameworkStatus, SecuritySignal};
use yagura_event::Timestamp;
use yagura_event::facts::NodeFacts;

use super::catalog::{Active, Catalog};
use super::findings::{CheckFindings, Findings, Source};
use super::openings::{Opening, Openings};
use super::{resources, status};
use crate::index::Index;
use crate::signals::{PostureChange, Scope};

/// Silence of a node after which its facts are not known any more.
const STALE: i64 = 600_000_000_000;

/// The state of posture.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) catalog: Catalog,
    active: BTreeMap<String, Active>,
    findings: Findings,
    openings: Openings,
    /// The facts that were judged, and whether as stale.
    nodes: HashMap<String, (Arc<NodeFacts>, bool)>,
    /// Nodes whose facts have not come since the operator started.
    awaited: BTreeSet<String>,
}

/// A node that must be judged.
#[derive(Debug)]
pub(super) struct ChangedNode {
    name: String,
    facts: Arc<NodeFacts>,
    stale: bool,
}

/// What an evaluation means for the cluster.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Signals to tell of, by check.
    pub(super) signals: Vec<(String, PostureChange)>,
    /// Statuses of checks and frameworks that changed, by name.
    pub(super) checks: Vec<(String, PostureCheckStatus)>,
    pub(super) frameworks: Vec<(String, PostureFrameworkStatus)>,
}

impl Work {
    /// Starts with what open signals say.
    pub(super) fn new(open: impl IntoIterator<Item = SecuritySignal>) -> Self {
        Self {
            openings: Openings::restore(open),
            ..Self::default()
        }
    }

    /// Takes a changed catalog over. The checks that must be evaluated on everything are returned;
    /// results of checks that are not evaluated any more are gone.
    pub(super) fn reload(&mut self) -> BTreeMap<String, Active> {
        let next = self.catalog.active();
        let fresh: BTreeMap<String, Active> = next
            .iter()
            .filter(|(name, check)| {
                self.active
                    .get(*name)
                    .is_none_or(|before| (&before.edit, &before.uses) != (&check.edit, &check.uses))
            })
            .map(|(name, check)| (name.clone(), check.clone()))
            .collect();
        for name in self.active.keys().chain(fresh.keys()) {
            if fresh.contains_key(name) || !next.contains_key(name) {
                self.openings.forget(name);
            }
        }
        self.findings.retain_checks(&next);
        self.active = next;
        if fresh.values().any(|check| is_of_node(check.resource)) {
            self.nodes.clear();
        }
        fresh
    }

    /// The checks that are evaluated.
    pub(super) fn active(&self) -> &BTreeMap<String, Active> {
        &self.active
    }

    /// Judges a pod by these checks. One that has ended, or is being deleted, is as good as gone.
    pub(super) fn pod(&mut self, pod: &Pod, checks: &BTreeMap<String, Active>) {
        let source = pod_source(&pod.uid().unwrap_or_default());
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        if pod.metadata.deletion_timestamp.is_some() || matches!(phase, Some("Succeeded" | "Failed")) {
            self.findings.forget(&source);
        } else if checks.values().any(|check| is_of_pod(check.resource)) {
            self.findings.judge(source, &resources::of_pod(pod), checks);
        }
    }

    /// A pod is gone.
    pub(super) fn pod_gone(&mut self, uid: &str) {
        self.findings.forget(&pod_source(uid));
    }

    /// Judges a role or binding by these checks.
    pub(super) fn object(
        &mut self,
        kind: ResourceType,
        api_kind: &str,
        object: &DynamicObject,
        checks: &BTreeMap<String, Active>,
    ) {
        if checks.values().any(|check| check.resource == kind) {
            let source = Source {
                kind,
                id: object.uid().unwrap_or_default(),
            };
            self.findings
                .judge(source, &[resources::of_object(kind, api_kind, object)], checks);
        }
    }

    /// A role or binding is gone.
    pub(super) fn object_gone(&mut self, kind: ResourceType, uid: &str) {
        self.findings.forget(&Source {
            kind,
            id: uid.to_owned(),
        });
    }

    /// After a list of a type: what is not in it is gone.
    pub(super) fn retain(&mut self, kind: ResourceType, listed: &BTreeSet<String>) {
        self.findings.retain(kind, listed);
    }

    /// The nodes whose facts changed or became stale since they were judged; nodes that are gone are forgotten. This only
    /// compares, so that the index is not locked while thousands of nodes are judged.
    pub(super) fn changed_nodes(&mut self, index: &Index, now: Timestamp) -> Vec<ChangedNode> {
        let mut changed = Vec::new();
        let mut there = BTreeSet::new();
        for (name, state) in index.nodes.iter() {
            let Some(facts) = &state.facts else { continue };
            there.insert(name.to_owned());
            let stale = !state.connected && state.last_seen.is_none_or(|seen| now.since(seen) >= STALE);
            let judged = self.nodes.get(name);
            if judged.is_some_and(|(before, was_stale)| Arc::ptr_eq(before, facts) && *was_stale == stale) {
                continue;
            }
            changed.push(ChangedNode {
                name: name.to_owned(),
                facts: Arc::clone(facts),
                stale,
            });
        }
        let known = index.policy.nodes().into_iter().flatten();
        self.awaited = known
            .filter(|name| !there.contains(*name))
            .map(str::to_owned)
            .collect();
        self.nodes.retain(|name, _| there.contains(name));
        self.findings.retain(ResourceType::NodeKubelet, &there);
        changed
    }

    /// Judges a node.
    pub(super) fn node(&mut self, node: ChangedNode) {
        let ChangedNode { name, facts, stale } = node;
        let source = Source {
            kind: ResourceType::NodeKubelet,
            id: name.clone(),
        };
        self.findings
            .judge(source, &resources::of_node(&facts, stale), &self.active);
        self.nodes.insert(name, (facts, stale));
    }

    /// What the results mean now. Statuses are returned only where they changed; `told` takes them
    /// over once they are written.
    pub(super) fn settle(&mut self, now: Timestamp) -> Outcome {
        let mut findings = self.findings.by_check();
        let mut outcome = Outcome::default();
        for name in self.active.keys() {
            let found = findings.entry(name.clone()).or_default();
            let Some(meta) = self.catalog.checks.get(name).and_then(|check| check.meta.clone()) else {
                continue;
            };
            if !self.catalog.raises_signals(name, meta.severity.into()) {
                continue;
            }
            for Opening {
                scope,
                failing,
                resources,
            } in self.openings.update(name, found, &self.awaited)
            {
                outcome.signals.push((
                    name.clone(),
                    PostureChange {
                        check: Arc::clone(&meta),
                        scope,
                        failing,
                        resources,
                        controls: self.catalog.controls(name),
                        time: now,
                    },
                ));
            }
        }
        for (name, check) in &self.catalog.checks {
            let counts = self.active.contains_key(name).then(|| counts(&findings, name));
            let next = status::of_check(check, counts, now);
            if next != check.status {
                outcome.checks.push((name.clone(), next));
            }
        }
        for (name, framework) in &self.catalog.frameworks {
            let next = status::of_framework(framework, &self.catalog, &findings, now);
            if next != framework.status {
                outcome.frameworks.push((name.clone(), next));
            }
        }
        outcome
    }

    /// A signal could not be told of: the next evaluation tells again.
    pub(super) fn untold(&mut self, check: &str, scope: &Scope) {
        self.openings.untold(check, scope);
    }

    /// These checks were not evaluated on everything after all: the next reload tries again.
    pub(super) fn distrust(&mut self, checks: &BTreeMap<String, Active>) {
        self.active.retain(|name, _| !checks.contains_key(name));
    }

    /// A check's status was written.
    pub(super) fn check_written(&mut self, name: &str, status: PostureCheckStatus) {
        if let Some(check) = self.catalog.checks.get_mut(name) {
            check.status = status;
        }
    }

    /// A framework's status was written.
    pub(super) fn framework_written(&mut self, name: &str, status: PostureFrameworkStatus) {
        if let Some(framework) = self.catalog.frameworks.get_mut(name) {
            framework.status = status;
        }
    }
}

fn counts(findings: &BTreeMap<String, CheckFindings>, check: &str) -> yagura_engine::posture::CheckStatus {
    findings.get(check).map(|found| found.counts).unwrap_or_default()
}

fn pod_source(uid: &str) -> Source {
    Source {
        kind: ResourceType::Pod,
        id: uid.to_owned(),
    }
}

/// Whether a pod has resources of this type.
pub(super) fn is_of_pod(kind: ResourceType) -> bool {
    matches!(kind, ResourceType::Pod | ResourceType::Container)
}

/// Whether a node's facts have resources of this type.
pub(super) fn is_of_node(kind: ResourceType) -> bool {
    matches!(kind, ResourceType::NodeKubelet | ResourceType::NodeFile)
}
