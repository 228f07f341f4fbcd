//! Durable state behind small traits: the agent's spool and the operator's signal store.

#![forbid(unsafe_code)]

pub mod spool;
