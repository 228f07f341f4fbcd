//! Alternatives of conjunctions of atoms, bounded: what is too much becomes true.

use std::rc::Rc;

use super::atom::Atom;
use super::{ATOMS, GROUPS, KEYS};
use crate::expr::ExprId;

/// Atoms that all hold, in the order in which the kernel gets at them. None: everything passes.
pub(super) type Group = Vec<Rc<Atom>>;

/// Groups of which one holds. A group without atoms stands alone.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) groups: Rc<Vec<Group>>,
    pub(super) exact: bool,
}

impl Form {
    /// What always holds; otherwise something of which that is all that can be said.
    pub(super) fn always(exact: bool) -> Self {
        Self {
            groups: Rc::new(vec![Group::new()]),
            exact,
        }
    }

    /// What never holds.
    pub(super) fn never() -> Self {
        Self {
            groups: Rc::new(Vec::new()),
            exact: true,
        }
    }

    pub(super) fn of(atom: Atom) -> Self {
        Self {
            exact: atom.exact,
            groups: Rc::new(vec![vec![Rc::new(atom)]]),
        }
    }

    fn is_always(&self) -> bool {
        self.groups.iter().any(Vec::is_empty)
    }

    /// What holds when all do. Those with few groups come first, and one that would make too many of them is left out.
    pub(super) fn all(forms: &[&Self]) -> Self {
        if forms.iter().any(|form| form.groups.is_empty()) {
            return Self::never();
        }
        let mut result = Self::always(true);
        let mut forms = forms.to_vec();
        forms.sort_by_key(|form| form.groups.len());
        for form in forms {
            result.exact &= form.exact;
            if form.is_always() {
                continue;
            }
            if result.groups.len() * form.groups.len() > GROUPS {
                result.exact = false;
                continue;
            }
            let mut groups = Vec::new();
            for left in result.groups.iter() {
                for right in form.groups.iter() {
                    let (group, whole) = both(left, right);
                    result.exact &= whole;
                    add(&mut groups, group, KEYS);
                }
            }
            result.groups = Rc::new(groups);
        }
        result
    }

    /// What holds when at least one does; everything when that takes too many groups.
    pub(super) fn any(forms: &[&Self]) -> Self {
        if let Some(always) = forms.iter().find(|form| form.is_always() && form.exact) {
            return (*always).clone();
        }
        if forms.iter().any(|form| form.is_always()) {
            return Self::always(false);
        }
        if let [form] = forms {
            return (*form).clone();
        }
        let mut groups = Vec::new();
        let mut exact = true;
        for form in forms {
            exact &= form.exact;
            for group in form.groups.iter() {
                add(&mut groups, group.clone(), KEYS);
                if groups.len() > GROUPS {
                    return Self::always(false);
                }
            }
        }
        Self {
            groups: Rc::new(groups),
            exact,
        }
    }
}

/// What holds when an expression does, and what does when it does not.
#[derive(Clone, Debug)]
pub(super) struct Both {
    pub(super) holds: Form,
    pub(super) fails: Form,
}

impl Both {
    /// Nothing can be said.
    pub(super) fn open() -> Self {
        Self {
            holds: Form::always(false),
            fails: Form::always(false),
        }
    }

    /// It is known beforehand.
    pub(super) fn known(value: bool) -> Self {
        let yes = Self {
            holds: Form::always(true),
            fails: Form::never(),
        };
        if value { yes } else { yes.negated() }
    }

    pub(super) fn negated(self) -> Self {
        Self {
            holds: self.fails,
            fails: self.holds,
        }
    }

    /// What follows from members of which all hold, or one.
    pub(super) fn of_members(members: &[ExprId], all: &[Self], and: bool) -> Self {
        let members = || members.iter().filter_map(|member| all.get(member.index()));
        let holding: Vec<&Form> = members().map(|both| &both.holds).collect();
        let failing: Vec<&Form> = members().map(|both| &both.fails).collect();
        if and {
            Self {
                holds: Form::all(&holding),
                fails: Form::any(&failing),
            }
        } else {
            Self {
                holds: Form::any(&holding),
                fails: Form::all(&failing),
            }
        }
    }
}

/// The atoms of both, and whether that is all of them.
fn both(left: &Group, right: &Group) -> (Group, bool) {
    let mut group = left.clone();
    group.extend(right.iter().cloned());
    group.sort();
    group.dedup_by(|next, kept| {
        let met = if next == kept {
            Some(Rc::clone(kept))
        } else {
            kept.meet(next).map(Rc::new)
        };
        met.map(|met| *kept = met).is_some()
    });
    let whole = group.len() <= ATOMS;
    group.truncate(ATOMS);
    (group, whole)
}

/// Adds a group, unless another one holds whenever it does, and takes out those that hold only when it does. One that
/// differs from another in one comparison joins it, as long as that compares with no more than so many keys.
pub(super) fn add(groups: &mut Vec<Group>, group: Group, most: usize) {
    let mut group = group;
    loop {
        if groups.iter().any(|known| within(known, &group)) {
            return;
        }
        groups.retain(|known| !within(&group, known));
        let joined = groups
            .iter()
            .enumerate()
            .find_map(|(index, known)| Some((index, differs(known, &group, most)?)));
        let Some((index, at)) = joined else {
            break;
        };
        let mut known = groups.swap_remove(index);
        if let (Some(atom), Some(other)) = (known.get_mut(at), group.get(at)) {
            Rc::make_mut(atom).join(other);
        }
        known.sort();
        group = known;
    }
    groups.push(group);
}

/// Whether all atoms of one are among those of the other.
fn within(few: &[Rc<Atom>], many: &[Rc<Atom>]) -> bool {
    few.len() <= many.len() && few.iter().all(|atom| many.contains(atom))
}

/// The place of the only atom in which both differ, when they can join there.
fn differs(left: &[Rc<Atom>], right: &[Rc<Atom>], most: usize) -> Option<usize> {
    if left.len() != right.len() {
        return None;
    }
    let mut different = (0..left.len()).filter(|at| left.get(*at) != right.get(*at));
    let at = different.next()?;
    let joins = left.get(at)?.joins(right.get(at)?, most);
    (joins && different.next().is_none()).then_some(at)
}
