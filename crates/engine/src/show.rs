//! Values of an event as a signal shows them: titles and group keys, bounded and harmless to print.

use yagura_event::{Event, FieldId, GroupKey, Registry, Text, Tree, ValueRef};
use yagura_rules::template::{Piece, Template};

/// Longest value in a title, in characters.
const TITLE_VALUE: usize = 128;
/// Longest title, in characters.
const TITLE: usize = 512;
/// Longest text in a group key, in bytes; a longer one is cut and its hash added, so that it stays apart.
const KEY: usize = 1_024;

/// The title of a match.
pub(crate) fn title(template: &Template, event: &Event) -> String {
    let mut out = String::new();
    for piece in &template.pieces {
        match piece {
            Piece::Text(text) => escape(text.as_bytes(), &mut out),
            Piece::Field(id) => {
                let mut value = String::new();
                let shown = Registry::workload().shown(*id, event).unwrap_or_default();
                show(&ValueRef::from(&shown), &mut value);
                cut(&mut value, TITLE_VALUE);
                out.push_str(&value);
            }
        }
    }
    cut(&mut out, TITLE);
    out
}

/// The title of a case: a title of values of the group.
pub fn group_title(template: &Template, group: &GroupKey) -> String {
    let registry = Registry::workload();
    let mut out = String::new();
    for piece in &template.pieces {
        match piece {
            Piece::Text(text) => escape(text.as_bytes(), &mut out),
            Piece::Field(id) => {
                let path = registry.field(*id).path;
                let found = group.0.iter().find(|(name, _)| name == path);
                let mut value = String::new();
                show(
                    &found.map_or(ValueRef::Absent, |(_, tree)| ValueRef::from(tree)),
                    &mut value,
                );
                cut(&mut value, TITLE_VALUE);
                out.push_str(&value);
            }
        }
    }
    cut(&mut out, TITLE);
    out
}

fn cut(text: &mut String, characters: usize) {
    if let Some((end, _)) = text.char_indices().nth(characters) {
        text.truncate(end);
        text.push('…');
    }
}

fn escape(bytes: &[u8], out: &mut String) {
    out.push_str(&Text::from(bytes).to_string());
}

fn show(value: &ValueRef<'_>, out: &mut String) {
    match value {
        ValueRef::Absent | ValueRef::Null => out.push_str("none"),
        ValueRef::Unknown => out.push_str("unknown"),
        ValueRef::Bytes(bytes) => escape(&bytes[..bytes.len().min(TITLE_VALUE * 4)], out),
        ValueRef::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        ValueRef::Int(value) => out.push_str(&value.to_string()),
        ValueRef::Uint(value) => out.push_str(&value.to_string()),
        ValueRef::Double(value) => out.push_str(&value.to_string()),
        ValueRef::List(list) => {
            for (index, value) in list.iter().enumerate().take(TITLE_VALUE) {
                if index > 0 {
                    out.push(' ');
                }
                show(&value, out);
            }
        }
        ValueRef::Map(_) | ValueRef::Object(_) => out.push('…'),
    }
}

/// The values that a match is grouped by. What is absent or unknown makes a group of its own.
pub(crate) fn group_key(fields: &[(String, FieldId)], event: &Event) -> GroupKey {
    let value = |(name, id): &(String, FieldId)| (name.clone(), key_value(*id, event));
    GroupKey(fields.iter().map(value).collect())
}

/// A value by which matches are told apart.
pub(crate) fn key_value(id: FieldId, event: &Event) -> Tree {
    bounded(Registry::workload().shown(id, event).unwrap_or_default())
}

fn bounded(tree: Tree) -> Tree {
    match tree {
        Tree::Text(text) if text.len() > KEY => {
            let mut bytes = text.as_bytes()[..KEY].to_vec();
            bytes.extend(format!("…#{:016x}", fnv(text.as_bytes())).into_bytes());
            Tree::Text(Text::from(bytes))
        }
        other => other,
    }
}

/// The 64-bit FNV-1a hash.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use yagura_event::{Timestamp, build_event};
    use yagura_rules::{Lists, RuleSource, compile};

    use super::*;

    fn event(name: &str, args: &[&str]) -> Event {
        let args = Tree::List(args.iter().map(|arg| Tree::from(*arg)).collect());
        let tree = Tree::map([
            ("kind".into(), "process.exec".into()),
            ("process.name".into(), name.into()),
            ("process.args".into(), args),
        ]);
        build_event(&tree, Timestamp(0)).unwrap()
    }

    fn titled(title: &str, event: &Event) -> String {
        let mut source = RuleSource::new("r", "process.pid == 1");
        title.clone_into(&mut source.signal.title);
        let compiled = compile(&source, Registry::workload(), &Lists::default());
        super::title(&compiled.rule.unwrap().title, event)
    }

    #[test]
    fn titles_show_values_escaped_and_bounded() {
        let evil = event("evil\n\u{1b}[2J", &["-c", "id"]);
        assert_eq!(
            titled("{{process.name}}: {{ process.args }}", &evil),
            "evil\\n\\x1b[2J: -c id"
        );
        assert_eq!(titled("in {{container.id}}", &evil), "in none");
        let long = event(&"x".repeat(5_000), &[]);
        assert_eq!(
            titled("{{process.name}}!", &long).chars().count(),
            TITLE_VALUE + 2
        );
    }

    #[test]
    fn long_keys_are_cut_and_stay_apart() {
        let long = |end: &str| bounded(Tree::from(format!("{}{end}", "x".repeat(2_000)).as_str()));
        assert_eq!(long("a"), long("a"));
        assert_ne!(long("a"), long("b"));
        let Tree::Text(text) = long("a") else {
            unreachable!("a text stays one")
        };
        assert!(text.len() < KEY + 32);
    }
}
