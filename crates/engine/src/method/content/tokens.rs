//! What a text consists of.

use std::collections::BTreeSet;

use crate::window::value_id;

/// Bytes of a text that are looked at.
pub const MAX_TEXT: usize = 64 * 1_024;
/// Different tokens of a text that are remembered.
pub const MAX_TOKENS: usize = 64;
/// Bytes of the longest token that stands for itself.
const MAX_TOKEN: usize = 64;
/// Digits that are hexadecimal, at least: fewer are often a word with a number.
const MIN_HEX: usize = 4;

/// The tokens of a text, as hashes: all of them, or the [`MAX_TOKENS`] least.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    /// In order, each once.
    pub(super) hashes: Vec<u64>,
}

impl Tokens {
    pub(super) fn of(text: &[u8]) -> Self {
        let (text, cut) = match text.split_at_checked(MAX_TEXT) {
            Some((text, rest)) => (text, !rest.is_empty()),
            None => (text, false),
        };
        let mut least = BTreeSet::new();
        let mut folded = Vec::new();
        let tokens = text
            .split(|byte| !is_part(*byte))
            .filter(|token| !token.is_empty());
        for token in tokens {
            folded.clear();
            fold(token, &mut folded);
            keep(&mut least, value_id(&folded));
        }
        if cut {
            keep(&mut least, value_id(b"<cut>"));
        }
        Self {
            hashes: least.into_iter().collect(),
        }
    }

    /// Whether there are no others.
    fn are_all(&self) -> bool {
        self.hashes.len() < MAX_TOKENS
    }

    /// How many tokens both have, of how many that one or the other has. Of texts with many tokens, a sample of these.
    pub(super) fn shared(&self, other: &Self) -> Share {
        let most = if self.are_all() && other.are_all() {
            usize::MAX
        } else {
            MAX_TOKENS
        };
        let mut share = Share { both: 0, any: 0 };
        let (mut one, mut two) = (self.hashes.iter().peekable(), other.hashes.iter().peekable());
        while share.any < most {
            let least = match (one.peek(), two.peek()) {
                (Some(first), Some(second)) => (**first).min(**second),
                (Some(only), None) | (None, Some(only)) => **only,
                (None, None) => break,
            };
            let in_one = one.next_if(|hash| **hash == least).is_some();
            let in_two = two.next_if(|hash| **hash == least).is_some();
            share.any += 1;
            share.both += usize::from(in_one && in_two);
        }
        share
    }
}

/// A part of a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    both: usize,
    any: usize,
}

impl Share {
    /// In whole hundredths, rounded down. Two texts without tokens are the same.
    pub(super) fn percent(self) -> u8 {
        let percent = (self.both * 100).checked_div(self.any).unwrap_or(100);
        u8::try_from(percent).unwrap_or(100)
    }
}

fn keep(least: &mut BTreeSet<u64>, hash: u64) {
    if least.len() < MAX_TOKENS || least.last().is_some_and(|last| hash < *last) {
        least.insert(hash);
    }
    if least.len() > MAX_TOKENS {
        least.pop_last();
    }
}

/// Whether a byte is part of a token: a letter, a digit, or part of a character that is not ASCII.
fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

