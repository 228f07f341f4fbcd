//! What agents get of a rule, and what its signals say: pure.

use std::sync::Arc;

use yagura_crds::DetectionRule;
use yagura_crds::convert::lifetime;
use yagura_proto::{content, v1};
use yagura_rules::source::{
    ExceptionSource, JoinedSource, LetSource, MarkSource, Requirement, Selector, SignalSource, WhereSource,
};

mod detect;

use super::validate::Valid;
use crate::index::policy::{RuleMeta, ServedRule};

/// A list that a rule or an exception of it names.
pub(super) type Named = (String, Arc<v1::NamedList>);

/// The rule as the index serves it, with the exceptions that it carries and the lists that it and they use; `None` while it is
/// switched off.
pub(super) fn build(
    rule: &DetectionRule,
    valid: &Valid,
    joined: &[JoinedSource],
    lists: &[Named],
) -> Option<ServedRule> {
    rule.spec.enabled.then(|| ServedRule {
        meta: Arc::new(meta(rule, valid)),
        body: Arc::new(content::seal(body(valid, joined, lists))),
        lists: lists.iter().map(|(_, list)| Arc::clone(list)).collect(),
        nodes: valid.nodes.clone(),
    })
}

fn meta(rule: &DetectionRule, valid: &Valid) -> RuleMeta {
    let spec = &rule.spec;
    RuleMeta {
        kind: "DetectionRule",
        uid: valid.uid.as_str().to_owned(),
        name: valid.name.as_str().to_owned(),
        generation: rule.metadata.generation.unwrap_or_default(),
        severity: spec.severity_in_effect().into(),
        source: spec.source.as_str().to_owned(),
        title: spec.title.clone(),
        description: spec.description.clone(),
        remediation: spec.remediation.clone(),
        attack: spec
            .attack
            .iter()
            .map(|attack| (attack.tactic.clone(), attack.technique.clone()))
            .collect(),
        lifetime: lifetime(&spec.signal),
        windows: valid.windows.clone(),
    }
}

fn mark(mark: &MarkSource) -> v1::Mark {
    let MarkSource {
        name,
        scope,
        value,
        append,
        ttl,
    } = mark;
    v1::Mark {
        name: name.clone(),
        scope: scope.as_str().to_owned(),
        value: value.clone().unwrap_or_default(),
        append: *append,
        ttl: *ttl,
    }
}

/// No prose and no tests: what does not change how a rule behaves is not sent.
fn body(valid: &Valid, joined: &[JoinedSource], lists: &[Named]) -> v1::RuleBody {
    let source = &valid.source;
    let WhereSource {
        target,
        namespaces,
        pods,
    } = &source.where_;
    let SignalSource {
        title: _,
        group_by,
        fields,
    } = &source.signal;
    let mut body = v1::RuleBody {
        hash: String::new(),
        uid: valid.uid.as_str().to_owned(),
        name: valid.name.as_str().to_owned(),
        severity: source.severity.as_str().to_owned(),
        source: source.source.clone(),
        r#let: source
            .lets
            .iter()
            .map(|LetSource { name, value }| v1::Let {
                name: name.clone(),
                value: value.clone(),
            })
            .collect(),
        condition: source.condition.clone(),
        exceptions: source
            .exceptions
            .iter()
            .map(
                |ExceptionSource {
                     name,
                     condition,
                     expires,
                 }| v1::NamedCondition {
                    name: name.clone(),
                    condition: condition.clone(),
                    expires: expires.unwrap_or_default(),
                },
            )
            .collect(),
        title: source.signal_title().to_owned(),
        threshold: None,
        new_value: None,
        sequence: None,
        correlation: None,
        anomaly: None,
        content_anomaly: None,
        mark: source.mark.as_ref().map(mark),
        silent: source.silent,
        group_by: group_by.clone(),
        fields: fields.clone(),
        r#where: Some(v1::Where {
            target: target.as_str().to_owned(),
            namespaces: namespaces.as_ref().map(selector),
            pods: pods.as_ref().map(selector),
        }),
        language_version: source.language_version(),
        lists: lists
            .iter()
            .map(|(name, list)| v1::NamedListRef {
                name: name.clone(),
                hash: list.hash.clone(),
            })
            .collect(),
        joined: joined
            .iter()
            .map(
                |JoinedSource {
                     uid,
                     namespace,
                     condition,
                     expires,
                 }| v1::JoinedException {
                    uid: uid.clone(),
                    namespace: namespace.clone(),
                    condition: condition.clone(),
                    expires: expires.unwrap_or_default(),
                },
            )
            .collect(),
    };
    if let Some(source) = &source.detect {
        detect::put(source, &mut body);
    }
    body
}

fn selector(selector: &Selector) -> v1::Selector {
    v1::Selector {
        match_labels: selector.labels.clone(),
        match_expressions: selector
            .requirements
            .iter()
            .map(
                |Requirement {
                     key,
                     operator,
                     values,
                 }| v1::Requirement {
                    key: key.clone(),
                    operator: operator.as_str().to_owned(),
                    values: values.clone(),
                },
            )
            .collect(),
    }
}
