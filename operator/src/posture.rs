//! Posture: how the cluster is configured, judged by the checks of all frameworks.
//!
//! Objects pass by once: each is judged when it changes and only the results stay. When a check
//! changes, the objects that it speaks about are listed again. `catalog`, `resources`, `findings`,
//! `openings` and `status` are pure; `run` watches and writes.

mod catalog;
mod findings;
mod openings;
mod resources;
mod run;
mod status;
pub(crate) mod validate;
mod work;

#[cfg(test)]
mod tests;

pub use run::{PostureError, run};
