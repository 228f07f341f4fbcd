//! From the trees that tests give to the types of the domain.

use crate::{Known, Text, Timestamp, Tree};

/// The value has another type than the field; says what the field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch(pub(crate) &'static str);

pub(super) fn text(tree: &Tree) -> Result<Text, Mismatch> {
    match tree {
        Tree::Text(text) => Ok(text.clone()),
        Tree::Null => Ok(Text::default()),
        _ => Err(Mismatch("a string")),
    }
}

pub(super) fn texts(tree: &Tree) -> Result<Vec<Text>, Mismatch> {
    match tree {
        Tree::List(values) => values
            .iter()
            .map(|value| match value {
                Tree::Text(text) => Ok(text.clone()),
                _ => Err(Mismatch("a list of strings")),
            })
            .collect(),
        Tree::Null => Ok(Vec::new()),
        _ => Err(Mismatch("a list of strings")),
    }
}

/// A point in time, as text.
pub(super) fn time(tree: &Tree) -> Result<Timestamp, Mismatch> {
    let read = match tree {
        Tree::Text(text) => Timestamp::parse(text.as_bytes()),
        _ => None,
    };
    read.ok_or(Mismatch("a point in time such as 2026-01-31T12:00:00Z"))
}

pub(super) fn flag(tree: &Tree) -> Result<bool, Mismatch> {
    match tree {
        Tree::Bool(value) => Ok(*value),
        _ => Err(Mismatch("true or false")),
    }
}

pub(super) fn whole<N: TryFrom<i64> + TryFrom<u64>>(tree: &Tree) -> Result<N, Mismatch> {
    const EXPECTED: Mismatch = Mismatch("a whole number in the range of the field");
    let converted = match tree {
        Tree::Int(value) => N::try_from(*value).ok(),
        Tree::Uint(value) => N::try_from(*value).ok(),
        _ => None,
    };
    converted.ok_or(EXPECTED)
}

/// A value, absent for null and unknown for unknown.
pub(super) fn known<T>(
    tree: &Tree,
    convert: impl FnOnce(&Tree) -> Result<T, Mismatch>,
) -> Result<Known<T>, Mismatch> {
    match tree {
        Tree::Null => Ok(Known::Absent),
        Tree::Unknown => Ok(Known::Unknown),
        other => convert(other).map(Known::Present),
    }
}

/// Values of any shape by name.
pub(super) fn trees(tree: &Tree) -> Result<Vec<(Text, Tree)>, Mismatch> {
    match tree {
        Tree::Map(pairs) => Ok(pairs.clone()),
        Tree::Null => Ok(Vec::new()),
        _ => Err(Mismatch("a map")),
    }
}

/// Labels: a map from text to text.
pub(super) fn labels(tree: &Tree) -> Result<Vec<(Text, Text)>, Mismatch> {
    const EXPECTED: Mismatch = Mismatch("a map of strings");
    let Tree::Map(pairs) = tree else {
        return Err(EXPECTED);
    };
    pairs
        .iter()
        .map(|(name, value)| match value {
            Tree::Text(text) => Ok((name.clone(), text.clone())),
            _ => Err(EXPECTED),
        })
        .collect()
}
