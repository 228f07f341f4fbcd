//! Status conditions: computed from the old ones and an injected time, so that a condition that
//! says the same as before is the same.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Longest message of a condition, as the API server's own types have it.
const MAX_MESSAGE: usize = 32_768;

/// The three answers of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody can say yet.
    Unknown,
}

impl Answer {
    fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What a condition says, without its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Type of the condition, such as `Accepted`.
    pub kind: &'static str,
    /// Whether it holds.
    pub answer: Answer,
    /// Why, as one CamelCase word.
    pub reason: &'static str,
    /// Why, for a person.
    pub message: String,
}

impl Finding {
    /// The condition for an object of this generation. The time of transition is the old one's
    /// unless the answer flips.
    pub fn over(self, old: &[Condition], generation: Option<i64>, now: &Time) -> Condition {
        let before = old
            .iter()
            .find(|condition| condition.type_ == self.kind && condition.status == self.answer.as_str());
        Condition {
            type_: self.kind.to_owned(),
            status: self.answer.as_str().to_owned(),
            reason: self.reason.to_owned(),
            message: cut(self.message, MAX_MESSAGE),
            observed_generation: generation,
            last_transition_time: before.map_or(now, |before| &before.last_transition_time).clone(),
        }
    }
}

/// The text, cut at a character so that it has `most` bytes at the most.
pub fn cut(mut text: String, most: usize) -> String {
    const MARK: &str = " … (cut)";
    if text.len() > most {
        let end = most.saturating_sub(MARK.len());
        text.truncate(text.floor_char_boundary(end));
        text.push_str(MARK);
    }
    text
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::{Answer, Finding, cut};

    fn at(second: i64) -> Time {
        Time(jiff::Timestamp::from_second(second).unwrap())
    }

    fn finding(answer: Answer, reason: &'static str) -> Finding {
        Finding {
            kind: "Accepted",
            answer,
            reason,
            message: String::new(),
        }
    }

    #[test]
    fn the_time_of_transition_moves_only_when_the_answer_flips() {
        let first = finding(Answer::False, "TestsFailed").over(&[], Some(1), &at(10));
        assert_eq!(first.last_transition_time, at(10));
        let same = finding(Answer::False, "InvalidCondition").over(&[first], Some(2), &at(20));
        assert_eq!(
            (&same.last_transition_time, same.observed_generation),
            (&at(10), Some(2))
        );
        let flipped = finding(Answer::True, "Compiled").over(&[same], Some(3), &at(30));
        assert_eq!(flipped.last_transition_time, at(30));
        assert_eq!(flipped.status, "True");
    }

    #[test]
    fn a_long_message_is_cut_between_characters_and_says_so() {
        let message = cut("é".repeat(20_000), 32_768);
        assert!(message.len() <= 32_768 && message.ends_with("(cut)"));
        assert_eq!(cut("short".to_owned(), 10), "short");
    }
}
