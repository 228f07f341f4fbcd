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
    pub(super) fn incident(&self, home: &str) -> Match {
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
