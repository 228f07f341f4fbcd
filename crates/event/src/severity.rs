//! How urgently a person should look.

use std::fmt;
use std::str::FromStr;

/// How urgently a person should look at a signal, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth recording.
    Info,
    /// Worth a look when there is time.
    Low,
    /// Worth a look this week.
    Medium,
    /// Worth a look today.
    High,
    /// Worth waking somebody.
    Critical,
}

impl Severity {
    /// Every severity in rising order.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The lower-case name that rules and signals use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// 1 for info to 5 for critical, for sorting.
    pub fn rank(self) -> u8 {
        self as u8 + 1
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no severity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSeverity(pub String);

impl fmt::Display for UnknownSeverity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown severity {:?}; use info, low, medium, high or critical",
            self.0
        )
    }
}

impl std::error::Error for UnknownSeverity {}

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.as_str() == text)
            .ok_or_else(|| UnknownSeverity(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::Severity;

    #[test]
    fn names_parse_back_and_ranks_rise() {
        for (index, severity) in Severity::ALL.into_iter().enumerate() {
            assert_eq!(severity.as_str().parse(), Ok(severity));
            assert_eq!(usize::from(severity.rank()), index + 1);
        }
        assert!("High".parse::<Severity>().is_err());
    }
}
