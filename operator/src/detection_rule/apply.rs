//! Hands a rule to the nodes.

use crate::index::policy::ServedRule;
use crate::index::{Index, RuleNodes};

/// Where a rule runs, as computed from a rule that was handed out: only such a value can reach the
/// status, so that a status never tells of wishes.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) nodes: RuleNodes,
}

/// Puts the rule into the index, or takes it out when there is nothing to serve.
pub(super) fn apply(index: &mut Index, uid: &str, served: Option<ServedRule>) {
    match served {
        Some(rule) => index.policy.apply_rule(rule),
        None => index.policy.delete_rule(uid),
    }
}

/// What the agents acknowledged of an applied rule.
pub(super) fn applied(index: &Index, uid: &str) -> Applied {
    Applied {
        nodes: index.nodes_of_rule(uid),
    }
}
