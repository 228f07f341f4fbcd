//! Tests that a `DetectionRule` carries.

#![expect(
    unreachable_pub,
    reason = "the schema's derive repeats the struct inside a function"
)]

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{Duration, Severity, TestValue};

/// A proof that the rule matches what it should, or nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleTest {
    /// What is proven; unique within the rule.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// Events, each with its `kind` and with fields by their path:
    /// `{kind: process.exec, process: {name: bash}}`. A field that is left out is absent;
    /// `{$unknown: true}` stands for a value that could not be learned. `at` and `late`, lengths of
    /// time such as `90s`, say when an event happens and how much later it arrives.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub events: Vec<TestEvent>,
    /// What must come of them.
    pub expect: RuleExpectation,
}

/// An event of a test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TestEvent {
    /// When it happens, from the test's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Duration>,
    /// How much later than that it arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<Duration>,
    /// Its kind and fields.
    #[serde(flatten)]
    pub fields: TestValue,
}

impl JsonSchema for TestEvent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TestEvent".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let described = |mut schema: Schema, text: &str| {
            schema.insert("description".to_owned(), text.into());
            schema
        };
        json_schema!({
            "type": "object",
            "maxProperties": 256,
            "properties": {
                "kind": {
                    "description": "What kind of event it is.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 64,
                },
                "at": described(
                    Duration::json_schema(generator),
                    "When it happens, from the test's start, such as `90s`. Left out: one second after the event that is \
                     written before it; the first at the start.",
                ),
                "late": described(
                    Duration::json_schema(generator),
                    "How much later than that it arrives, such as `30s`: the rule sees events in the order in which they \
                     arrive. Left out: at once.",
                ),
            },
            "x-kubernetes-preserve-unknown-fields": true,
        })
    }
}

/// What must come of a test's events.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.signals) || has(self.securitySignals)").message("say what is expected: signals, securitySignals, or both"))]
#[x_kube(validation = Rule::new("!has(self.signals) || !has(self.securitySignals) || self.signals == size(self.securitySignals)").message("signals and securitySignals expect different numbers"))]
pub struct RuleExpectation {
    /// How many signals open. Left out: as many as `securitySignals` has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 32))]
    pub signals: Option<u32>,
    /// How many of the events set the rule's mark. Left out: it does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 32))]
    pub marks: Option<u32>,
    /// The signals, in the order in which they open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub security_signals: Option<Vec<ExpectedSignal>>,
}

/// What is expected of a signal; what is left out may be anything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpectedSignal {
    /// How many matches it counts: `status.count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32))]
    pub count: Option<u32>,
    /// Fields that it is grouped by, with their values as an event has them: `{container.id: c1}`; null
    /// for one that is absent. What it shows in `spec.group`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub group: BTreeMap<String, AnyValue>,
    /// Its severity: `status.severity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Its title, with the values of fields in their places: `status.title`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub title: Option<String>,
}

/// A value of any type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AnyValue(pub serde_json::Value);

impl JsonSchema for AnyValue {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "AnyValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "nullable": true,
            "x-kubernetes-preserve-unknown-fields": true,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::TestEvent;

    #[test]
    fn times_are_no_fields() {
        let written = json!({"kind": "process.exec", "at": "90s", "process": {"pid": u64::MAX}});
        let event: TestEvent = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(event.at.as_ref().and_then(crate::Duration::seconds), Some(90));
        assert_eq!((event.late.as_ref(), event.fields.0.len()), (None, 2));
        assert_eq!(serde_json::to_value(event).unwrap(), written);
        let registry = yagura_event::Registry::workload();
        for name in ["at", "late"] {
            assert!(
                registry.find(name).is_none() && !registry.is_prefix(name),
                "{name}"
            );
        }
    }
}
