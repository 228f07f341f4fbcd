//! Shipped names that objects of users have.

use std::collections::BTreeMap;

use kube::api::ObjectMeta;

use super::LABEL;
use super::packs::Pack;
use crate::conditions::{Answer, Finding};

/// The names that the wanted content takes, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(BTreeMap<(&'static str, String), Pack>);

impl FromIterator<(&'static str, String, Pack)> for Names {
    fn from_iter<T: IntoIterator<Item = (&'static str, String, Pack)>>(names: T) -> Self {
        Self(
            names
                .into_iter()
                .map(|(kind, name, pack)| ((kind, name), pack))
                .collect(),
        )
    }
}

impl Names {
    /// Whether something of this kind and name ships.
    pub fn contains(&self, kind: &str, name: &str) -> bool {
        self.0.keys().any(|known| known.0 == kind && known.1 == name)
    }

    /// The pack whose object is not applied because this one, which is the user's, has its name.
    pub fn taken_by(&self, kind: &'static str, meta: &ObjectMeta) -> Option<Pack> {
        let labelled = meta
            .labels
            .as_ref()
            .is_some_and(|labels| labels.contains_key(LABEL));
        let name = meta.name.clone().unwrap_or_default();
        self.0.get(&(kind, name)).copied().filter(|_| !labelled)
    }
}

/// The condition of a user's object that has a shipped name.
pub(crate) fn condition(pack: Pack) -> Finding {
    Finding {
        kind: "NameTaken",
        answer: Answer::True,
        reason: "NotShipped",
        message: format!(
            "Yagura ships an object of this name and kind and does not apply it, because this one is yours. \
             To have both, apply yours under another name and delete this one; to have the shipped one alone, \
             delete this one, or hand it over with the label {LABEL}={pack}"
        ),
    }
}
