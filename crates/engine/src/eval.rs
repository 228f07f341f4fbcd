//! What operators do with present, absent and unknown values.
//!
//! Every function here is total: there is no input for which evaluation fails.

mod operator;

pub(crate) use operator::{arithmetic, compare, index, is_member, is_null, select, truth};

use yagura_event::{FieldId, ValueRef};

/// A truth value of Kleene's three-valued logic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    /// It does not hold.
    False,
    /// It holds.
    True,
    /// It cannot be known.
    Unknown,
}

impl Truth {
    /// True unless one is false, and unknown when that cannot be decided.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            _ => Self::Unknown,
        }
    }

    /// False unless one is true, and unknown when that cannot be decided.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        !(!self).and(!other)
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::True => Self::False,
            Self::Unknown => Self::Unknown,
        }
    }
}

impl From<Option<bool>> for Truth {
    fn from(value: Option<bool>) -> Self {
        match value {
            Some(true) => Self::True,
            Some(false) => Self::False,
            None => Self::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        Self::from(Some(value))
    }
}

impl From<Truth> for ValueRef<'_> {
    fn from(value: Truth) -> Self {
        match value {
            Truth::False => Self::Bool(false),
            Truth::True => Self::Bool(true),
            Truth::Unknown => Self::Unknown,
        }
    }
}

/// What conditions are evaluated on: something with fields.
pub(crate) trait Subject {
    /// The value of a field of the registry that the condition was compiled with.
    fn field(&self, id: FieldId) -> ValueRef<'_>;
}