/// What a token stands for. Names of classes have bytes that no token has.
fn fold(token: &[u8], folded: &mut Vec<u8>) {
    let digits = token.iter().filter(|byte| byte.is_ascii_digit()).count();
    let runs = token.chunk_by(|one, next| one.is_ascii_digit() == next.is_ascii_digit());
    let runs = runs
        .filter(|run| run.first().is_some_and(u8::is_ascii_digit))
        .count();
    let class: &[u8] = if digits == token.len() {
        b"<number>"
    } else if token.len() > MAX_TOKEN {
        b"<long>"
    } else if digits > 0 && token.len() >= MIN_HEX && token.iter().all(u8::is_ascii_hexdigit) {
        b"<hex>"
    } else if runs > 1 {
        b"<mixed>"
    } else {
        // A word, and at most one number in it.
        for byte in token {
            if !byte.is_ascii_digit() {
                folded.push(byte.to_ascii_lowercase());
            } else if folded.last() != Some(&b'0') {
                folded.push(b'0');
            }
        }
        return;
    };
    folded.extend(class);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(token: &str) -> String {
        let mut folded = Vec::new();
        fold(token.as_bytes(), &mut folded);
        String::from_utf8(folded).unwrap()
    }

    #[test]
    fn what_differs_by_numbers_only_is_the_same() {
        for (token, expected) in [
            ("Curl", "curl"),
            ("8080", "<number>"),
            ("worker12", "worker0"),
            ("0x7f", "<mixed>"),
            ("7f9c4b8d6", "<hex>"),
            ("4e2f", "<hex>"),
            ("a1", "a0"),
            ("cafe", "cafe"),
            ("x2x4z", "<mixed>"),
            ("größe", "größe"),
        ] {
            assert_eq!(folded(token), expected, "{token}");
        }
        assert_eq!(folded(&"1".repeat(65)), "<number>");
        assert_eq!(folded(&"b".repeat(65)), "<long>");
        assert_eq!(folded(&"b".repeat(64)), "b".repeat(64));
    }

    #[test]
    fn tokens_are_what_stands_between_other_characters() {
        let one = Tokens::of(b"curl -s https://example.com/a?x=12 | sh");
        let other = Tokens::of(b"SH curl  s//https example,com a x 99999");
        assert_eq!((one.hashes.len(), &one), (8 + 1, &other));
        assert_eq!(Tokens::of(b" -- \0 ").hashes, []);
    }

    #[test]
    fn shares_are_exact_of_few_tokens() {
        let tokens = |from: u64, to: u64| Tokens {
            hashes: (from..to).collect(),
        };
        assert_eq!(tokens(0, 7).shared(&tokens(0, 10)).percent(), 70);
        assert_eq!(tokens(0, 63).shared(&tokens(21, 84)).percent(), 50);
        assert_eq!(tokens(0, 5).shared(&tokens(5, 10)).percent(), 0);
        assert_eq!(tokens(0, 0).shared(&tokens(0, 0)).percent(), 100);
        assert_eq!(tokens(0, 0).shared(&tokens(0, 1)).percent(), 0);
    }

    /// 64 of the union's tokens stand for it: the standard error at a similarity of a half is 6.25 hundredths.
    #[test]
    fn shares_of_many_tokens_are_near() {
        let text = |from: u32, to: u32| -> Vec<u8> {
            let word = |number: u32| -> String {
                let letter = |place: u32| char::from_u32(u32::from('a') + number / 26_u32.pow(place) % 26);
                (0..4).filter_map(letter).chain([' ']).collect()
            };
            (from..to).map(word).collect::<String>().into_bytes()
        };
        for (from, to, share) in [
            (0, 2_000, 100),
            (1_000, 3_000, 33),
            (200, 2_000, 90),
            (2_000, 4_000, 0),
        ] {
            let percent = Tokens::of(&text(0, 2_000))
                .shared(&Tokens::of(&text(from, to)))
                .percent();
            assert!(percent.abs_diff(share) <= 15, "{percent} {share}");
        }
    }

    #[test]
    fn hostile_texts_are_bounded() {
        let many: Vec<u8> = (0..200_000_u32)
            .flat_map(|number| format!("{number:x}g ").into_bytes())
            .collect();
        let texts = [vec![b'a'; 1 << 20], many, vec![0xff; 70_000], vec![b' '; 70_000]];
        for text in texts {
            assert!(Tokens::of(&text).hashes.len() <= MAX_TOKENS);
        }
        // What is behind the end is not looked at, but that it is there.
        let long = [b'a'].repeat(MAX_TEXT);
        let longer = [&long[..], b" b"].concat();
        let other = [&long[..], b" c"].concat();
        assert_ne!(Tokens::of(&long), Tokens::of(&longer));
        assert_eq!(Tokens::of(&longer), Tokens::of(&other));
    }
}
