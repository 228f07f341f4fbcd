//! Clauses, and how they are put together.

use std::rc::Rc;

use yagura_event::Registry;
use yagura_rules::limits;

use super::cost::Cost;
use super::{Base, CLAUSES, Literal, Shape, Wanted};

/// Most literals of one clause: more take memory and tell little.
pub(super) const LITERALS: usize = 1_024;

/// Clauses that are remembered of an expression, of which at most [`CLAUSES`] are chosen in the end.
const KEPT: usize = 2 * CLAUSES;

/// Literals of which one has to be seen.
#[derive(Clone, Debug)]
pub(super) struct Clause<'p> {
    pub(super) cost: Cost,
    pub(super) all: Rc<[Literal<'p>]>,
}

/// Clauses each of which has to be met, the most telling first.
pub(super) type Clauses<'p> = Vec<Clause<'p>>;

/// What an expression needs of fields, and what of the variable of each macro around it: where it needs several of these,
/// each follows by itself.
pub(super) type Needs<'p> = [Clauses<'p>; 1 + limits::MACRO_DEPTH as usize];

pub(super) const NOTHING: Needs<'_> = [const { Vec::new() }; 1 + limits::MACRO_DEPTH as usize];

impl<'p> Clause<'p> {
    /// A clause that tells something. What is in everything, and an empty set, which no event would have, do not.
    pub(super) fn of(all: Vec<Literal<'p>>, registry: &Registry) -> Option<Self> {
        let tells = |literal: &Literal<'_>| match &literal.wanted {
            Wanted::Text(wanted) => wanted.shape == Shape::Whole || !wanted.text.is_empty(),
            _ => true,
        };
        if all.len() > LITERALS || !all.iter().all(tells) {
            return None;
        }
        let costs = all.iter().map(|literal| Cost::of(literal, registry));
        let cost = costs.reduce(Cost::and)?;
        Some(Self {
            cost,
            all: all.into(),
        })
    }
}

/// The needs of one clause, all of whose literals stand at places with that base.
pub(super) fn needs(base: Base, clause: Clause<'_>) -> Needs<'_> {
    let mut needs = NOTHING;
    let slot = match base {
        Base::Field(_) => 0,
        Base::Variable(level) => 1 + usize::from(level),
    };
    if let Some(clauses) = needs.get_mut(slot) {
        clauses.push(clause);
    }
    needs
}

/// What is needed when all of several hold: what each of them needs.
pub(super) fn all<'p>(needs: impl IntoIterator<Item = Needs<'p>>) -> Needs<'p> {
    let mut together = NOTHING;
    for one in needs {
        for (clauses, more) in together.iter_mut().zip(one) {
            clauses.extend(more);
        }
    }
    for clauses in &mut together {
        // Of two that cost the same the first stays first.
        clauses.sort_by(|left, right| left.cost.order(&right.cost));
        clauses.truncate(KEPT);
    }
    together
}

/// What is needed when at least one of several holds: the best clauses of each together, and so on with those after.
pub(super) fn any<'p>(needs: &[&Needs<'p>], registry: &Registry) -> Needs<'p> {
    std::array::from_fn(|slot| {
        let count = needs.iter().map(|one| one[slot].len()).min().unwrap_or(0);
        let union = |rank: usize| {
            let mut all = Vec::new();
            for one in needs {
                all.extend_from_slice(&one[slot][rank].all);
                if all.len() > LITERALS {
                    return None;
                }
            }
            Clause::of(all, registry)
        };
        (0..count).filter_map(union).collect()
    })
}

/// The clauses that are looked for: as many as are likely to leave next to nothing. Those that are looked for late come last,
/// so that they need not be when what comes first is not there.
pub(super) fn chosen(clauses: Clauses<'_>) -> Clauses<'_> {
    /// A rule that so few events meet costs nothing.
    const ENOUGH: f64 = 0.001;
    /// No guess is trusted further: a long text may be one that every event has.
    const TRUSTED: f64 = 0.004;
    let mut left = 1.0;
    let mut chosen: Clauses<'_> = Vec::new();
    for clause in clauses.into_iter().filter(|clause| clause.cost.useful()) {
        let most = if clause.cost.late { CLAUSES } else { CLAUSES - 1 };
        if left < ENOUGH || chosen.len() >= most {
            continue;
        }
        left *= clause.cost.likelihood.max(TRUSTED);
        chosen.push(clause);
    }
    chosen
}
