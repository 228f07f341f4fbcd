//! A YAML document as a tree in which every value knows its place.

use std::collections::HashSet;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};
use yagura_rules::diagnostic::{Origin, Position};

use super::{Fault, scalar, trace};

/// Deepest nesting that is read; the deepest schema has 12.
const MAX_DEPTH: usize = 64;
/// Most values of one file; the shipped content together has fewer than 50,000.
const MAX_NODES: usize = 500_000;

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    /// Where it begins.
    pub(super) position: Position,
    /// Where each piece of a text stands, for [`Value::Text`].
    pieces: Vec<trace::Piece>,
}

/// The shapes of a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Member>),
}

/// A member of a map.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) key: String,
    /// Where the key stands.
    pub(super) position: Position,
    pub(super) value: Node,
}

impl PartialEq for Node {
    /// Equal values at different places are equal.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Node {
    pub(super) fn fault(&self, message: String) -> Fault {
        Fault {
            file: String::new(),
            position: self.position,
            message,
        }
    }

    pub(super) fn member(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(members) => members
                .iter()
                .find(|member| member.key == key)
                .map(|member| &member.value),
            _ => None,
        }
    }

    /// The text at a path.
    pub(super) fn text_at(&self, path: &str) -> Option<&str> {
        match &self.find(path)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value at a path such as `spec.let[0].value`.
    pub(super) fn find(&self, path: &str) -> Option<&Self> {
        segments(path).try_fold(self, |node, segment| node.step(segment))
    }

    /// The value at a path, or the last one on the way to it.
    pub(super) fn closest(&self, path: &str) -> &Self {
        let mut node = self;
        for segment in segments(path) {
            match node.step(segment) {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    fn step(&self, segment: &str) -> Option<&Self> {
        match &self.value {
            Value::List(items) => items.get(segment.parse::<usize>().ok()?),
            _ => self.member(segment),
        }
    }

    /// Where a text's pieces stand.
    pub(super) fn origin(&self) -> Origin {
        trace::origin(&self.pieces)
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number) => number.clone().into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(members) => serde_json::Value::Object(
                members
                    .iter()
                    .map(|member| (member.key.clone(), member.value.to_json()))
                    .collect(),
            ),
        }
    }
}

/// `a.b[2].c` as `a`, `b`, `2`, `c`.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[', ']']).filter(|segment| !segment.is_empty())
}

fn position(marker: Marker) -> Position {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position {
        line: number(marker.line()),
        column: number(marker.col()).saturating_add(1),
    }
}

/// A list or map that is still open.
struct Open {
    position: Position,
    children: Children,
}

enum Children {
    List(Vec<Node>),
    Map(OpenMap),
}

/// A map that is still open.
#[derive(Default)]
struct OpenMap {
    members: Vec<Member>,
    /// The key that waits for its value.
    key: Option<(String, Position)>,
    /// Every key: a file may have hundreds of thousands in one map.
    keys: HashSet<String>,
}

/// Builds trees from the parser's events.
struct Builder<'text> {
    text: &'text str,
    /// Byte of each character that a marker may name, found in one pass as markers rise.
    cursor: trace::Cursor<'text>,
    stack: Vec<Open>,
    nodes: usize,
    roots: Vec<Node>,
}

/// The documents of a text, and the fault that ended it early.
pub(super) fn parse(text: &str) -> (Vec<Node>, Option<Fault>) {
    let mut builder = Builder {
        text,
        cursor: trace::Cursor::new(text),
        stack: Vec::new(),
        nodes: 0,
        roots: Vec::new(),
    };
    let mut fault = None;
    for step in Parser::new_from_str(text) {
        let result = step
            .map_err(|error| scan_fault(&error))
            .and_then(|(event, span)| builder.take(event, span));
        if let Err(error) = result {
            fault = Some(error);
            break;
        }
    }
    (builder.roots, fault)
}

fn scan_fault(error: &ScanError) -> Fault {
    Fault {
        file: String::new(),
        position: position(*error.marker()),
        message: format!("not YAML: {}", error.info()),
    }
}

fn fault(span: Span, message: &str) -> Fault {
    Fault {
        file: String::new(),
        position: position(span.start),
        message: message.to_owned(),
    }
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(fault(span, "the file has too many values: split it"));
        }
        match event {
            Event::Alias(_) => Err(fault(span, "aliases are not read: write the value out")),
            Event::Scalar(text, style, _, tag) => {
                if tag.is_some() {
                    return Err(fault(span, "tags are not read: write the value without it"));
                }
                self.scalar(text.into_owned(), style, span)
            }
            Event::SequenceStart(..) => self.open(span, Children::List(Vec::new())),
            Event::MappingStart(..) => self.open(span, Children::Map(OpenMap::default())),
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, span: Span, children: Children) -> Result<(), Fault> {
        if self.stack.len() == MAX_DEPTH {
            return Err(fault(span, "values are nested deeper than 64"));
        }
        if let Some(Open {
            children: Children::Map(OpenMap { key: None, .. }),
            ..
        }) = self.stack.last()
        {
            return Err(fault(span, "a list or a map cannot be a key"));
        }
        self.stack.push(Open {
            position: position(span.start),
            children,
        });
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), Fault> {
        let Some(open) = self.stack.pop() else {
            return Err(fault(span, "not YAML: nothing is open here"));
        };
        let value = match open.children {
            Children::List(items) => Value::List(items),
            Children::Map(map) => Value::Map(map.members),
        };
        self.add(Node {
            value,
            position: open.position,
            pieces: Vec::new(),
        });
        Ok(())
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, span: Span) -> Result<(), Fault> {
        let position = position(span.start);
        if let Some(Open {
            children:
                Children::Map(OpenMap {
                    key: key @ None,
                    keys,
                    ..
                }),
            ..
        }) = self.stack.last_mut()
        {
            if !keys.insert(text.clone()) {
                return Err(fault(span, &format!("{text}: stands here twice")));
            }
            *key = Some((text, position));
            return Ok(());
        }
        // An empty document is no object.
        if self.stack.is_empty() && text.is_empty() {
            return Ok(());
        }
        let value = scalar::resolve(text, style == ScalarStyle::Plain);
        let pieces = match &value {
            Value::Text(text) => {
                let start = self.cursor.seek(span.start.index());
                trace::pieces(&self.text[start..], position, style, text)
            }
            _ => Vec::new(),
        };
        self.add(Node {
            value,
            position,
            pieces,
        });
        Ok(())
    }

    fn add(&mut self, node: Node) {
        match self.stack.last_mut().map(|open| &mut open.children) {
            Some(Children::List(items)) => items.push(node),
            Some(Children::Map(map)) => {
                if let Some((key, position)) = map.key.take() {
                    map.members.push(Member {
                        key,
                        position,
                        value: node,
                    });
                }
            }
            None => self.roots.push(node),
        }
    }
}
