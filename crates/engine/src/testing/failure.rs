//! Why a test failed, in lines that people read.

use std::fmt;

use yagura_event::{BuildEventError, Text, Tree};
use yagura_rules::source::Expected;

use crate::posture::Verdict;

/// Longest line that is not broken, so that it fits where it is indented.
const LINE: usize = 72;
/// Longest value that is shown, in characters.
const VALUE: usize = 200;

/// Why a test failed.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// An event cannot be built.
    Event {
        /// Which, from 0, in the order in which they are written.
        index: usize,
        /// Why.
        reason: BuildEventError,
    },
    /// Other signals came out.
    Signals {
        /// How many the test expects.
        expected: u64,
        /// How many there were.
        got: u64,
        /// What became of the events.
        seen: Seen,
        /// In what they are not as the test expects.
        differences: Vec<Difference>,
    },
    /// Another number of events set the rule's mark.
    Marks {
        /// How many the test expects.
        expected: u64,
        /// How many there were.
        got: u64,
    },
    /// A check said something else.
    Verdict {
        /// What the test expects.
        expected: Expected,
        /// What it said.
        got: Verdict,
    },
}

/// What became of a test's events, each from 0 in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Those that matched.
    pub matched: Vec<usize>,
    /// Those of them that no window took: they came too late, or have no value to tell apart.
    pub left_out: Vec<usize>,
    /// Those that matched and were excepted.
    pub excepted: Vec<usize>,
}

/// In what signals are not as a test expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A signal has another value.
    Member {
        /// Which of those that are expected, from 0.
        index: usize,
        /// What of it.
        member: String,
        /// What the test expects, as shown.
        expected: String,
        /// What there was.
        got: String,
    },
    /// A signal did not open.
    Missing {
        /// Which, from 0.
        index: usize,
    },
    /// A signal opened that is not expected.
    TooMany {
        /// How many matches it counts.
        count: u64,
        /// Its title.
        title: String,
    },
}

impl Seen {
    pub(super) fn sort(&mut self) {
        for events in [&mut self.matched, &mut self.left_out, &mut self.excepted] {
            events.sort_unstable();
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { index, reason } => write!(f, "events[{index}]: {reason}"),
            Self::Signals {
                expected,
                got,
                seen,
                differences,
            } => {
                let noun = if *expected == 1 { "signal" } else { "signals" };
                write!(f, "expected {expected} {noun}, got {got}")?;
                if expected == got {
                    f.write_str(" that differ")?;
                }
                write!(f, "; {seen}")?;
                for difference in differences {
                    write!(f, "\n{difference}")?;
                }
                Ok(())
            }
            Self::Marks { expected, got } => write!(f, "expected {expected} marks, got {got}"),
            Self::Verdict { expected, got } => {
                write!(f, "expected {expected:?}, got ")?;
                match got {
                    Verdict::Error(paths) => write!(f, "Error: not known: {}", paths.join(", ")),
                    other => write!(f, "{other:?}"),
                }
            }
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.matched.is_empty() {
            f.write_str("no event matched")?;
        } else {
            write!(f, "{} matched", events(&self.matched))?;
        }
        if !self.excepted.is_empty() {
            write!(f, "\nexcepted: {}", events(&self.excepted))?;
        }
        if !self.left_out.is_empty() {
            let which = events(&self.left_out);
            write!(f, "\nin no window, too late or without a value: {which}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member {
                index,
                member,
                expected,
                got,
            } => {
                let line = format!("securitySignals[{index}].{member}: expected {expected}, got {got}");
                if line.chars().count() <= LINE {
                    return f.write_str(&line);
                }
                write!(
                    f,
                    "securitySignals[{index}].{member}:\n  expected {expected}\n  got      {got}"
                )
            }
            Self::Missing { index } => write!(f, "securitySignals[{index}]: did not open"),
            Self::TooMany { count, title } => {
                write!(f, "one too many, of count {count}: {}", quoted(title))
            }
        }
    }
}

/// Places of events, those in a row as from and to.
fn events(sorted: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for index in sorted {
        match runs.last_mut() {
            Some((_, last)) if *index <= *last + 1 => *last = *index,
            _ => runs.push((*index, *index)),
        }
    }
    let runs: Vec<String> = runs
        .into_iter()
        .map(|(first, last)| match last - first {
            0 => format!("events[{first}]"),
            1 => format!("events[{first}], events[{last}]"),
            _ => format!("events[{first}] to [{last}]"),
        })
        .collect();
    runs.join(", ")
}

/// A text in quotes, harmless to print and not too long.
pub(super) fn quoted(text: &str) -> String {
    shown(&Tree::from(text))
}

/// A value as a test would write it, on one line and not too long.
pub(super) fn shown(value: &Tree) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    if let Some((end, _)) = out.char_indices().nth(VALUE) {
        out.truncate(end);
        out.push('…');
    }
    out
}

fn write_value(value: &Tree, out: &mut String) {
    let separator = |out: &mut String, index: usize| {
        if index > 0 {
            out.push_str(", ");
        }
    };
    match value {
        // More than is shown need not be written.
        _ if out.len() > 4 * VALUE => {}
        Tree::Null => out.push_str("null"),
        Tree::Unknown => out.push_str("{$unknown: true}"),
        Tree::Bool(value) => out.push_str(&value.to_string()),
        Tree::Int(value) => out.push_str(&value.to_string()),
        Tree::Uint(value) => out.push_str(&value.to_string()),
        Tree::Double(value) => out.push_str(&value.to_string()),
        Tree::Text(text) => out.push_str(&in_quotes(text)),
        Tree::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separator(out, index);
                write_value(item, out);
            }
            out.push(']');
        }
        Tree::Map(members) => {
            out.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                separator(out, index);
                out.push_str(&name.to_string());
                out.push_str(": ");
                write_value(value, out);
            }
            out.push('}');
        }
    }
}

fn in_quotes(text: &Text) -> String {
    format!("{text:?}")
}
