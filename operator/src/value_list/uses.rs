//! Which rules and checks use which list.

use std::collections::{BTreeMap, BTreeSet};

/// Names of lists by the names of those that use them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Of detection rules, with what the exceptions that they carry use.
    pub rules: BTreeMap<String, BTreeSet<String>>,
    /// Of posture checks.
    pub checks: BTreeMap<String, BTreeSet<String>>,
}

impl Uses {
    /// Names of the rules that use a list.
    pub fn by_rules<'a>(&'a self, list: &'a str) -> impl Iterator<Item = &'a str> {
        users(&self.rules, list)
    }

    /// Names of the checks that use it.
    pub fn by_checks<'a>(&'a self, list: &'a str) -> impl Iterator<Item = &'a str> {
        users(&self.checks, list)
    }
}

fn users<'a>(all: &'a BTreeMap<String, BTreeSet<String>>, list: &'a str) -> impl Iterator<Item = &'a str> {
    all.iter()
        .filter(move |(_, lists)| lists.contains(list))
        .map(|(name, _)| name.as_str())
}
