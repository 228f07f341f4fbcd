//! Detection over time that learns: what one rule remembers of one group of matches, for methods that compare a match with
//! what the group did before.
//!
//! - [`anomaly`]: more matches in a while than at such times before.
//! - [`content`]: a text that is like none that came before.
//! - [`distinct`]: how many different values there are, beyond as many as are worth remembering.
//! - [`travel`]: two places that nobody can have been at, one after the other.
//!
//! Each module says exactly what it finds. A group is a value: it is a function of its parameters and of what it was given, it
//! needs bounded memory whatever that is, and it is encoded to bytes between two matches where it lives elsewhere.

pub mod anomaly;
mod bytes;
pub mod content;
pub mod distinct;
pub mod travel;

pub use crate::window::BadGroup;
