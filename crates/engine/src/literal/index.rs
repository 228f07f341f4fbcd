//! Searching an event for the texts of all rules at once.

use yagura_event::field::MemberId;
use yagura_event::{FieldId, ValueRef};
use yagura_rules::limits;

use super::texts::{Texts, TextsBuilder};
use super::{Base, Literal, Place};
use crate::eval::Subject;

/// Rules by their numbers, as bits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules(Vec<u64>);

impl Rules {
    pub(super) fn insert(&mut self, rule: u32) {
        let word = rule as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (rule % 64);
    }

    fn extend(&mut self, rules: &[u32]) {
        for rule in rules {
            self.insert(*rule);
        }
    }

    /// Their numbers, rising.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(place, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.checked_sub(1)?;
                Some(place * 64 + bit as usize)
            })
        })
    }
}

/// The rules of one kind of events by the texts that they need.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// How many there are.
    count: usize,
    /// Those that need none.
    always: Rules,
    fields: Vec<Searched>,
}

/// A field that is read, and where in it texts are looked for.
#[derive(Debug)]
struct Searched {
    field: FieldId,
    places: Vec<(Option<MemberId>, Texts)>,
}

/// What an index is made of.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    count: usize,
    always: Rules,
    places: Vec<(FieldId, Option<MemberId>, TextsBuilder)>,
}

impl IndexBuilder {
    /// Adds a rule and the texts of which it needs one.
    pub(crate) fn add(&mut self, rule: u32, witness: Option<&[Literal<'_>]>) {
        self.count += 1;
        let Some(literals) = witness else {
            return self.always.insert(rule);
        };
        for literal in literals {
            let Place { base, member } = literal.place;
            // A variable does not reach beyond its macro.
            let Base::Field(field) = base else {
                return self.always.insert(rule);
            };
            let known = self
                .places
                .iter()
                .position(|(at, of, _)| (*at, *of) == (field, member));
            let place = known.unwrap_or_else(|| {
                self.places.push((field, member, TextsBuilder::default()));
                self.places.len() - 1
            });
            self.places[place].2.add(literal, rule);
        }
    }

    pub(crate) fn build(self) -> Index {
        let mut index = Index {
            count: self.count,
            always: self.always,
            fields: Vec::new(),
        };
        for (field, member, builder) in self.places {
            let texts = builder.build(&mut index.always);
            match index.fields.iter_mut().find(|searched| searched.field == field) {
                Some(searched) => searched.places.push((member, texts)),
                None => index.fields.push(Searched {
                    field,
                    places: vec![(member, texts)],
                }),
            }
        }
        index
    }
}

impl Index {
    /// How many rules there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Leaves in `found` the rules that may match.
    pub(crate) fn search(&self, subject: &impl Subject, found: &mut Rules) {
        found.0.clone_from(&self.always.0);
        for Searched { field, places } in &self.fields {
            let value = subject.field(*field);
            for (member, texts) in places {
                if !look(&value, *member, texts, found) {
                    found.extend(texts.rules());
                }
            }
        }
    }
}

/// Looks for texts in a value; gives whether it could see all of it.
fn look(value: &ValueRef<'_>, member: Option<MemberId>, texts: &Texts, found: &mut Rules) -> bool {
    match value {
        // No member of anything: a test of one does not hold.
        ValueRef::Bytes(_) if member.is_some() => true,
        ValueRef::Bytes(text) => {
            texts.search(text, found);
            true
        }
        ValueRef::List(list) => {
            // Macros visit no more, and leave open what follows.
            let seen = list.complete && list.len() <= limits::LIST_ELEMENTS;
            seen && list
                .iter()
                .all(|element| element_of(&element, member, texts, found))
        }
        ValueRef::Object(object) => member.is_some_and(|member| {
            let value = object.member(member);
            match &value {
                ValueRef::Object(_) => false,
                value => look(value, None, texts, found),
            }
        }),
        ValueRef::Absent
        | ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Int(_)
        | ValueRef::Uint(_)
        | ValueRef::Double(_) => true,
        // Names of a map are members of it.
        ValueRef::Map(_) | ValueRef::Unknown => false,
    }
}

/// The same for an element of a list: lists in lists are not searched.
fn element_of(element: &ValueRef<'_>, member: Option<MemberId>, texts: &Texts, found: &mut Rules) -> bool {
    match element {
        ValueRef::List(_) => false,
        element => look(element, member, texts, found),
    }
}
