//! Which rules an event may match, as bits.

use super::CLAUSES;

/// Rules by their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules(pub(super) Vec<u64>);

impl Rules {
    /// None of so many.
    pub(crate) fn none(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    pub(crate) fn insert(&mut self, rule: usize) {
        if let Some(word) = self.0.get_mut(rule / 64) {
            *word |= 1 << (rule % 64);
        }
    }
}

/// For each clause the rules that an event has met it of: a bit's place is the clause's times the number of rules, rounded up,
/// and the rule's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found(pub(super) Vec<u64>);

impl Found {
    /// All that need nothing to be met.
    pub(super) fn begin(&mut self, always: &[u64]) {
        self.0.clear();
        self.0.extend_from_slice(always);
    }

    /// Whether one of these rules, among `allowed`, may still match if the clauses that are open are met.
    pub(super) fn any(&self, rules: &Rules, allowed: &Rules, open: &[u64]) -> bool {
        let width = rules.0.len();
        (0..width).any(|place| {
            let some = rules.0[place] & allowed.0[place];
            some != 0 && {
                let clauses = self.0.iter().zip(open).skip(place).step_by(width);
                clauses.fold(some, |left, (met, open)| left & (met | open)) != 0
            }
        })
    }

    /// Leaves those that meet each of their clauses, and are among `allowed`.
    pub(super) fn settle(&mut self, allowed: &Rules) {
        let words = allowed.0.len().min(self.0.len());
        let (first, others) = self.0.split_at_mut(words);
        for (word, allowed) in first.iter_mut().zip(&allowed.0) {
            *word &= allowed;
        }
        for other in others.chunks_exact(words.max(1)).take(CLAUSES) {
            for (word, met) in first.iter_mut().zip(other) {
                *word &= met;
            }
        }
        self.0.truncate(words);
    }

    /// The numbers of the rules that are left, rising.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let mut place = 0;
        let mut left = self.0.first().copied().unwrap_or(0);
        std::iter::from_fn(move || {
            while left == 0 {
                place += 1;
                left = *self.0.get(place)?;
            }
            let bit = left.trailing_zeros() as usize;
            left &= left - 1;
            Some(place * 64 + bit)
        })
    }
}
