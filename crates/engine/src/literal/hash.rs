//! Finding one of the texts that rules name.

use std::hash::{BuildHasherDefault, Hasher};

/// A hash of few instructions. Whoever makes an event cannot make it slow: the table holds what rules name, and is asked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quick(u64);

pub(super) type BuildQuick = BuildHasherDefault<Quick>;

impl Quick {
    /// An odd number without a pattern, as multiplicative hashing wants it (the golden ratio's bits).
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(Self::FACTOR);
    }
}

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        // The end is read with what stands before it: a copy of its own would cost more than all else.
        if let Some(last) = bytes.last_chunk::<8>() {
            for word in bytes.as_chunks::<8>().0 {
                self.add(u64::from_le_bytes(*word));
            }
            self.add(u64::from_le_bytes(*last));
        } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            self.add(u64::from(first) << 32 | u64::from(last));
        } else {
            let word = bytes.iter().fold(1, |word, byte| word << 8 | u64::from(*byte));
            self.add(word);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.add(number);
    }

    fn write_i64(&mut self, number: i64) {
        self.add(number.cast_unsigned());
    }

    fn write_usize(&mut self, number: usize) {
        self.add(number as u64);
    }

    fn finish(&self) -> u64 {
        // The table takes high bits and low ones; a product has its best in the middle.
        self.0 ^ (self.0 >> 29)
    }
}
