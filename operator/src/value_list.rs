//! `ValueList`: from the objects to what conditions are compiled with, and back to their statuses.
//!
//! | step | needs | does |
//! |---|---|---|
//! | `shelf` | nothing | which names stand for which values, within budgets |
//! | `uses` | nothing | which rules and checks use which list |
//! | `validate` | nothing | what the webhook says of one |
//! | `status` | nothing | what becomes of one, in words |
//! | `events` | nothing | what is told when one takes what uses it along |
//! | `run` | client | the watch; tells rules and posture of changes, writes statuses and events |
//!
//! Rules and checks are compiled where they are watched. They wait for the first complete list of these objects, or each that names
//! one would be refused for a moment at every start.

mod events;
mod run;
pub mod shelf;
mod status;
pub mod uses;
pub(crate) mod validate;

#[cfg(test)]
mod tests;

pub use run::run;
