//! What rules need of values that are no texts.

use std::collections::{BTreeMap, HashMap};

use super::Wanted;
use super::found::Found;
use super::hash::BuildQuick;
use super::postings::{Piece, Postings};

/// Numbers and the like at one place, each with the rules that need it.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    equal: HashMap<i64, Piece, BuildQuick>,
    /// Rising.
    at_least: Vec<(i64, Piece)>,
    /// Falling.
    at_most: Vec<(i64, Piece)>,
    truth: Option<Piece>,
    falsehood: Option<Piece>,
    not_true: Option<Piece>,
    present: Option<Piece>,
    absent: Option<Piece>,
}

/// What they are made of: bits by number.
#[derive(Debug, Default)]
pub(super) struct NumbersBuilder {
    equal: BTreeMap<i64, Vec<u32>>,
    at_least: BTreeMap<i64, Vec<u32>>,
    at_most: BTreeMap<i64, Vec<u32>>,
    truth: Vec<u32>,
    falsehood: Vec<u32>,
    not_true: Vec<u32>,
    present: Vec<u32>,
    absent: Vec<u32>,
}

impl NumbersBuilder {
    /// The bits of what is wanted; `None` for a text.
    pub(super) fn bits(&mut self, wanted: &Wanted<'_>) -> Option<&mut Vec<u32>> {
        Some(match wanted {
            Wanted::Text(..) => return None,
            Wanted::Number(number) => self.equal.entry(*number).or_default(),
            Wanted::AtLeast(number) => self.at_least.entry(*number).or_default(),
            Wanted::AtMost(number) => self.at_most.entry(*number).or_default(),
            Wanted::True => &mut self.truth,
            Wanted::False => &mut self.falsehood,
            Wanted::NotTrue => &mut self.not_true,
            Wanted::Present => &mut self.present,
            Wanted::Absent => &mut self.absent,
        })
    }

    pub(super) fn build(self, postings: &mut Postings) -> Numbers {
        let mut piece = |mut bits: Vec<u32>| postings.add(&mut bits);
        let mut one = |bits: Vec<u32>| (!bits.is_empty()).then(|| piece(bits));
        let (truth, falsehood, not_true) = (one(self.truth), one(self.falsehood), one(self.not_true));
        let (present, absent) = (one(self.present), one(self.absent));
        let mut all = |bits: BTreeMap<i64, Vec<u32>>| -> Vec<(i64, Piece)> {
            bits.into_iter()
                .map(|(number, bits)| (number, piece(bits)))
                .collect()
        };
        let mut at_most = all(self.at_most);
        at_most.reverse();
        Numbers {
            equal: all(self.equal).into_iter().collect(),
            at_least: all(self.at_least),
            at_most,
            truth,
            falsehood,
            not_true,
            present,
            absent,
        }
    }
}

impl Numbers {
    /// Whether it matters of which sort a value is: then the elements of a list do not stand for it.
    pub(super) fn of_whole_values(&self) -> bool {
        self.not_true.is_some() || self.present.is_some() || self.absent.is_some()
    }

    /// Whether nothing is compared as a number, so that numbers in other forms need no care.
    pub(super) fn compares_none(&self) -> bool {
        self.equal.is_empty() && self.at_least.is_empty() && self.at_most.is_empty()
    }

    pub(super) fn mark_absent(&self, postings: &Postings, found: &mut Found) {
        for piece in [self.absent, self.not_true].into_iter().flatten() {
            postings.mark(piece, found);
        }
    }

    /// Any value that is there and is neither true nor false.
    pub(super) fn mark_present(&self, postings: &Postings, found: &mut Found) {
        for piece in [self.present, self.not_true].into_iter().flatten() {
            postings.mark(piece, found);
        }
    }

    pub(super) fn mark_truth(&self, value: bool, postings: &Postings, found: &mut Found) {
        let (exactly, not_true) = if value {
            (self.truth, None)
        } else {
            (self.falsehood, self.not_true)
        };
        for piece in [exactly, not_true, self.present].into_iter().flatten() {
            postings.mark(piece, found);
        }
    }

    pub(super) fn mark_number(&self, value: i64, postings: &Postings, found: &mut Found) {
        self.mark_present(postings, found);
        if let Some(piece) = self.equal.get(&value) {
            postings.mark(*piece, found);
        }
        for (_, piece) in self.at_least.iter().take_while(|(least, _)| *least <= value) {
            postings.mark(*piece, found);
        }
        for (_, piece) in self.at_most.iter().take_while(|(most, _)| value <= *most) {
            postings.mark(*piece, found);
        }
    }
}
