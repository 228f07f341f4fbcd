//! What is usual: the sample that a bucket is compared with, and the limit that comes of it.

use std::collections::VecDeque;

use yagura_rules::detect::{MAX_BUCKET, MAX_BUCKETS, MIN_BUCKET};

use super::{Anomaly, Closed, MAX_OPEN};

pub(super) const HOUR: i64 = 3_600 * 1_000_000_000;
pub(super) const DAY: i64 = 24 * HOUR;

/// Days that have to be known for hours of the day to be compared, and weeks for hours of the week.
const DAYS: i32 = 3;
const WEEKS: i32 = 2;

/// The parameters in buckets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// Length of a bucket, in nanoseconds.
    pub(super) bucket: i64,
    /// In nanoseconds.
    pub(super) lateness: i64,
    /// How many are open before the newest.
    pub(super) open: i32,
    /// How many are history.
    pub(super) kept: i32,
    pub(super) learning: i32,
    hour: i32,
    day: i32,
}

impl Grid {
    pub(super) fn of(anomaly: &Anomaly) -> Self {
        let bucket = anomaly.bucket.clamp(MIN_BUCKET, MAX_BUCKET);
        let lateness = anomaly.lateness.clamp(0, MAX_OPEN * bucket);
        let ceiling = |length: i64| length / bucket + i64::from(length % bucket > 0);
        Self {
            bucket,
            lateness,
            open: small(ceiling(lateness)),
            kept: small((anomaly.history / bucket).clamp(1, MAX_BUCKETS)),
            learning: small(ceiling(anomaly.learning.max(0)).max(1)),
            hour: small((HOUR / bucket).max(1)),
            day: small(DAY / bucket),
        }
    }

    /// The bucket that a time lies in. All there are lie within 154 million of the epoch's, so sums of a few are no overflow.
    pub(super) fn index(&self, time: i64) -> i32 {
        small(time.div_euclid(self.bucket))
    }

    /// Whether no time lies in a bucket.
    pub(super) fn is_far(&self, index: i32) -> bool {
        index < self.index(i64::MIN) || index > self.index(i64::MAX)
    }

    /// When a bucket begins, in nanoseconds.
    pub(super) fn start(&self, index: i32) -> i64 {
        i64::from(index).saturating_mul(self.bucket)
    }

    /// How many closed buckets samples reach back.
    pub(super) fn reach(&self) -> i32 {
        self.kept + self.hour
    }

    /// The counts that a bucket is compared with, of the buckets from `since` to `end`.
    pub(super) fn sample(&self, closed: &VecDeque<Closed>, bucket: i32, since: i32, end: i32) -> Vec<u32> {
        let known = (end + 1 - since).min(self.kept);
        let week = 7 * self.day;
        let period = if known >= WEEKS * week {
            week
        } else if known >= DAYS * self.day {
            self.day
        } else {
            let mut sample = Vec::new();
            take(closed, (end + 1 - self.kept).max(since), end, &mut sample);
            return sample;
        };
        let hour = bucket - bucket.rem_euclid(self.hour);
        let mut sample = Vec::new();
        for back in 1..=self.kept / period {
            let first = (hour - 1 - back * period).max(since);
            let last = (hour + self.hour - back * period).min(end);
            take(closed, first, last, &mut sample);
        }
        sample
    }
}

/// Appends the counts of the buckets from `first` to `last`.
fn take(closed: &VecDeque<Closed>, first: i32, last: i32, sample: &mut Vec<u32>) {
    let Ok(buckets) = usize::try_from(last + 1 - first) else {
        return;
    };
    let all = sample.len() + buckets;
    let from = closed.partition_point(|bucket| bucket.index < first);
    let inside = closed.iter().skip(from).take_while(|bucket| bucket.index <= last);
    sample.extend(inside.map(|bucket| bucket.count));
    // The others had no match.
    sample.resize(all, 0);
}

/// The limit by a sample. An empty one is like a bucket without a match.
pub(super) fn limit(anomaly: &Anomaly, mut sample: Vec<u32>) -> u32 {
    sample.sort_unstable();
    let per_mille = usize::try_from(anomaly.quantile.clamp(1, 1_000)).unwrap_or(1_000);
    let quantile = nth(&sample, (sample.len() * per_mille).div_ceil(1_000));
    let median = nth(&sample, sample.len().div_ceil(2));
    for count in &mut sample {
        *count = count.abs_diff(median);
    }
    sample.sort_unstable();
    let deviation = nth(&sample, sample.len().div_ceil(2));
    quantile
        .saturating_add(anomaly.tolerance.saturating_mul(deviation))
        .max(anomaly.min_count.saturating_sub(1))
        .max(1)
}

/// The one of that rank, counted from 1.
fn nth(sorted: &[u32], rank: usize) -> u32 {
    rank.checked_sub(1)
        .and_then(|place| sorted.get(place))
        .copied()
        .unwrap_or(0)
}

/// Numbers of buckets are small: a bucket has at least a minute.
fn small(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN / 4 } else { i32::MAX / 4 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_quantile_and_deviations() {
        let anomaly = Anomaly {
            tolerance: 3,
            min_count: 0,
            ..Anomaly::default()
        };
        // Median 4, deviations 0 1 1 2 2 3 6: their median is 2.
        assert_eq!(limit(&anomaly, vec![4, 3, 5, 2, 6, 1, 10]), 10 + 3 * 2);
        // Of 400 the rank is 398.
        assert_eq!(limit(&anomaly, (1..=400).collect()), 398 + 3 * 100);
        assert_eq!(limit(&anomaly, Vec::new()), 1);
        assert_eq!(limit(&anomaly, vec![u32::MAX, 0, u32::MAX / 2]), u32::MAX);
        let floor = Anomaly {
            min_count: 10,
            ..anomaly
        };
        assert_eq!(limit(&floor, vec![0; 12]), 9);
    }

    #[test]
    fn any_parameters_make_a_grid() {
        for extreme in [i64::MIN, -1, 0, 1, i64::MAX] {
            let anomaly = Anomaly {
                bucket: extreme,
                history: extreme,
                learning: extreme,
                lateness: extreme,
                ..Anomaly::default()
            };
            let grid = Grid::of(&anomaly);
            assert!(
                (1..=4_032).contains(&grid.kept) && (0..=32).contains(&grid.open),
                "{grid:?}"
            );
            assert!(grid.learning >= 1 && grid.day >= 4, "{grid:?}");
        }
    }
}
