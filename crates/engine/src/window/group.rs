//! What is remembered of one group.

use std::collections::VecDeque;
use std::ops::Range;

use yagura_event::Timestamp;
use yagura_rules::detect::{MAX_DISTINCT, Shape, Threshold};

use super::{Fired, Outcome, Tuple, shape};

/// Entries that a group keeps.
pub(super) const MAX_ENTRIES: usize = 1_024;
const _: () = assert!(MAX_DISTINCT <= MAX_ENTRIES as u64);

/// Matches of one value at one time, or at several that were joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) value: u64,
    pub(super) count: u32,
    pub(super) told: bool,
    /// Whether the value comes again in a later entry.
    pub(super) repeated: bool,
}

impl Entry {
    /// What it adds to the window it lies in.
    fn weight(&self, threshold: &Threshold) -> u64 {
        match threshold.distinct {
            None => u64::from(self.count),
            Some(_) => u64::from(!self.repeated),
        }
    }
}

/// What one rule remembers of one group of matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// In order of time; those of one time in order of arrival.
    pub(super) entries: VecDeque<Entry>,
    /// Where the window begins that the newest entry lies in.
    start: usize,
    /// What that window counts.
    live: u64,
    /// Whether an entry that was not told may stand before one that was.
    stray: bool,
}

impl Group {
    pub(super) fn restore(threshold: &Threshold, entries: VecDeque<Entry>) -> Self {
        let mut group = Self {
            entries,
            start: 0,
            live: 0,
            stray: true,
        };
        group.measure_again(threshold);
        group
    }

    /// Takes a match.
    pub fn add(&mut self, threshold: &Threshold, tuple: Tuple) -> Outcome {
        let (first, last) = (tuple.first.0.min(tuple.last.0), tuple.last.0);
        let entry = Entry {
            first,
            last,
            value: if threshold.distinct.is_some() {
                tuple.value
            } else {
                0
            },
            count: tuple.count,
            told: false,
            repeated: false,
        };
        // Most groups stay small: they grow one by one at first.
        if self.entries.len() == self.entries.capacity() && self.entries.len() < 4 {
            self.entries.reserve_exact(1);
        }
        let fired = match self.entries.back().map(|newest| newest.last) {
            Some(newest) if last < newest.saturating_sub(threshold.lateness) => return Outcome::Late,
            Some(newest) if last < newest => {
                self.stray = true;
                let holds = self.insert(threshold, entry);
                holds.and_then(|range| self.tell(range))
            }
            _ => {
                let holds = self.append(threshold, entry);
                holds.and_then(|range| self.tell_newest(range))
            }
        };
        self.keep_bounded(threshold);
        fired.map_or(Outcome::Waits, Outcome::Fires)
    }

    /// Time of the newest match.
    pub fn newest(&self) -> Option<Timestamp> {
        self.entries.back().map(|entry| Timestamp(entry.last))
    }

    /// Takes a match that is the newest. Gives its window when that holds.
    fn append(&mut self, threshold: &Threshold, entry: Entry) -> Option<Range<usize>> {
        if threshold.shape == Shape::Sliding {
            let from = entry.last.saturating_sub(threshold.within);
            while let Some(first) = self.entries.get(self.start).filter(|first| first.last <= from) {
                self.live -= first.weight(threshold);
                self.start += 1;
            }
        } else if !self.extends(threshold, &entry) {
            self.forget_pieces(threshold, entry.last);
            self.start = self.entries.len();
            self.live = 0;
        }
        if threshold.distinct.is_some()
            && let Some(earlier) = self.mark_repeated(&entry, self.entries.len())
            && earlier >= self.start
        {
            self.live -= 1;
        }
        self.live += entry.weight(threshold);
        self.entries.push_back(entry);
        (self.live >= threshold.count).then_some(self.start..self.entries.len())
    }

    /// Whether a newest entry lies in the window of the one before it.
    fn extends(&self, threshold: &Threshold, entry: &Entry) -> bool {
        let (Some(start), Some(before)) = (self.entries.get(self.start), self.entries.back()) else {
            return false;
        };
        shape::goes_on(threshold, start.first, before.last, entry.first)
    }

    /// Takes a match that others are newer than. Gives the windows it lies in that hold.
    fn insert(&mut self, threshold: &Threshold, mut entry: Entry) -> Option<Range<usize>> {
        let place = self.entries.partition_point(|other| other.last <= entry.last);
        if threshold.distinct.is_some() {
            let mut later = self.entries.range(place..);
            entry.repeated = later.any(|later| later.value == entry.value);
            self.mark_repeated(&entry, place);
        }
        self.entries.insert(place, entry);
        self.measure_again(threshold);
        shape::holding(threshold, &self.entries, place)
    }

