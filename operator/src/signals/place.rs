//! A fold of an agent becomes an entry of the store: whom it is about, where it belongs, what it
//! says. Pure.

use std::sync::Arc;

use yagura_event::{Fold, Timestamp, Tree};
use yagura_store::signals::Match;

use super::text::json;
use super::{detail, key, resources};
use crate::index::Index;
use crate::index::pods::PodRecord;

/// The times of a report may be ahead of the operator's clock by this much: one hour.
const MAX_AHEAD: i64 = 3_600_000_000_000;

/// Why a fold is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It names a rule that this node does not have and lately had not.
    UnknownRule,
    /// It names a pod or container of another node.
    ForeignPod,
}

impl Refused {
    /// Label value of the metric.
    pub fn cause(self) -> &'static str {
        match self {
            Self::UnknownRule => "unknown-rule",
            Self::ForeignPod => "foreign-pod",
        }
    }
}

/// From whom and when a fold came.
#[derive(Clone, Copy, Debug)]
pub struct Placement<'a> {
    /// The node whose agent sent it.
    pub node: &'a str,
    /// Namespace of signals that belong to no other.
    pub home: &'a str,
    /// The operator's clock.
    pub now: Timestamp,
}

/// Places a fold, or says why it is not believed.
pub fn place(fold: &Fold, index: &Index, from: Placement<'_>) -> Result<Match, Refused> {
    let meta = index
        .policy
        .rule_of_node(from.node, &fold.rule)
        .ok_or(Refused::UnknownRule)?;
    let nothing = Tree::Null;
    let fields = fold.samples.first().map_or(&nothing, |sample| &sample.fields);
    let pod = pod_of(fold, fields, index, from.node)?;

    let mut says =
        detail::of_rule(meta, fold.title.clone(), Some(from.node)).with_group(&fold.group);
    says.status.resources = resources::of_match(fields, from.node, pod.as_deref());
    says.status.resource = resources::headline(&says.status.resources);
    let overflow = detail::of_rule(
        meta,
        format!("{}: more signals than are kept open", meta.title),
        None,
    );
    let latest = from.now.after(MAX_AHEAD);
    Ok(Match {
        rule: meta.uid.clone(),
        rule_name: meta.name.clone(),
        key: key::of_group(from.node, &fold.group),
        namespace: pod.map_or_else(|| from.home.to_owned(), |pod| pod.namespace.clone()),
        overflow_namespace: from.home.to_owned(),
        count: fold.count,
        first: fold.first.min(latest),
        last: fold.last.min(latest),
        incomplete: fold.incomplete,
        detail: says.to_bytes(),
        overflow_detail: overflow.to_bytes(),
        samples: fold
            .samples
            .iter()
            .map(|sample| {
                let sample = serde_json::json!({
                    "time": detail::time(sample.time),
                    "fields": json(&sample.fields),
                });
                sample.to_string().into_bytes()
            })
            .collect(),
    })
}

/// The pod that a fold is about, by the operator's own knowledge. A pod that the operator does
/// not know (it may be gone, or newer than the watch) is none; one of another node is a lie.
fn pod_of(
    fold: &Fold,
    fields: &Tree,
    index: &Index,
    node: &str,
) -> Result<Option<Arc<PodRecord>>, Refused> {
    let value = |path: &str| {
        let grouped = fold.group.0.iter().find(|(field, _)| field == path);
        match grouped.map(|(_, value)| value).or_else(|| fields.at(path)) {
            Some(Tree::Text(text)) => String::from_utf8(text.as_bytes().to_vec()).ok(),
            _ => None,
        }
    };
    let by_uid = value("k8s.pod.uid").and_then(|uid| index.pods.get(&uid).cloned());
    let by_container = value("container.id").and_then(|id| index.pods.of_container(&id).cloned());
    for pod in [&by_uid, &by_container].into_iter().flatten() {
        if pod.node != node {
            return Err(Refused::ForeignPod);
        }
    }
    Ok(by_container.or(by_uid))
}
