//! Between messages and the domain: fallible towards the domain, bounded both ways.
//!
//! Nothing a peer sends is trusted: every depth, length and number is checked before the domain
//! holds it, and the error says which field is wrong.

mod facts;
mod pod;
mod report;
mod tree;

pub use facts::{facts_from_message, facts_to_message};
pub use pod::{pod_from_message, pod_to_message};
pub use report::{
    excepted_from_message, excepted_to_message, fold_from_message, fold_to_message, loss_from_message,
    loss_to_message,
};
pub use tree::{MAX_DEPTH, MAX_NODES, tree_from_message, tree_to_message};

/// A message is not what the domain can hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field is longer or larger than it may be.
    #[error("{field} is larger than {limit}")]
    TooLarge {
        /// The field.
        field: &'static str,
        /// What it may be.
        limit: u64,
    },
    /// A value is nested deeper than [`MAX_DEPTH`].
    #[error("a value is nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// A field has a value that means nothing.
    #[error("{field} is {value:?}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What it says, cut at 64 characters.
        value: String,
    },
}

/// Refuses what is longer than its field may be.
fn bounded(field: &'static str, length: usize, limit: usize) -> Result<(), ConvertError> {
    if length > limit {
        return Err(ConvertError::TooLarge {
            field,
            limit: u64::try_from(limit).unwrap_or(u64::MAX),
        });
    }
    Ok(())
}

fn invalid(field: &'static str, value: &impl ToString) -> ConvertError {
    ConvertError::Invalid {
        field,
        value: value.to_string().chars().take(64).collect(),
    }
}

#[cfg(test)]
mod tests;
