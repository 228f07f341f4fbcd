//! Durable state: the agent's spool and the operator's signals.

#![forbid(unsafe_code)]

pub mod signals;
pub mod spool;

pub use signals::{SignalStore, StoreError};
