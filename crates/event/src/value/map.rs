//! Objects whose members only the data knows: labels, and anything below a dynamic root.

use super::{Options, ValueRef};
use crate::{Text, Tree};

/// A borrowed map, sorted by key.
#[derive(Clone, Copy, Debug)]
pub enum MapRef<'a> {
    /// Members of any shape.
    Trees(&'a [(Text, Tree)]),
    /// Labels and the like: text by text.
    Texts(&'a [(Text, Text)]),
    /// Options among arguments, which are looked for there.
    Options(Options<'a>),
}

impl<'a> MapRef<'a> {
    /// How many members there are.
    pub fn len(self) -> usize {
        match self {
            Self::Trees(pairs) => pairs.len(),
            Self::Texts(pairs) => pairs.len(),
            Self::Options(options) => options.sorted().len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The member of that name; absent when there is none.
    pub fn get(self, name: &[u8]) -> ValueRef<'a> {
        match self {
            Self::Trees(pairs) => find(pairs, name).map_or(ValueRef::Absent, ValueRef::from),
            Self::Texts(pairs) => find(pairs, name).map_or(ValueRef::Absent, ValueRef::from),
            Self::Options(options) => options.get(name).map_or(ValueRef::Absent, ValueRef::bytes),
        }
    }

    fn pair(self, index: usize) -> Option<(&'a Text, ValueRef<'a>)> {
        match self {
            Self::Trees(pairs) => pairs
                .get(index)
                .map(|(name, value)| (name, ValueRef::from(value))),
            Self::Texts(pairs) => pairs
                .get(index)
                .map(|(name, value)| (name, ValueRef::from(value))),
            // Compared as trees.
            Self::Options(_) => None,
        }
    }

    /// Whether both have the same members; `None` when that cannot be known.
    pub fn equals(self, other: MapRef<'_>) -> Option<bool> {
        if matches!(self, Self::Options(_)) || matches!(other, MapRef::Options(_)) {
            // Copied once: each look into options reads all arguments.
            let (left, right) = (self.to_tree(), other.to_tree());
            return ValueRef::from(&left).equals(&ValueRef::from(&right));
        }
        if self.len() != other.len() {
            return Some(false);
        }
        let mut known = true;
        for index in 0..self.len() {
            let (Some((left_name, left)), Some((right_name, right))) = (self.pair(index), other.pair(index))
            else {
                return Some(false);
            };
            if left_name != right_name {
                return Some(false);
            }
            match left.equals(&right) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => known = false,
            }
        }
        known.then_some(true)
    }

    /// An owned copy.
    pub fn to_tree(self) -> Tree {
        match self {
            Self::Trees(pairs) => Tree::Map(pairs.to_vec()),
            Self::Texts(pairs) => Tree::Map(
                pairs
                    .iter()
                    .map(|(name, value)| (name.clone(), Tree::Text(value.clone())))
                    .collect(),
            ),
            Self::Options(options) => Tree::Map(
                options
                    .sorted()
                    .into_iter()
                    .map(|(name, value)| (Text::from(name), Tree::Text(Text::from(value))))
                    .collect(),
            ),
        }
    }
}

fn find<'a, V>(pairs: &'a [(Text, V)], name: &[u8]) -> Option<&'a V> {
    let index = pairs.binary_search_by(|(key, _)| key.as_bytes().cmp(name)).ok()?;
    Some(&pairs[index].1)
}
