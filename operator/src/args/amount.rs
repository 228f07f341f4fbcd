//! Lengths of time and sizes as flags give them.

use std::fmt;
use std::str::FromStr;

/// Nanoseconds, written as a number and a unit: `30d`, `12h`, `5m`, `10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length(pub i64);

/// Bytes, written as a number and perhaps a unit: `1Gi`, `512Mi`, `1048576`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// A flag's value is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// No length of time.
    #[error("write a whole number and d, h, m or s, such as 30d")]
    Length,
    /// No size.
    #[error("write a whole number of bytes, or one with Ki, Mi or Gi, such as 1Gi")]
    Size,
}

const LENGTHS: [(&str, i64); 4] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
];

const SIZES: [(&str, u64); 4] = [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10), ("", 1)];

/// The unit at the end of a text, and the digits before it.
fn split<U: Copy>(text: &str, units: &[(&str, U)]) -> Option<(u32, U)> {
    let (unit, number) = units
        .iter()
        .find_map(|(name, unit)| Some((*unit, text.strip_suffix(name)?)))?;
    let is_number = number.bytes().all(|c| c.is_ascii_digit());
    is_number
        .then(|| number.parse().ok())
        .flatten()
        .map(|n| (n, unit))
}

impl FromStr for Length {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let length = split(text, &LENGTHS).and_then(|(number, unit)| i64::from(number).checked_mul(unit));
        length.map(Self).ok_or(AmountError::Length)
    }
}

impl FromStr for Size {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let size = split(text, &SIZES).and_then(|(number, unit)| u64::from(number).checked_mul(unit));
        size.map(Self).ok_or(AmountError::Size)
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = LENGTHS
            .into_iter()
            .find(|(_, unit)| self.0 % unit == 0)
            .unwrap_or(("s", 1_000_000_000));
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = SIZES
            .into_iter()
            .find(|(_, unit)| self.0.is_multiple_of(*unit))
            .unwrap_or(("", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::{AmountError, Length, Size};

    #[test]
    fn amounts_are_read_and_written_as_people_do() {
        for text in ["30d", "12h", "5m", "90s"] {
            assert_eq!(text.parse::<Length>().unwrap().to_string(), text);
        }
        assert_eq!("60s".parse::<Length>().unwrap().to_string(), "1m");
        for text in ["1Gi", "512Mi", "3Ki", "1000"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        for text in ["", "d", "30", "-1d", "1.5h", "1w", "9999999d", "+1d"] {
            assert_eq!(text.parse::<Length>(), Err(AmountError::Length), "{text}");
        }
        for text in ["", "Gi", "-1", "1G", "5000000000Gi"] {
            assert_eq!(text.parse::<Size>(), Err(AmountError::Size), "{text}");
        }
    }
}
