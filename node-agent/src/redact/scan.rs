//! One text or one command line: what in it is hidden, and what it looks like afterwards.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use regex::bytes::Regex;

use super::mark::{self, Key, Kind};
use super::pairs::{self, Pairs};
use super::shapes::{Progress, SHAPES};
use super::{Hidden, LIMIT, Span, arguments};

/// Most marks in one text or command line. What follows is hidden as a whole, so that marks, which are longer than
/// what they hide, cannot make a record grow beyond what the protocol takes.
const MAX_MARKS: usize = 256;

/// A mark may announce something itself: looked at again until nothing changes, but not more often.
const ROUNDS: usize = 4;

/// Kind of what nobody looked at.
const UNSCANNED: Kind = "unscanned";

/// What a trigger in a text asks for.
#[derive(Clone, Copy, Debug)]
enum Asks {
    /// The shape at that place of the list begins here.
    Shape(usize),
    /// Names with values, and command lines.
    Names,
    /// `Bearer …`, `Basic …`.
    Schemes,
    /// An address begins.
    Address,
    /// A private key begins.
    PrivateKey,
}

/// Finds what is to be hidden in time that grows with the text's length only.
#[derive(Debug)]
pub(super) struct Scanner {
    triggers: AhoCorasick,
    asks: Vec<Asks>,
    pairs: Pairs,
    custom: Vec<Regex>,
}

impl Scanner {
    pub(super) fn new(custom: Vec<Regex>) -> Self {
        let mut texts: Vec<&str> = SHAPES.iter().map(|shape| shape.prefix).collect();
        let mut asks: Vec<Asks> = (0..SHAPES.len()).map(Asks::Shape).collect();
        let words = [
            "pass",
            "pwd",
            "secret",
            "token",
            "key",
            "_auth",
            "authorization",
            "cookie",
            "sig",
        ];
        let names = words.into_iter().chain(arguments::programs());
        let rest = names.map(|word| (word, Asks::Names)).chain([
            ("bearer", Asks::Schemes),
            ("basic", Asks::Schemes),
            ("://", Asks::Address),
            ("-----begin", Asks::PrivateKey),
        ]);
        for (text, ask) in rest {
            texts.push(text);
            asks.push(ask);
        }
        let triggers = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .build(&texts)
            .expect("the triggers are constants, and a test builds them");
        Self {
            triggers,
            asks,
            pairs: Pairs::new(),
            custom,
        }
    }

    /// What of a text is to be hidden, in order and apart.
    fn spans(&self, text: &[u8]) -> Vec<Span> {
        let mut spans = Vec::new();
        let (mut names, mut schemes, mut key_end) = (false, false, 0);
        let mut progress = Progress::default();
        for found in self.triggers.find_overlapping_iter(text) {
            match self.asks[found.pattern().as_usize()] {
                Asks::Shape(index) => {
                    spans.extend(SHAPES[index].at(text, found.start(), &mut progress));
                }
                Asks::Names => names = true,
                Asks::Schemes => schemes = true,
                Asks::Address => spans.extend(pairs::address(text, found.end())),
                // A row of beginnings without an end is one key.
                Asks::PrivateKey if found.start() >= key_end => {
                    let span = pairs::private_key(text, found.start());
                    key_end = span.map_or(key_end, |span| span.end);
                    spans.extend(span);
                }
                Asks::PrivateKey => {}
            }
        }
        if names {
            self.pairs.named(text, &mut spans);
            if text.iter().any(u8::is_ascii_whitespace) {
                command_line(text, &mut spans);
            }
        }
        if schemes {
            self.pairs.schemes(text, &mut spans);
        }
        for pattern in &self.custom {
            for found in pattern.captures_iter(text) {
                let hidden = found.get(1).or_else(|| found.get(0));
                spans.extend(hidden.filter(|hidden| !hidden.is_empty()).map(|hidden| Span {
                    start: hidden.start(),
                    end: hidden.end(),
                    kind: "custom",
                }));
            }
        }
        apart(text, spans)
    }

    /// The text without what is to be hidden; nothing where there is nothing to hide. With a key, marks differ for
    /// what differs.
    pub(super) fn text(&self, text: &[u8], key: Option<&Key>, hidden: &mut Hidden) -> Option<Vec<u8>> {
        let mut changed: Option<Vec<u8>> = None;
        for _ in 0..ROUNDS {
            let current = changed.as_deref().unwrap_or(text);
            let Some(next) = self.round(current, key, hidden) else {
                break;
            };
            changed = Some(next);
        }
        changed
    }

    fn round(&self, text: &[u8], key: Option<&Key>, hidden: &mut Hidden) -> Option<Vec<u8>> {
        let (scanned, cut) = bounded(text);
        let spans = self.spans(scanned);
        if spans.is_empty() && !cut {
            return None;
        }
        let mut out = Vec::with_capacity(scanned.len());
        let complete = replace(scanned, &spans, key, MAX_MARKS, hidden, &mut out);
        if cut || !complete {
            out.extend_from_slice(hidden.mark(UNSCANNED, b"", None).as_bytes());
        }
        Some(out)
    }

