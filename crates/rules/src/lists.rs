//! Named lists that conditions refer to: `process.name in lists["shells"]`.

use std::collections::BTreeMap;

use yagura_event::{Text, Tree};

/// Lists of strings by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Lists(BTreeMap<String, Vec<Text>>);

impl Lists {
    /// No list.
    pub fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// The lists that are always there.
    pub fn builtin() -> Self {
        let system = ["kube-node-lease", "kube-public", "kube-system"];
        let shells = [
            "ash", "bash", "csh", "dash", "fish", "ksh", "mksh", "sh", "tcsh", "zsh",
        ];
        Self::none()
            .with("system-namespaces", system)
            .with("shells", shells)
    }

    /// These and one more, which replaces one of the same name.
    #[must_use]
    pub fn with<T: Into<Text>>(mut self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        self.0
            .insert(name.to_owned(), values.into_iter().map(Into::into).collect());
        self
    }

    pub(crate) fn tree(&self, name: &str) -> Option<Tree> {
        Some(Tree::List(
            self.0.get(name)?.iter().cloned().map(Tree::Text).collect(),
        ))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Default for Lists {
    fn default() -> Self {
        Self::builtin()
    }
}
