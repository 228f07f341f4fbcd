//! The body of a webhook as its route wants it: JSON with places for values.

use serde_json::{Value, json};

use super::super::message::Message;
use super::super::subject::Subject;

/// A piece of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Name),
}

/// What a place can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Title,
    Severity,
    State,
    Route,
    Cluster,
    Rule,
    Namespace,
    Signal,
    Resource,
    Node,
    Count,
    Total,
    DedupKey,
    Command,
    SentAt,
    Signals,
    Message,
}

const NAMES: [(&str, Name); 17] = [
    ("title", Name::Title),
    ("severity", Name::Severity),
    ("state", Name::State),
    ("route", Name::Route),
    ("cluster", Name::Cluster),
    ("rule", Name::Rule),
    ("namespace", Name::Namespace),
    ("signal", Name::Signal),
    ("resource", Name::Resource),
    ("node", Name::Node),
    ("count", Name::Count),
    ("total", Name::Total),
    ("dedupKey", Name::DedupKey),
    ("command", Name::Command),
    ("sentAt", Name::SentAt),
    ("signals", Name::Signals),
    ("message", Name::Message),
];

/// A body with places for values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// A body that cannot be one.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTemplate {
    /// A place is not closed.
    #[error("`{{{{` at byte {0} has no `}}}}`")]
    Open(usize),
    /// A place for something that does not exist.
    #[error("there is no value {name:?}; there are {}", NAMES.map(|(name, _)| name).join(", "))]
    Unknown {
        /// What stands there.
        name: String,
    },
    /// With values in it, it is no JSON.
    #[error(
        "with values in it, it is no JSON; put quotes around every value but signals, message, count and total"
    )]
    NotJson(#[source] serde_json::Error),
}

impl Template {
    /// Reads a body and tries it.
    pub fn new(text: &str) -> Result<Self, InvalidTemplate> {
        let mut pieces = Vec::new();
        let mut position = 0;
        while let Some(start) = text[position..].find("{{").map(|offset| position + offset) {
            pieces.push(Piece::Text(text[position..start].to_owned()));
            let inner = start + 2;
            let end = text[inner..].find("}}").map(|offset| inner + offset);
            let end = end.ok_or(InvalidTemplate::Open(start))?;
            let name = text[inner..end].trim();
            let known = NAMES.iter().find(|(known, _)| *known == name);
            let (_, value) = known.ok_or_else(|| InvalidTemplate::Unknown {
                name: name.chars().take(64).collect(),
            })?;
            pieces.push(Piece::Value(*value));
            position = end + 2;
        }
        pieces.push(Piece::Text(text[position..].to_owned()));
        let template = Self { pieces };
        let tried = template.fill(|name| match name {
            Name::Signals => "[]".to_owned(),
            Name::Message => "{}".to_owned(),
            Name::Count | Name::Total => "1".to_owned(),
            _ => "\\\"".to_owned(),
        });
        serde_json::from_str::<Value>(&tried).map_err(InvalidTemplate::NotJson)?;
        Ok(template)
    }

    /// The body of a message.
    pub(super) fn render(&self, message: &Message) -> String {
        // Of a message about several signals the single values are those of the first.
        let first = message.signals.first();
        let text = |value: Option<&str>| escape(value.unwrap_or_default());
        self.fill(|name| match name {
            Name::Title => escape(&message.headline()),
            Name::Severity => escape(message.severity().as_str()),
            Name::State => escape(message.stage.as_str()),
            Name::Route => escape(&message.route),
            Name::Cluster => escape(&message.cluster),
            Name::Rule => text(first.map(|signal| signal.rule.as_str())),
            Name::Namespace => text(first.map(|signal| signal.origin.as_str())),
            Name::Signal => text(first.map(|signal| signal.name.as_str())),
            Name::Resource => text(first.map(|signal| signal.resource.as_str())),
            Name::Node => text(first.and_then(|signal| signal.node.as_deref())),
            Name::Count => first.map_or(0, |signal| signal.count).to_string(),
            Name::Total => message.signals.len().to_string(),
            Name::DedupKey => escape(&first.map(Subject::dedup_key).unwrap_or_default()),
            Name::Command => escape(&first.map(Subject::command).unwrap_or_default()),
            Name::SentAt => escape(&message.at.to_string()),
            Name::Signals => message.json()["signals"].to_string(),
            Name::Message => message.json().to_string(),
        })
    }

    fn fill(&self, value: impl Fn(Name) -> String) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(name) => value(*name),
        });
        pieces.collect()
    }
}

/// The text as it stands between the quotes of a JSON string.
fn escape(text: &str) -> String {
    let quoted = json!(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::super::message::tests::message;
    use super::super::super::subject::Stage::Open;
    use super::Template;

    #[test]
    fn mistakes_are_named() {
        let cases = [
            (r#"{"a": "{{titel}}"}"#, "\"titel\""),
            (r#"{"a": "{{title"}"#, "at byte 7"),
            (r#"{"a": {{title}}}"#, "put quotes"),
            ("text: {{title}}", "put quotes"),
        ];
        for (text, expected) in cases {
            let error = Template::new(text).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn numbers_and_lists_need_no_quotes() {
        let template =
            Template::new(r#"{"n": {{total}}, "c": {{count}}, "all": {{ signals }}, "m": {{message}}}"#)
                .unwrap();
        let body: Value = serde_json::from_str(&template.render(&message(Open, &["a", "b"]))).unwrap();
        assert_eq!((&body["n"], &body["c"]), (&2.into(), &3.into()));
        assert_eq!(body["all"], body["m"]["signals"]);
    }

    proptest! {
        #[test]
        fn whatever_an_event_says_stays_inside_its_string(hostile in any::<String>()) {
            let template = Template::new(r#"{"a": "{{resource}}", "b": "x{{rule}}y"}"#).unwrap();
            let mut message = message(Open, &["a"]);
            message.signals[0].resource = hostile.clone();
            message.signals[0].rule = hostile.clone();
            let body: Value = serde_json::from_str(&template.render(&message)).unwrap();
            prop_assert_eq!(body["a"].as_str(), Some(hostile.as_str()));
            prop_assert_eq!(body.as_object().unwrap().len(), 2);
        }

        #[test]
        fn no_text_breaks_the_reader(text in "[{}a-z\" :]{0,40}") {
            let _read = Template::new(&text).is_ok();
        }
    }
}
