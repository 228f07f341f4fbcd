//! Signals for other systems: every change of a signal as an OCSF Detection Finding or an
//! OpenTelemetry log record.
//!
//! Each sink follows the store's changes at its own pace, from a position that the store keeps. The
//! position moves after the sink took a batch, so that a restart sends again rather than skips: a
//! consumer tells repetitions by the event's uid.

pub mod args;
mod file;
mod finding;
mod ocsf;
mod otel;
mod post;
mod sink;
mod worker;

use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::signals::Ledger;
use args::ExportArgs;
use sink::Sink;
pub use sink::SinkError;
pub use worker::{ExportError, follow};

/// The sinks that the command line asks for, each with the name that its position is kept under.
pub fn sinks(args: &ExportArgs) -> Result<Vec<Sink>, SinkError> {
    let mut sinks = Vec::new();
    if args.export_stdout {
        sinks.push(Sink::Stdout);
    }
    if let Some(path) = &args.export_file {
        let limit = args.export_file_limit.saturating_mul(1 << 20);
        let file = file::Rotated::open(path, limit, args.export_file_keep)?;
        sinks.push(Sink::File(Arc::new(Mutex::new(file))));
    }
    let ca = args.export_ca.as_deref();
    if let Some(url) = &args.export_http {
        let endpoint = post::Endpoint::new(url, "", args.export_http_token_file.as_deref(), ca)?;
        sinks.push(Sink::Http(endpoint));
    }
    if let Some(url) = &args.export_otlp {
        let endpoint = post::Endpoint::new(url, "/v1/logs", args.export_otlp_token_file.as_deref(), ca)?;
        sinks.push(Sink::Otlp(endpoint));
    }
    Ok(sinks)
}

/// Follows the changes for one sink until the process stops.
pub async fn run(
    ledger: Ledger,
    metrics: Metrics,
    sink: Sink,
    stop: CancellationToken,
) -> Result<(), ExportError> {
    let ended = stop.run_until_cancelled(follow(ledger, metrics, sink)).await;
    ended.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests;
