//! Nothing that leaves the agent shows a secret that its shape or its surroundings give away.
//!
//! Conditions see what really happened; what a match, a printed event or a fact carries away goes through one
//! [`Redactor`] first. The spool, the wire and the output take a [`Clean`] value only, and only the redactor makes
//! one. Where something was hidden stands a mark, `[redacted:github-token]`; in values that signals are grouped by,
//! the mark carries a keyed hash as well, so that what was apart stays apart.
//!
//! No I/O and no clock. Time grows with the length of the text, whatever is in it.

mod arguments;
mod mark;
mod pairs;
mod pattern;
mod scan;
mod shapes;
mod words;

use std::collections::BTreeSet;

use memchr::memmem;
use yagura_event::facts::NodeFacts;
use yagura_event::{Fold, Known, Record, Text, Tree};

pub use mark::{Key, Kind};
pub use pattern::{MAX_PATTERNS, PatternError};
use scan::Scanner;

/// Bytes of one text that are looked at; more than an argument can have. What lies beyond is hidden.
const LIMIT: usize = 64 << 10;

/// Levels of a value that are looked at. What lies deeper is hidden.
const MAX_DEPTH: usize = 64;

/// Bytes of a title. What marks add beyond is cut: the operator takes no more than twice as much.
const MAX_TITLE: usize = 2_048;

/// Shortest secret that is looked for in a title by itself: shorter ones are parts of common words.
const MIN_KNOWN: usize = 6;

/// Secrets of one fold that are looked for in its title.
const MAX_KNOWN: usize = 64;

/// Where a record tells what was hidden in it.
const HIDDEN_FIELD: &str = "redacted";

/// A part of a text to be hidden.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    kind: Kind,
}

/// Something that went through the redactor.
#[derive(Clone, Debug, PartialEq)]
pub struct Clean<T> {
    value: T,
    hidden: Vec<Kind>,
}

impl<T> Clean<T> {
    /// What is left.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// The kinds of what was hidden, sorted.
    pub fn hidden(&self) -> &[Kind] {
        &self.hidden
    }
}

/// Hides secrets. Made once; compiling its expressions takes a while.
#[derive(Debug)]
pub struct Redactor {
    scanner: Scanner,
    key: Key,
}

/// What was hidden so far.
#[derive(Debug, Default)]
struct Hidden {
    kinds: BTreeSet<Kind>,
    secrets: Vec<(Vec<u8>, Kind)>,
}

impl Hidden {
    /// The mark for a secret, which is remembered.
    fn mark(&mut self, kind: Kind, secret: &[u8], key: Option<&Key>) -> String {
        self.kinds.insert(kind);
        let known = self.secrets.len() < MAX_KNOWN && secret.len() >= MIN_KNOWN;
        if known && !self.secrets.iter().any(|(known, _)| known == secret) {
            self.secrets.push((secret.to_owned(), kind));
        }
        key.map_or_else(|| mark::plain(kind), |key| key.mark(kind, secret))
    }
}

impl Redactor {
    /// A redactor with the user's patterns beside its own.
    pub fn new(key: Key, patterns: &[String]) -> Result<Self, PatternError> {
        Ok(Self {
            scanner: Scanner::new(pattern::compile(patterns)?),
            key,
        })
    }

    /// A fold as it may leave.
    pub fn fold(&self, mut fold: Fold) -> Clean<Fold> {
        let mut all = Hidden::default();
        for sample in &mut fold.samples {
            let hidden = self.shown(&mut sample.fields);
            all.kinds.extend(&hidden.kinds);
            all.secrets.extend(hidden.secrets);
        }
        let program = fold.samples.first().map_or_else(Text::default, |sample| {
            let process = sample.fields.at("process");
            process.map_or_else(Text::default, program)
        });
        for (field, value) in &mut fold.group.0 {
            let name = field.rsplit('.').next().unwrap_or_default();
            self.named(name.as_bytes(), value, &program, Some(&self.key), 0, &mut all);
            if let Tree::Text(text) = value
                && let Some(sealed) = self.seal_cut(text)
            {
                *text = sealed;
            }
        }
        self.title(&mut fold.title, &mut all);
        if let Some(sample) = fold.samples.first_mut() {
            let mut kinds = take_note(&mut sample.fields);
            kinds.extend(all.kinds.iter().map(|kind| (*kind).into()));
            note(&mut sample.fields, kinds);
        }
        all.clean(fold)
    }

