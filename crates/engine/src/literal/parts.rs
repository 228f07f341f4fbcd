//! Looking for many texts in a value at once, by a few bytes of each.
//!
//! A few bytes in a row of a value are looked up in a bitmap, which few values have hits in. Only where they are those of a
//! text is the text compared. Whatever a value is, each of its bytes costs a bounded number of comparisons: texts that too
//! many share all their bytes with are left to an automaton, as are those that are shorter.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::hash::BuildQuick;
use super::postings::Piece;

/// Most texts that share the bytes that they are looked up by.
const SHARING: usize = 16;
/// Bits of the map for each text, so that one of so many places in a value is taken for one of a text by chance.
const SPARSE: usize = 32;
/// The bit that tells small letters from capital ones, in each byte; other bytes fall together too without it, which the
/// comparison sorts out.
const SMALL: u32 = 0x2020_2020;

/// How a text has to stand in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Standing {
    pub(super) at_start: bool,
    pub(super) at_end: bool,
    pub(super) any_case: bool,
}

impl Standing {
    /// Whether a text stands so in a value, where it begins at `start`.
    pub(super) fn holds(self, text: &[u8], value: &[u8], start: usize) -> bool {
        let end = start + text.len();
        if (self.at_start && start != 0) || (self.at_end && end != value.len()) {
            return false;
        }
        match value.get(start..end) {
            Some(there) if self.any_case => there.eq_ignore_ascii_case(text),
            there => there == Some(text),
        }
    }
}

/// A text with what it takes to stand in a value, and its rules.
pub(super) type Wanted = (Box<[u8]>, Standing, Piece);

/// Texts that are found by `N` of their bytes.
#[derive(Debug, Default)]
pub(super) struct Parts<const N: usize> {
    /// Which bytes occur, by the first bits of their hash.
    map: Vec<u64>,
    shift: u32,
    /// Where the texts begin whose hash has so many first bits, and where the last ones end.
    starts: Vec<u32>,
    bucket_shift: u32,
    texts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    gram: u32,
    /// Where it stands in the text.
    offset: u32,
    standing: Standing,
    text: Box<[u8]>,
    piece: Piece,
}

fn hash(gram: u32) -> u32 {
    gram.wrapping_mul(0x9e37_79b1)
}

/// Every `N` bytes in a row, as a number.
fn grams<const N: usize>(text: &[u8]) -> impl Iterator<Item = u32> + '_ {
    text.array_windows::<N>().map(|bytes| {
        bytes
            .iter()
            .rev()
            .fold(0, |gram, byte| gram << 8 | u32::from(*byte))
            | SMALL
    })
}

impl<const N: usize> Parts<N> {
    /// Takes the texts that are found so, and leaves the others.
    pub(super) fn take(wanted: &mut Vec<Wanted>) -> Self {
        let mut common: HashMap<u32, usize, BuildQuick> = HashMap::default();
        for gram in wanted.iter().flat_map(|(text, ..)| grams::<N>(text)) {
            *common.entry(gram).or_default() += 1;
        }
        let mut taken: HashMap<u32, usize, BuildQuick> = HashMap::default();
        let (mut texts, mut others) = (Vec::new(), Vec::new());
        for (text, standing, piece) in wanted.drain(..) {
            let free = (0..)
                .zip(grams::<N>(&text))
                .filter(|(_, gram)| taken.get(gram).is_none_or(|count| *count < SHARING));
            // Texts have their beginnings in common with values rather than their ends.
            let rarest = free.min_by_key(|(offset, gram)| (common.get(gram).copied(), Reverse(*offset)));
            let Some((offset, gram)) = rarest else {
                others.push((text, standing, piece));
                continue;
            };
            *taken.entry(gram).or_default() += 1;
            texts.push(Part {
                gram,
                offset,
                standing,
                text,
                piece,
            });
        }
        *wanted = others;
        Self::of(texts)
    }

    fn of(mut texts: Vec<Part>) -> Self {
        if texts.is_empty() {
            return Self::default();
        }
        let bits = (texts.len() * SPARSE).next_power_of_two().ilog2().clamp(10, 19);
        let bucket_bits = texts.len().next_power_of_two().ilog2().min(bits);
        let (shift, bucket_shift) = (32 - bits, 32 - bucket_bits.max(1));
        let mut map = vec![0; 1 << (bits - 6)];
        let mut starts = vec![0; (1 << bucket_bits.max(1)) + 1];
        texts.sort_by_key(|part| hash(part.gram));
        for part in &texts {
            let place = hash(part.gram) >> shift;
            map[place as usize / 64] |= 1 << (place % 64);
            starts[(hash(part.gram) >> bucket_shift) as usize + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Self {
            map,
            shift,
            starts,
            bucket_shift,
            texts,
        }
    }

    /// Gives each text that stands in a value as it has to.
    pub(super) fn search(&self, value: &[u8], mut seen: impl FnMut(Piece)) {
        if self.map.is_empty() {
            return;
        }
        for (at, gram) in grams::<N>(value).enumerate() {
            let hash = hash(gram);
            let place = hash >> self.shift;
            if self.map[place as usize / 64] & (1 << (place % 64)) != 0 {
                self.compare(value, at, gram, hash, &mut seen);
            }
        }
    }

    fn compare(&self, value: &[u8], at: usize, gram: u32, hash: u32, seen: &mut impl FnMut(Piece)) {
        let bucket = (hash >> self.bucket_shift) as usize;
        let texts = self.starts[bucket] as usize..self.starts[bucket + 1] as usize;
        for part in self.texts[texts].iter().filter(|part| part.gram == gram) {
            if let Some(start) = at.checked_sub(part.offset as usize)
                && part.standing.holds(&part.text, value, start)
            {
                seen(part.piece);
            }
        }
    }
}
