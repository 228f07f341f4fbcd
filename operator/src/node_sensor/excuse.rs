//! What explains that a node's agent has no stream: pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

use crate::index::nodes::Farewell;
use crate::index::pods::PodRecord;

/// Label by which a DaemonSet tells the revisions of its template apart.
const REVISION: &str = "controller-revision-hash";

/// What is kept of a Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NodeFacts {
    /// Its uid.
    pub(super) uid: String,
    /// Whether its condition `Ready` is true.
    pub(super) ready: bool,
    /// Whether no new pods are to come.
    pub(super) cordoned: bool,
}

impl NodeFacts {
    pub(super) fn of(node: &Node) -> Self {
        let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
        Self {
            uid: node.metadata.uid.clone().unwrap_or_default(),
            ready: conditions
                .into_iter()
                .flatten()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True"),
            cordoned: node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true),
        }
    }
}

/// What explains that there is no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excuse {
    /// Nobody can be asked whether the node has an excuse, and agents cannot prove who they are.
    ApiServerAway,
    /// The node itself does not work; Kubernetes says so.
    NodeNotReady,
    /// The node was emptied.
    Drained,
    /// The agent said goodbye, and no other has come.
    Stopped,
    /// The agent's pod is ending.
    Terminating,
    /// A new pod of the agent is starting.
    Updating,
}

impl Excuse {
    /// Whether it is one for a time only: pods that end and start do so soon.
    pub(super) fn is_transit(self) -> bool {
        matches!(self, Self::Terminating | Self::Updating)
    }

    /// For a condition.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::ApiServerAway => "ApiServerAway",
            Self::NodeNotReady => "NodeNotReady",
            Self::Drained => "Drained",
            Self::Stopped => "AgentStopped",
            Self::Terminating => "AgentTerminating",
            Self::Updating => "AgentUpdating",
        }
    }

    /// For a person.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::ApiServerAway => "the API server does not answer, so agents cannot prove who they are",
            Self::NodeNotReady => "the node is not ready itself",
            Self::Drained => "the node is cordoned and drained",
            Self::Stopped => "the agent said goodbye, and no other has come",
            Self::Terminating => "the agent's pod is terminating",
            Self::Updating => "a new pod of the agent is starting",
        }
    }
}

/// What a silent agent looks like from the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Cause {
    /// There is no pod.
    NoPod,
    /// There is one and it does not run.
    NotRunning,
    /// It runs and has no stream.
    NotConnected,
}

impl Cause {
    pub(super) const ALL: [Self; 3] = [Self::NoPod, Self::NotRunning, Self::NotConnected];

    /// As the group of a signal names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NoPod => "no-pod",
            Self::NotRunning => "not-running",
            Self::NotConnected => "not-connected",
        }
    }

    /// For a person.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::NoPod => "the agent has no pod there",
            Self::NotRunning => "the agent's pod does not run",
            Self::NotConnected => "the agent's pod runs, but is not connected",
        }
    }
}

/// Which pods are agents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agents<'a> {
    pub(super) namespace: &'a str,
    pub(super) daemon_set: &'a str,
}

impl Agents<'_> {
    fn is_one(self, pod: &PodRecord) -> bool {
        pod.namespace == self.namespace && pod.owner_kind == "DaemonSet" && pod.owner_name == self.daemon_set
    }

    /// The agent's pod among those of a node, unless it ends.
    pub(super) fn current(self, pods: &BTreeMap<String, Arc<PodRecord>>) -> Option<&PodRecord> {
        pods.values()
            .map(|pod| &**pod)
            .find(|pod| pod.live && self.is_one(pod))
    }

    fn is_leaving(self, pods: &BTreeMap<String, Arc<PodRecord>>) -> bool {
        pods.values().any(|pod| pod.terminating && self.is_one(pod))
    }
}

/// The revision of the DaemonSet's template that a pod was made from.
pub(super) fn revision(pod: &PodRecord) -> Option<&str> {
    pod.labels.get(REVISION).map(String::as_str)
}

/// What the API server knows of a node whose agent has no stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    pub(super) facts: &'a NodeFacts,
    pub(super) pods: &'a BTreeMap<String, Arc<PodRecord>>,
    pub(super) agents: Agents<'a>,
    /// What the agent said at last.
    pub(super) farewell: Option<&'a Farewell>,
    /// Revision of the pod that had a stream last.
    pub(super) spoke: Option<&'a str>,
}

