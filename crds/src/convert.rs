//! From custom resources to what the compiler takes, and from the domain to what signals show.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, Time};
use yagura_event::lifetime::Lifetime;
use yagura_event::{Timestamp, Tree};
use yagura_rules::source::{
    CheckSource, CheckTest, ExceptionSource, Expected, LetSource, Requirement, RuleSource, Selector,
    SelectorOp, SignalSource, Target, WhereSource,
};

mod detect;
mod mark;
mod rule_test;

use crate::detection_rule::SignalTemplate;
use crate::posture_check::{CheckResult, Mode};
use crate::{DetectionRule, Duration, PostureCheck, detection_rule};

/// A part of an object that the API server's schema would not have let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A selector's operator.
    #[error("{field}: unknown operator {operator:?}; use In, NotIn, Exists or DoesNotExist")]
    UnknownOperator {
        /// Path of the selector.
        field: String,
        /// What stands there.
        operator: String,
    },
    /// A length of time.
    #[error("{field}: {text:?} is no length of time; write hours, minutes and seconds, such as 1h30m")]
    NoDuration {
        /// Path of the member.
        field: String,
        /// What stands there.
        text: String,
    },
    /// How matches become detections.
    #[error(
        "spec.detect: has to have exactly one of threshold, newValue, sequence, correlation, anomaly and contentAnomaly"
    )]
    Methods,
    /// What a query measures.
    #[error("spec.detect.correlation.queries: {0} has more than one of distinct, sum and max")]
    Measures(String),
    /// A test that expects nothing.
    #[error("spec.tests[{test}].expect: nothing is expected; write signals, securitySignals, or both")]
    NoExpectation {
        /// Which, from 0.
        test: usize,
    },
    /// A test that expects two numbers of signals.
    #[error("spec.tests[{test}].expect: signals is {signals}, and securitySignals has {listed}")]
    TwoNumbers {
        /// Which, from 0.
        test: usize,
        /// The number.
        signals: u32,
        /// How many are listed.
        listed: usize,
    },
    /// An automated check without a condition.
    #[error("spec.pass: missing; an automated check needs it")]
    NoPass,
    /// A manual check without words on what to do.
    #[error("spec.instructions: missing; a manual check needs them")]
    NoInstructions,
}

/// The rule as the compiler takes it, with the overrides in effect, tests included.
pub fn rule_source(rule: &DetectionRule) -> Result<RuleSource, ConvertError> {
    let spec = &rule.spec;
    let overridden = spec.severity_in_effect() != spec.severity;
    Ok(RuleSource {
        name: rule.metadata.name.clone().unwrap_or_default(),
        uid: rule.metadata.uid.clone().unwrap_or_default(),
        source: spec.source.as_str().to_owned(),
        severity: spec.severity_in_effect().into(),
        title: spec.title.clone(),
        description: spec.description.clone(),
        where_: spec
            .scope_in_effect()
            .map(|scope| where_source(scope, spec.scope_path()))
            .transpose()?
            .unwrap_or_default(),
        lets: spec
            .definitions
            .iter()
            .map(|definition| LetSource {
                name: definition.name.clone(),
                value: definition.value.clone(),
            })
            .collect(),
        condition: spec.condition.clone(),
        exceptions: spec
            .exceptions_in_effect()
            .map(|exception| ExceptionSource {
                name: exception.name.clone(),
                condition: exception.condition.clone(),
                expires: exception.expires.as_ref().map(|time| time.0.as_second()),
            })
            .collect(),
        joined: Vec::new(),
        detect: spec
            .detect
            .as_ref()
            .map(|detect| detect::source(detect, overridden))
            .transpose()?,
        mark: spec.mark.as_ref().map(mark::source).transpose()?,
        silent: spec.silent,
        signal: SignalSource {
            title: spec.signal.title.clone().unwrap_or_default(),
            group_by: spec.signal.group_by.clone(),
            fields: spec.signal.fields.clone(),
        },
        tests: rule_test::sources(&spec.tests)?,
    })
}

