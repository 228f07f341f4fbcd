//! The user's own patterns: bounded, and checked before the agent starts.

use regex::bytes::{Regex, RegexBuilder};

/// Most patterns of a user: each is looked for in every text.
pub const MAX_PATTERNS: usize = 64;

/// Bytes of one pattern.
const MAX_LENGTH: usize = 1_024;

/// Bytes that one compiled pattern may take.
const MAX_COMPILED: usize = 1 << 20;

/// A pattern cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// There are too many.
    #[error("there are {count} patterns to redact, the limit is {MAX_PATTERNS}; join some with `|`")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// One is too long.
    #[error("pattern {number} to redact has {length} bytes, the limit is {MAX_LENGTH}; split it")]
    TooLong {
        /// Which, from 1.
        number: usize,
        /// Its length.
        length: usize,
    },
    /// One is no regular expression that runs in bounded time.
    #[error("pattern {number} to redact is no regular expression: `{}`", pattern.escape_debug())]
    Syntax {
        /// Which, from 1.
        number: usize,
        /// What it says.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: Box<regex::Error>,
    },
    /// One matches everywhere.
    #[error("pattern {number} to redact matches an empty text, so it would hide nothing: `{}`", pattern.escape_debug())]
    Empty {
        /// Which, from 1.
        number: usize,
        /// What it says.
        pattern: String,
    },
}

/// Compiles them, or says which cannot be used and why.
pub(super) fn compile(patterns: &[String]) -> Result<Vec<Regex>, PatternError> {
    if patterns.len() > MAX_PATTERNS {
        return Err(PatternError::TooMany {
            count: patterns.len(),
        });
    }
    patterns
        .iter()
        .zip(1..)
        .map(|(pattern, number)| one(pattern, number))
        .collect()
}

fn one(pattern: &str, number: usize) -> Result<Regex, PatternError> {
    if pattern.len() > MAX_LENGTH {
        return Err(PatternError::TooLong {
            number,
            length: pattern.len(),
        });
    }
    let regex = RegexBuilder::new(pattern)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build()
        .map_err(|source| PatternError::Syntax {
            number,
            pattern: pattern.to_owned(),
            source: Box::new(source),
        })?;
    if regex.is_match(b"") {
        return Err(PatternError::Empty {
            number,
            pattern: pattern.to_owned(),
        });
    }
    Ok(regex)
}
