//! Something that is wrong with a file, and where: what `lint` shows.

use yagura_rules::{Level, Position};

/// A mistake or a doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Name of the file.
    pub file: String,
    /// Where it begins.
    pub start: Position,
    /// Where it ends.
    pub end: Position,
    /// Whether the object is refused for it.
    pub level: Level,
    /// The diagnostic's code, such as `Y0021`; none for the shape of the file.
    pub code: Option<String>,
    /// Kind and name of the object, as far as they are known.
    pub object: Option<(String, String)>,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The finding as compilers show it, with the line it is in.
    pub rendered: String,
}

impl Finding {
    /// Whether the object is refused for it.
    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }
}

/// How many errors and warnings there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Findings for which an object is refused.
    pub errors: usize,
    /// Other findings.
    pub warnings: usize,
}

impl Counts {
    /// Counts findings.
    pub fn of(findings: &[Finding]) -> Self {
        let errors = findings.iter().filter(|finding| finding.is_error()).count();
        Self {
            errors,
            warnings: findings.len() - errors,
        }
    }
}

/// `1 file`, `2 files`.
pub fn count(number: usize, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {one}{plural}")
}