/// The rule as its author wrote it, which is what its tests prove: an exception that a cluster adds
/// may well hold for an event of a test. `None` when there are no overrides.
pub fn rule_without_overrides(rule: &DetectionRule) -> Result<Option<RuleSource>, ConvertError> {
    if rule.spec.overrides.is_none() {
        return Ok(None);
    }
    let mut written = rule.clone();
    written.spec.overrides = None;
    rule_source(&written).map(Some)
}

/// How long the rule's signals take matches. The API server refused what is no length of time.
pub fn lifetime(signal: &SignalTemplate) -> Lifetime {
    let nanoseconds = |text: &Option<Duration>| {
        let seconds = i64::try_from(text.as_ref()?.seconds()?).ok()?;
        seconds.checked_mul(1_000_000_000)
    };
    let usual = Lifetime::default();
    let max_duration = nanoseconds(&signal.max_duration).unwrap_or(usual.max_duration);
    Lifetime {
        cooldown: nanoseconds(&signal.cooldown).unwrap_or(usual.cooldown),
        keep_open: nanoseconds(&signal.keep_open)
            .unwrap_or(max_duration)
            .min(max_duration),
        max_duration,
    }
}

fn nanoseconds(field: &str, duration: &Duration) -> Result<i64, ConvertError> {
    let seconds = duration.seconds().and_then(|seconds| i64::try_from(seconds).ok());
    let nanoseconds = seconds.and_then(|seconds| seconds.checked_mul(1_000_000_000));
    nanoseconds.ok_or_else(|| ConvertError::NoDuration {
        field: field.to_owned(),
        text: duration.0.clone(),
    })
}

fn where_source(scope: &detection_rule::Where, path: &str) -> Result<WhereSource, ConvertError> {
    // Nodes are selected by whoever hands out rules.
    let detection_rule::Where {
        target,
        node_selector: _,
        namespace_selector,
        pod_selector,
    } = scope;
    let selector = |selector: &Option<LabelSelector>, member| {
        selector
            .as_ref()
            .map(|selector| selector_source(selector, path, member))
            .transpose()
    };
    Ok(WhereSource {
        target: match target {
            detection_rule::Target::Any => Target::Any,
            detection_rule::Target::Host => Target::Host,
            detection_rule::Target::Container => Target::Container,
        },
        namespaces: selector(namespace_selector, "namespaceSelector")?,
        pods: selector(pod_selector, "podSelector")?,
    })
}

fn selector_source(selector: &LabelSelector, path: &str, member: &str) -> Result<Selector, ConvertError> {
    let requirement = |requirement: &LabelSelectorRequirement| {
        Ok(Requirement {
            key: requirement.key.clone(),
            operator: match requirement.operator.as_str() {
                "In" => SelectorOp::In,
                "NotIn" => SelectorOp::NotIn,
                "Exists" => SelectorOp::Exists,
                "DoesNotExist" => SelectorOp::DoesNotExist,
                other => {
                    return Err(ConvertError::UnknownOperator {
                        field: format!("{path}.{member}"),
                        operator: other.to_owned(),
                    });
                }
            },
            values: requirement.values.clone().unwrap_or_default(),
        })
    };
    Ok(Selector {
        labels: selector.match_labels.clone().unwrap_or_default(),
        requirements: selector
            .match_expressions
            .iter()
            .flatten()
            .map(requirement)
            .collect::<Result<_, _>>()?,
    })
}

