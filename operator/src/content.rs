//! What ships with Yagura: rules, checks and frameworks, applied and kept by the operator.
//!
//! `bundle` is what ships, `packs` which of it is wanted, `plan` decides about one object, `exact`
//! compares and corrects; all of these are pure. `run` watches and writes.
//!
//! Of a shipped object `spec.enabled` and `spec.overrides` are the user's; everything else is as it
//! ships. The label [`LABEL`] says that an object is a shipped one: without it, nothing is touched.

mod bundle;
mod embedded;
mod events;
mod exact;
mod packs;
mod plan;
mod run;
mod taken;

#[cfg(test)]
mod tests;

pub use bundle::{Bundle, BundleError, FILES_SOURCE, Kind};
pub(crate) use exact::is_labelled_by_us;
pub use packs::{Pack, Packs, UnknownPack};
pub use run::{ContentError, run};
pub use taken::Names;
pub(crate) use taken::condition as name_taken;

/// Marks a shipped object; its value is the name of its pack.
pub const LABEL: &str = "yagura.dev/bundle";
