//! Metrics, logging and the administrative endpoints.
//!
//! Nothing here knows what the process is for: operator and agent name their own metrics and their
//! own conditions for being ready.

#![forbid(unsafe_code)]

pub mod admin;
pub mod chain;
pub mod logging;
pub mod metrics;
pub mod profile;
pub mod ready;

pub use chain::chain;
pub use logging::LogFormat;
pub use metrics::{Counter, CounterFamily, Gauge, Histogram, Metric, Registry};
pub use ready::{Gate, Readiness};
