//! The literals of one place, and looking for them in a value.

use yagura_event::ValueRef;
use yagura_event::field::MemberId;
use yagura_event::value::{Items, ListRef};
use yagura_rules::limits;

use super::found::Found;
use super::numbers::{Numbers, NumbersBuilder};
use super::postings::Postings;
use super::texts::{Texts, TextsBuilder};
use super::{Literal, Wanted};

/// What rules need at one place.
#[derive(Debug)]
pub(super) struct Values {
    postings: Postings,
    texts: Texts,
    numbers: Numbers,
}

/// What they are made of.
#[derive(Debug, Default)]
pub(super) struct ValuesBuilder {
    texts: TextsBuilder,
    numbers: NumbersBuilder,
}

impl ValuesBuilder {
    /// Adds a literal that a clause of a rule needs, by its bit. Bits come in any order.
    pub(super) fn add(&mut self, literal: &Literal<'_>, bit: u32) {
        let bits = match &literal.wanted {
            Wanted::Text(wanted) => Some(self.texts.bits(wanted)),
            other => self.numbers.bits(other),
        };
        // A clause may have a literal twice.
        if let Some(bits) = bits.filter(|bits| bits.last() != Some(&bit)) {
            bits.push(bit);
        }
    }

    /// The literals in their forms; bits of those that no automaton takes are among `always` instead.
    pub(super) fn build(self, width: usize, always: &mut [u64]) -> Values {
        let mut postings = Postings::new(width);
        let texts = self.texts.build(&mut postings, always);
        let numbers = self.numbers.build(&mut postings);
        Values {
            postings,
            texts,
            numbers,
        }
    }
}

impl Values {
    /// Marks what is seen in a value, or in its member.
    pub(super) fn look(&self, value: &ValueRef<'_>, member: Option<MemberId>, found: &mut Found) {
        if !self.saw(value, member, found) {
            self.postings.mark_all(found);
        }
    }

    /// The same; gives whether it could see all of it.
    fn saw(&self, value: &ValueRef<'_>, member: Option<MemberId>, found: &mut Found) -> bool {
        match (value, member) {
            (ValueRef::List(list), None) => self.saw_each(list, found),
            // Macros visit no more elements, and leave open what follows.
            (ValueRef::List(list), Some(member)) => {
                list.complete
                    && list.len() <= limits::LIST_ELEMENTS
                    && list
                        .iter()
                        .all(|element| self.saw_member(&element, member, found))
            }
            (value, Some(member)) => self.saw_member(value, member, found),
            (value, None) => self.saw_one(value, found),
        }
    }

    fn saw_member(&self, value: &ValueRef<'_>, member: MemberId, found: &mut Found) -> bool {
        match value {
            ValueRef::Object(object) => match object.member(member) {
                ValueRef::List(list) => self.saw_each(&list, found),
                value => self.saw_one(&value, found),
            },
            // Names of a map are members of it. Lists in lists are not searched.
            ValueRef::Map(_) | ValueRef::Unknown | ValueRef::List(_) => false,
            // No member of anything: nothing is there.
            _ => {
                self.numbers.mark_absent(&self.postings, found);
                true
            }
        }
    }

    fn saw_each(&self, list: &ListRef<'_>, found: &mut Found) -> bool {
        if !list.complete || list.len() > limits::LIST_ELEMENTS || self.numbers.of_whole_values() {
            return false;
        }
        if let Items::Texts(texts) = &list.items {
            for text in *texts {
                self.texts.search(text.as_bytes(), &self.postings, found);
            }
            return true;
        }
        list.iter().all(|element| self.saw_one(&element, found))
    }

    /// A value that is no list.
    fn saw_one(&self, value: &ValueRef<'_>, found: &mut Found) -> bool {
        match value {
            ValueRef::Bytes(text) => {
                self.texts.search(text, &self.postings, found);
                self.numbers.mark_present(&self.postings, found);
                true
            }
            ValueRef::Int(number) => {
                self.numbers.mark_number(*number, &self.postings, found);
                true
            }
            ValueRef::Bool(value) => {
                self.numbers.mark_truth(*value, &self.postings, found);
                true
            }
            ValueRef::Absent | ValueRef::Null => {
                self.numbers.mark_absent(&self.postings, found);
                true
            }
            ValueRef::Uint(_) | ValueRef::Double(_) if self.numbers.compares_none() => {
                self.numbers.mark_present(&self.postings, found);
                true
            }
            ValueRef::Uint(_)
            | ValueRef::Double(_)
            | ValueRef::Map(_)
            | ValueRef::Object(_)
            | ValueRef::List(_)
            | ValueRef::Unknown => false,
        }
    }
}