    /// A record as it may leave.
    pub fn record(&self, mut record: Record) -> Clean<Record> {
        self.shown(&mut record.fields).clean(record)
    }

    /// Facts as they may leave.
    pub fn facts(&self, mut facts: NodeFacts) -> Clean<NodeFacts> {
        let mut hidden = Hidden::default();
        if let Known::Present(kubelet) = &mut facts.kubelet {
            for (name, value) in &mut kubelet.flags {
                let mut tree = Tree::Text(value.clone());
                self.named(name.as_bytes(), &mut tree, &Text::default(), None, 0, &mut hidden);
                if let Tree::Text(text) = tree {
                    *value = text;
                }
            }
            if let Known::Present(path) = &mut kubelet.config_path {
                self.text(path, None, &mut hidden);
            }
            if let Known::Present(config) = &mut kubelet.config {
                self.tree(config, &Text::default(), None, 0, &mut hidden);
            }
        }
        for file in &mut facts.files {
            self.text(&mut file.path, None, &mut hidden);
        }
        hidden.clean(facts)
    }

    /// What a signal or a line shows of an event, which then tells what is missing.
    fn shown(&self, fields: &mut Tree) -> Hidden {
        let mut hidden = Hidden::default();
        let noted = take_note(fields);
        self.tree(fields, &Text::default(), None, 0, &mut hidden);
        let mut kinds = noted;
        kinds.extend(hidden.kinds.iter().map(|kind| (*kind).into()));
        note(fields, kinds);
        hidden
    }

    fn tree(&self, tree: &mut Tree, program: &Text, key: Option<&Key>, depth: usize, hidden: &mut Hidden) {
        if depth > MAX_DEPTH {
            let hide = match tree {
                Tree::List(items) => !items.is_empty(),
                Tree::Map(pairs) => !pairs.is_empty(),
                _ => false,
            };
            if hide {
                *tree = Tree::from(hidden.mark("unscanned", b"", None).as_str());
            }
        }
        match tree {
            Tree::Null | Tree::Unknown | Tree::Bool(_) | Tree::Int(_) | Tree::Uint(_) | Tree::Double(_) => {}
            Tree::Text(text) => self.text(text, key, hidden),
            Tree::List(items) => self.list(items, program, key, depth, hidden),
            Tree::Map(_) => {
                let program = self::program(tree);
                let Tree::Map(pairs) = tree else { return };
                for (name, value) in pairs {
                    let name = name.clone();
                    self.named(name.as_bytes(), value, &program, key, depth + 1, hidden);
                }
            }
        }
    }

    /// A value under a name, which may announce a secret.
    fn named(
        &self,
        name: &[u8],
        value: &mut Tree,
        program: &Text,
        key: Option<&Key>,
        depth: usize,
        hidden: &mut Hidden,
    ) {
        match value {
            Tree::Text(text) => {
                let class = words::class(name).filter(|class| {
                    let is_mark = mark::find(text.as_bytes()).first() == Some(&(0..text.len()));
                    !is_mark && !words::harmless(*class, name, text.as_bytes())
                });
                match class {
                    Some(class) => *text = hidden.mark(class.kind(), text.as_bytes(), key).into(),
                    None => self.text(text, key, hidden),
                }
            }
            other => self.tree(other, program, key, depth, hidden),
        }
    }

    fn text(&self, text: &mut Text, key: Option<&Key>, hidden: &mut Hidden) {
        if let Some(clean) = self.scanner.text(text.as_bytes(), key, hidden) {
            *text = Text::from(clean);
        }
    }

    /// A list of texts is a command line.
    fn list(
        &self,
        items: &mut Vec<Tree>,
        program: &Text,
        key: Option<&Key>,
        depth: usize,
        hidden: &mut Hidden,
    ) {
        let texts: Option<Vec<&[u8]>> = items
            .iter()
            .map(|item| match item {
                Tree::Text(text) => Some(text.as_bytes()),
                _ => None,
            })
            .collect();
        match texts {
            Some(texts) => {
                let clean = self.scanner.arguments(program.as_bytes(), &texts, key, hidden);
                if let Some(clean) = clean {
                    *items = clean
                        .into_iter()
                        .map(|text| Tree::Text(Text::from(text)))
                        .collect();
                }
            }
            None => {
                for item in items {
                    self.tree(item, program, key, depth + 1, hidden);
                }
            }
        }
    }

