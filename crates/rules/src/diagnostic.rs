//! What is wrong with a rule, where, and what to do about it.

use std::fmt;

mod code;
mod place;
mod position;
mod render;

pub use code::{CATALOGUE, Code, Entry};
pub use place::{MarkPlace, MethodName, Place};
pub use position::{Origin, Piece, Position};
pub use render::render;

/// A range of bytes in a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Byte after the last.
    pub end: u32,
}

impl Span {
    /// The range from `start` to before `end`. Sources are far shorter than 4 GiB; what is not is cut there.
    pub fn new(start: usize, end: usize) -> Self {
        let clamp = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self {
            start: clamp(start),
            end: clamp(end),
        }
    }

    /// The smallest range with both in it.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// The text in that range, empty where there is none.
    pub fn of(self, source: &str) -> &str {
        source
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// Whether a rule with that diagnostic runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// It runs, but probably not as meant.
    Warning,
    /// It does not run.
    Error,
}

impl Level {
    /// The word that messages begin with.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The part of a rule or check that a span counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// `source` of a rule.
    Source,
    /// `condition` of a rule.
    Condition,
    /// The name of `let[n]`.
    LetName(usize),
    /// The value of `let[n]`.
    Let(usize),
    /// `exceptions[n].condition`.
    Exception(usize),
    /// The condition of an Exception object that the rule carries.
    Joined(usize),
    /// A place in the method of `detect`.
    Detect(MethodName, Place),
    /// A place in `mark`, or `silent`.
    Mark(MarkPlace),
    /// `signal.title`.
    Title,
    /// `signal.groupBy[n]`.
    GroupBy(usize),
    /// `signal.fields[n]`.
    Field(usize),
    /// `appliesWhen` of a check.
    AppliesWhen,
    /// `pass` of a check.
    Pass,
    /// `evidence[n]` of a check.
    Evidence(usize),
}

impl fmt::Display for Part {
    /// The path below `spec` of the custom resource.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source => f.write_str("source"),
            Self::Condition => f.write_str("condition"),
            Self::LetName(index) => write!(f, "let[{index}].name"),
            Self::Let(index) => write!(f, "let[{index}].value"),
            Self::Exception(index) => write!(f, "exceptions[{index}].condition"),
            Self::Joined(index) => write!(f, "joined[{index}].condition"),
            Self::Detect(method, place) => write!(f, "detect.{}.{place}", method.as_str()),
            Self::Mark(place) => place.fmt(f),
            Self::Title => f.write_str("signal.title"),
            Self::GroupBy(index) => write!(f, "signal.groupBy[{index}]"),
            Self::Field(index) => write!(f, "signal.fields[{index}]"),
            Self::AppliesWhen => f.write_str("appliesWhen"),
            Self::Pass => f.write_str("pass"),
            Self::Evidence(index) => write!(f, "evidence[{index}]"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of mistake it is; stable between versions.
    pub code: Code,
    /// The part of the rule that it is in.
    pub part: Part,
    /// Where in that part.
    pub span: Span,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Whether the rule runs all the same.
    pub fn level(&self) -> Level {
        self.code.level()
    }

    /// Whether the rule does not run.
    pub fn is_error(&self) -> bool {
        self.level() == Level::Error
    }
}

impl fmt::Display for Diagnostic {
    /// `error[Y0021]: unknown field process.nmae (did you mean process.name?)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]: {}", self.level().as_str(), self.code, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Collects diagnostics, at most [`DIAGNOSTICS`](crate::limits::DIAGNOSTICS) of them.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    diagnostics: Vec<Diagnostic>,
}

impl Sink {
    pub(crate) fn push(&mut self, code: Code, part: Part, span: Span, message: String, help: Option<String>) {
        if !self.is_full() {
            self.diagnostics.push(Diagnostic {
                code,
                part,
                span,
                message,
                help,
            });
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.diagnostics.len() >= crate::limits::DIAGNOSTICS
    }

    pub(crate) fn len(&self) -> usize {
        self.diagnostics.len()
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// The diagnostics in the order of the text.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.diagnostics
            .sort_by_key(|diagnostic| (diagnostic.part, diagnostic.span, diagnostic.code));
        self.diagnostics.dedup();
        self.diagnostics
    }
}
