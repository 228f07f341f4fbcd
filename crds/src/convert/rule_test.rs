//! Tests of rules, as the engine takes them.

use yagura_rules::source::{ExpectedSignal, RuleTest, TestEvent};

use super::{ConvertError, nanoseconds};
use crate::rule_test::{self, RuleExpectation};
use crate::{Duration, test_value};

pub(super) fn sources(tests: &[rule_test::RuleTest]) -> Result<Vec<RuleTest>, ConvertError> {
    tests
        .iter()
        .enumerate()
        .map(|(index, test)| source(index, test))
        .collect()
}

fn source(index: usize, test: &rule_test::RuleTest) -> Result<RuleTest, ConvertError> {
    let event = |(place, event): (usize, &rule_test::TestEvent)| {
        let length = |member: &str, length: &Option<Duration>| {
            let path = format!("spec.tests[{index}].events[{place}].{member}");
            let length = length.as_ref();
            length.map(|length| nanoseconds(&path, length)).transpose()
        };
        Ok(TestEvent {
            fields: event.fields.to_tree(),
            at: length("at", &event.at)?,
            late: length("late", &event.late)?.unwrap_or(0),
        })
    };
    Ok(RuleTest {
        name: test.name.clone(),
        events: test
            .events
            .iter()
            .enumerate()
            .map(event)
            .collect::<Result<_, _>>()?,
        signals: number(index, &test.expect)?,
        marks: test.expect.marks.map(u64::from),
        each: test
            .expect
            .security_signals
            .iter()
            .flatten()
            .map(expected)
            .collect(),
    })
}

/// The API server refuses the same by the rules of the definition.
fn number(test: usize, expect: &RuleExpectation) -> Result<u64, ConvertError> {
    let listed = expect.security_signals.as_ref().map(Vec::len);
    match (expect.signals, listed) {
        (None, None) => Err(ConvertError::NoExpectation { test }),
        (Some(signals), Some(listed)) if u64::from(signals) != listed as u64 => {
            Err(ConvertError::TwoNumbers {
                test,
                signals,
                listed,
            })
        }
        (Some(signals), _) => Ok(signals.into()),
        (None, Some(listed)) => Ok(listed as u64),
    }
}

fn expected(signal: &rule_test::ExpectedSignal) -> ExpectedSignal {
    ExpectedSignal {
        count: signal.count.map(u64::from),
        group: signal
            .group
            .iter()
            .map(|(field, value)| (field.clone(), test_value::test_tree(&value.0)))
            .collect(),
        severity: signal.severity.map(Into::into),
        title: signal.title.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use yagura_event::{Severity, Tree};

    use super::*;

    fn read(test: Value) -> Result<RuleTest, String> {
        let test = serde_json::from_value(test).unwrap();
        source(3, &test).map_err(|error| error.to_string())
    }

    #[test]
    fn times_and_expectations_reach_the_engine() {
        let test = read(json!({
            "name": "t",
            "events": [
                {"kind": "process.exec", "at": "1m30s", "late": "5s"},
                {"kind": "process.exec"},
            ],
            "expect": {"securitySignals": [
                {"count": 2, "severity": "high", "title": "x", "group": {"process.pid": 7, "container.id": null}},
            ]},
        }))
        .unwrap();
        let times: Vec<_> = test.events.iter().map(|event| (event.at, event.late)).collect();
        assert_eq!(times, [(Some(90_000_000_000), 5_000_000_000), (None, 0)]);
        assert_eq!(
            test.events[0].fields.get(b"kind"),
            Some(&Tree::from("process.exec"))
        );
        assert_eq!(test.events[0].fields.get(b"at"), None);
        assert_eq!(test.signals, 1);
        assert_eq!(
            test.each,
            [ExpectedSignal {
                count: Some(2),
                group: vec![
                    ("container.id".to_owned(), Tree::Null),
                    ("process.pid".to_owned(), Tree::Int(7)),
                ],
                severity: Some(Severity::High),
                title: Some("x".to_owned()),
            }]
        );
    }

    #[test]
    fn what_the_schema_would_refuse_is_named_by_its_path() {
        let test =
            |event: Value, expect: Value| read(json!({"name": "t", "events": [event], "expect": expect}));
        let event = json!({"kind": "process.exec"});
        assert_eq!(
            test(event.clone(), json!({})).unwrap_err(),
            "spec.tests[3].expect: nothing is expected; write signals, securitySignals, or both"
        );
        assert_eq!(
            test(event.clone(), json!({"signals": 2, "securitySignals": [{}]})).unwrap_err(),
            "spec.tests[3].expect: signals is 2, and securitySignals has 1"
        );
        assert_eq!(
            test(event, json!({"signals": 0, "securitySignals": []}))
                .unwrap()
                .signals,
            0
        );
        assert_eq!(
            test(json!({"at": "soon"}), json!({"signals": 0})).unwrap_err(),
            "spec.tests[3].events[0].at: \"soon\" is no length of time; write hours, minutes and seconds, such as 1h30m"
        );
    }
}