    /// The title, without what the fold's values turned out to hide either: a title has arguments without the
    /// program that gives them their meaning.
    fn title(&self, title: &mut String, hidden: &mut Hidden) {
        let mut bytes = std::mem::take(title).into_bytes();
        let known = std::mem::take(&mut hidden.secrets);
        for (secret, kind) in &known {
            if memmem::find(&bytes, secret).is_some() {
                bytes = substitute(&bytes, secret, &hidden.mark(kind, secret, None));
            }
        }
        if let Some(clean) = self.scanner.text(&bytes, None, hidden) {
            bytes = clean;
        }
        *title = String::from_utf8_lossy(&bytes).into_owned();
        if title.len() > MAX_TITLE {
            let marks = mark::find(title.as_bytes());
            let whole = marks
                .iter()
                .find(|mark| mark.start < MAX_TITLE && mark.end > MAX_TITLE);
            let end = title.floor_char_boundary(whole.map_or(MAX_TITLE, |mark| mark.start));
            title.truncate(end);
            title.push('…');
        }
    }

    /// The engine cuts a long group value and appends a hash of all of it, which would let somebody try out what
    /// the rest was. A hash of that hash that takes the node's key keeps values apart as well.
    fn seal_cut(&self, text: &Text) -> Option<Text> {
        const SIGN: &str = "…#";
        const DIGITS: usize = 16;
        let bytes = text.as_bytes();
        let at = bytes.len().checked_sub(DIGITS)?;
        let (head, digits) = bytes.split_at(at);
        let is_hash = head.ends_with(SIGN.as_bytes()) && digits.iter().all(u8::is_ascii_hexdigit);
        is_hash.then(|| {
            let head = &head[..head.len() - 1];
            Text::from([head, b"*", self.key.digest(digits, DIGITS).as_bytes()].concat())
        })
    }
}

impl Hidden {
    fn clean<T>(self, value: T) -> Clean<T> {
        Clean {
            value,
            hidden: self.kinds.into_iter().collect(),
        }
    }
}

/// The program that an object's arguments are for.
fn program(object: &Tree) -> Text {
    for name in ["executable", "name"] {
        if let Some(Tree::Text(text)) = object.get(name.as_bytes())
            && !text.is_empty()
        {
            return Text::from(text.base_name());
        }
    }
    Text::default()
}

/// Takes what a record tells of what was hidden in it out of the way: it is no value of the event.
fn take_note(fields: &mut Tree) -> BTreeSet<Text> {
    let Tree::Map(pairs) = fields else {
        return BTreeSet::new();
    };
    let Some(at) = pairs
        .iter()
        .position(|(name, _)| name.as_bytes() == HIDDEN_FIELD.as_bytes())
    else {
        return BTreeSet::new();
    };
    let kinds = match pairs.remove(at).1 {
        Tree::List(kinds) => kinds,
        _ => Vec::new(),
    };
    let texts = kinds.into_iter().filter_map(|kind| match kind {
        Tree::Text(text) => Some(text),
        _ => None,
    });
    texts.collect()
}

/// Tells in a record what was hidden in it.
fn note(fields: &mut Tree, kinds: BTreeSet<Text>) {
    let Tree::Map(pairs) = fields else { return };
    if kinds.is_empty() {
        return;
    }
    let name = Text::from(HIDDEN_FIELD);
    let at = pairs.partition_point(|(other, _)| *other < name);
    pairs.insert(
        at,
        (name, Tree::List(kinds.into_iter().map(Tree::Text).collect())),
    );
}

fn substitute(text: &[u8], part: &[u8], mark: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for found in memmem::find_iter(text, part) {
        out.extend_from_slice(&text[at..found]);
        out.extend_from_slice(mark.as_bytes());
        at = found + part.len();
    }
    out.extend_from_slice(&text[at..]);
    out
}

#[cfg(test)]
mod tests;
