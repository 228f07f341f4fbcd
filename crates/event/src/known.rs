//! A value that may be present, known to be absent, or not known.

/// Whether a value is there. Absent and unknown are different answers: a host process *has* no
/// pod, a container whose pod's name has not arrived yet has one that is *unknown*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Known<T> {
    /// The value.
    Present(T),
    /// Known not to be there.
    #[default]
    Absent,
    /// It may or may not be there: unreadable, not joined yet, cut off, or not collected.
    Unknown,
}

impl<T> Known<T> {
    /// The value as a reference.
    pub fn as_ref(&self) -> Known<&T> {
        match self {
            Self::Present(value) => Known::Present(value),
            Self::Absent => Known::Absent,
            Self::Unknown => Known::Unknown,
        }
    }

    /// Applies `f` to a present value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Self::Present(value) => Known::Present(f(value)),
            Self::Absent => Known::Absent,
            Self::Unknown => Known::Unknown,
        }
    }

    /// Applies `f`, whose answer may itself be absent or unknown, to a present value.
    pub fn and_then<U>(self, f: impl FnOnce(T) -> Known<U>) -> Known<U> {
        match self {
            Self::Present(value) => f(value),
            Self::Absent => Known::Absent,
            Self::Unknown => Known::Unknown,
        }
    }

    /// The value, dropping the difference between absent and unknown.
    pub fn present(self) -> Option<T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unknown => None,
        }
    }

    /// Whether nothing can be said.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

impl<T> From<Option<T>> for Known<T> {
    /// `None` is absent: use it only where a missing value is knowledge.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Present)
    }
}

#[cfg(test)]
mod tests {
    use super::Known;

    #[test]
    fn an_absent_and_an_unknown_value_stay_apart() {
        assert_eq!(Known::Present(2).map(|n| n + 1), Known::Present(3));
        assert_eq!(Known::<i32>::Absent.and_then(Known::Present), Known::Absent);
        assert_eq!(Known::<i32>::Unknown.and_then(Known::Present), Known::Unknown);
        assert_eq!(Known::from(None::<i32>), Known::Absent);
        assert_eq!(Known::<i32>::Unknown.present(), None);
        assert!(Known::<i32>::Unknown.as_ref().is_unknown());
    }
}
