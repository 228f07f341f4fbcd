//! What is said of silent nodes, as findings of the built-in rules: pure.

use yagura_crds::security_signal::SignalResource;
use yagura_event::Timestamp;

use super::silence::{Saying, Subject};
use crate::signals::{OwnFinding, OwnRule};

/// The finding for what should be said in a cluster of this many nodes.
pub(super) fn finding(saying: &Saying, in_all: usize, now: Timestamp) -> OwnFinding {
    let count = u64::try_from(saying.nodes.len()).unwrap_or(u64::MAX);
    match &saying.about {
        Subject::Node(node) => OwnFinding {
            title: if count == 0 {
                format!("Node {node} is silent no more")
            } else {
                format!("Node {node} is silent: {}", saying.cause.message())
            },
            ..OwnFinding::of_node(OwnRule::NodeSilent, node, count, now)
        },
        Subject::Many(cause) => OwnFinding {
            rule: OwnRule::NodesSilent,
            group: vec![("cause", cause.name().to_owned())],
            resources: saying.nodes.iter().map(|node| resource(node)).collect(),
            title: format!("{count} of {in_all} nodes are silent: {}", cause.message()),
            count,
            time: now,
        },
    }
}

fn resource(node: &str) -> SignalResource {
    SignalResource {
        kind: "Node".to_owned(),
        name: Some(node.to_owned()),
        ..SignalResource::default()
    }
}

#[cfg(test)]
mod tests {
    use yagura_event::Timestamp;

    use super::finding;
    use crate::node_sensor::excuse::Cause;
    use crate::node_sensor::silence::{Saying, Subject};

    #[test]
    fn a_finding_names_the_nodes_and_what_is_seen_of_them() {
        let cause = Cause::NotRunning;
        let one = Saying {
            about: Subject::Node("n1".into()),
            nodes: ["n1".to_owned()].into(),
            cause,
        };
        let found = finding(&one, 9, Timestamp(1));
        assert_eq!(found.title, "Node n1 is silent: the agent's pod does not run");
        let many = Saying {
            about: Subject::Many(cause),
            nodes: ["n1".to_owned(), "n2".to_owned()].into(),
            cause,
        };
        let found = finding(&many, 9, Timestamp(1));
        assert_eq!(
            found.title,
            "2 of 9 nodes are silent: the agent's pod does not run"
        );
        assert_eq!((found.count, found.resources.len()), (2, 2));
        assert_eq!(found.group, [("cause", "not-running".to_owned())]);
    }
}
