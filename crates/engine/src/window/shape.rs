//! What lies in one window with a match.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use yagura_rules::detect::{Shape, Threshold};

use super::group::Entry;

/// Whether `next` lies in the window that began at `start` and whose last match is at `last`. Of shapes that are cut
/// into pieces; a sliding window has no beginning.
pub(super) fn goes_on(threshold: &Threshold, start: i64, last: i64, next: i64) -> bool {
    let gap = match threshold.shape {
        Shape::Sliding | Shape::Fixed => i64::MAX,
        Shape::Session { gap } => gap,
    };
    next.saturating_sub(start) < threshold.within && next.saturating_sub(last) <= gap
}

/// Where the window begins that the newest entry lies in.
pub(super) fn newest(threshold: &Threshold, entries: &VecDeque<Entry>) -> usize {
    let Some(newest) = entries.back() else { return 0 };
    if threshold.shape == Shape::Sliding {
        let from = newest.last.saturating_sub(threshold.within);
        return entries.partition_point(|entry| entry.last <= from);
    }
    pieces(threshold, entries).last().map_or(0, |piece| piece.start)
}

/// The windows of a shape that is cut into pieces, in order. Each begins at the first entry that is in none before.
pub(super) fn pieces<'a>(
    threshold: &'a Threshold,
    entries: &'a VecDeque<Entry>,
) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut start = 0;
    std::iter::from_fn(move || {
        let first = entries.get(start)?.first;
        let mut end = start + 1;
        while let (Some(before), Some(next)) = (entries.get(end - 1), entries.get(end)) {
            if !goes_on(threshold, first, before.last, next.first) {
                break;
            }
            end += 1;
        }
        let piece = start..end;
        start = end;
        Some(piece)
    })
}

/// The entries of all windows that hold and that the entry at `place` lies in; `None`: none holds.
pub(super) fn holding(
    threshold: &Threshold,
    entries: &VecDeque<Entry>,
    place: usize,
) -> Option<Range<usize>> {
    let mut inside = Inside::of(threshold);
    if threshold.shape != Shape::Sliding {
        let piece = pieces(threshold, entries).find(|piece| piece.contains(&place))?;
        entries.range(piece.clone()).for_each(|entry| inside.enter(entry));
        return inside.holds().then_some(piece);
    }
    let time = entries.get(place)?.last;
    let from = time.saturating_sub(threshold.within);
    let mut start = entries.partition_point(|entry| entry.last <= from);
    entries.range(start..place).for_each(|entry| inside.enter(entry));
    let mut found: Option<Range<usize>> = None;
    for (end, entry) in entries.iter().enumerate().skip(place) {
        if entry.last.saturating_sub(time) >= threshold.within {
            break;
        }
        inside.enter(entry);
        while let Some(first) = entries.get(start)
            && entry.last.saturating_sub(first.last) >= threshold.within
        {
            inside.leave(first);
            start += 1;
        }
        // Windows that end at one time end after its last entry.
        let ends = entries.get(end + 1).is_none_or(|next| next.last > entry.last);
        if ends && inside.holds() {
            // Each of them has the entry in it, so together they are one range.
            let begin = found.as_ref().map_or(start, |range| range.start);
            found = Some(begin..end + 1);
        }
    }
    found
}

/// What is counted in a range: matches, or the values that are told apart.
struct Inside {
    least: u64,
    count: u64,
    /// How many entries each value has.
    values: Option<HashMap<u64, u32>>,
}

impl Inside {
    fn of(threshold: &Threshold) -> Self {
        Self {
            least: threshold.count,
            count: 0,
            values: threshold.distinct.map(|_| HashMap::new()),
        }
    }

    fn enter(&mut self, entry: &Entry) {
        self.count += u64::from(entry.count);
        if let Some(values) = &mut self.values {
            *values.entry(entry.value).or_default() += 1;
        }
    }

    fn leave(&mut self, entry: &Entry) {
        self.count -= u64::from(entry.count);
        let Some(values) = &mut self.values else { return };
        if let Some(entries) = values.get_mut(&entry.value) {
            *entries -= 1;
            if *entries == 0 {
                values.remove(&entry.value);
            }
        }
    }

    fn holds(&self) -> bool {
        let measured = self
            .values
            .as_ref()
            .map_or(self.count, |values| values.len() as u64);
        measured >= self.least
    }
}
