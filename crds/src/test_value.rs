//! Values of any shape that stand in rules' tests: events and resources.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use yagura_event::{Text, Tree};

/// Key of the one-member map that stands for a value which could not be learned.
pub const UNKNOWN: &str = "$unknown";

/// An object of any shape, as a test writes an event or a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TestValue(pub serde_json::Map<String, serde_json::Value>);

impl JsonSchema for TestValue {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TestValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "maxProperties": 256,
            "x-kubernetes-preserve-unknown-fields": true,
        })
    }
}

impl TestValue {
    /// The value as conditions see it. A map `{$unknown: true}` is [`Tree::Unknown`].
    pub fn to_tree(&self) -> Tree {
        object(&self.0)
    }
}

/// JSON of any shape as conditions see it, without the meaning of [`UNKNOWN`]: for objects that
/// come from an API server.
pub fn tree(value: &serde_json::Value) -> Tree {
    convert(value, &|members| members_of(members, &tree))
}

fn object(members: &serde_json::Map<String, serde_json::Value>) -> Tree {
    if members.len() == 1 && members.contains_key(UNKNOWN) {
        return Tree::Unknown;
    }
    members_of(members, &test_tree)
}

/// A value of a test as conditions see it.
pub(crate) fn test_tree(value: &serde_json::Value) -> Tree {
    convert(value, &object)
}

fn members_of(
    members: &serde_json::Map<String, serde_json::Value>,
    convert: &dyn Fn(&serde_json::Value) -> Tree,
) -> Tree {
    Tree::map(
        members
            .iter()
            .map(|(key, value)| (Text::from(key.as_str()), convert(value))),
    )
}

/// Depth is limited by whoever parsed the JSON: `serde_json` and the API server stop long before
/// the stack does.
fn convert(
    value: &serde_json::Value,
    object: &dyn Fn(&serde_json::Map<String, serde_json::Value>) -> Tree,
) -> Tree {
    match value {
        serde_json::Value::Null => Tree::Null,
        serde_json::Value::Bool(value) => Tree::Bool(*value),
        serde_json::Value::Number(number) => number
            .as_i64()
            .map(Tree::Int)
            .or_else(|| number.as_u64().map(Tree::Uint))
            .or_else(|| number.as_f64().map(Tree::Double))
            .unwrap_or(Tree::Unknown),
        serde_json::Value::String(text) => Tree::from(text.as_str()),
        serde_json::Value::Array(items) => {
            Tree::List(items.iter().map(|item| convert(item, object)).collect())
        }
        serde_json::Value::Object(members) => object(members),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use yagura_event::Tree;

    use super::{TestValue, tree};

    #[test]
    fn a_test_can_say_that_a_value_is_unknown() {
        let value: TestValue =
            serde_json::from_value(json!({"a": {"$unknown": true}, "b": [{"$unknown": true}, -1, 1.5]}))
                .unwrap();
        let tree = value.to_tree();
        assert_eq!(tree.get(b"a"), Some(&Tree::Unknown));
        assert_eq!(
            tree.get(b"b"),
            Some(&Tree::List(vec![Tree::Unknown, Tree::Int(-1), Tree::Double(1.5)]))
        );
    }

    #[test]
    fn an_api_object_cannot_make_itself_unknown() {
        let tree = tree(&json!({"labels": {"$unknown": "true"}, "big": u64::MAX}));
        assert_eq!(tree.at("labels.$unknown"), Some(&Tree::from("true")));
        assert_eq!(tree.get(b"big"), Some(&Tree::Uint(u64::MAX)));
    }
}
