//! A length of time as people write it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A length of time in hours, minutes and seconds, such as `1h30m`; at most 9999h.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Duration(
    #[schemars(
        length(min = 2, max = 18),
        regex(pattern = r"^([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$")
    )]
    pub String,
);

impl Duration {
    /// How many seconds it is; none when the text is not a length of time. The API server refuses
    /// such a text, so it comes only from files.
    pub fn seconds(&self) -> Option<u64> {
        let mut seconds: u64 = 0;
        let mut rest = self.0.as_str();
        for (unit, length, digits) in [('h', 3_600, 4), ('m', 60, 5), ('s', 1, 5)] {
            let Some((number, after)) = rest.split_once(unit) else {
                continue;
            };
            let is_number =
                (1..=digits).contains(&number.len()) && number.bytes().all(|c| c.is_ascii_digit());
            if !is_number {
                return None;
            }
            seconds += number.parse::<u64>().ok()? * length;
            rest = after;
        }
        (rest.is_empty() && !self.0.is_empty()).then_some(seconds)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Duration;

    #[test]
    fn hours_minutes_and_seconds_are_read_in_this_order() {
        for (text, seconds) in [
            ("10m", Some(600)),
            ("1h30m", Some(5_400)),
            ("2h0m5s", Some(7_205)),
            ("90s", Some(90)),
            ("9999h99999m99999s", Some(9_999 * 3_600 + 99_999 * 60 + 99_999)),
            ("", None),
            ("10", None),
            ("h", None),
            ("30m1h", None),
            ("1h1h", None),
            ("-1h", None),
            ("1.5h", None),
            ("1d", None),
            ("10000h", None),
        ] {
            assert_eq!(Duration(text.to_owned()).seconds(), seconds, "{text:?}");
        }
    }
}