impl Scene<'_> {
    /// What explains the silence.
    pub(super) fn excuse(&self) -> Option<Excuse> {
        if !self.facts.ready {
            return Some(Excuse::NodeNotReady);
        }
        if self.facts.cordoned && self.is_drained() {
            return Some(Excuse::Drained);
        }
        match self.agents.current(self.pods) {
            None if self.farewell.is_some() => Some(Excuse::Stopped),
            None if self.agents.is_leaving(self.pods) => Some(Excuse::Terminating),
            Some(pod) if !pod.running && self.is_new(pod) => Some(Excuse::Updating),
            // A goodbye of a pod that stays explains nothing: its container is started again.
            _ => None,
        }
    }

    /// How the silence looks.
    pub(super) fn cause(&self) -> Cause {
        match self.agents.current(self.pods) {
            None => Cause::NoPod,
            Some(pod) if !pod.running => Cause::NotRunning,
            Some(_) => Cause::NotConnected,
        }
    }

    /// Whether this pod takes the place of one that left in order, or of an older revision.
    fn is_new(&self, pod: &PodRecord) -> bool {
        let after_goodbye = self.farewell.is_some_and(|farewell| farewell.pod != pod.uid);
        after_goodbye || self.spoke.is_some_and(|spoke| revision(pod) != Some(spoke))
    }

    /// Draining leaves the pods of daemon sets and of the node itself.
    fn is_drained(&self) -> bool {
        self.pods
            .values()
            .all(|pod| !pod.live || pod.owner_kind == "DaemonSet" || pod.owner_kind == "Node")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use yagura_event::Timestamp;

    use super::{Agents, Cause, Excuse, NodeFacts, REVISION, Scene};
    use crate::index::nodes::Farewell;
    use crate::index::pods::PodRecord;

    const AGENTS: Agents<'static> = Agents {
        namespace: "sec",
        daemon_set: "agent",
    };

    fn agent(uid: &str, change: impl FnOnce(&mut PodRecord)) -> PodRecord {
        let mut pod = PodRecord {
            uid: uid.into(),
            namespace: "sec".into(),
            owner_kind: "DaemonSet".into(),
            owner_name: "agent".into(),
            labels: [(REVISION.to_owned(), "old".to_owned())].into(),
            live: true,
            running: true,
            ..PodRecord::default()
        };
        change(&mut pod);
        pod
    }

    fn leaving(pod: &mut PodRecord) {
        pod.live = false;
        pod.terminating = true;
    }

    fn starting(revision: &str) -> PodRecord {
        agent("b", |pod| {
            pod.running = false;
            pod.labels.insert(REVISION.to_owned(), revision.to_owned());
        })
    }

    fn app(owner: &str) -> PodRecord {
        PodRecord {
            uid: format!("app-{owner}"),
            namespace: "shop".into(),
            owner_kind: owner.into(),
            live: true,
            ..PodRecord::default()
        }
    }

    #[track_caller]
    fn check(
        facts: (bool, bool),
        pods: Vec<PodRecord>,
        goodbye_of: Option<&str>,
        expected: (Option<Excuse>, Cause),
    ) {
        let pods: BTreeMap<_, _> = pods
            .into_iter()
            .map(|pod| (pod.uid.clone(), Arc::new(pod)))
            .collect();
        let facts = NodeFacts {
            uid: "n".into(),
            ready: facts.0,
            cordoned: facts.1,
        };
        let farewell = goodbye_of.map(|pod| Farewell {
            pod: pod.to_owned(),
            reason: "Terminated".to_owned(),
            at: Timestamp(1),
        });
        let scene = Scene {
            facts: &facts,
            pods: &pods,
            agents: AGENTS,
            farewell: farewell.as_ref(),
            spoke: Some("old"),
        };
        assert_eq!((scene.excuse(), scene.cause()), expected);
    }

    #[test]
    fn an_agent_without_a_reason_has_no_excuse() {
        const FINE: (bool, bool) = (true, false);
        check(FINE, vec![], None, (None, Cause::NoPod));
        check(FINE, vec![agent("a", |_| {})], None, (None, Cause::NotConnected));
        check(
            FINE,
            vec![agent("a", |pod| pod.running = false)],
            None,
            (None, Cause::NotRunning),
        );
        // It is the same pod that said goodbye: its container starts again, or ought to.
        check(
            FINE,
            vec![agent("a", |_| {})],
            Some("a"),
            (None, Cause::NotConnected),
        );
        check(
            FINE,
            vec![agent("a", |pod| pod.running = false)],
            Some("a"),
            (None, Cause::NotRunning),
        );
        // The new pod runs, so it should have connected.
        check(
            FINE,
            vec![agent("b", |_| {})],
            Some("a"),
            (None, Cause::NotConnected),
        );
        // A pod of the same revision that does not start is no update.
        check(FINE, vec![starting("old")], None, (None, Cause::NotRunning));
        // Cordoned, but not drained.
        check(
            (true, true),
            vec![agent("a", |_| {}), app("ReplicaSet")],
            None,
            (None, Cause::NotConnected),
        );
    }

    #[test]
    fn what_kubernetes_knows_explains_silence() {
        const FINE: (bool, bool) = (true, false);
        let running = || agent("a", |_| {});
        check(
            (false, false),
            vec![running()],
            None,
            (Some(Excuse::NodeNotReady), Cause::NotConnected),
        );
        check(
            (true, true),
            vec![running(), app("DaemonSet"), app("Node")],
            None,
            (Some(Excuse::Drained), Cause::NotConnected),
        );
        check(
            FINE,
            vec![agent("a", leaving)],
            None,
            (Some(Excuse::Terminating), Cause::NoPod),
        );
        check(
            FINE,
            vec![agent("a", leaving)],
            Some("a"),
            (Some(Excuse::Stopped), Cause::NoPod),
        );
        check(FINE, vec![], Some("a"), (Some(Excuse::Stopped), Cause::NoPod));
        check(
            FINE,
            vec![starting("new")],
            None,
            (Some(Excuse::Updating), Cause::NotRunning),
        );
        check(
            FINE,
            vec![starting("old")],
            Some("a"),
            (Some(Excuse::Updating), Cause::NotRunning),
        );
        check(
            FINE,
            vec![agent("a", leaving), starting("new")],
            None,
            (Some(Excuse::Updating), Cause::NotRunning),
        );
    }

    #[test]
    fn a_node_is_ready_only_when_its_condition_says_so() {
        let node = |status: &str| {
            serde_json::from_value(serde_json::json!({
                "metadata": {"name": "n", "uid": "u"},
                "spec": {"unschedulable": true},
                "status": {"conditions": [
                    {"type": "MemoryPressure", "status": "True"}, {"type": "Ready", "status": status}
                ]},
            }))
            .unwrap()
        };
        let facts = NodeFacts::of(&node("True"));
        assert!(facts.ready && facts.cordoned && facts.uid == "u");
        assert!(!NodeFacts::of(&node("Unknown")).ready);
    }
}
