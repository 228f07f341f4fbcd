//! Signals about Yagura itself: agents that are not to be believed, that fall silent, or that lose what they saw. The
//! rules behind them are code, so nobody can switch them off by accident. Pure.

use std::sync::Arc;

use yagura_crds::security_signal::{GroupValue, SignalResource};
use yagura_event::{Severity, Timestamp};
use yagura_store::signals::{Lifetime, Match, Observation};

use super::{detail, key, resources};
use crate::index::policy::RuleMeta;

/// The kind that a signal about Yagura itself names as its rule.
pub const OWN_KIND: &str = "Yagura";

/// The source of these signals.
const SOURCE: &str = "yagura";

/// Resources that a signal lists.
const MAX_RESOURCES: usize = 32;

/// What the operator watches for by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnRule {
    /// An agent reports what cannot be: pods of other nodes, rules that it never got.
    RefusedReports,
    /// A node had two live streams at a time.
    SecondStream,
    /// A node's agent fell silent and nothing explains it.
    NodeSilent,
    /// Many nodes' agents did, for what looks like one cause.
    NodesSilent,
    /// An agent lost events or matches.
    EventsLost,
    /// A node was without an agent, and nothing explains it.
    AgentGap,
}

/// What such a rule says.
struct Says {
    name: &'static str,
    severity: Severity,
    title: &'static str,
    description: &'static str,
    remediation: &'static str,
    attack: &'static [(&'static str, Option<&'static str>)],
}

