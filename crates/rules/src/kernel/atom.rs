//! Tests that kernel programs can do.

use std::collections::BTreeSet;

use yagura_event::field::kernel::Stage;
use yagura_event::{FieldId, Text};

use super::KEYS;
use super::keys;

/// What a test is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// When the kernel has it.
    pub stage: Stage,
    /// The field.
    pub field: FieldId,
    /// Whether it is only what follows the last slash of the field's value.
    pub base: bool,
}

/// Whole numbers that are one as large as the other or lie between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// The least.
    pub min: u64,
    /// The greatest.
    pub max: u64,
}

/// How a text has to stand in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// It is all of it.
    Whole,
    /// The value begins with it.
    Prefix,
    /// The value ends with it.
    Suffix,
}

impl Shape {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Prefix => "prefix",
            Self::Suffix => "suffix",
        }
    }
}

/// A text that values are compared with, no longer than what the kernel compares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// How it has to stand there.
    pub shape: Shape,
    /// The text.
    pub text: Text,
}

/// A test of one value. None holds of what is absent, and each holds of what the kernel could not find out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Test {
    /// It is there.
    Present,
    /// It is true, or it is false.
    Is(bool),
    /// It lies in one of the ranges, which are in order and do not touch.
    Numbers(Vec<Range>),
    /// Of its bits, any of these is set, or all are.
    Bits {
        /// The bits.
        mask: u64,
        /// All of them.
        all: bool,
    },
    /// One of the texts stands in it.
    Texts(BTreeSet<Key>),
}

/// A test, or its negation, which also holds of what is absent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atom {
    /// What it is about.
    pub subject: Subject,
    /// Whether the test must not hold.
    pub negated: bool,
    /// The test.
    pub test: Test,
    /// Whether it says what the condition says; otherwise it may hold too often.
    pub exact: bool,
}

impl Atom {
    /// With how many values it compares.
    pub fn keys(&self) -> usize {
        match &self.test {
            Test::Numbers(ranges) => ranges.len(),
            Test::Texts(keys) => keys.len(),
            Test::Present | Test::Is(_) | Test::Bits { .. } => 1,
        }
    }

    /// Whether both can be one atom that holds when either does.
    pub(super) fn joins(&self, other: &Self, most: usize) -> bool {
        self.subject == other.subject
            && !self.negated
            && !other.negated
            && self.keys() + other.keys() <= most
            && matches!(
                (&self.test, &other.test),
                (Test::Numbers(_), Test::Numbers(_)) | (Test::Texts(_), Test::Texts(_))
            )
    }

    /// Makes it hold when the other does, too. Both [join](Self::joins).
    pub(super) fn join(&mut self, other: &Self) {
        match (&mut self.test, &other.test) {
            (Test::Numbers(all), Test::Numbers(more)) => {
                all.extend_from_slice(more);
                keys::in_order(all);
            }
            (Test::Texts(all), Test::Texts(more)) => all.extend(more.iter().cloned()),
            _ => {}
        }
        self.exact &= other.exact;
    }

    /// One atom that holds when both do; `None` where there is none, or it would never hold of what is known, but still of
    /// what is not.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let (Test::Numbers(left), Test::Numbers(right)) = (&self.test, &other.test) else {
            return None;
        };
        if self.subject != other.subject || self.negated || other.negated {
            return None;
        }
        let common = keys::common(left, right);
        (!common.is_empty()).then(|| Self {
            test: Test::Numbers(common),
            exact: self.exact && other.exact,
            ..self.clone()
        })
    }

    /// Whether it can be an atom of a rule.
    pub(super) fn fits(&self) -> bool {
        (1..=KEYS).contains(&self.keys())
    }
}
