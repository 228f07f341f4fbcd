//! Unusual contents: a text that is like none that its group has had.
//!
//! # Definition
//! **Tokens.** A text is cut where a byte is neither an ASCII letter or digit nor part of a character beyond ASCII; what is left
//! between is its tokens, in lower case. What changes from one text to the next though both say the same is folded, by the first of
//! these that fits:
//!
//! | token | is taken as |
//! |---|---|
//! | digits only | a number |
//! | longer than 64 bytes | a long one |
//! | at least four hexadecimal digits, a decimal one among them | a hexadecimal number |
//! | letters and more than one run of digits | a mixed one |
//! | letters and one run of digits | the letters, with `0` for the run |
//!
//! All numbers are one token, and so are all of each other class. Order and repetition of tokens do not matter. Of a text, the first
//! [`MAX_TEXT`] bytes are looked at; that there are more is one more token.
//!
//! **Similarity** of two texts is the Jaccard index of their tokens, in whole hundredths, rounded down: how many tokens both have, of how
//! many that one or the other has. Without a token in either it is 100. Of texts with fewer than [`MAX_TOKENS`] different
//! tokens each it is exact; else it is that of the [`MAX_TOKENS`] tokens of either whose hashes are least (a bottom-k sketch), with a standard
//! error of at most 6.25 hundredths. Tokens are told apart by 64 bits of their SHA-256, so nobody writes a token that passes for another.
//!
//! **Shapes.** A group remembers shapes: texts that were like none before. A text is *like* a shape when their similarity is at least
//! [`Content::similarity`] and the shape is not forgotten: it was seen last no earlier than the text's time less [`Content::forget`].
//! Texts are judged as they arrive, so what arrived before has been seen, whatever its time.
//!
//! 1. If all shapes are forgotten at the text's time, the group begins anew: it learns since the text's time.
//! 2. The group is *learning* until the text is [`Content::learning`] later than the earliest since then, and
//!    [`Content::learning_count`] texts came before it, at least one.
//! 3. The text is unusual when the shapes that it is like were seen fewer than [`Content::similar`] times, all together. It fires unless
//!    the group is learning.
//! 4. In any case it is learned: the shape it is most like, the oldest of several, was seen once more; one that is like none
//!    becomes a shape.
//!
//! A text that is later than [`Content::lateness`] is not judged, and not learned.
//!
//! # What it costs
//! 12 bytes for each shape and 8 for each of its tokens: up to [`MAX_SHAPES`] shapes with [`MAX_HASHES`] tokens together, 36 KiB. Of more,
//! those seen longest ago are forgotten. A text takes time in proportion to its length, and to the tokens that are remembered.

mod encode;
mod tokens;

use yagura_event::Timestamp;
pub use yagura_rules::detect::Content;

use tokens::Tokens;
pub use tokens::{MAX_TEXT, MAX_TOKENS};

/// Shapes that a group remembers.
pub const MAX_SHAPES: usize = 256;
/// Tokens of all shapes together.
pub const MAX_HASHES: usize = 4_096;

/// The time before which what was seen at last is forgotten at a time.
fn horizon(content: &Content, time: i64) -> i64 {
    time.saturating_sub(content.forget.max(0))
}

fn watermark(content: &Content, newest: i64) -> i64 {
    newest.saturating_sub(content.lateness.max(0))
}

/// A text that is like too few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusual {
    /// How similar the shape is that it is most like, in hundredths; 0 where nothing is remembered.
    pub nearest: u8,
    /// How many texts it is like.
    pub seen: u32,
}

/// What became of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is usual.
    Waits,
    /// It is unusual, but so is everything yet.
    Learns,
    /// It is unusual, and was learned.
    Fires(Unusual),
    /// It came later than the group waits for.
    Late,
}

/// A text that was like none before it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    /// When one like it was seen last.
    last: i64,
    /// How many were.
    count: u32,
    tokens: Tokens,
}

/// What one rule remembers of one group of matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Time of the newest text.
    newest: Option<i64>,
    /// Time of the earliest text since the group began.
    since: i64,
    /// How many texts came since then.
    taken: u32,
    /// In order of their first text's arrival.
    shapes: Vec<Shape>,
}

impl Group {
    /// Takes a text.
    pub fn add(&mut self, content: &Content, time: Timestamp, text: &[u8]) -> Outcome {
        let time = time.0;
        if self
            .newest
            .is_some_and(|newest| time < watermark(content, newest))
        {
            return Outcome::Late;
        }
        let newest = self.newest.map_or(time, |newest| newest.max(time));
        self.newest = Some(newest);

        let horizon = horizon(content, time);
        if self.shapes.iter().all(|shape| shape.last < horizon) {
            self.since = time;
            self.taken = 0;
        }
        self.since = self.since.min(time);
        let learning =
            time.saturating_sub(self.since) < content.learning || self.taken < content.learning_count.max(1);
        self.taken = self.taken.saturating_add(1);

        let tokens = Tokens::of(text);
        let mut unusual = Unusual { nearest: 0, seen: 0 };
        let mut like: Option<&mut Shape> = None;
        for shape in self.shapes.iter_mut().filter(|shape| shape.last >= horizon) {
            let similarity = tokens.shared(&shape.tokens).percent();
            let is_like = similarity >= content.similarity.clamp(1, 100);
            if is_like {
                unusual.seen = unusual.seen.saturating_add(shape.count);
            }
            if similarity > unusual.nearest {
                unusual.nearest = similarity;
                like = is_like.then_some(shape);
            }
        }
        match like {
            Some(shape) => {
                shape.last = shape.last.max(time);
                shape.count = shape.count.saturating_add(1);
            }
            None => self.shapes.push(Shape {
                last: time,
                count: 1,
                tokens,
            }),
        }
        self.keep_bounded(content, newest);
        if unusual.seen >= content.similar.max(1) {
            Outcome::Waits
        } else if learning {
            Outcome::Learns
        } else {
            Outcome::Fires(unusual)
        }
    }

    /// Time of the newest text.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest.map(Timestamp)
    }

    /// Forgets the shapes that no text that may still come is like, and stays within the bounds.
    fn keep_bounded(&mut self, content: &Content, newest: i64) {
        let horizon = horizon(content, watermark(content, newest));
        self.shapes.retain(|shape| shape.last >= horizon);
        while self.shapes.len() > MAX_SHAPES || self.hashes() > MAX_HASHES {
            let seen_last = self.shapes.iter().enumerate().min_by_key(|(_, shape)| shape.last);
            let Some((place, _)) = seen_last else { return };
            self.shapes.remove(place);
        }
    }

    fn hashes(&self) -> usize {
        self.shapes.iter().map(|shape| shape.tokens.hashes.len()).sum()
    }
}
