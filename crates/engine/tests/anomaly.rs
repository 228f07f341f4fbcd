//! Spikes against a reference that remembers every match: shuffled, late, and carried over a restart between any two of them.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use yagura_engine::method::anomaly::{Anomaly, Group, Outcome, Spike};
use yagura_event::Timestamp;

const MINUTE: i64 = 60 * 1_000_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Every match that was not late, and the buckets that were told.
#[derive(Default)]
struct Reference {
    taken: Vec<(i64, u32)>,
    told: BTreeSet<i64>,
}

impl Reference {
    fn add(&mut self, anomaly: &Anomaly, time: i64, count: u32) -> Outcome {
        let newest = self.taken.iter().map(|(taken, _)| *taken).max();
        if newest.is_some_and(|newest| time < newest - anomaly.lateness) {
            return Outcome::Late;
        }
        self.taken.push((time, count));
        let bucket = time.div_euclid(anomaly.bucket);
        let count = self.counts(anomaly)[&bucket];
        match self.limits(anomaly)[&bucket] {
            Some(limit) if count > limit => {
                let spike = Spike {
                    start: Timestamp(bucket * anomaly.bucket),
                    count,
                    limit,
                };
                if self.told.insert(bucket) {
                    Outcome::Fires(spike)
                } else {
                    Outcome::Grows(spike)
                }
            }
            _ => Outcome::Waits,
        }
    }

    fn counts(&self, anomaly: &Anomaly) -> BTreeMap<i64, u32> {
        let mut counts = BTreeMap::new();
        for (time, count) in &self.taken {
            *counts.entry(time.div_euclid(anomaly.bucket)).or_default() += count;
        }
        counts
    }

    /// The limit of every bucket with a match, each from what all before it count.
    fn limits(&self, anomaly: &Anomaly) -> BTreeMap<i64, Option<u32>> {
        let mut usual: BTreeMap<i64, u32> = BTreeMap::new();
        let mut limits = BTreeMap::new();
        for (bucket, count) in self.counts(anomaly) {
            let limit = limit(anomaly, &usual, bucket);
            usual.insert(bucket, limit.map_or(count, |limit| limit.min(count)));
            limits.insert(bucket, limit);
        }
        limits
    }
}

fn limit(anomaly: &Anomaly, usual: &BTreeMap<i64, u32>, bucket: i64) -> Option<u32> {
    let history = anomaly.history / anomaly.bucket;
    let end = bucket - 1 - (anomaly.lateness + anomaly.bucket - 1) / anomaly.bucket;
    let before: Vec<i64> = usual.range(..=end).map(|(bucket, _)| *bucket).collect();
    let mut since = *before.first()?;
    for (one, next) in before.iter().zip(before.iter().skip(1)) {
        if next - one > history {
            since = *next;
        }
    }
    let known = end - since + 1;
    if end - before.last()? >= history || known * anomaly.bucket < anomaly.learning {
        return None;
    }
    let hour_of = |bucket: i64, period: i64| (bucket * anomaly.bucket).rem_euclid(period) / HOUR;
    let in_history = known.min(history) * anomaly.bucket;
    let period = [7 * DAY, DAY].into_iter().find(|period| {
        let needed = if *period == DAY { 3 } else { 2 };
        in_history >= needed * period
    });
    let periods = period.map_or(0, |period| anomaly.history / period * period / anomaly.bucket);
    let mut sample: Vec<u32> = (since..=end)
        .filter(|other| match period {
            None => *other > end - history,
            // One that begins in the same hour as the one judged, or whose neighbour does, some periods before; of buckets
            // longer than an hour, one that begins at the same time.
            Some(period) => {
                let near = |of: i64| {
                    let same = if anomaly.bucket < HOUR {
                        hour_of(of, period) == hour_of(bucket, period)
                    } else {
                        (bucket - of) * anomaly.bucket % period == 0
                    };
                    // The hour that is judged itself, and those before the oldest period.
                    let back = (bucket - of) * anomaly.bucket;
                    same && back >= period - HOUR && back < periods * anomaly.bucket + HOUR
                };
                near(*other) || near(other - 1) || near(other + 1)
            }
        })
        .map(|other| usual.get(&other).copied().unwrap_or(0))
        .collect();
    // The least that so many thousandths are not greater than.
    let rank = |sorted: &[u32], per_mille: usize| {
        let mut ranks = sorted.iter().enumerate();
        let found = ranks.find(|(below, _)| (below + 1) * 1_000 >= sorted.len() * per_mille);
        found.map_or(0, |(_, count)| *count)
    };
    sample.sort_unstable();
    let quantile = rank(&sample, usize::try_from(anomaly.quantile).unwrap());
    let median = rank(&sample, 500);
    let mut deviations: Vec<u32> = sample.iter().map(|count| count.abs_diff(median)).collect();
    deviations.sort_unstable();
    let limit = quantile + anomaly.tolerance * rank(&deviations, 500);
    Some(limit.max(anomaly.min_count - 1).max(1))
}

