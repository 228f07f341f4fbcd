//! The filters of all rules together, hook by hook.

use std::rc::Rc;

use yagura_event::EventKind;

use super::atom::{Atom, Shape, Test};
use super::form::{Group, add};
use super::{Filter, KernelPart};

/// Most groups of a hook.
pub const HOOK_GROUPS: usize = 1_024;
/// Most texts and numbers that the atoms of a hook compare with, all together.
pub const HOOK_KEYS: usize = 65_536;

/// What became of a filter that was too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Widened {
    /// It was not.
    No,
    /// Of each group only the atom is left that tells most, so that atoms of one subject share a table.
    SingleAtoms,
    /// That was still too much: everything passes.
    Opened,
}

impl Widened {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::SingleAtoms => "single atoms",
            Self::Opened => "opened",
        }
    }
}

/// What a hook lets pass for a set of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The kind of event that it is the hook of.
    pub kind: EventKind,
    /// What passes: what any of the rules may match.
    pub filter: Filter,
    /// The rules that can meet the kind, by their places among the parts.
    pub rules: Vec<usize>,
    /// Those of them that have nothing to filter by, so that everything passes.
    pub opened_by: Vec<usize>,
    /// Whether the filter was too large.
    pub widened: Widened,
}

/// What each hook lets pass for a set of rules. A hook that no rule can meet is not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// The hooks, in the order of their kinds.
    pub hooks: Vec<Hook>,
}

impl Hooks {
    /// Joins what rules leave to the kernel.
    pub fn join<'p>(parts: impl IntoIterator<Item = &'p KernelPart>) -> Self {
        let parts: Vec<&KernelPart> = parts.into_iter().collect();
        let hooks = EventKind::ALL.into_iter().filter_map(|kind| hook(kind, &parts));
        Self {
            hooks: hooks.collect(),
        }
    }

    /// The hook of a kind, when a rule can meet it.
    pub fn of(&self, kind: EventKind) -> Option<&Hook> {
        self.hooks.iter().find(|hook| hook.kind == kind)
    }
}

fn hook(kind: EventKind, parts: &[&KernelPart]) -> Option<Hook> {
    let of_kind = |part: &&'_ KernelPart| part.filters.iter().any(|(known, _)| *known == kind);
    let rules: Vec<usize> = (0..parts.len())
        .filter(|index| parts.get(*index).is_some_and(of_kind))
        .collect();
    if rules.is_empty() {
        return None;
    }
    let filters = || {
        parts
            .iter()
            .flat_map(|part| &part.filters)
            .filter(|(known, _)| *known == kind)
            .map(|(_, filter)| filter)
    };
    let opened_by: Vec<usize> = rules
        .iter()
        .copied()
        .zip(filters())
        .filter(|(_, filter)| filter.is_open())
        .map(|(rule, _)| rule)
        .collect();
    let exact = filters().all(|filter| filter.exact);
    let (groups, widened) = if opened_by.is_empty() {
        let groups = || filters().flat_map(|filter| &filter.groups);
        if let Some(joined) = joined(groups().map(|group| group.iter().cloned().map(Rc::new).collect())) {
            (joined, Widened::No)
        } else if let Some(joined) =
            joined(groups().map(|group| best(group).cloned().map(Rc::new).into_iter().collect()))
        {
            (joined, Widened::SingleAtoms)
        } else {
            (vec![Vec::new()], Widened::Opened)
        }
    } else {
        (vec![Vec::new()], Widened::No)
    };
    Some(Hook {
        kind,
        filter: Filter {
            groups,
            exact: exact && widened == Widened::No,
        },
        rules,
        opened_by,
        widened,
    })
}

/// Groups that do not say the same twice; `None` when they are too many.
fn joined(groups: impl Iterator<Item = Group>) -> Option<Vec<Vec<Atom>>> {
    let mut all = Vec::new();
    for group in groups {
        add(&mut all, group, HOOK_KEYS);
        if all.len() > HOOK_GROUPS {
            return None;
        }
    }
    let keys: usize = all.iter().flatten().map(|atom| atom.keys()).sum();
    let plain = |group: &Group| group.iter().map(|atom| Atom::clone(atom)).collect();
    let mut all: Vec<Vec<Atom>> = all.iter().map(plain).collect();
    all.sort();
    (keys <= HOOK_KEYS).then_some(all)
}

/// The atom that tells most, as far as a guess goes; of those that tell as much, the one that the kernel comes to first.
fn best(group: &[Atom]) -> Option<&Atom> {
    group.iter().min_by_key(|atom| match &atom.test {
        _ if atom.negated => 5,
        Test::Texts(keys) if keys.iter().all(|key| key.shape == Shape::Whole) => 0,
        Test::Texts(_) => 1,
        Test::Numbers(_) => 2,
        Test::Bits { .. } => 3,
        Test::Present | Test::Is(_) => 4,
    })
}
