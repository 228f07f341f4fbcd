//! Detection over time: how often something matched within a time, what was not seen before, what came after what.
//!
//! A [`State`] is what one rule remembers of one group of matches. It is a function of the matches that it took, whatever the
//! order in which they came: a match that comes late is judged as if it had come in time, as long as it is not later than
//! its method waits for. What is told is never taken back, and each match is told once.
//!
//! [`Groups`] keeps the groups of one rule in bounded memory. Where groups live elsewhere, as they do in the operator's
//! store, a state is [`State::encode`]d between two matches.

mod chain;
mod encode;
mod group;
mod groups;
mod queries;
mod shape;
mod state;
mod values;

use sha2::{Digest, Sha256};
use yagura_event::Timestamp;

pub use chain::Chain;
pub use encode::BadGroup;
pub use group::Group;
pub use groups::{Added, Groups, Kept, MAX_GROUPS};
pub use queries::Queries;
pub use state::{Input, State, Taken};
pub use values::{MAX_VALUES, Values};

/// One match, or several that came within a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// When the first happened.
    pub first: Timestamp,
    /// When the last happened.
    pub last: Timestamp,
    /// How many there are.
    pub count: u32,
    /// Stands for the value that is told apart; nothing where matches are counted.
    pub value: u64,
}

/// What stands for a value that is told apart: the beginning of a hash of its bytes, the same in every build.
pub fn value_id(bytes: &[u8]) -> u64 {
    let hash = Sha256::digest(bytes);
    hash.first_chunk().map_or(0, |start| u64::from_le_bytes(*start))
}

/// Matches whose window holds, and that were not told before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired {
    /// How many.
    pub count: u64,
    /// Time of the first.
    pub first: Timestamp,
    /// Time of the last.
    pub last: Timestamp,
}

/// What became of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its window does not hold, or nothing in it is news.
    Waits,
    /// Its window holds.
    Fires(Fired),
    /// It came later than the group waits for.
    Late,
}
