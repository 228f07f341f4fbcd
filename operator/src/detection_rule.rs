//! `DetectionRule`: from the object to what agents run, and back to its status.
//!
//! | step | needs | does |
//! |---|---|---|
//! | `fetch` | store | what the rule found |
//! | `validate` | nothing | names to types, compiler, the rule's own tests |
//! | `build` | nothing | what agents get |
//! | `apply` | index | hands it to the nodes |
//! | `status` | client | says what became of it, at a measured pace |

mod apply;
mod build;
mod fetch;
mod reconcile;
mod rules;
mod status;
pub(crate) mod validate;

#[cfg(test)]
mod tests;

pub use reconcile::{RuleError, run};
