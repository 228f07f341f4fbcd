//! One thing after the other.
//!
//! A sequence holds at a match of its last step when matches before it, each used once, are those of all steps in
//! order, with less than `within` between the first and the last and nothing between them that ends sequences. Looking
//! back from its end and taking the latest match that fits finds the one that begins latest, and so one whenever there is any.
//! What ends sequences may itself begin one.

use std::collections::VecDeque;

use yagura_event::Timestamp;
use yagura_rules::detect::{Sequence, Steps, UNTIL};

use super::group::MAX_ENTRIES;
use super::state::Input;
use super::{BadGroup, Fired, Outcome};

/// The first byte: another form would have another.
const FORM: u8 = 3;
/// Time, steps, count, told.
const LINK: usize = 8 + 2 + 4 + 1;
/// How many links are left when there were too many.
const LEFT: usize = MAX_ENTRIES * 3 / 4;

/// Matches of the same steps at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    time: i64,
    steps: Steps,
    count: u32,
    told: bool,
}

/// The matches of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// In order of time; those of one time in order of arrival.
    links: VecDeque<Link>,
}

impl Chain {
    /// Takes a match.
    pub(super) fn add(&mut self, sequence: &Sequence, input: &Input<'_>) -> Outcome {
        let (first, last) = (input.first.0.min(input.last.0), input.last.0);
        let late = |newest: &Link| last < newest.time.saturating_sub(sequence.lateness);
        if self.links.back().is_some_and(late) {
            return Outcome::Late;
        }
        let mut fired = None;
        // Of several only the first and the last have a time.
        let ends = if first < last && input.count > 1 {
            [Some((first, 1)), Some((last, input.count - 1))]
        } else {
            [None, Some((last, input.count.max(1)))]
        };
        for (time, count) in ends.into_iter().flatten() {
            let link = Link {
                time,
                steps: input.steps,
                count,
                told: false,
            };
            self.insert(sequence, link, &mut fired);
        }
        self.keep_bounded(sequence);
        fired.map_or(Outcome::Waits, Outcome::Fires)
    }

    /// Time of the newest match.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.links.back().map(|link| Timestamp(link.time))
    }

    /// Puts a link in, and tells the sequences that hold with it.
    fn insert(&mut self, sequence: &Sequence, link: Link, fired: &mut Option<Fired>) {
        let place = self.links.partition_point(|other| other.time <= link.time);
        self.links.insert(place, link);
        let steps = u32::try_from(sequence.counts.len()).unwrap_or(u32::MAX);
        let Some(end) = steps.checked_sub(1).and_then(|last| Steps::checked_shl(1, last)) else {
            return;
        };
        for at in place..self.links.len() {
            let other = self.links[at];
            if other.time.saturating_sub(link.time) >= sequence.within {
                break;
            }
            if other.steps & end != 0
                && let Some(start) = self.back(sequence, at, None, |_| ())
            {
                self.tell(start, at, fired);
            }
        }
    }

    /// Looks back from `at` for a sequence of which `left` is missing: so many of a step, and all steps before it; `None`: the
    /// whole. Gives where it begins, and hands what it is made of to `uses`.
    fn back(
        &self,
        sequence: &Sequence,
        at: usize,
        left: Option<(usize, u32)>,
        mut uses: impl FnMut(usize),
    ) -> Option<usize> {
        let counts = &sequence.counts;
        let (mut step, mut need) = match left {
            Some(left) => left,
            None => (counts.len().checked_sub(1)?, *counts.last()?),
        };
        let end = self.links.get(at)?.time;
        for (place, link) in self.links.range(..=at).enumerate().rev() {
            if end.saturating_sub(link.time) >= sequence.within {
                return None;
            }
            let mut has = link.count;
            while has > 0 && link.steps >> step & 1 == 1 {
                uses(place);
                let part = has.min(need);
                has -= part;
                need -= part;
                if need == 0 {
                    let Some(before) = step.checked_sub(1) else {
                        return Some(place);
                    };
                    step = before;
                    need = *counts.get(step)?;
                }
            }
            if link.steps & UNTIL != 0 {
                return None;
            }
        }
        None
    }

    /// Tells the matches of steps from `start` to `end` that were not told.
    fn tell(&mut self, start: usize, end: usize, fired: &mut Option<Fired>) {
        let untold = |link: &&mut Link| !link.told && link.steps & !UNTIL != 0;
        for link in self.links.range_mut(start..=end).filter(untold) {
            link.told = true;
            let time = Timestamp(link.time);
            let fired = fired.get_or_insert(Fired {
                count: 0,
                first: time,
                last: time,
            });
            fired.count += u64::from(link.count);
            fired.first = fired.first.min(time);
            fired.last = fired.last.max(time);
        }
    }

    /// Forgets what no match that may still come can be in one sequence with, and stays within the bound.
    fn keep_bounded(&mut self, sequence: &Sequence) {
        let Some(newest) = self.links.back().map(|link| link.time) else {
            return;
        };
        let needed = newest
            .saturating_sub(sequence.lateness)
            .saturating_sub(sequence.within);
        while self.links.front().is_some_and(|link| link.time <= needed) {
            self.links.pop_front();
        }
        if self.links.len() > MAX_ENTRIES {
            self.make_room(sequence);
        }
    }

    /// Keeps what sequences are made of that may still go on, and of the rest the newest.
    fn make_room(&mut self, sequence: &Sequence) {
        if let Some(ended) = self.links.iter().rposition(|link| link.steps & UNTIL != 0) {
            self.links.drain(..ended);
        }
        let mut used = vec![false; self.links.len()];
        let newest = self.links.len().saturating_sub(1);
        for (step, count) in sequence.counts.iter().enumerate() {
            for left in 1..=*count {
                self.back(sequence, newest, Some((step, left)), |place| used[place] = true);
            }
        }
        let mut excess = self.links.len().saturating_sub(LEFT);
        let mut used = used.into_iter();
        let mut first = true;
        self.links.retain(|link| {
            // What ended sequences stands at the front, and goes on ending those that come late.
            let ends = std::mem::take(&mut first) && link.steps & UNTIL != 0;
            let idle = used.next() == Some(false);
            let goes = idle && !ends && excess > 0;
            excess -= usize::from(goes);
            !goes
        });
        while self.links.len() > MAX_ENTRIES {
            self.links.pop_front();
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.links.len() * LINK);
        bytes.push(FORM);
        for link in &self.links {
            bytes.extend(link.time.to_le_bytes());
            bytes.extend(link.steps.to_le_bytes());
            bytes.extend(link.count.to_le_bytes());
            bytes.push(u8::from(link.told));
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadGroup> {
        let Some((&FORM, body)) = bytes.split_first() else {
            return Err(BadGroup);
        };
        let (chunks, rest) = body.as_chunks::<LINK>();
        if !rest.is_empty() || chunks.len() > MAX_ENTRIES {
            return Err(BadGroup);
        }
        let links: Option<VecDeque<Link>> = chunks.iter().map(link).collect();
        let links = links.ok_or(BadGroup)?;
        if !links.iter().is_sorted_by_key(|link| link.time) {
            return Err(BadGroup);
        }
        Ok(Self { links })
    }
}

fn link(chunk: &[u8; LINK]) -> Option<Link> {
    let (time, rest) = chunk.split_first_chunk()?;
    let (steps, rest) = rest.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    Some(Link {
        time: i64::from_le_bytes(*time),
        steps: Steps::from_le_bytes(*steps),
        count: u32::from_le_bytes(*count),
        told: rest == [1],
    })
}
