//! The kernel part of rules: what a kernel program can tell of an event before it is delivered.
//!
//! From a condition follows, for each kind of event that can meet it, a [`Filter`]: groups of [`Atom`]s, of which all of
//! at least one group hold whenever the condition does, or might. It only ever widens. A test that the kernel cannot do
//! becomes true, and so does one whose negation it cannot answer; a text longer than what the kernel compares is cut to
//! its beginning or end; a condition that takes more groups than [`GROUPS`] loses the tests that would multiply them.
//! An atom about something that the kernel could not find out holds, negated or not.
//!
//! It stands with the compiler, beside the kinds that a rule can meet, because it follows from the checked expressions and
//! the registry alone: nothing of it is evaluated here, and whoever compiles a rule can say what of it runs in the kernel.
//! All of it is plain data, whose text ([`Display`](std::fmt::Display)) is a condition of the rule language again.

mod atom;
mod derive;
mod form;
mod hook;
mod keys;
mod pattern;
mod show;
#[cfg(test)]
mod tests;

use yagura_event::EventKind;

pub use atom::{Atom, Key, Range, Shape, Subject, Test};
pub use derive::kernel_part;
pub use hook::{HOOK_GROUPS, HOOK_KEYS, Hook, Hooks, Widened};

/// Most groups of the filter of one rule for one kind.
pub const GROUPS: usize = 64;
/// Most atoms of one group: those that come last in the kernel are left out.
pub const ATOMS: usize = 16;
/// Most texts or numbers that one atom compares with.
pub const KEYS: usize = 4_096;
/// Most texts that the lists of one rule give in all, for one kind: the tests that come after are left out.
pub const LISTED: usize = 65_536;

/// Which events pass: those of which all atoms of at least one group hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The groups. One without atoms stands alone, and lets everything pass.
    pub groups: Vec<Vec<Atom>>,
    /// Whether it says exactly what the rule says, so that nothing is left to decide.
    pub exact: bool,
}

impl Filter {
    /// Whether every event passes: there is nothing that the kernel can test.
    pub fn is_open(&self) -> bool {
        self.groups.iter().any(Vec::is_empty)
    }
}

/// How much of a rule a kernel program can evaluate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it: what passes matches.
    Full,
    /// Some: of one of its kinds at least, some events do not pass.
    Partial,
    /// Nothing: it opens each of its hooks.
    None,
}

impl Extent {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::None => "none",
        }
    }
}

/// What of a rule a kernel program can evaluate, for each kind of event that can meet it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelPart {
    /// The filters, in the order of the kinds.
    pub filters: Vec<(EventKind, Filter)>,
}

impl KernelPart {
    /// How much that is of the rule.
    pub fn extent(&self) -> Extent {
        if self.filters.iter().all(|(_, filter)| filter.exact) {
            Extent::Full
        } else if self.filters.iter().all(|(_, filter)| filter.is_open()) {
            Extent::None
        } else {
            Extent::Partial
        }
    }
}
