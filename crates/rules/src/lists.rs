//! Named lists that conditions refer to: `process.name in lists["shells"]`.

mod glob;
mod named;
mod network;
mod sum;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use sha2::{Digest as _, Sha256};

pub use named::{ListType, NamedList, UnknownListType, ValueFault};
pub(crate) use network::Network;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Usable(Arc<NamedList>),
    /// There is such a list, and why nothing may be compiled with it.
    Unusable(Arc<str>),
}

/// Lists by name. Cheap to clone: the lists themselves are shared.
#[derive(Clone, Debug, PartialEq)]
pub struct Lists(Arc<BTreeMap<String, Entry>>);

/// Why a list cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoList<'l> {
    Unknown,
    Unusable(&'l str),
}

static BUILTIN: LazyLock<Lists> = LazyLock::new(|| {
    let system = ["kube-node-lease", "kube-public", "kube-system"];
    let shells = [
        "ash", "bash", "csh", "dash", "fish", "ksh", "mksh", "sh", "tcsh", "zsh",
    ];
    Lists::none()
        .with("system-namespaces", NamedList::of_strings(system))
        .with("shells", NamedList::of_strings(shells))
});

impl Lists {
    /// No list.
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// The lists that are always there.
    pub fn builtin() -> Self {
        BUILTIN.clone()
    }

    /// These and one more, which replaces one of the same name.
    #[must_use]
    pub fn with(self, name: &str, list: impl Into<Arc<NamedList>>) -> Self {
        self.entered(name, Entry::Usable(list.into()))
    }

    /// These and the name of a list that nothing may be compiled with, and why. It hides one of the same name: what is wrong with a
    /// list must not give its name another meaning.
    #[must_use]
    pub fn with_unusable(self, name: &str, why: &str) -> Self {
        self.entered(name, Entry::Unusable(why.into()))
    }

    fn entered(mut self, name: &str, entry: Entry) -> Self {
        Arc::make_mut(&mut self.0).insert(name.to_owned(), entry);
        self
    }

    /// What a name stands for, as a text that differs when that does: what was compiled with another is to be compiled again.
    pub fn fingerprint(&self, name: &str) -> String {
        match self.0.get(name) {
            Some(Entry::Usable(list)) => list.digest_hex(),
            Some(Entry::Unusable(why)) => format!("!{why}"),
            None => String::new(),
        }
    }

    /// The hash of a rule together with the lists that it uses: one that is compiled with other values is another rule.
    pub(crate) fn hash_with(&self, hash: String, used: &BTreeSet<String>) -> String {
        if used.is_empty() {
            return hash;
        }
        let mut hasher = Sha256::new();
        hasher.update(hash);
        for name in used {
            hasher.update(name);
            hasher.update([0]);
            hasher.update(self.fingerprint(name));
        }
        named::hex(&hasher.finalize())
    }

    pub(crate) fn find(&self, name: &str) -> Result<&Arc<NamedList>, NoList<'_>> {
        match self.0.get(name) {
            Some(Entry::Usable(list)) => Ok(list),
            Some(Entry::Unusable(why)) => Err(NoList::Unusable(why)),
            None => Err(NoList::Unknown),
        }
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