impl OwnRule {
    fn says(self) -> Says {
        match self {
            Self::RefusedReports => Says {
                name: "yagura-refused-reports",
                severity: Severity::High,
                title: "The agent of a node reports what it cannot know",
                description: "The operator refused reports of this node's agent: they named pods or containers of \
                              another node, or rules that this node never got. An agent of ours does not do that; \
                              somebody who took over the node may.",
                remediation: "1. Look at the node: who can become root there, and what ran lately?\n\
                              2. Delete the agent's pod, so that its token ends, and compare its image's digest.\n\
                              3. If reports are still refused, drain the node and replace it.",
                attack: &[("TA0005", Some("T1562"))],
            },
            Self::SecondStream => Says {
                name: "yagura-second-stream",
                severity: Severity::High,
                title: "Two agents speak for one node",
                description: "A second stream of a node was opened while the first was alive, with a valid token of \
                              an agent on that node. The older one was closed. An agent that connects again after a \
                              broken connection does not look like this: its first stream has been silent by then.",
                remediation: "1. List the agent's pods on the node: there must be exactly one.\n\
                              2. Look for processes on the node that read the agent's token.\n\
                              3. Delete the agent's pod, so that its token ends.",
                attack: &[("TA0006", Some("T1528"))],
            },
            Self::NodeSilent => Says {
                name: "yagura-node-silent",
                severity: Severity::High,
                title: "The agent of a node is silent",
                description: "The agent of this node has had no stream to the operator for minutes, and nothing explains \
                              it: the node is ready, it is not drained, its agent's pod is neither ending nor being \
                              replaced, and the agent did not say goodbye. What happens on the node may go unseen. \
                              Whoever takes over a node stops what watches it first; a crash, a full disk or a network \
                              policy look the same from here.",
                remediation: "1. Look at the agent's pod on the node: kubectl get pods -o wide, then describe and logs \
                              (also with --previous).\n\
                              2. Does it run and is not connected? Then look at the way to the operator: network \
                              policies, the Service, the certificates.\n\
                              3. Does the process exist on the node and is stopped? Somebody may have stopped it: look at \
                              who can become root there, and what ran before the silence.\n\
                              4. The signal resolves when the agent speaks again. What it saw meanwhile follows from its \
                              spool; what it did not see is a signal yagura-agent-gap.",
                attack: &[("TA0005", Some("T1562.001"))],
            },
            Self::EventsLost => Says {
                name: "yagura-events-lost",
                severity: Severity::Medium,
                title: "An agent lost events or matches",
                description: "The agent of this node reports that it lost something: events of the kernel that no rule \
                              has seen, or matches that it could not keep for the operator. The group names the cause; \
                              the count is exact, or a lower bound where the size of a loss is not known. An act may \
                              hide in what was lost, and a flood may have been made for that.",
                remediation: "1. sensor-throttled, sensor-ring-full, queue-full: which pod made so many events? Look at \
                              the signals of the node at that time and at what starts many processes there.\n\
                              2. spool-full, disk-full, spool-error: was the operator away, and is the disk of the node \
                              full? Give the agent a larger --spool-limit, or room.\n\
                              3. acknowledged-before-restore: the operator's store was set back to an older state; what \
                              was counted since is not counted again.\n\
                              4. kubectl describe nodesensor shows all counters of the agent.",
                attack: &[("TA0005", Some("T1562.006"))],
            },
            Self::AgentGap => Says {
                name: "yagura-agent-gap",
                severity: Severity::High,
                title: "Nobody watched a node for a while",
                description: "When the agent of this node started, the last sign of life of the one before was older \
                              than it should be; the machine was not started again meanwhile, and the agent before did \
                              not end in order. Whatever happened on the node in that time was not seen. The time is \
                              known to within ten seconds. The title tells of the first gap, the count how many there \
                              were.",
                remediation: "1. Why did the agent before end? kubectl logs --previous of its pod, the kernel's log for \
                              memory pressure, the node's events.\n\
                              2. Was it killed? Look at who can become root on the node, and at the last signals before \
                              the gap.\n\
                              3. What started in that time still runs: compare the processes and cron jobs of the node \
                              with those of another.",
                attack: &[("TA0005", Some("T1562.001"))],
            },
            Self::NodesSilent => Says {
                name: "yagura-nodes-silent",
                severity: Severity::Critical,
                title: "The agents of many nodes are silent",
                description: "More than one node in twenty has an agent without a stream to the operator, and nothing \
                              explains it. Several at once rarely fail each for itself, so they are one signal for each \
                              thing that is seen of them: no pod, a pod that does not run, or one that runs and is not \
                              connected. What happens on these nodes may go unseen.",
                remediation: "1. What changed for all of them? A new version of the agent, a network policy, the \
                              operator's Service or certificates, an admission policy.\n\
                              2. kubectl get sensors shows which nodes are silent; kubectl describe of the agents' \
                              DaemonSet and of one of its pods shows why they do not run.\n\
                              3. Rule out that somebody did it on purpose: who may change the DaemonSet, and who did?\n\
                              4. The signal shrinks as agents speak again, and resolves with the last.",
                attack: &[("TA0005", Some("T1562.001"))],
            },
        }
    }

    /// The name that its signals carry in front, and the label `yagura.dev/rule`.
    pub fn name(self) -> &'static str {
        self.says().name
    }

    fn meta(self) -> Arc<RuleMeta> {
        let says = self.says();
        Arc::new(RuleMeta {
            kind: OWN_KIND,
            uid: store_key(says.name),
            name: says.name.to_owned(),
            generation: 1,
            severity: says.severity,
            source: SOURCE.to_owned(),
            title: says.title.to_owned(),
            description: says.description.to_owned(),
            remediation: says.remediation.to_owned(),
            attack: says
                .attack
                .iter()
                .map(|(tactic, technique)| ((*tactic).to_owned(), technique.map(str::to_owned)))
                .collect(),
            lifetime: Lifetime::default(),
            windows: None,
        })
    }
}

/// What the store keeps such signals under; a uid of the API server has no slash.
fn store_key(name: &str) -> String {
    format!("{OWN_KIND}/{name}")
}