fn anomaly() -> impl Strategy<Value = Anomaly> {
    let bucket = prop_oneof![Just(15 * MINUTE), Just(30 * MINUTE), Just(HOUR), Just(3 * HOUR)];
    let history = prop_oneof![Just(DAY), Just(5 * DAY), Just(14 * DAY), Just(21 * DAY)];
    let learning = prop_oneof![Just(0), Just(HOUR), Just(DAY), Just(7 * DAY)];
    let lateness = prop_oneof![Just(0), Just(2 * MINUTE), Just(HOUR), Just(7 * HOUR)];
    let numbers = (
        prop_oneof![Just(500_u32), Just(900), Just(995)],
        0..4_u32,
        1..5_u32,
    );
    (bucket, history, learning, lateness, numbers).prop_map(
        |(bucket, history, learning, lateness, (quantile, tolerance, min_count))| Anomaly {
            bucket,
            history,
            learning,
            quantile,
            tolerance,
            min_count,
            lateness,
        },
    )
}

/// Matches that go forward by minutes, hours, days or a multiple of a day, seldom by weeks, some of them late.
fn matches() -> impl Strategy<Value = Vec<(i64, u32)>> {
    let step = prop_oneof![
        6 => (0..40_i64).prop_map(|minutes| minutes * MINUTE),
        3 => (0..10_i64).prop_map(|hours| hours * HOUR),
        3 => (1..4_i64).prop_map(|days| days * DAY),
        2 => Just(7 * DAY),
        1 => (10..30_i64).prop_map(|days| days * DAY),
    ];
    let late = prop_oneof![3 => Just(0_i64), 1 => 0..HOUR, 1 => 0..10 * HOUR];
    prop::collection::vec((step, late, 1..9_u32), 1..60).prop_map(|steps| {
        let mut now = 1_000 * DAY;
        let one = |(step, late, count): (i64, i64, u32)| {
            now += step;
            (now - late, count)
        };
        steps.into_iter().map(one).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_group_says_what_one_says_that_remembers_everything(
        anomaly in anomaly(),
        matches in matches(),
        restarts in any::<u64>(),
    ) {
        let mut group = Group::default();
        let mut reference = Reference::default();
        for (place, (time, count)) in matches.into_iter().enumerate() {
            if restarts >> (place % 64) & 1 == 1 {
                group = Group::decode(&anomaly, &group.encode()).unwrap();
            }
            prop_assert_eq!(
                group.add(&anomaly, Timestamp(time), count),
                reference.add(&anomaly, time, count),
                "match {} at {}", place, time
            );
        }
    }

    /// In whatever order matches come that are not too late, the same buckets spike, by the same limits.
    #[test]
    fn the_order_of_arrival_changes_nothing_in_the_end(
        anomaly in anomaly(),
        mut matches in matches(),
        seed in any::<u64>(),
    ) {
        let told = |matches: &[(i64, u32)]| {
            let mut group = Group::default();
            let mut told = BTreeMap::new();
            for (time, count) in matches {
                match group.add(&anomaly, Timestamp(*time), *count) {
                    Outcome::Fires(spike) | Outcome::Grows(spike) => told.insert(spike.start, (spike.count, spike.limit)),
                    Outcome::Waits | Outcome::Late => None,
                };
            }
            told
        };
        matches.sort_unstable();
        let in_order = told(&matches);
        // Each comes up to the lateness after its time.
        let mut state = seed | 1;
        let mut delayed: Vec<(i64, (i64, u32))> = Vec::new();
        for one in matches {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let delay = i64::try_from(state >> 1).unwrap() % (anomaly.lateness + 1);
            delayed.push((one.0 + delay, one));
        }
        delayed.sort_by_key(|(arrival, _)| *arrival);
        let shuffled: Vec<_> = delayed.into_iter().map(|(_, one)| one).collect();
        prop_assert_eq!(told(&shuffled), in_order);
    }

    #[test]
    fn any_bytes_and_any_times_are_taken(
        anomaly in anomaly(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        times in prop::collection::vec(prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX)], 1..20),
    ) {
        let decoded = Group::decode(&anomaly, &[&[1][..], &bytes].concat());
        for mut group in [Group::default(), decoded.unwrap_or_default()] {
            for time in &times {
                group.add(&anomaly, Timestamp(*time), u32::MAX);
            }
            prop_assert_eq!(Group::decode(&anomaly, &group.encode()), Ok(group));
        }
    }
}

/// Two matches an hour, and a hundred each night at three.
fn nightly(days: i64) -> (Group, Vec<Spike>) {
    let mut group = Group::default();
    let mut told = Vec::new();
    for hour in 0..days * 24 {
        let count = if hour % 24 == 3 { 100 } else { 2 };
        let outcome = group.add(&Anomaly::default(), Timestamp(hour * HOUR), count);
        if let Outcome::Fires(spike) = outcome {
            told.push(spike);
        }
    }
    (group, told)
}

#[test]
fn what_comes_every_night_is_usual_at_night_only() {
    let (group, told) = nightly(20);
    // The second day knows all hours of one day, so not even the first repetition is told.
    assert_eq!(told, []);
    let start = 20 * DAY;
    // The hour before has three o'clock next to it.
    for (hour, spikes) in [(2, false), (3, false), (4, true), (12, true)] {
        let mut group = group.clone();
        let outcome = group.add(&Anomaly::default(), Timestamp(start + hour * HOUR), 90);
        assert_eq!(
            matches!(outcome, Outcome::Fires(_)),
            spikes,
            "{hour}: {outcome:?}"
        );
    }
}

#[test]
fn a_spike_is_told_at_once_and_once_and_teaches_nothing() {
    let (mut group, _) = nightly(20);
    let anomaly = Anomaly::default();
    for day in 20..40 {
        let noon = Timestamp(day * DAY + 12 * HOUR);
        assert_eq!(group.add(&anomaly, noon, 9), Outcome::Waits);
        let spike = |count| Spike {
            start: noon,
            count,
            limit: 9,
        };
        assert_eq!(
            group.add(&anomaly, noon, 1),
            Outcome::Fires(spike(10)),
            "day {day}"
        );
        assert_eq!(group.add(&anomaly, noon, 40), Outcome::Grows(spike(50)));
    }
}

#[test]
fn a_group_that_was_not_there_before_is_learned_first() {
    let anomaly = Anomaly::default();
    let mut group = Group::default();
    assert_eq!(group.add(&anomaly, Timestamp(0), 1_000_000), Outcome::Waits);
    assert_eq!(group.add(&anomaly, Timestamp(DAY), 2_000_000), Outcome::Waits);
    // A day is known behind the bucket that late matches may come for.
    let later = Timestamp(DAY + 15 * MINUTE);
    assert!(
        matches!(group.add(&anomaly, later, 1_000_001), Outcome::Fires(spike) if spike.limit == 1_000_000)
    );
    // Silent for as long as is remembered, it is one again.
    let much_later = Timestamp(later.0 + anomaly.memory());
    assert_eq!(group.add(&anomaly, much_later, 2_000_000), Outcome::Waits);
}

#[test]
fn memory_is_bounded() {
    let anomaly = Anomaly {
        bucket: 5 * MINUTE,
        ..Anomaly::default()
    };
    let mut group = Group::default();
    for place in 0..20_000 {
        group.add(&anomaly, Timestamp(place * 5 * MINUTE), u32::MAX);
    }
    assert!(group.encode().len() < 33 * 1_024, "{}", group.encode().len());
}
