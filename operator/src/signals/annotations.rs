//! What an object carries so that an empty store can be filled from it.

/// The full key of the signal's group, in base64.
pub(super) const KEY: &str = "yagura.dev/group-key";
/// The record that opened it: spool and sequence with a slash between.
pub(super) const ANCHOR: &str = "yagura.dev/anchor";
/// `true` for a rule's overflow signal.
pub(super) const OVERFLOW: &str = "yagura.dev/overflow";