    /// A command line, argument by argument; nothing where there is nothing to hide.
    pub(super) fn arguments(
        &self,
        program: &[u8],
        list: &[&[u8]],
        key: Option<&Key>,
        hidden: &mut Hidden,
    ) -> Option<Vec<Vec<u8>>> {
        let mut changed: Option<Vec<Vec<u8>>> = None;
        for _ in 0..ROUNDS {
            let current: Vec<&[u8]> = match &changed {
                Some(changed) => changed.iter().map(Vec::as_slice).collect(),
                None => list.to_vec(),
            };
            let Some(next) = self.arguments_round(program, &current, key, hidden) else {
                break;
            };
            changed = Some(next);
        }
        changed
    }

    fn arguments_round(
        &self,
        program: &[u8],
        list: &[&[u8]],
        key: Option<&Key>,
        hidden: &mut Hidden,
    ) -> Option<Vec<Vec<u8>>> {
        let mut hits = arguments::secrets(program, list).into_iter().peekable();
        let mut out = Vec::with_capacity(list.len());
        let (mut changed, mut left) = (false, MAX_MARKS);
        for (index, argument) in list.iter().enumerate() {
            let (scanned, cut) = bounded(argument);
            let mut spans = self.spans(scanned);
            while let Some(hit) = hits.next_if(|hit| hit.argument == index) {
                spans.push(Span {
                    start: hit.range.start.min(scanned.len()),
                    end: hit.range.end.min(scanned.len()),
                    kind: hit.kind,
                });
            }
            let spans = apart(scanned, spans);
            changed |= cut || !spans.is_empty();
            let mut argument = Vec::with_capacity(scanned.len());
            let complete = replace(scanned, &spans, key, left, hidden, &mut argument);
            left -= spans.len().min(left);
            if cut || !complete {
                argument.extend_from_slice(hidden.mark(UNSCANNED, b"", None).as_bytes());
            }
            out.push(argument);
            if !complete {
                break;
            }
        }
        changed.then_some(out)
    }
}

/// What is looked at of a text, and whether that is less than all.
fn bounded(text: &[u8]) -> (&[u8], bool) {
    if text.len() <= LIMIT {
        return (text, false);
    }
    // The mark that takes the rest's place fits into the limit as well.
    let room = LIMIT - mark::plain(UNSCANNED).len();
    (&text[..room], true)
}

/// A command line that stands in one text, and those quoted within it.
fn command_line(text: &[u8], spans: &mut Vec<Span>) {
    const DEPTH: usize = 3;
    let mut waits = vec![(0..text.len(), 0)];
    while let Some((within, depth)) = waits.pop() {
        let words = arguments::words(text, within);
        let list: Vec<&[u8]> = words.iter().map(|word| &text[word.clone()]).collect();
        let program = list.first().copied().unwrap_or_default();
        spans.extend(arguments::secrets(program, &list).into_iter().map(|hit| {
            let start = words[hit.argument].start;
            Span {
                start: start + hit.range.start,
                end: start + hit.range.end,
                kind: hit.kind,
            }
        }));
        let quoted = words
            .into_iter()
            .filter(|word| depth < DEPTH && text[word.clone()].iter().any(u8::is_ascii_whitespace));
        waits.extend(quoted.map(|word| (word, depth + 1)));
    }
}

/// Sorts spans, joins those that touch what another has, and leaves out what is hidden already.
fn apart(text: &[u8], mut spans: Vec<Span>) -> Vec<Span> {
    if spans.is_empty() {
        return spans;
    }
    let marks = mark::find(text);
    let around = |at: usize| {
        let mark = marks.get(marks.partition_point(|mark| mark.end <= at));
        mark.filter(|mark| mark.start < at)
    };
    spans.retain_mut(|span| {
        let inside = marks.partition_point(|mark| mark.end < span.end);
        let inside = marks
            .get(inside)
            .is_some_and(|mark| mark.start <= span.start && span.end <= mark.end);
        // A mark is hidden as a whole or not at all.
        span.start = around(span.start).map_or(span.start, |mark| mark.end);
        span.end = around(span.end).map_or(span.end, |mark| mark.end);
        !inside && span.start < span.end
    });
    // Of two that begin together the longer one says what it is.
    spans.sort_by_key(|span| (span.start, usize::MAX - span.end));
    let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match joined.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => joined.push(span),
        }
    }
    joined
}

/// Writes the text with marks. Says whether it got to the end before the marks ran out.
fn replace(
    text: &[u8],
    spans: &[Span],
    key: Option<&Key>,
    most: usize,
    hidden: &mut Hidden,
    out: &mut Vec<u8>,
) -> bool {
    let mut at = 0;
    for (count, span) in spans.iter().enumerate() {
        out.extend_from_slice(&text[at..span.start]);
        if count == most {
            return false;
        }
        let mark = hidden.mark(span.kind, &text[span.start..span.end], key);
        out.extend_from_slice(mark.as_bytes());
        at = span.end;
    }
    out.extend_from_slice(&text[at..]);
    true
}
