//! The texts of one place, in the forms in which they are found fast.

use std::collections::{BTreeMap, HashMap};

use aho_corasick::AhoCorasick;

use super::index::Rules;
use super::{Literal, Shape};

/// A piece of the list of rules: where it begins and ends.
type Piece = (u32, u32);

/// Texts by how they have to stand in a value, each with the rules that need it.
#[derive(Debug)]
pub(super) struct Texts {
    /// Rules, those of one text in a row.
    postings: Vec<u32>,
    whole: HashMap<Box<[u8]>, Piece>,
    prefixes: Vec<Prefix>,
    within: Option<(AhoCorasick, Vec<Piece>)>,
}

#[derive(Debug)]
struct Prefix {
    text: Box<[u8]>,
    rules: Piece,
    /// The longest other one that this one begins with.
    shorter: Option<u32>,
}

/// What they are made of: rules by text.
#[derive(Debug, Default)]
pub(super) struct TextsBuilder {
    whole: BTreeMap<Box<[u8]>, Vec<u32>>,
    prefixes: BTreeMap<Box<[u8]>, Vec<u32>>,
    within: BTreeMap<Box<[u8]>, Vec<u32>>,
    any_case: bool,
}

impl TextsBuilder {
    pub(super) fn add(&mut self, literal: &Literal<'_>, rule: u32) {
        let texts = match literal.shape {
            Shape::Whole => &mut self.whole,
            Shape::Prefix => &mut self.prefixes,
            Shape::Within => &mut self.within,
            Shape::WithinAnyCase => {
                self.any_case = true;
                &mut self.within
            }
        };
        let rules = texts.entry(Box::from(&literal.text[..])).or_default();
        // Rules come one after the other.
        if rules.last() != Some(&rule) {
            rules.push(rule);
        }
    }

    /// The texts in their forms. Rules whose texts no automaton takes are among `always` instead.
    pub(super) fn build(self, always: &mut Rules) -> Texts {
        let mut postings = Vec::new();
        let mut piece = |rules: &[u32]| {
            let start = postings.len();
            postings.extend_from_slice(rules);
            // Rules are numbered with 32 bits, and each has few texts.
            let end = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
            (end(start), end(postings.len()))
        };
        let whole = self
            .whole
            .into_iter()
            .map(|(text, rules)| (text, piece(&rules)))
            .collect();
        let prefixes = chained(
            self.prefixes
                .into_iter()
                .map(|(text, rules)| (text, piece(&rules))),
        );
        let mut within = None;
        if !self.within.is_empty() {
            let pieces = self.within.values().map(|rules| piece(rules)).collect();
            // One automaton for both: regard for case is what evaluation is for.
            let automaton = AhoCorasick::builder()
                .ascii_case_insensitive(self.any_case)
                .build(self.within.keys());
            match automaton {
                Ok(automaton) => within = Some((automaton, pieces)),
                Err(_too_large) => {
                    for rule in self.within.values().flatten() {
                        always.insert(*rule);
                    }
                }
            }
        }
        Texts {
            postings,
            whole,
            prefixes,
            within,
        }
    }
}

/// Sorted texts, each with the one that is its beginning: those before it on the way are its beginnings too.
fn chained(sorted: impl Iterator<Item = (Box<[u8]>, Piece)>) -> Vec<Prefix> {
    let mut prefixes: Vec<Prefix> = Vec::new();
    let mut open: Vec<u32> = Vec::new();
    for (text, rules) in sorted {
        while let Some(last) = open.last() {
            if text.starts_with(&prefixes[*last as usize].text) {
                break;
            }
            open.pop();
        }
        let shorter = open.last().copied();
        open.push(u32::try_from(prefixes.len()).unwrap_or(u32::MAX));
        prefixes.push(Prefix { text, rules, shorter });
    }
    prefixes
}

impl Texts {
    /// Every rule that needs one of them.
    pub(super) fn rules(&self) -> &[u32] {
        &self.postings
    }

    /// Adds the rules of the texts that stand in a value.
    pub(super) fn search(&self, value: &[u8], found: &mut Rules) {
        if let Some(piece) = self.whole.get(value) {
            self.add(*piece, found);
        }
        let mut next = self.last_beginning(value);
        while let Some(prefix) = next {
            self.add(prefix.rules, found);
            next = prefix.shorter.map(|place| &self.prefixes[place as usize]);
        }
        if let Some((automaton, pieces)) = &self.within {
            for hit in automaton.find_overlapping_iter(value) {
                self.add(pieces[hit.pattern().as_usize()], found);
            }
        }
    }

    /// The longest text that a value begins with: it is, or is a beginning of, the last that does not stand after the value.
    fn last_beginning(&self, value: &[u8]) -> Option<&Prefix> {
        let after = self.prefixes.partition_point(|prefix| *prefix.text <= *value);
        let mut prefix = self.prefixes.get(after.checked_sub(1)?)?;
        while !value.starts_with(&prefix.text) {
            prefix = &self.prefixes[prefix.shorter? as usize];
        }
        Some(prefix)
    }

    fn add(&self, (start, end): Piece, found: &mut Rules) {
        for rule in &self.postings[start as usize..end as usize] {
            found.insert(*rule);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use yagura_event::FieldId;

    use super::super::{Base, Place};
    use super::*;

    fn texts(literals: &[(Shape, &'static str)]) -> Texts {
        let mut builder = TextsBuilder::default();
        for (rule, (shape, text)) in (0..).zip(literals) {
            let place = Place {
                base: Base::Field(FieldId(0)),
                member: None,
            };
            let literal = Literal {
                place,
                shape: *shape,
                text: Cow::Borrowed(text.as_bytes()),
            };
            builder.add(&literal, rule);
        }
        builder.build(&mut Rules::default())
    }

    fn found(texts: &Texts, value: &str) -> Vec<usize> {
        let mut rules = Rules::default();
        texts.search(value.as_bytes(), &mut rules);
        rules.iter().collect()
    }

    #[test]
    fn every_beginning_is_found() {
        let prefixes = ["/", "/a", "/a/b", "/a/bc", "/a/c", "/b", "/a/b"].map(|text| (Shape::Prefix, text));
        let texts = texts(&prefixes);
        assert_eq!(found(&texts, "/a/bd"), [0, 1, 2, 6]);
        assert_eq!(found(&texts, "/a/bcd"), [0, 1, 2, 3, 6]);
        assert_eq!(found(&texts, "/a/ca"), [0, 1, 4]);
        assert_eq!(found(&texts, "/z"), [0]);
        assert_eq!(found(&texts, "/"), [0]);
        assert_eq!(found(&texts, "x"), [0; 0]);
        assert_eq!(found(&texts, ""), [0; 0]);
    }

    #[test]
    fn parts_are_found_where_they_overlap() {
        let parts = ["abc", "bc", "bcd", "abc"].map(|text| (Shape::Within, text));
        assert_eq!(found(&texts(&parts), "xabcd"), [0, 1, 2, 3]);
        assert_eq!(found(&texts(&parts), "xabd BCD"), [0; 0]);
        let mixed = [
            (Shape::Within, "bc"),
            (Shape::WithinAnyCase, "Bc"),
            (Shape::Whole, "bC"),
        ];
        assert_eq!(found(&texts(&mixed), "bC"), [0, 1, 2]);
    }

    #[test]
    fn many_rules_are_numbered_in_order() {
        let many = vec![(Shape::Whole, "x"); 200];
        assert_eq!(found(&texts(&many), "x"), (0..200).collect::<Vec<_>>());
    }
}
