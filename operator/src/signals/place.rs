//! A fold of an agent becomes an entry of the store: whom it is about, where it belongs, what it
//! says. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use yagura_engine::{compared, group_title, tell_apart};
use yagura_event::{Fold, GroupKey, Timestamp, Tree};
use yagura_proto::v1::{Requirement, Selector, Where};
use yagura_rules::detect::{Method, Scope, Steps};
use yagura_store::signals::{CaseSays, Match, Window};

use super::text::json;
use super::{detail, key, resources};
use crate::index::Index;
use crate::index::pods::PodRecord;
use crate::index::policy::Windows;

/// The times of a report may be ahead of the operator's clock by this much: one hour.
const MAX_AHEAD: i64 = 3_600_000_000_000;

/// The field that says whose a signal is.
const NAMESPACE: &str = "k8s.namespace.name";

/// Why a fold is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It names a rule that this node does not have and lately had not.
    UnknownRule,
    /// It names a pod or container of another node.
    ForeignPod,
    /// The agent did not know yet whether the rule's selectors choose the pod: they do not.
    NotSelected,
}

impl Refused {
    /// Label value of the metric.
    pub fn cause(self) -> &'static str {
        match self {
            Self::UnknownRule => "unknown-rule",
            Self::ForeignPod => "foreign-pod",
            Self::NotSelected => "not-selected",
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
    let rule = index
        .policy
        .rule_of_node(from.node, &fold.rule)
        .ok_or(Refused::UnknownRule)?;
    let meta = &rule.meta;
    let nothing = Tree::Null;
    let fields = fold.samples.first().map_or(&nothing, |sample| &sample.fields);
    let pod = pod_of(fold, fields, index, from.node)?;
    if fold.pending && !selects(rule.body.r#where.as_ref(), pod.as_deref()) {
        return Err(Refused::NotSelected);
    }

    let across = meta
        .windows
        .as_ref()
        .and_then(|windows| across_nodes(windows, fold));
    let (group, node) = match &across {
        Some(Across { group, .. }) => (group, None),
        None => (&fold.group, Some(from.node)),
    };
    let affected = resources::of_match(fields, from.node, pod.as_deref());
    let says = |severity, title: String| {
        let says = detail::of_rule(meta, title, node).with_severity(severity);
        let mut says = says.with_group(group);
        says.status.resource = resources::headline(&affected);
        says.status.resources.clone_from(&affected);
        says.to_bytes()
    };
    // Of a rule that is looked at on its node the agent has said which case it is, and its title.
    let case = meta.windows.as_ref().zip(fold.case);
    let case = case.and_then(|(windows, case)| windows.detect.case(case));
    let severity = case.and_then(|case| case.severity).unwrap_or(meta.severity);
    let cases = match across.as_ref().map(|across| &across.window.method) {
        Some(Method::Correlation(all)) => all
            .cases
            .iter()
            .map(|case| {
                let title = case.title.as_ref();
                let title = title.map_or_else(|| fold.title.clone(), |title| group_title(title, group));
                let severity = case.severity.unwrap_or(meta.severity);
                CaseSays {
                    severity: severity.rank(),
                    detail: says(severity, title),
                }
            })
            .collect(),
        _ => Vec::new(),
    };
    let overflow = detail::of_rule(
        meta,
        format!("{}: more signals than are kept open", meta.title),
        None,
    );
    let latest = from.now.after(MAX_AHEAD);
    Ok(Match {
        rule: meta.uid.clone(),
        rule_name: meta.name.clone(),
        key: key::of_group(node.unwrap_or_default(), group),
        // A signal about several pods is of the namespace only that all of them share.
        namespace: pod
            .filter(|_| node.is_some() || group.0.iter().any(|(field, _)| field == NAMESPACE))
            .map_or_else(|| from.home.to_owned(), |pod| pod.namespace.clone()),
        overflow_namespace: from.home.to_owned(),
        count: fold.count,
        first: fold.first.min(latest),
        last: fold.last.min(latest),
        incomplete: fold.incomplete,
        severity: severity.rank(),
        lifetime: meta.lifetime,
        detail: says(severity, fold.title.clone()),
        window: across.map(|across| Window {
            cases,
            ..across.window
        }),
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

/// A fold that is counted across nodes.
struct Across {
    group: GroupKey,
    window: Window,
}

/// What a fold is to the windows of its rule, if those are here. A fold of an edit of the rule that grouped otherwise is
/// none: what that edit found are detections.
fn across_nodes(windows: &Windows, fold: &Fold) -> Option<Across> {
    let detect = &windows.detect;
    let fields = windows.fields.iter().map(String::as_str);
    let names = fields.chain(detect.carried());
    if detect.scope == Scope::Node || !names.eq(fold.group.0.iter().map(|(name, _)| name.as_str())) {
        return None;
    }
    let mut group = fold.group.clone();
    let mut carried = group.0.split_off(windows.fields.len());
    let steps = match carried.last() {
        Some((_, Tree::Int(steps))) if detect.has_steps() => Steps::try_from(*steps).unwrap_or(0),
        _ => 0,
    };
    carried.truncate(detect.values.len());
    let carried: Vec<Tree> = carried.into_iter().map(|(_, value)| value).collect();
    let mut values = Vec::new();
    tell_apart(&detect.method, &carried, &mut Vec::new(), &mut values);
    let window = Window {
        state: detect.state.clone(),
        method: detect.method.clone(),
        text: compared(&detect.method, &carried).to_vec(),
        values,
        steps,
        cases: Vec::new(),
    };
    Some(Across { group, window })
}

/// Whether the rule's selectors choose the pod. One that the operator does not know either counts
/// as chosen: better a signal too many.
fn selects(choice: Option<&Where>, pod: Option<&PodRecord>) -> bool {
    let (Some(choice), Some(pod)) = (choice, pod) else {
        return true;
    };
    let matches = |selector: Option<&Selector>, labels: &BTreeMap<String, String>| {
        selector.is_none_or(|selector| selected(selector, labels))
    };
    matches(choice.namespaces.as_ref(), &pod.namespace_labels) && matches(choice.pods.as_ref(), &pod.labels)
}

fn selected(selector: &Selector, labels: &BTreeMap<String, String>) -> bool {
    let equal = |(key, value): (&String, &String)| labels.get(key) == Some(value);
    let holds = |requirement: &Requirement| {
        let value = labels.get(&requirement.key);
        let listed = value.is_some_and(|value| requirement.values.contains(value));
        match requirement.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            // The rule was accepted, so there is no other.
            _ => true,
        }
    };
    selector.match_labels.iter().all(equal) && selector.match_expressions.iter().all(holds)
}

/// The pod that a fold is about, by the operator's own knowledge. A pod that the operator does
/// not know (it may be gone, or newer than the watch) is none; one of another node is a lie.
fn pod_of(fold: &Fold, fields: &Tree, index: &Index, node: &str) -> Result<Option<Arc<PodRecord>>, Refused> {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use yagura_proto::v1::{Requirement, Selector, Where};

    use super::selects;
    use crate::index::pods::PodRecord;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn selectors_mean_what_kubernetes_means() {
        let pod = PodRecord {
            labels: labels(&[("app", "cart")]),
            namespace_labels: labels(&[("team", "shop")]),
            ..PodRecord::default()
        };
        let expression = |key: &str, operator: &str, values: &[&str]| Where {
            pods: Some(Selector {
                match_expressions: vec![Requirement {
                    key: key.into(),
                    operator: operator.into(),
                    values: values.iter().map(|value| (*value).into()).collect(),
                }],
                ..Selector::default()
            }),
            ..Where::default()
        };
        let in_namespaces = |pairs: &[(&str, &str)]| Where {
            namespaces: Some(Selector {
                match_labels: labels(pairs),
                ..Selector::default()
            }),
            ..Where::default()
        };
        for (choice, expected) in [
            (Where::default(), true),
            (in_namespaces(&[("team", "shop")]), true),
            (in_namespaces(&[("team", "other")]), false),
            (expression("app", "In", &["cart", "x"]), true),
            (expression("app", "NotIn", &["cart"]), false),
            (expression("other", "NotIn", &["cart"]), true),
            (expression("other", "In", &["cart"]), false),
            (expression("app", "Exists", &[]), true),
            (expression("app", "DoesNotExist", &[]), false),
        ] {
            assert_eq!(selects(Some(&choice), Some(&pod)), expected, "{choice:?}");
            assert!(selects(Some(&choice), None), "an unknown pod counts as chosen");
        }
    }
}
