//! What several queries say together.
//!
//! A window is any interval of the length `within`, without its beginning. In each the queries are measured over the matches that
//! they are about. When a case holds in a window, all matches of that window that were not told are told; of several cases the
//! first is meant, whichever window it holds in.

use std::collections::{HashSet, VecDeque};

use yagura_event::Timestamp;
use yagura_rules::detect::{Correlation, MAX_QUERIES, Measure, Steps};

use super::group::MAX_ENTRIES;
use super::state::Input;
use super::{BadGroup, Fired, Outcome};

/// The first byte: another form would have another.
const FORM: u8 = 4;
/// Time, steps, count, told, and as many values as there may be queries.
const ENTRY: usize = 8 + 2 + 4 + 1 + 8 * MAX_QUERIES;

/// Matches at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    time: i64,
    queries: Steps,
    count: u32,
    told: bool,
    values: [u64; MAX_QUERIES],
}

/// The matches of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queries {
    /// In order of time; those of one time in order of arrival.
    seen: VecDeque<Seen>,
}

impl Queries {
    /// Takes a match. Gives the case that is told with it.
    pub(super) fn add(&mut self, all: &Correlation, input: &Input<'_>) -> (Outcome, Option<u8>) {
        let time = input.last.0;
        let late = |newest: &Seen| time < newest.time.saturating_sub(all.lateness);
        if self.seen.back().is_some_and(late) {
            return (Outcome::Late, None);
        }
        let mut values = [0; MAX_QUERIES];
        for (place, value) in values.iter_mut().zip(input.values) {
            *place = *value;
        }
        let place = self.seen.partition_point(|other| other.time <= time);
        let seen = Seen {
            time,
            queries: input.steps,
            count: input.count,
            told: false,
            values,
        };
        self.seen.insert(place, seen);
        let told = self
            .holding(all, place)
            .map(|(case, start, end)| (case, self.tell(start, end)));
        self.keep_bounded(all);
        match told {
            Some((case, Some(fired))) => (Outcome::Fires(fired), Some(case)),
            _ => (Outcome::Waits, None),
        }
    }

