//! Values as rules see them: present, absent or unknown, borrowed from where they live.
//!
//! Reading a field gives a view into the event or the tree and allocates nothing.

use std::borrow::Cow;
use std::cmp::Ordering;

mod list;
mod map;
mod number;
mod options;

pub use list::{Items, ListRef};
pub use map::MapRef;
pub use number::{add, compare_numbers, divide, multiply, negate, remainder, subtract};
pub use options::Options;

use crate::field::ObjectRef;
use crate::{Known, Text, Tree};

/// A value borrowed from an event, a tree or a program, or derived from one.
#[derive(Clone, Debug, Default)]
pub enum ValueRef<'a> {
    /// Known not to be there.
    #[default]
    Absent,
    /// There may be a value, but it could not be read.
    Unknown,
    /// JSON's null, which rules treat as absent.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number beyond the signed range.
    Uint(u64),
    /// A floating point number.
    Double(f64),
    /// A string of bytes, usually UTF-8.
    Bytes(Cow<'a, [u8]>),
    /// A list, in order.
    List(ListRef<'a>),
    /// An object with members that only the data knows.
    Map(MapRef<'a>),
    /// An object of the domain, such as an ancestor process.
    Object(ObjectRef<'a>),
}

impl<'a> ValueRef<'a> {
    /// A borrowed string of bytes.
    pub fn bytes(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }

    /// A whole number that may lie beyond the signed range.
    pub fn uint(value: u64) -> Self {
        i64::try_from(value).map_or(Self::Uint(value), Self::Int)
    }

    /// A list of derived values.
    pub fn owned_list(values: Vec<ValueRef<'a>>, complete: bool) -> Self {
        Self::List(ListRef {
            items: Items::Owned(values.into()),
            complete,
        })
    }

    /// Whether there is a value: neither absent, nor null, nor unknown.
    pub fn is_present(&self) -> bool {
        !matches!(self, Self::Absent | Self::Unknown | Self::Null)
    }

    /// Whether there is none: absent or null.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent | Self::Null)
    }

    /// The bytes, when it is a string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// What kind of value it is, in the words of diagnostics.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Unknown => "unknown",
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Uint(_) => "int",
            Self::Double(_) => "double",
            Self::Bytes(_) => "string",
            Self::List(_) => "list",
            Self::Map(_) | Self::Object(_) => "object",
        }
    }

    /// Whether both are equal; `None` when that cannot be known.
    ///
    /// Numbers compare as numbers whatever their form. Values of different kinds are not equal, and an absent
    /// value equals nothing, not even another absent one: asking whether something is absent is a test of its
    /// own (`x == null`).
    pub fn equals(&self, other: &ValueRef<'_>) -> Option<bool> {
        match (self, other) {
            (Self::Absent | Self::Null, _) | (_, ValueRef::Absent | ValueRef::Null) => Some(false),
            (Self::Unknown, _) | (_, ValueRef::Unknown) => None,
            (Self::Bool(left), ValueRef::Bool(right)) => Some(left == right),
            (Self::Bytes(left), ValueRef::Bytes(right)) => Some(left == right),
            (Self::List(left), ValueRef::List(right)) => left.equals(right),
            (Self::Map(left), ValueRef::Map(right)) => left.equals(*right),
            (left, right) => Some(compare_numbers(left, right) == Some(Ordering::Equal)),
        }
    }

    /// How both order, when they are two numbers, two strings or two truth values.
    pub fn order(&self, other: &ValueRef<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Bytes(left), ValueRef::Bytes(right)) => Some(left.cmp(right)),
            (Self::Bool(left), ValueRef::Bool(right)) => Some(left.cmp(right)),
            (left, right) => compare_numbers(left, right),
        }
    }

    /// An owned copy; `None` when it is absent.
    pub fn to_tree(&self) -> Option<Tree> {
        Some(match self {
            Self::Absent => return None,
            Self::Unknown => Tree::Unknown,
            Self::Null => Tree::Null,
            Self::Bool(value) => Tree::Bool(*value),
            Self::Int(value) => Tree::Int(*value),
            Self::Uint(value) => Tree::Uint(*value),
            Self::Double(value) => Tree::Double(*value),
            Self::Bytes(bytes) => Tree::Text(Text::from(&bytes[..])),
            Self::List(list) => Tree::List(
                list.iter()
                    .map(|value| value.to_tree().unwrap_or_default())
                    .collect(),
            ),
            Self::Map(map) => map.to_tree(),
            Self::Object(object) => object.to_tree(),
        })
    }
}

impl<'a> From<&'a Tree> for ValueRef<'a> {
    fn from(tree: &'a Tree) -> Self {
        match tree {
            Tree::Null => Self::Null,
            Tree::Unknown => Self::Unknown,
            Tree::Bool(value) => Self::Bool(*value),
            Tree::Int(value) => Self::Int(*value),
            Tree::Uint(value) => Self::Uint(*value),
            Tree::Double(value) => Self::Double(*value),
            Tree::Text(text) => Self::bytes(text.as_bytes()),
            Tree::List(values) => Self::List(ListRef {
                items: Items::Trees(values),
                complete: true,
            }),
            Tree::Map(pairs) => Self::Map(MapRef::Trees(pairs)),
        }
    }
}

impl<'a> From<&'a Text> for ValueRef<'a> {
    fn from(text: &'a Text) -> Self {
        Self::bytes(text.as_bytes())
    }
}

impl<'a> From<&'a str> for ValueRef<'a> {
    fn from(text: &'a str) -> Self {
        Self::bytes(text.as_bytes())
    }
}

impl From<bool> for ValueRef<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for ValueRef<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for ValueRef<'_> {
    fn from(value: u64) -> Self {
        Self::uint(value)
    }
}

impl From<u32> for ValueRef<'_> {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<u16> for ValueRef<'_> {
    fn from(value: u16) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<u8> for ValueRef<'_> {
    fn from(value: u8) -> Self {
        Self::Int(i64::from(value))
    }
}

impl<'a, V: Into<ValueRef<'a>>> From<Known<V>> for ValueRef<'a> {
    fn from(value: Known<V>) -> Self {
        match value {
            Known::Present(value) => value.into(),
            Known::Absent => Self::Absent,
            Known::Unknown => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_whatever_their_form() {
        assert_eq!(ValueRef::Int(3).equals(&ValueRef::Double(3.0)), Some(true));
        assert_eq!(ValueRef::Uint(u64::MAX).equals(&ValueRef::Int(-1)), Some(false));
        assert_eq!(ValueRef::from("3").equals(&ValueRef::Int(3)), Some(false));
    }

    #[test]
    fn absent_equals_nothing_and_unknown_leaves_it_open() {
        assert_eq!(ValueRef::Absent.equals(&ValueRef::Absent), Some(false));
        assert_eq!(ValueRef::Unknown.equals(&ValueRef::Int(1)), None);
        assert_eq!(ValueRef::Unknown.equals(&ValueRef::Absent), Some(false));
    }
}
