//! JSON Lines: one object a signal or event.

use std::io::{self, Write};

use jiff::Timestamp as Instant;
use serde_json::{Map, Value, json};
use yagura_event::{GroupKey, Record, Timestamp, Tree};

use super::{Shown, Signal};

pub(super) fn line(line: &Shown, out: &mut impl Write) -> io::Result<()> {
    let object = match line {
        Shown::Signal(signal) => of_signal(signal),
        Shown::Event(event) => of_event(event.get()),
        Shown::Loss(loss) => json!({"type": "loss", "cause": loss.cause, "events": loss.events}),
        Shown::Gap(gap) => json!({
            "type": "gap",
            "since": time(gap.since),
            "until": time(gap.until),
            "explanation": gap.explanation,
        }),
    };
    serde_json::to_writer(&mut *out, &object)?;
    out.write_all(b"\n")
}

fn of_signal(signal: &Signal) -> Value {
    let fold = signal.fold.get();
    json!({
        "type": "signal",
        "rule": signal.rule,
        "severity": signal.severity.as_str(),
        "title": fold.title,
        "group": group(&fold.group),
        "count": fold.count,
        "first": time(fold.first),
        "last": time(fold.last),
        "incomplete": fold.incomplete,
        "pending": fold.pending,
        "samples": fold.samples.iter().map(record).collect::<Vec<_>>(),
    })
}

/// An event with every field that it has.
fn of_event(event: &Record) -> Value {
    let mut object = Map::new();
    object.insert("type".to_owned(), "event".into());
    object.insert("time".to_owned(), time(event.time));
    if let Value::Object(fields) = value(&event.fields) {
        object.extend(fields);
    }
    Value::Object(object)
}

fn record(record: &Record) -> Value {
    let mut object = Map::new();
    object.insert("time".to_owned(), time(record.time));
    if let Value::Object(fields) = value(&record.fields) {
        object.extend(fields);
    }
    Value::Object(object)
}

fn group(key: &GroupKey) -> Value {
    let pairs = key.0.iter().map(|(field, tree)| (field.clone(), value(tree)));
    Value::Object(pairs.collect())
}

/// RFC 3339 with nanoseconds, UTC.
fn time(time: Timestamp) -> Value {
    Instant::from_nanosecond(i128::from(time.0))
        .map_or(Value::Null, |time| Value::String(format!("{time:.9}")))
}

/// Bytes that are not UTF-8 are shown escaped: JSON has no place for them.
fn value(tree: &Tree) -> Value {
    match tree {
        Tree::Null => Value::Null,
        Tree::Unknown => json!({"$unknown": true}),
        Tree::Bool(value) => (*value).into(),
        Tree::Int(value) => (*value).into(),
        Tree::Uint(value) => (*value).into(),
        Tree::Double(value) => (*value).into(),
        Tree::Text(text) => text_value(text.as_bytes()),
        Tree::List(items) => Value::Array(items.iter().map(value).collect()),
        Tree::Map(pairs) => Value::Object(
            pairs
                .iter()
                .map(|(key, tree)| (key.to_string(), value(tree)))
                .collect(),
        ),
    }
}

fn text_value(bytes: &[u8]) -> Value {
    let text = std::str::from_utf8(bytes).map_or_else(
        |_not_utf8| yagura_event::Text::from(bytes).to_string(),
        ToOwned::to_owned,
    );
    Value::String(text)
}
