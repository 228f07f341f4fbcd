//! Lists of rules by literal, in the form in which they are added fast.

use super::found::Found;

/// The rules of one literal: where they are among the postings of their place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Bits one by one, from the first to before the last.
    single: (u32, u32),
    /// Rows of bits.
    rows: (u32, u32),
}

/// Bits of [`Found`], those of one literal in a row.
#[derive(Debug, Default)]
pub(super) struct Postings {
    single: Vec<u32>,
    /// Where a row's first word is added, and where it begins below.
    rows: Vec<(u32, u32)>,
    words: Vec<u64>,
    /// Words for one clause of every rule.
    width: usize,
}

/// Places and lengths here are less than the number of rules times the few literals of each.
fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Postings {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            ..Self::default()
        }
    }

    /// Adds the bits of a literal, which rise.
    pub(super) fn add(&mut self, bits: &mut [u32]) -> Piece {
        bits.sort_unstable();
        let (single, rows) = (self.single.len(), self.rows.len());
        let width = self.width.max(1);
        for clause in
            bits.chunk_by(|left, right| *left as usize / (64 * width) == *right as usize / (64 * width))
        {
            // A row takes half as long a word as a single bit does.
            if clause.len() <= width {
                self.single.extend_from_slice(clause);
                continue;
            }
            let base = clause[0] as usize / (64 * width) * width;
            let start = self.words.len();
            self.words.resize(start + width, 0);
            for bit in clause {
                self.words[start + *bit as usize / 64 - base] |= 1 << (bit % 64);
            }
            self.rows.push((short(base), short(start)));
        }
        Piece {
            single: (short(single), short(self.single.len())),
            rows: (short(rows), short(self.rows.len())),
        }
    }

    /// Marks the rules of a literal that was seen.
    pub(super) fn mark(&self, piece: Piece, found: &mut Found) {
        let (start, end) = piece.single;
        self.mark_single(start as usize, end as usize, found);
        if piece.rows.0 < piece.rows.1 {
            self.mark_rows(piece.rows.0 as usize, piece.rows.1 as usize, found);
        }
    }

    /// Marks the rules of every literal: what was looked at may be anything.
    pub(super) fn mark_all(&self, found: &mut Found) {
        self.mark_single(0, self.single.len(), found);
        self.mark_rows(0, self.rows.len(), found);
    }

    fn mark_single(&self, start: usize, end: usize, found: &mut Found) {
        for bit in &self.single[start..end] {
            found.0[*bit as usize / 64] |= 1 << (bit % 64);
        }
    }

    fn mark_rows(&self, start: usize, end: usize, found: &mut Found) {
        for (to, from) in &self.rows[start..end] {
            let (to, from) = (*to as usize, *from as usize);
            let row = &self.words[from..from + self.width];
            for (word, more) in found.0[to..to + self.width].iter_mut().zip(row) {
                *word |= more;
            }
        }
    }
}
