//! `Exception` and `ClusterException`: what of rules' matches is not to be reported.
//!
//! | step | needs | does |
//! |---|---|---|
//! | `join` | nothing | which rule carries which exceptions, within budgets |
//! | `validate` | nothing | what the webhook says of one |
//! | `known` | index | what the others know of rules and exceptions |
//! | `status` | nothing | what becomes of one, in words |
//! | `run` | client, store | writes that and what it held back, at a measured pace |
//!
//! The watches are those of `detection_rule`: a rule is handed out together with its exceptions, or an agent would run it
//! without them for a moment.

pub(crate) mod join;
pub mod known;
mod run;
mod status;
pub(crate) mod validate;

#[cfg(test)]
mod tests;

pub use run::{TellError, run};
