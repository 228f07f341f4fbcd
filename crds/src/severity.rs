//! How urgently a person should look, as it stands in custom resources.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How urgently a person should look.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth recording.
    Info,
    /// Worth a look when there is time.
    Low,
    /// Worth a look this week.
    #[default]
    Medium,
    /// Worth a look today.
    High,
    /// Worth waking somebody.
    Critical,
}

impl From<Severity> for yagura_event::Severity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Info,
            Severity::Low => Self::Low,
            Severity::Medium => Self::Medium,
            Severity::High => Self::High,
            Severity::Critical => Self::Critical,
        }
    }
}

impl From<yagura_event::Severity> for Severity {
    fn from(severity: yagura_event::Severity) -> Self {
        match severity {
            yagura_event::Severity::Info => Self::Info,
            yagura_event::Severity::Low => Self::Low,
            yagura_event::Severity::Medium => Self::Medium,
            yagura_event::Severity::High => Self::High,
            yagura_event::Severity::Critical => Self::Critical,
        }
    }
}

impl Severity {
    /// The lower-case name.
    pub fn as_str(self) -> &'static str {
        yagura_event::Severity::from(self).as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::Severity;

    #[test]
    fn the_name_on_the_wire_is_the_domains_name() {
        for domain in yagura_event::Severity::ALL {
            let severity = Severity::from(domain);
            assert_eq!(yagura_event::Severity::from(severity), domain);
            assert_eq!(serde_json::to_value(severity).unwrap(), domain.as_str());
        }
    }
}