    /// Time of the newest match.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.seen.back().map(|seen| Timestamp(seen.time))
    }

    /// The first case that holds in a window with the match at `place`, and the range of all windows in which one does.
    fn holding(&self, all: &Correlation, place: usize) -> Option<(u8, usize, usize)> {
        let time = self.seen.get(place)?.time;
        let mut found: Option<(u8, usize, usize)> = None;
        for end in place..self.seen.len() {
            let ends = self.seen[end].time;
            if ends.saturating_sub(time) >= all.within {
                break;
            }
            // Windows that end at one time end after its last match.
            if self.seen.get(end + 1).is_some_and(|next| next.time == ends) {
                continue;
            }
            let from = ends.saturating_sub(all.within);
            let start = self.seen.partition_point(|other| other.time <= from);
            let numbers = self.measure(all, start, end);
            let numbers = numbers.get(..all.queries.len()).unwrap_or_default();
            let Some(case) = (0_u8..)
                .zip(&all.cases)
                .find(|(_, case)| case.when.holds(numbers))
            else {
                continue;
            };
            // Each of them has the match in it, so together they are one range.
            let (first, begin, _) = found.unwrap_or((case.0, start, end));
            found = Some((first.min(case.0), begin.min(start), end));
        }
        found
    }

    fn measure(&self, all: &Correlation, start: usize, end: usize) -> [Option<i64>; MAX_QUERIES] {
        let mut numbers = [None; MAX_QUERIES];
        for ((query, measure), number) in all.queries.iter().enumerate().zip(&mut numbers) {
            let about = self
                .seen
                .range(start..=end)
                .filter(|seen| seen.queries >> query & 1 == 1);
            let value =
                |seen: &Seen, place: usize| seen.values.get(place).copied().unwrap_or(0).cast_signed();
            *number = match *measure {
                Measure::Count => Some(about.map(|seen| i64::from(seen.count)).sum()),
                Measure::Distinct(place) => {
                    let values: HashSet<i64> = about.map(|seen| value(seen, place)).collect();
                    Some(i64::try_from(values.len()).unwrap_or(i64::MAX))
                }
                Measure::Sum(place) => Some(about.fold(0, |sum: i64, seen| {
                    let added = value(seen, place).saturating_mul(i64::from(seen.count));
                    sum.saturating_add(added)
                })),
                Measure::Max(place) => about.map(|seen| value(seen, place)).max(),
            };
        }
        numbers
    }

    /// What of a range was not told, which is told now.
    fn tell(&mut self, start: usize, end: usize) -> Option<Fired> {
        let mut fired: Option<Fired> = None;
        for seen in self.seen.range_mut(start..=end).filter(|seen| !seen.told) {
            seen.told = true;
            let time = Timestamp(seen.time);
            let fired = fired.get_or_insert(Fired {
                count: 0,
                first: time,
                last: time,
            });
            fired.count += u64::from(seen.count);
            fired.last = time;
        }
        fired
    }

    /// Forgets what no match that may still come can share a window with, and stays within the bound.
    fn keep_bounded(&mut self, all: &Correlation) {
        let Some(newest) = self.seen.back().map(|seen| seen.time) else {
            return;
        };
        let needed = newest.saturating_sub(all.lateness).saturating_sub(all.within);
        while self.seen.front().is_some_and(|seen| seen.time <= needed) {
            self.seen.pop_front();
        }
        if self.seen.len() > MAX_ENTRIES {
            self.join();
        }
        while self.seen.len() > MAX_ENTRIES {
            self.seen.pop_front();
        }
    }

    /// Joins matches that are alike, each with the next of its kind, at the time of the later one: the older half of them.
    fn join(&mut self) {
        let half = self.seen.len() / 2;
        let mut later: std::collections::HashMap<(Steps, [u64; MAX_QUERIES], bool), usize> =
            std::collections::HashMap::new();
        let mut gone = vec![false; self.seen.len()];
        for place in (0..half).rev() {
            let seen = self.seen[place];
            let alike = (seen.queries, seen.values, seen.told);
            match later.get(&alike) {
                Some(other) => {
                    let other = &mut self.seen[*other];
                    other.count = other.count.saturating_add(seen.count);
                    gone[place] = true;
                    later.remove(&alike);
                }
                None => {
                    later.insert(alike, place);
                }
            }
        }
        let mut gone = gone.into_iter();
        self.seen.retain(|_| gone.next() != Some(true));
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.seen.len() * ENTRY);
        bytes.push(FORM);
        for seen in &self.seen {
            bytes.extend(seen.time.to_le_bytes());
            bytes.extend(seen.queries.to_le_bytes());
            bytes.extend(seen.count.to_le_bytes());
            bytes.push(u8::from(seen.told));
            for value in seen.values {
                bytes.extend(value.to_le_bytes());
            }
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadGroup> {
        let Some((&FORM, body)) = bytes.split_first() else {
            return Err(BadGroup);
        };
        let (chunks, rest) = body.as_chunks::<ENTRY>();
        if !rest.is_empty() || chunks.len() > MAX_ENTRIES {
            return Err(BadGroup);
        }
        let seen: Option<VecDeque<Seen>> = chunks.iter().map(entry).collect();
        let seen = seen.ok_or(BadGroup)?;
        if !seen.iter().is_sorted_by_key(|seen| seen.time) {
            return Err(BadGroup);
        }
        Ok(Self { seen })
    }
}

fn entry(chunk: &[u8; ENTRY]) -> Option<Seen> {
    let (time, rest) = chunk.split_first_chunk()?;
    let (queries, rest) = rest.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let (told, rest) = rest.split_first()?;
    let (chunks, _) = rest.as_chunks::<8>();
    let mut values = [0; MAX_QUERIES];
    for (value, bytes) in values.iter_mut().zip(chunks) {
        *value = u64::from_le_bytes(*bytes);
    }
    Some(Seen {
        time: i64::from_le_bytes(*time),
        queries: Steps::from_le_bytes(*queries),
        count: u32::from_le_bytes(*count),
        told: *told == 1,
        values,
    })
}
