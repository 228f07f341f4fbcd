//! Where findings go, and why they do not get there.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::file::Rotated;
use super::finding::Finding;
use super::post::Endpoint;
use super::{ocsf, otel};
use crate::signals::now;

/// A place for findings.
#[derive(Debug)]
pub enum Sink {
    /// Lines of OCSF on standard output.
    Stdout,
    /// The same in a file.
    #[expect(private_interfaces, reason = "who starts sinks need not look inside")]
    File(Arc<Mutex<Rotated>>),
    /// The same to a URL.
    #[expect(private_interfaces, reason = "who starts sinks need not look inside")]
    Http(Endpoint),
    /// OpenTelemetry log records to a collector.
    #[expect(private_interfaces, reason = "who starts sinks need not look inside")]
    Otlp(Endpoint),
}

/// Findings did not get where they should.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A URL cannot be used. It may have a secret in it and is not repeated.
    #[error("the URL to export to cannot be used: {reason}; write https://host/path")]
    Address {
        /// Why.
        reason: &'static str,
    },
    /// A client cannot be made.
    #[error("cannot prepare the export to {host}; look at its certificates")]
    Client {
        /// The endpoint.
        host: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// A token cannot be read.
    #[error("cannot use the token file {}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the export file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Standard output cannot be written.
    #[error("cannot export to standard output")]
    Stdout(#[source] io::Error),
    /// The thread that wrote died.
    #[error("a thread of the export ended abnormally")]
    Thread(#[from] tokio::task::JoinError),
    /// The endpoint cannot be reached.
    #[error("cannot export to {host}")]
    Unavailable {
        /// The endpoint.
        host: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The endpoint does not answer.
    #[error("{host} did not answer within {seconds} s")]
    Slow {
        /// The endpoint.
        host: String,
        /// How long it had.
        seconds: u64,
    },
    /// The endpoint does not take anything, at least not now.
    #[error("{host} answers {status}: {said}")]
    Busy {
        /// The endpoint.
        host: String,
        /// Its answer.
        status: StatusCode,
        /// What it says.
        said: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The endpoint does not take this.
    #[error("{host} refuses what was sent: it answers {status}: {said}")]
    Refused {
        /// The endpoint.
        host: String,
        /// Its answer.
        status: StatusCode,
        /// What it says.
        said: String,
    },
}

impl SinkError {
    /// Whether sending the same again would be in vain.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// How long the sink wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl Sink {
    /// Its name in metrics and logs, and that of its position in the store.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stdout => "ocsf-stdout",
            Self::File(_) => "ocsf-file",
            Self::Http(_) => "ocsf-http",
            Self::Otlp(_) => "otlp",
        }
    }

    /// Delivers findings. When it returns, the other side has them; it says how many of them it
    /// does not want.
    pub(super) async fn deliver(&mut self, findings: &[&Finding]) -> Result<u64, SinkError> {
        match self {
            Self::Stdout => {
                let lines = lines(findings);
                let written = tokio::task::spawn_blocking(move || {
                    let mut out = io::stdout().lock();
                    out.write_all(&lines).and_then(|()| out.flush())
                });
                written.await?.map_err(SinkError::Stdout)?;
            }
            Self::File(file) => {
                let (file, lines) = (Arc::clone(file), lines(findings));
                let written = tokio::task::spawn_blocking(move || {
                    file.lock().unwrap_or_else(PoisonError::into_inner).write(&lines)
                });
                written.await??;
            }
            Self::Http(endpoint) => {
                endpoint.post("application/x-ndjson", lines(findings)).await?;
            }
            Self::Otlp(endpoint) => {
                let request = otel::request(findings, now().0).to_string().into_bytes();
                let answer = endpoint.post("application/json", request).await?;
                return Ok(rejected(&answer));
            }
        }
        Ok(0)
    }
}

fn lines(findings: &[&Finding]) -> Vec<u8> {
    let mut lines = Vec::new();
    for finding in findings {
        lines.extend(ocsf::event(finding).to_string().into_bytes());
        lines.push(b'\n');
    }
    lines
}

/// Records that a collector did not take although it took the request. In JSON a 64-bit number is
/// a string.
fn rejected(answer: &[u8]) -> u64 {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let count = &answer["partialSuccess"]["rejectedLogRecords"];
    count
        .as_u64()
        .or_else(|| count.as_str()?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::rejected;

    #[test]
    fn a_collector_may_take_a_part() {
        assert_eq!(rejected(br#"{"partialSuccess":{"rejectedLogRecords":"3"}}"#), 3);
        assert_eq!(rejected(br#"{"partialSuccess":{"rejectedLogRecords":2}}"#), 2);
        assert_eq!(rejected(br#"{"partialSuccess":{}}"#), 0);
        assert_eq!(rejected(b"{}"), 0);
        assert_eq!(rejected(b"ok"), 0);
    }
}
