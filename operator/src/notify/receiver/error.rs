//! Why a message was not taken.

use yagura_telemetry::chain;

use super::super::message::line;
use super::super::secrets::{Secret, SecretError};

/// Bytes of an error that are shown.
const MOST: usize = 512;

/// Why, for metrics and for what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A Secret cannot be read.
    Secret,
    /// The address cannot be used.
    Address,
    /// There is no connection.
    Connect,
    /// The connection is not protected as asked for.
    Tls,
    /// It took too long.
    Timeout,
    /// The receiver asks for patience.
    Throttled,
    /// The receiver does not know or like who sends.
    Denied,
    /// The receiver will never take this message.
    Refused,
    /// The receiver is in trouble.
    Unavailable,
}

impl Cause {
    /// The label of the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Address => "address",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A message was not taken. Says nothing that must not be read by everybody who can read routes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// Why.
    pub cause: Cause,
    /// Why, for a person.
    pub message: String,
    /// The pause in nanoseconds that the receiver asked for.
    pub retry_after: Option<i64>,
}

impl SendError {
    /// An error; its text is cut to one line.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "every caller has just made the text"
    )]
    pub fn new(cause: Cause, message: String) -> Self {
        Self {
            cause,
            message: line(&message, MOST),
            retry_after: None,
        }
    }

    /// The same error without these values in its text, should the receiver have repeated one.
    #[must_use]
    pub fn without(mut self, secrets: &[&Secret]) -> Self {
        for secret in secrets {
            self.message = self.message.replace(secret.expose(), "…");
        }
        self
    }
}

impl From<SecretError> for SendError {
    fn from(error: SecretError) -> Self {
        Self::new(Cause::Secret, chain(&error).to_string())
    }
}
