//! Decides what to do about one object.

use kube::api::DynamicObject;

use super::LABEL;
use super::bundle::{Item, Kind};
use super::exact::{differing, editors, is_as_shipped, is_labelled_by_us};

/// What to do about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing.
    Keep,
    /// Make it.
    Create,
    /// Bring it to this version.
    Update,
    /// Take back what somebody changed.
    Revert {
        /// Field managers that changed it.
        by: Vec<String>,
        /// Members of `spec` that are not as shipped.
        members: Vec<String>,
    },
    /// Delete it: it does not ship any more, or its pack is not wanted.
    Remove,
    /// Leave it alone: it is the user's and has a shipped name.
    Taken,
}

/// Decides by what is wanted and what is there.
pub(super) fn plan(kind: Kind, wanted: Option<&Item>, found: Option<&DynamicObject>) -> Action {
    match (wanted, found) {
        (None, Some(object)) if is_labelled_by_us(object) => Action::Remove,
        (None, _) => Action::Keep,
        (Some(_), None) => Action::Create,
        (Some(_), Some(object)) if !has_label(object) => Action::Taken,
        (Some(item), Some(object)) => {
            let members = differing(kind, item, object);
            let by: Vec<String> = editors(object).into_iter().collect();
            if is_as_shipped(kind, item, object) && is_labelled_by_us(object) {
                Action::Keep
            } else if members.is_empty() || by.is_empty() {
                Action::Update
            } else {
                Action::Revert { by, members }
            }
        }
    }
}

pub(super) fn has_label(object: &DynamicObject) -> bool {
    let labels = object.metadata.labels.as_ref();
    labels.is_some_and(|labels| labels.contains_key(LABEL))
}
