//! Notifications: who is told of which signals, when and how.
//!
//! What is due is decided by pure modules (`select`, `quiet`, `pace`, `row`, `board`); a message is
//! put into words by `message` and into a receiver's form by `receiver`, which also sends it. `run`
//! is the only part that knows the store and the API server.

pub mod board;
mod entry;
mod follow;
pub mod message;
pub mod pace;
pub mod quiet;
pub mod receiver;
pub mod route;
pub mod row;
mod run;
pub mod secrets;
pub mod select;
mod status;
mod stored;
pub mod subject;
mod test;

pub use run::{prepare, run};

#[cfg(test)]
mod tests;
