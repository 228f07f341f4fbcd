//! Searching an event for the literals of all rules at once.

use yagura_event::field::MemberId;
use yagura_event::{FieldId, Registry};

use super::cost::late;
use super::found::{Found, Rules};
use super::values::{Values, ValuesBuilder};
use super::{Base, CLAUSES, Literal, Place};
use crate::eval::Subject;

/// The rules of one kind of events by the literals that they need.
#[derive(Debug)]
pub(crate) struct Index {
    /// How many there are.
    count: usize,
    /// Clauses that need none: what an event meets before anything is seen of it.
    always: Vec<u64>,
    fields: Vec<Searched>,
    /// Fields that are looked at only if a rule may still match that needs them.
    late: Vec<Late>,
}

#[derive(Debug)]
struct Late {
    searched: Searched,
    /// The rules that need the field.
    rules: Rules,
    /// Clauses that may yet be met by it or by those that come after it.
    open: Vec<u64>,
}

/// A field that is read, and where in it literals are looked for.
#[derive(Debug)]
struct Searched {
    field: FieldId,
    places: Vec<(Option<MemberId>, Values)>,
}

/// What an index is made of.
#[derive(Debug)]
pub(crate) struct IndexBuilder {
    count: usize,
    /// Words for one clause of every rule.
    width: usize,
    /// The rules.
    rules: Rules,
    /// Clauses of rules that need a literal: what `always` has not.
    needed: Vec<u64>,
    places: Vec<Building>,
}

#[derive(Debug)]
struct Building {
    place: Place,
    /// Clauses that have a literal here.
    clauses: Vec<u64>,
    values: ValuesBuilder,
}

impl IndexBuilder {
    /// For rules with numbers below a limit.
    pub(crate) fn new(limit: usize) -> Self {
        let rules = Rules::none(limit);
        let width = rules.0.len();
        Self {
            count: 0,
            width,
            rules,
            needed: vec![0; width * CLAUSES],
            places: Vec::new(),
        }
    }

    /// Adds a rule and its clauses, of each of which it needs one literal.
    pub(crate) fn add(&mut self, rule: usize, clauses: &[Vec<Literal<'_>>]) {
        self.count += 1;
        self.rules.insert(rule);
        for (place, clause) in clauses.iter().take(CLAUSES).enumerate() {
            // A variable does not reach beyond its macro.
            if !clause
                .iter()
                .all(|literal| matches!(literal.place.base, Base::Field(_)))
            {
                continue;
            }
            let bit = place * self.width * 64 + rule;
            if let Some(word) = self.needed.get_mut(bit / 64) {
                *word |= 1 << (bit % 64);
            }
            for literal in clause {
                let building = self.at(literal.place);
                if let Some(word) = building.clauses.get_mut(bit / 64) {
                    *word |= 1 << (bit % 64);
                }
                building
                    .values
                    .add(literal, u32::try_from(bit).unwrap_or(u32::MAX));
            }
        }
    }

    fn at(&mut self, place: Place) -> &mut Building {
        let known = self.places.iter().position(|known| known.place == place);
        let at = known.unwrap_or_else(|| {
            self.places.push(Building {
                place,
                clauses: vec![0; self.needed.len()],
                values: ValuesBuilder::default(),
            });
            self.places.len() - 1
        });
        &mut self.places[at]
    }

    pub(crate) fn build(self) -> Index {
        let registry = Registry::workload();
        let width = self.width;
        let mut always: Vec<u64> = self.needed.iter().map(|word| !word).collect();
        for (word, rules) in always.iter_mut().zip(&self.rules.0) {
            *word &= rules;
        }
        let mut all: Vec<(Searched, Vec<u64>)> = Vec::new();
        for Building {
            place,
            clauses,
            values,
        } in self.places
        {
            let Base::Field(field) = place.base else { continue };
            let values = values.build(width, &mut always);
            if let Some((searched, open)) = all.iter_mut().find(|(searched, _)| searched.field == field) {
                searched.places.push((place.member, values));
                unite(open, &clauses);
            } else {
                let places = vec![(place.member, values)];
                all.push((Searched { field, places }, clauses));
            }
        }
        // Most rules have fewer clauses.
        let met = |clause: &[u64]| clause.iter().any(|word| *word != 0);
        let used = self.needed.chunks(width.max(1)).rposition(met);
        always.truncate(width * (1 + used.unwrap_or(0)));
        let (late, early): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|(searched, _)| late(searched.field, registry));
        let mut after = vec![0; self.needed.len()];
        let mut late: Vec<Late> = late
            .into_iter()
            .rev()
            .map(|(searched, clauses)| {
                let mut rules = Rules(vec![0; width]);
                for clause in clauses.chunks(width.max(1)) {
                    unite(&mut rules.0, clause);
                }
                unite(&mut after, &clauses);
                Late {
                    searched,
                    rules,
                    open: after.clone(),
                }
            })
            .collect();
        late.reverse();
        Index {
            count: self.count,
            always,
            fields: early.into_iter().map(|(searched, _)| searched).collect(),
            late,
        }
    }
}

fn unite(bits: &mut [u64], more: &[u64]) {
    for (word, more) in bits.iter_mut().zip(more) {
        *word |= more;
    }
}

impl Searched {
    fn search(&self, subject: &impl Subject, found: &mut Found) {
        let value = subject.field(self.field);
        for (member, values) in &self.places {
            values.look(&value, *member, found);
        }
    }
}

impl Index {
    /// How many rules there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Leaves in `found` the rules among `allowed` that may match.
    pub(crate) fn search(&self, subject: &impl Subject, allowed: &Rules, found: &mut Found) {
        found.begin(&self.always);
        for field in &self.fields {
            field.search(subject, found);
        }
        for late in &self.late {
            if found.any(&late.rules, allowed, &late.open) {
                late.searched.search(subject, found);
            }
        }
        found.settle(allowed);
    }
}
