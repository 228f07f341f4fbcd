//! Values that were not there before.
//!
//! A group learns until it is `learn_for` older than its first match and has `learn_matches` matches behind it. From then
//! on a match fires whose value it does not remember, and remembers it. Time that values were last seen is kept in 64ths
//! of `forget_after`, so a value is forgotten when it was not seen for that long, or up to a 64th longer; so a match of a
//! known value changes something only now and then. No match is late: what is known does not depend on the order
//! in which it was learned.

use yagura_event::Timestamp;
use yagura_rules::detect::NewValue;

use super::state::{Input, Taken};
use super::{BadGroup, Fired, Outcome};

/// Values that a group remembers.
pub const MAX_VALUES: usize = 10_000;
/// How many of them are forgotten at once when there are more: those that were not seen for longest.
const ROOM: usize = MAX_VALUES / 16;
/// In how many parts the time is cut after which a value is forgotten.
const PARTS: i64 = 64;
/// The first byte: another form would have another.
const FORM: u8 = 2;
/// Value and when it was last seen.
const ENTRY: usize = 8 + 8;

/// The values of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// Time of the first match; `None`: there was none.
    started: Option<i64>,
    /// Matches that were learned from, as far as they are counted.
    learned: u64,
    /// What stands for a value, in order, and the part of time in which it was last seen.
    seen: Vec<(u64, i64)>,
}

/// The length of a part of time.
fn part(new: &NewValue) -> i64 {
    (new.forget_after / PARTS).max(1)
}

impl Values {
    /// Takes a match with any of the input's values.
    pub(super) fn add(&mut self, new: &NewValue, input: &Input<'_>) -> Taken {
        let time = input.last.0;
        let first = input.first.0.min(time);
        let began = self.started.is_none_or(|started| first < started);
        if began {
            self.started = Some(first);
        }
        let mut changed = began;
        let ends = self.started.unwrap_or(first).saturating_add(new.learn_for);
        let learns = time < ends || self.learned < new.learn_matches;
        if self.learned < new.learn_matches {
            self.learned = self
                .learned
                .saturating_add(u64::from(input.count))
                .min(new.learn_matches);
            changed = true;
        }
        let now = time.div_euclid(part(new));
        let mut news = false;
        for value in input.values {
            match self.seen.binary_search_by_key(value, |(value, _)| *value) {
                Ok(place) => {
                    let seen = &mut self.seen[place].1;
                    news |= now.saturating_sub(*seen) > PARTS;
                    changed |= now > *seen;
                    *seen = now.max(*seen);
                }
                Err(place) => {
                    news = true;
                    self.seen.insert(place, (*value, now));
                }
            }
        }
        let evicted = self.make_room();
        let fires = news && !learns;
        Taken {
            outcome: if fires {
                Outcome::Fires(Fired {
                    count: u64::from(input.count),
                    first: input.first,
                    last: input.last,
                })
            } else {
                Outcome::Waits
            },
            case: None,
            changed: changed || news,
            evicted,
        }
    }

    fn make_room(&mut self) -> u64 {
        if self.seen.len() <= MAX_VALUES {
            return 0;
        }
        let keep = MAX_VALUES - ROOM;
        let mut by_age: Vec<(i64, u64)> = self.seen.iter().map(|(value, seen)| (*seen, *value)).collect();
        let gone = by_age.len() - keep;
        let (_, last, _) = by_age.select_nth_unstable(gone - 1);
        let last = *last;
        self.seen.retain(|(value, seen)| (*seen, *value) > last);
        gone as u64
    }

    /// Time of the newest match, in parts.
    pub(super) fn newest(&self, new: &NewValue) -> Option<Timestamp> {
        let newest = self.seen.iter().map(|(_, seen)| *seen).max()?;
        Some(Timestamp(newest.saturating_mul(part(new))))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + 16 + self.seen.len() * ENTRY);
        bytes.push(FORM);
        let Some(started) = self.started else {
            return bytes;
        };
        bytes.extend(started.to_le_bytes());
        bytes.extend(self.learned.to_le_bytes());
        for (value, seen) in &self.seen {
            bytes.extend(value.to_le_bytes());
            bytes.extend(seen.to_le_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadGroup> {
        let Some((&FORM, body)) = bytes.split_first() else {
            return Err(BadGroup);
        };
        if body.is_empty() {
            return Ok(Self::default());
        }
        let (started, body) = body.split_first_chunk().ok_or(BadGroup)?;
        let (learned, body) = body.split_first_chunk().ok_or(BadGroup)?;
        let (chunks, rest) = body.as_chunks::<ENTRY>();
        if !rest.is_empty() || chunks.len() > MAX_VALUES {
            return Err(BadGroup);
        }
        let seen: Option<Vec<(u64, i64)>> = chunks.iter().map(entry).collect();
        let seen = seen.ok_or(BadGroup)?;
        if !seen.is_sorted_by(|one, next| one.0 < next.0) {
            return Err(BadGroup);
        }
        Ok(Self {
            started: Some(i64::from_le_bytes(*started)),
            learned: u64::from_le_bytes(*learned),
            seen,
        })
    }
}

fn entry(chunk: &[u8; ENTRY]) -> Option<(u64, i64)> {
    let (value, rest) = chunk.split_first_chunk()?;
    let (seen, _) = rest.split_first_chunk()?;
    Some((u64::from_le_bytes(*value), i64::from_le_bytes(*seen)))
}