/// Something that the operator found about Yagura itself.
#[derive(Clone, Debug)]
pub struct OwnFinding {
    /// What was found.
    pub rule: OwnRule,
    /// What distinguishes this signal from others of the rule, as field and value; often the node.
    pub group: Vec<(&'static str, String)>,
    /// What is affected, the closest first.
    pub resources: Vec<SignalResource>,
    /// The title, more exact than the rule's; the rule's when empty.
    pub title: String,
    /// How often it happened, or how many are affected now; for [`super::Ledger::own_state`], 0 resolves.
    pub count: u64,
    /// When.
    pub time: Timestamp,
}

impl OwnFinding {
    /// A finding about one node.
    pub fn of_node(rule: OwnRule, node: &str, count: u64, time: Timestamp) -> Self {
        Self {
            rule,
            group: vec![("node", node.to_owned())],
            resources: vec![SignalResource {
                kind: "Node".to_owned(),
                name: Some(node.to_owned()),
                ..SignalResource::default()
            }],
            title: String::new(),
            count,
            time,
        }
    }

    fn detail(&self) -> detail::Detail {
        let meta = self.rule.meta();
        let title = if self.title.is_empty() {
            meta.title.clone()
        } else {
            self.title.clone()
        };
        let node = self
            .group
            .iter()
            .find(|(field, _)| *field == "node")
            .map(|(_, node)| node.as_str());
        let mut says = detail::of_rule(&meta, title, node);
        for (field, value) in &self.group {
            says.spec
                .group
                .insert((*field).to_owned(), GroupValue(value.clone()));
        }
        says.status.resources = self.resources.iter().take(MAX_RESOURCES).cloned().collect();
        says.status.resource = resources::headline(&says.status.resources);
        says
    }

    fn overflow(&self) -> detail::Detail {
        let meta = self.rule.meta();
        let title = format!("{}: more signals than are kept open", meta.title);
        detail::of_rule(&meta, title, None)
    }

    fn key(&self) -> Vec<u8> {
        key::of_parts(
            self.group
                .iter()
                .flat_map(|(field, value)| [*field, value.as_str()]),
        )
    }

    /// Something that happens again and again and is counted.
    pub(crate) fn incident(&self, home: &str) -> Match {
        Match {
            rule: self.rule.meta().uid.clone(),
            rule_name: self.rule.name().to_owned(),
            key: self.key(),
            namespace: home.to_owned(),
            overflow_namespace: home.to_owned(),
            count: self.count,
            first: self.time,
            last: self.time,
            incomplete: false,
            severity: self.rule.says().severity.rank(),
            lifetime: Lifetime::default(),
            window: None,
            detail: self.detail().to_bytes(),
            overflow_detail: self.overflow().to_bytes(),
            samples: Vec::new(),
        }
    }

    /// Something that is so for a while and then ends.
    pub(super) fn observation(&self, home: &str) -> Observation {
        Observation {
            rule: self.rule.meta().uid.clone(),
            rule_name: self.rule.name().to_owned(),
            key: self.key(),
            namespace: home.to_owned(),
            overflow_namespace: home.to_owned(),
            failing: self.count,
            time: self.time,
            severity: self.rule.says().severity.rank(),
            detail: self.detail().to_bytes(),
            overflow_detail: self.overflow().to_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_and_where() {
        let found = OwnFinding::of_node(OwnRule::SecondStream, "node-3", 2, Timestamp(7));
        let entry = found.incident("yagura-system");
        assert_eq!(entry.rule, "Yagura/yagura-second-stream");
        assert_eq!((entry.count, entry.namespace.as_str()), (2, "yagura-system"));
        let says: detail::Detail = serde_json::from_slice(&entry.detail).unwrap();
        assert_eq!(says.status.resource, "Node/node-3");
        assert_eq!(says.node.as_deref(), Some("node-3"));
        assert_eq!(says.spec.source, "yagura");
        assert!(!says.status.remediation.is_empty());
        let other = OwnFinding::of_node(OwnRule::SecondStream, "node-4", 2, Timestamp(7));
        assert_ne!(entry.key, other.incident("yagura-system").key);
    }
}