/// The check as the compiler takes it, tests included; `None` for a manual one, which nothing
/// evaluates.
pub fn check_source(check: &PostureCheck) -> Result<Option<CheckSource>, ConvertError> {
    let spec = &check.spec;
    if spec.mode == Mode::Manual {
        return if spec.instructions.is_some() {
            Ok(None)
        } else {
            Err(ConvertError::NoInstructions)
        };
    }
    let name = check.metadata.name.as_deref().unwrap_or_default();
    let pass = spec.pass.as_deref().ok_or(ConvertError::NoPass)?;
    Ok(Some(CheckSource {
        severity: spec.severity_in_effect().into(),
        applies_when: spec.applies_when.clone(),
        evidence: spec.evidence.clone(),
        tests: spec
            .tests
            .iter()
            .map(|test| CheckTest {
                name: test.name.clone(),
                resource: test.resource.to_tree(),
                expect: match test.expect.status {
                    CheckResult::Pass => Expected::Pass,
                    CheckResult::Fail => Expected::Fail,
                    CheckResult::Error => Expected::Error,
                    CheckResult::NotApplicable => Expected::NotApplicable,
                },
            })
            .collect(),
        ..CheckSource::new(name, spec.resource.as_str(), pass)
    }))
}

/// A point in time as Kubernetes writes it, to the second.
pub fn time(at: Timestamp) -> Time {
    let seconds = at.0.div_euclid(1_000_000_000);
    Time(jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}

/// A value as JSON: bytes that are no text, and control characters, are escaped; what could not be
/// learned says so.
pub fn json(tree: &Tree) -> serde_json::Value {
    match tree {
        Tree::Null => serde_json::Value::Null,
        Tree::Unknown => serde_json::json!({ crate::test_value::UNKNOWN: true }),
        Tree::Bool(value) => (*value).into(),
        Tree::Int(value) => (*value).into(),
        Tree::Uint(value) => (*value).into(),
        Tree::Double(value) => (*value).into(),
        Tree::Text(text) => text.to_string().into(),
        Tree::List(items) => items.iter().map(json).collect(),
        Tree::Map(pairs) => serde_json::Value::Object(
            pairs
                .iter()
                .map(|(key, value)| (key.to_string(), json(value)))
                .collect(),
        ),
    }
}

/// A value as one line of text, as signals show group keys and evidence.
pub fn text(tree: &Tree) -> String {
    match tree {
        Tree::Text(text) => text.to_string(),
        Tree::Unknown => "unknown".to_owned(),
        other => json(other).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_reaches_the_compiler_whole() {
        let rule: DetectionRule = serde_json::from_value(serde_json::json!({
            "apiVersion": "yagura.dev/v1alpha1", "kind": "DetectionRule",
            "metadata": {"name": "a", "uid": "u"},
            "spec": {
                "title": "t", "severity": "high", "condition": "c",
                "where": {"target": "container", "nodeSelector": {"matchLabels": {"n": "1"}},
                    "podSelector": {"matchExpressions": [{"key": "k", "operator": "NotIn", "values": ["v"]}]}},
                "let": [{"name": "l", "value": "v"}],
                "exceptions": [{"name": "e", "condition": "x", "reason": "r", "expires": "1970-01-01T00:01:00Z"}],
                "signal": {"title": "s", "groupBy": ["g"], "fields": ["f"]},
                "tests": [{"name": "n", "events": [{"kind": "process.exec"}], "expect": {"signals": 1}}],
            },
        }))
        .unwrap();
        let source = rule_source(&rule).unwrap();
        assert_eq!(
            (source.name.as_str(), source.uid.as_str(), source.source.as_str()),
            ("a", "u", "workload")
        );
        assert_eq!(source.where_.target, Target::Container);
        assert_eq!(source.where_.namespaces, None);
        assert_eq!(
            source.where_.pods.unwrap().requirements[0].operator,
            SelectorOp::NotIn
        );
        assert_eq!(
            source.lets[0],
            LetSource {
                name: "l".into(),
                value: "v".into()
            }
        );
        assert_eq!(source.exceptions[0].expires, Some(60));
        assert_eq!(source.signal.group_by, ["g"]);
        assert_eq!(
            source.tests[0].events[0].fields.at("kind"),
            Some(&Tree::from("process.exec"))
        );
        assert!(rule.spec.enabled);
    }

    #[test]
    fn overrides_are_in_effect_and_have_places_of_their_own() {
        let mut rule: DetectionRule = serde_json::from_value(serde_json::json!({
            "apiVersion": "yagura.dev/v1alpha1", "kind": "DetectionRule", "metadata": {"name": "a"},
            "spec": {
                "title": "t", "severity": "high", "condition": "c", "where": {"target": "container"},
                "exceptions": [{"name": "e", "condition": "x", "reason": "r"}],
                "overrides": {
                    "severity": "low",
                    "exceptions": [{"name": "mine", "condition": "y", "reason": "r"}],
                    "where": {"target": "host", "podSelector": {"matchExpressions": [{"key": "k", "operator": "Exists"}]}},
                },
            },
        }))
        .unwrap();
        let source = rule_source(&rule).unwrap();
        assert_eq!(source.severity, yagura_event::Severity::Low);
        assert_eq!(source.where_.target, Target::Host);
        let conditions: Vec<_> = source
            .exceptions
            .iter()
            .map(|one| one.condition.as_str())
            .collect();
        assert_eq!(conditions, ["x", "y"]);
        let path = |index| rule.spec.path_of(yagura_rules::Part::Exception(index));
        assert_eq!(path(0), "spec.exceptions[0].condition");
        assert_eq!(path(1), "spec.overrides.exceptions[0].condition");

        let written = rule_without_overrides(&rule).unwrap().unwrap();
        assert_eq!(written.severity, yagura_event::Severity::High);
        assert_eq!(
            (written.exceptions.len(), written.where_.target),
            (1, Target::Container)
        );

        let overrides = rule.spec.overrides.as_mut().unwrap();
        let pods = overrides.scope.as_mut().unwrap().pod_selector.as_mut().unwrap();
        pods.match_expressions.as_mut().unwrap()[0].operator = "Near".to_owned();
        let error = rule_source(&rule).unwrap_err().to_string();
        assert!(error.starts_with("spec.overrides.where.podSelector:"), "{error}");
        rule.spec.overrides = None;
        assert_eq!(rule_without_overrides(&rule), Ok(None));
    }

    #[test]
    fn hostile_values_are_shown_escaped() {
        let tree = Tree::map([
            ("a\n".into(), Tree::Text((&b"\xff\x1b"[..]).into())),
            ("b".into(), Tree::List(vec![Tree::Unknown, Tree::Uint(u64::MAX)])),
        ]);
        assert_eq!(
            json(&tree),
            serde_json::json!({"a\\n": "\\xff\\x1b", "b": [{"$unknown": true}, u64::MAX]})
        );
        assert_eq!(text(&Tree::Bool(true)), "true");
        assert_eq!(time(Timestamp(1_500_000_000)).0.as_second(), 1);
    }

    const MINUTE: i64 = 60_000_000_000;

    #[test]
    fn what_is_left_out_has_the_documented_length() {
        let of = |cooldown: Option<&str>, keep_open: Option<&str>, max_duration: Option<&str>| {
            let length = |text: Option<&str>| text.map(|text| Duration(text.to_owned()));
            lifetime(&SignalTemplate {
                cooldown: length(cooldown),
                keep_open: length(keep_open),
                max_duration: length(max_duration),
                ..SignalTemplate::default()
            })
        };
        assert_eq!(of(None, None, None), Lifetime::default());
        let shorter = of(Some("10m"), None, Some("1h"));
        assert_eq!(
            (shorter.cooldown, shorter.keep_open, shorter.max_duration),
            (10 * MINUTE, 60 * MINUTE, 60 * MINUTE)
        );
        assert_eq!(of(None, Some("5m"), None).keep_open, 5 * MINUTE);
        assert_eq!(of(None, Some("5m"), None).max_duration, 24 * 60 * MINUTE);
    }
}
