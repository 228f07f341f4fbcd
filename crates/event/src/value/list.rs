//! Lists: borrowed from an event or a tree, or derived.

use std::sync::Arc;

use super::ValueRef;
use crate::field::{ObjectRef, capability};
use crate::process::Ancestor;
use crate::{Text, Tree};

/// A list whose elements are read one by one.
#[derive(Clone, Debug)]
pub struct ListRef<'a> {
    /// The elements that are known.
    pub items: Items<'a>,
    /// Whether these are all. When not, a search that finds nothing leaves the answer unknown.
    pub complete: bool,
}

/// Where the elements of a list live.
#[derive(Clone, Debug)]
pub enum Items<'a> {
    /// In a tree.
    Trees(&'a [Tree]),
    /// In a list of texts, such as arguments.
    Texts(&'a [Text]),
    /// In the lineage of a process.
    Ancestors(&'a [Arc<Ancestor>]),
    /// In a set of capabilities, as their names.
    Capabilities(u64),
    /// Derived.
    Owned(Arc<[ValueRef<'a>]>),
}

impl<'a> ListRef<'a> {
    /// How many elements are known.
    pub fn len(&self) -> usize {
        match &self.items {
            Items::Trees(values) => values.len(),
            Items::Texts(values) => values.len(),
            Items::Ancestors(values) => values.len(),
            Items::Capabilities(bits) => bits.count_ones() as usize,
            Items::Owned(values) => values.len(),
        }
    }

    /// Whether no element is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `index`; beyond the end absent, or unknown where the list is not complete.
    pub fn get(&self, index: usize) -> ValueRef<'a> {
        let element = match &self.items {
            Items::Trees(values) => values.get(index).map(ValueRef::from),
            Items::Texts(values) => values.get(index).map(ValueRef::from),
            Items::Ancestors(values) => values
                .get(index)
                .map(|ancestor| ValueRef::Object(ObjectRef::Ancestor(ancestor))),
            Items::Capabilities(bits) => capability::nth_name(*bits, index).map(ValueRef::from),
            Items::Owned(values) => values.get(index).cloned(),
        };
        element.unwrap_or(if self.complete {
            ValueRef::Absent
        } else {
            ValueRef::Unknown
        })
    }

    /// The known elements in order.
    pub fn iter(&self) -> impl Iterator<Item = ValueRef<'a>> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Whether an element equals `wanted`; `None` when that cannot be known.
    pub fn contains(&self, wanted: &ValueRef<'_>) -> Option<bool> {
        if wanted.is_absent() {
            return Some(false);
        }
        if let (Items::Texts(values), ValueRef::Bytes(wanted)) = (&self.items, wanted) {
            let found = values.iter().any(|value| value.as_bytes() == &wanted[..]);
            return if found || self.complete { Some(found) } else { None };
        }
        let mut known = self.complete;
        for value in self.iter() {
            match value.equals(wanted) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => known = false,
            }
        }
        known.then_some(false)
    }

    /// Whether both have equal elements in the same order; `None` when that cannot be known.
    pub fn equals(&self, other: &ListRef<'_>) -> Option<bool> {
        let complete = self.complete && other.complete;
        if complete && self.len() != other.len() {
            return Some(false);
        }
        let mut known = complete;
        for index in 0..self.len().min(other.len()) {
            match self.get(index).equals(&other.get(index)) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => known = false,
            }
        }
        known.then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_in_a_cut_list_is_open_unless_it_finds() {
        let args = [Text::from("-c"), Text::from("id")];
        let cut = ListRef {
            items: Items::Texts(&args),
            complete: false,
        };
        assert_eq!(cut.contains(&ValueRef::from("id")), Some(true));
        assert_eq!(cut.contains(&ValueRef::from("ls")), None);
        assert!(matches!(cut.get(2), ValueRef::Unknown));
        let whole = ListRef {
            complete: true,
            ..cut
        };
        assert_eq!(whole.contains(&ValueRef::from("ls")), Some(false));
        assert!(matches!(whole.get(2), ValueRef::Absent));
    }
}
