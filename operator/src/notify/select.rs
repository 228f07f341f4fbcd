//! Which signals a route tells of.

use std::collections::BTreeMap;

use kube::core::{ParseExpressionError, Selector, SelectorExt as _};
use yagura_crds::notification_route::SignalSelector;
use yagura_event::Severity;

use super::subject::Subject;

/// A route's selector, ready to be asked.
#[derive(Clone, Debug)]
pub struct Select {
    least: Severity,
    rules: Vec<String>,
    namespaces: Vec<String>,
    namespace_labels: Option<Selector>,
    sources: Vec<String>,
    labels: Option<Selector>,
}

/// A selector of labels that the API server's schema would not have let through.
#[derive(Debug, thiserror::Error)]
#[error("spec.match.{field}: it is no selector of labels")]
pub struct InvalidSelector {
    field: &'static str,
    #[source]
    source: ParseExpressionError,
}

impl Select {
    /// Reads what a route says.
    pub fn new(spec: &SignalSelector) -> Result<Self, InvalidSelector> {
        let selector = |field, given: Option<&_>| {
            given
                .map(
                    |selector: &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector| {
                        Selector::try_from(selector.clone())
                            .map_err(|source| InvalidSelector { field, source })
                    },
                )
                .transpose()
        };
        Ok(Self {
            least: spec.min_severity.into(),
            rules: spec.rules.clone(),
            namespaces: spec.namespaces.clone(),
            namespace_labels: selector("namespaceSelector", spec.namespace_selector.as_ref())?,
            sources: spec.sources.clone(),
            labels: selector("labels", spec.labels.as_ref())?,
        })
    }

    /// Whether the signal is one of them; `namespace` has the labels of the namespace it belongs to.
    pub fn takes(&self, signal: &Subject, namespace: &BTreeMap<String, String>) -> bool {
        let any = |patterns: &[String], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| is_like(pattern, text))
        };
        signal.severity >= self.least
            && any(&self.rules, &signal.rule)
            && any(&self.namespaces, &signal.origin)
            && (self.sources.is_empty() || self.sources.contains(&signal.source))
            && self
                .namespace_labels
                .as_ref()
                .is_none_or(|labels| labels.matches(namespace))
            && self
                .labels
                .as_ref()
                .is_none_or(|labels| labels.matches(&signal.labels))
    }
}

/// Whether the whole text is like the pattern, in which `*` stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(end)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;
    use yagura_event::Severity;

    use super::super::subject::tests::subject;
    use super::{Select, is_like};

    fn takes(selector: serde_json::Value) -> bool {
        let select = Select::new(&serde_json::from_value(selector).unwrap()).unwrap();
        let namespace = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
        select.takes(&subject("a", Severity::High), &namespace)
    }

    #[test]
    fn every_part_that_is_given_must_hold() {
        let cases = [
            (json!({}), true),
            (json!({"minSeverity": "high"}), true),
            (json!({"minSeverity": "critical"}), false),
            (json!({"rules": ["other", "shell-in-container"]}), true),
            (json!({"rules": ["shell-*"]}), true),
            (json!({"rules": ["other"]}), false),
            (json!({"namespaces": ["sh*"]}), true),
            (json!({"namespaces": ["kube-*"]}), false),
            (json!({"sources": ["posture"]}), false),
            (json!({"sources": ["posture", "workload"]}), true),
            (
                json!({"namespaceSelector": {"matchLabels": {"env": "prod"}}}),
                true,
            ),
            (
                json!({"namespaceSelector": {"matchLabels": {"env": "dev"}}}),
                false,
            ),
            (json!({"labels": {"matchLabels": {"team": "payments"}}}), true),
            (
                json!({"labels": {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["payments"]}]}}),
                false,
            ),
            (
                json!({"minSeverity": "low", "rules": ["shell-*"], "namespaces": ["other"]}),
                false,
            ),
        ];
        for (selector, expected) in cases {
            assert_eq!(takes(selector.clone()), expected, "{selector}");
        }
    }

    #[test]
    fn stars_stand_for_any_text() {
        let cases = [
            ("*", "", true),
            ("a*", "a", true),
            ("a*b", "ab", true),
            ("a*b", "axxb", true),
            ("a*b", "axxbc", false),
            ("*a*a*", "aa", true),
            ("*a*a*", "a", false),
            ("ab*b", "ab", false),
            ("a", "ab", false),
            ("", "", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }
}
