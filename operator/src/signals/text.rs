//! Values of events as JSON and as text, bounded.

use serde_json::{Map, Number, Value};
use yagura_crds::test_value::UNKNOWN;
use yagura_event::Tree;

/// A text is cut at this length in bytes.
pub(super) const MAX_TEXT: usize = 4_096;

/// What is put behind a text that was cut.
const CUT: &str = "…[cut]";

/// Cuts at `limit` bytes, at a character, and marks it.
pub(super) fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let mut end = limit.saturating_sub(CUT.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(CUT);
    }
    text
}

/// A value as one line of text: control characters and invalid bytes escaped.
pub(super) fn line(tree: &Tree, limit: usize) -> String {
    let text = match tree {
        Tree::Null => String::new(),
        Tree::Unknown => "unknown".to_owned(),
        Tree::Bool(value) => value.to_string(),
        Tree::Int(value) => value.to_string(),
        Tree::Uint(value) => value.to_string(),
        Tree::Double(value) => value.to_string(),
        Tree::Text(text) => text.to_string(),
        Tree::List(_) | Tree::Map(_) => json(tree).to_string(),
    };
    cut(text, limit)
}

/// A value as JSON; each text in it is escaped and cut.
pub(super) fn json(tree: &Tree) -> Value {
    match tree {
        Tree::Null => Value::Null,
        Tree::Unknown => Value::Object(Map::from_iter([(UNKNOWN.to_owned(), Value::Bool(true))])),
        Tree::Bool(value) => Value::Bool(*value),
        Tree::Int(value) => Value::Number((*value).into()),
        Tree::Uint(value) => Value::Number((*value).into()),
        Tree::Double(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
        Tree::Text(text) => Value::String(cut(text.to_string(), MAX_TEXT)),
        Tree::List(items) => Value::Array(items.iter().map(json).collect()),
        Tree::Map(pairs) => Value::Object(
            pairs
                .iter()
                .map(|(key, value)| (cut(key.to_string(), 256), json(value)))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use yagura_event::{Text, Tree};

    use super::{cut, json, line};

    #[test]
    fn a_cut_is_marked_and_never_splits_a_character() {
        assert_eq!(cut("short".to_owned(), 5), "short");
        let text = cut("é".repeat(50), 33);
        assert!(text.len() <= 33 && text.ends_with("…[cut]"), "{text}");
    }

    #[test]
    fn hostile_bytes_become_valid_json_on_one_line() {
        let tree = Tree::map([(
            "args".into(),
            Tree::List(vec![Text::from(&b"a\n\xff"[..]).into()]),
        )]);
        assert_eq!(json(&tree).to_string(), r#"{"args":["a\\n\\xff"]}"#);
        assert_eq!(line(&Tree::from("a\nb"), 100), "a\\nb");
    }
}
