//! The texts of one place, in the forms in which they are found fast.

use std::collections::{BTreeMap, HashMap};

use aho_corasick::AhoCorasick;

use super::found::Found;
use super::hash::BuildQuick;
use super::parts::{Parts, Standing, Wanted};
use super::postings::{Piece, Postings};
use super::{Shape, TextWanted};

/// Texts by how they have to stand in a value, each with the rules that need it.
#[derive(Debug)]
pub(super) struct Texts {
    whole: HashMap<Box<[u8]>, Piece, BuildQuick>,
    parts: Parts<4>,
    /// Those that are too short for that, and those that too many are like.
    short: Parts<2>,
    /// The same again.
    automaton: Option<(AhoCorasick, Vec<Wanted>)>,
}

/// What they are made of: bits by text.
#[derive(Debug, Default)]
pub(super) struct TextsBuilder {
    whole: BTreeMap<Box<[u8]>, Vec<u32>>,
    parts: BTreeMap<(Box<[u8]>, Standing), Vec<u32>>,
}

impl TextsBuilder {
    /// The bits of a text.
    pub(super) fn bits(&mut self, wanted: &TextWanted<'_>) -> &mut Vec<u32> {
        let text = Box::from(&wanted.text[..]);
        if wanted.shape == Shape::Whole && !wanted.any_case {
            return self.whole.entry(text).or_default();
        }
        let standing = Standing {
            at_start: matches!(wanted.shape, Shape::Whole | Shape::Prefix),
            at_end: matches!(wanted.shape, Shape::Whole | Shape::Suffix),
            any_case: wanted.any_case,
        };
        self.parts.entry((text, standing)).or_default()
    }

    /// The texts in their forms. Bits whose texts no automaton takes are among `always` instead.
    pub(super) fn build(self, postings: &mut Postings, always: &mut [u64]) -> Texts {
        let mut piece = |mut bits: Vec<u32>| postings.add(&mut bits);
        let whole = self
            .whole
            .into_iter()
            .map(|(text, bits)| (text, piece(bits)))
            .collect();
        let wanted = self.parts.into_iter();
        let mut others = wanted
            .map(|((text, standing), bits)| (text, standing, piece(bits)))
            .collect();
        let mut texts = Texts {
            whole,
            parts: Parts::take(&mut others),
            short: Parts::take(&mut others),
            automaton: None,
        };
        if !others.is_empty() {
            // One automaton for all, in which case matters only when it does for all.
            let automaton = AhoCorasick::builder()
                .ascii_case_insensitive(others.iter().any(|(_, standing, _)| standing.any_case))
                .build(others.iter().map(|(text, ..)| text));
            match automaton {
                Ok(automaton) => texts.automaton = Some((automaton, others)),
                Err(_too_large) => {
                    let mut found = Found(always.to_vec());
                    for (.., piece) in others {
                        postings.mark(piece, &mut found);
                    }
                    always.copy_from_slice(&found.0);
                }
            }
        }
        texts
    }
}