    /// Marks the entry before `place` that had the value of `entry` last. Gives where it is.
    fn mark_repeated(&mut self, entry: &Entry, place: usize) -> Option<usize> {
        let earlier = (0..place)
            .rev()
            .find(|earlier| self.entries[*earlier].value == entry.value)?;
        self.entries[earlier].repeated = true;
        Some(earlier)
    }

    fn measure_again(&mut self, threshold: &Threshold) {
        self.start = shape::newest(threshold, &self.entries);
        let window = self.entries.range(self.start..);
        self.live = window.map(|entry| entry.weight(threshold)).sum();
    }

    /// The same of the window of the newest entry. Those that were not told stand at its end, unless one strayed.
    fn tell_newest(&mut self, range: Range<usize>) -> Option<Fired> {
        if self.stray {
            // From here on all of this window is told, and what is before it cannot be in a later one.
            self.stray = false;
            return self.tell(range);
        }
        let untold = self
            .entries
            .range(range.clone())
            .rev()
            .take_while(|entry| !entry.told)
            .count();
        self.tell(range.end - untold..range.end)
    }

    /// What of a range was not told, which is told now.
    fn tell(&mut self, range: Range<usize>) -> Option<Fired> {
        let mut fired: Option<Fired> = None;
        for entry in self.entries.range_mut(range).filter(|entry| !entry.told) {
            entry.told = true;
            let fired = fired.get_or_insert(Fired {
                count: 0,
                first: Timestamp(entry.first),
                last: Timestamp(entry.last),
            });
            fired.count += u64::from(entry.count);
            fired.last = Timestamp(entry.last);
        }
        fired
    }

    /// Forgets what no match that may still come can share a window with, and stays within the bound.
    fn keep_bounded(&mut self, threshold: &Threshold) {
        if threshold.shape == Shape::Sliding
            && let Some(newest) = self.entries.back().map(|entry| entry.last)
        {
            let watermark = newest.saturating_sub(threshold.lateness);
            let needed = watermark.saturating_sub(threshold.within);
            while self.entries.front().is_some_and(|first| first.last <= needed) {
                self.pop_front(threshold);
            }
        }
        while self.entries.len() > MAX_ENTRIES {
            if threshold.distinct.is_some() {
                // A value counts where it comes last.
                let place = self.entries.iter().position(|entry| entry.repeated);
                self.give_up(threshold, place.unwrap_or(0));
            } else if threshold.shape != Shape::Sliding {
                self.give_up(threshold, 0);
            } else if threshold.count > MAX_ENTRIES as u64 {
                self.join(threshold);
            } else {
                // What stays is enough for the window to hold.
                self.pop_front(threshold);
            }
        }
    }

    fn pop_front(&mut self, threshold: &Threshold) {
        if let Some(first) = self.entries.pop_front() {
            if self.start > 0 {
                self.start -= 1;
            } else {
                self.live -= first.weight(threshold);
            }
        }
    }

    /// Joins the entry at `place` with the one after it. A window that is a piece keeps its beginning and has no gap.
    fn give_up(&mut self, threshold: &Threshold, place: usize) {
        let (Some(entry), Some(next)) = (self.entries.remove(place), self.entries.get_mut(place)) else {
            return;
        };
        if threshold.shape != Shape::Sliding && shape::goes_on(threshold, entry.first, entry.last, next.first)
        {
            next.first = entry.first;
        }
        if next.told == entry.told {
            next.count = next.count.saturating_add(entry.count);
        }
        self.measure_again(threshold);
    }

    /// Joins neighbours that were both told or both not, at the time of the later one.
    fn join(&mut self, threshold: &Threshold) {
        let before = self.entries.len();
        let mut joined: VecDeque<Entry> = VecDeque::with_capacity(before);
        let mut single = false;
        for entry in self.entries.drain(..) {
            if let Some(last) = joined.back_mut().filter(|last| single && last.told == entry.told) {
                last.last = entry.last;
                last.count = last.count.saturating_add(entry.count);
                single = false;
            } else {
                joined.push_back(entry);
                single = true;
            }
        }
        self.entries = joined;
        self.measure_again(threshold);
        if self.entries.len() == before {
            self.pop_front(threshold);
        }
    }

    /// Forgets the windows that no match can join that is not late when the newest is at `newest`.
    fn forget_pieces(&mut self, threshold: &Threshold, newest: i64) {
        let watermark = newest.saturating_sub(threshold.lateness);
        let gap = match threshold.shape {
            Shape::Session { gap } => gap,
            Shape::Sliding | Shape::Fixed => threshold.within,
        };
        let over = |piece: &Range<usize>| {
            let first = self.entries.get(piece.start).map_or(newest, |entry| entry.first);
            let last = self.entries.get(piece.end - 1).map_or(newest, |entry| entry.last);
            first.saturating_add(threshold.within) <= watermark || last.saturating_add(gap) < watermark
        };
        let forgotten = shape::pieces(threshold, &self.entries)
            .take_while(over)
            .last()
            .map_or(0, |piece| piece.end);
        self.entries.drain(..forgotten);
    }
}