impl Texts {
    /// Marks the rules of the texts that stand in a value.
    pub(super) fn search(&self, value: &[u8], postings: &Postings, found: &mut Found) {
        if !self.whole.is_empty()
            && let Some(piece) = self.whole.get(value)
        {
            postings.mark(*piece, found);
        }
        self.parts.search(value, |piece| postings.mark(piece, found));
        self.short.search(value, |piece| postings.mark(piece, found));
        if let Some((automaton, wanted)) = &self.automaton {
            for hit in automaton.find_overlapping_iter(value) {
                let (text, standing, piece) = &wanted[hit.pattern().as_usize()];
                if standing.holds(text, value, hit.start()) {
                    postings.mark(*piece, found);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;

    /// Each text has the bit of its place in the list; `~` before one stands for any case.
    fn texts(literals: &[(Shape, &'static str)]) -> (Texts, Postings, usize) {
        let mut builder = TextsBuilder::default();
        for (bit, (shape, text)) in (0..).zip(literals) {
            let any_case = text.starts_with('~');
            let wanted = TextWanted {
                shape: *shape,
                any_case,
                text: Cow::Borrowed(text.trim_start_matches('~').as_bytes()),
            };
            builder.bits(&wanted).push(bit);
        }
        let width = literals.len().div_ceil(64);
        let mut postings = Postings::new(width);
        let texts = builder.build(&mut postings, &mut vec![0; width]);
        (texts, postings, width)
    }

    fn found((texts, postings, width): &(Texts, Postings, usize), value: &str) -> Vec<usize> {
        let mut found = Found(vec![0; *width]);
        texts.search(value.as_bytes(), postings, &mut found);
        found.iter().collect()
    }

    #[test]
    fn every_beginning_is_found() {
        let prefixes =
            ["/", "/a", "/a/bc", "/a/bcde", "/a/b", "/b", "/a/b"].map(|text| (Shape::Prefix, text));
        let texts = texts(&prefixes);
        assert_eq!(found(&texts, "/a/bd"), [0, 1, 4, 6]);
        assert_eq!(found(&texts, "/a/bcdef"), [0, 1, 2, 3, 4, 6]);
        assert_eq!(found(&texts, "//a/bcde"), [0]);
        assert_eq!(found(&texts, "/z"), [0]);
        assert_eq!(found(&texts, "x/a"), [0; 0]);
        assert_eq!(found(&texts, ""), [0; 0]);
    }

    #[test]
    fn every_end_is_found() {
        let texts = texts(&["h", "/sh", "/bin/sh", "~BASH", "bash"].map(|text| (Shape::Suffix, text)));
        assert_eq!(found(&texts, "/bin/sh"), [0, 1, 2]);
        assert_eq!(found(&texts, "/usr/bin/bash"), [0, 3, 4]);
        assert_eq!(found(&texts, "/bin/Bash"), [0, 3]);
        assert_eq!(found(&texts, "/bin/shx"), [0; 0]);
    }

    #[test]
    fn parts_are_found_where_they_overlap() {
        let parts = ["abc", "bc", "bcdef", "abcde", "cdef"].map(|text| (Shape::Within, text));
        assert_eq!(found(&texts(&parts), "xabcdef"), [0, 1, 2, 3, 4]);
        assert_eq!(found(&texts(&parts), "xabd BCDEF"), [0; 0]);
        let mixed = [
            (Shape::Within, "bcdx"),
            (Shape::Within, "~BcdX"),
            (Shape::Whole, "bCDx"),
            (Shape::Whole, "~bCDX"),
        ];
        assert_eq!(found(&texts(&mixed), "bCDx"), [1, 2, 3]);
        assert_eq!(found(&texts(&mixed), "abcdx"), [0, 1]);
    }

    #[test]
    fn bytes_that_only_differ_in_the_bit_of_small_letters_stay_apart() {
        let parts = ["@@@@", "~[[[[", "a{b}"].map(|text| (Shape::Within, text));
        assert_eq!(found(&texts(&parts), "````"), [0; 0]);
        assert_eq!(found(&texts(&parts), "{{{{"), [0; 0]);
        assert_eq!(found(&texts(&parts), "A{B}a[b]"), [0; 0]);
        assert_eq!(found(&texts(&parts), "@@@@[[[[a{b}"), [0, 1, 2]);
    }

    #[test]
    fn texts_that_share_all_their_bytes_are_all_found() {
        let many: Vec<String> = (1..60).map(|length| "a".repeat(length)).collect();
        let many: Vec<(Shape, &'static str)> = many
            .into_iter()
            .map(|text| (Shape::Within, &*Box::leak(text.into_boxed_str())))
            .collect();
        let texts = texts(&many);
        assert_eq!(found(&texts, &"a".repeat(59)), (0..59).collect::<Vec<_>>());
        assert_eq!(
            found(&texts, &format!("b{}", "a".repeat(30))),
            (0..30).collect::<Vec<_>>()
        );
    }

    /// A few letters, among them some that only differ in the bit of small letters.
    fn any_text(longest: usize) -> impl Strategy<Value = String> {
        let letters = prop::collection::vec(
            prop::sample::select(&['a', 'A', 'b', '/', '@', '`'][..]),
            0..longest,
        );
        letters.prop_map(|letters| letters.into_iter().collect())
    }

    proptest! {
        #[test]
        fn what_stands_in_a_value_is_found_and_nothing_else(
            wanted in prop::collection::vec(
                (prop::sample::select(&[Shape::Whole, Shape::Prefix, Shape::Suffix, Shape::Within][..]), any::<bool>(), any_text(8)),
                0..60,
            ),
            value in any_text(20),
        ) {
            let mut builder = TextsBuilder::default();
            for (bit, (shape, any_case, text)) in (0..).zip(&wanted) {
                let text = Cow::Borrowed(text.as_bytes());
                builder.bits(&TextWanted { shape: *shape, any_case: *any_case, text }).push(bit);
            }
            let mut postings = Postings::new(1);
            let texts = builder.build(&mut postings, &mut [0]);
            let stands = |(shape, any_case, text): &(Shape, bool, String)| {
                let cased = |text: &str| if *any_case { text.to_ascii_lowercase() } else { text.to_owned() };
                let (text, value) = (cased(text), cased(&value));
                match shape {
                    Shape::Whole => value == text,
                    Shape::Prefix => value.starts_with(&text),
                    Shape::Suffix => value.ends_with(&text),
                    Shape::Within => value.contains(&text),
                }
            };
            let expected: Vec<usize> = (0..wanted.len()).filter(|at| stands(&wanted[*at])).collect();
            prop_assert_eq!(found(&(texts, postings, 1), &value), expected);
        }
    }

    #[test]
    fn many_rules_are_numbered_in_order() {
        let many = vec![(Shape::Whole, "x"); 200];
        assert_eq!(found(&texts(&many), "x"), (0..200).collect::<Vec<_>>());
    }
}
