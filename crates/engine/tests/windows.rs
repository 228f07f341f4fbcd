//! Windows against a reference that remembers everything and looks at every window there is: shuffled, late, and carried
//! over a restart between any two matches.

use std::collections::HashSet;

use proptest::prelude::*;
use yagura_engine::window::{Fired, Group, Outcome, Tuple};
use yagura_event::{FieldId, Timestamp};
use yagura_rules::detect::{Shape, Threshold};

/// Every match that was not late, in order of arrival, and whether it was told.
#[derive(Default)]
struct Reference {
    taken: Vec<(Tuple, bool)>,
}

impl Reference {
    fn add(&mut self, threshold: &Threshold, tuple: Tuple) -> Outcome {
        let newest = self.taken.iter().map(|(taken, _)| taken.last.0).max();
        if newest.is_some_and(|newest| tuple.last.0 < newest - threshold.lateness) {
            return Outcome::Late;
        }
        self.taken.push((tuple, false));
        let new = self.taken.len() - 1;
        let mut news: Vec<usize> = Vec::new();
        for window in self.windows(threshold) {
            if !window.contains(&new) || self.measure(threshold, &window) < threshold.count {
                continue;
            }
            for place in window {
                if !self.taken[place].1 {
                    self.taken[place].1 = true;
                    news.push(place);
                }
            }
        }
        let times = news.iter().map(|place| self.taken[*place].0.last);
        match (times.clone().min(), times.max()) {
            (Some(first), Some(last)) => Outcome::Fires(Fired {
                count: news
                    .iter()
                    .map(|place| u64::from(self.taken[*place].0.count))
                    .sum(),
                first,
                last,
            }),
            _ => Outcome::Waits,
        }
    }

    fn measure(&self, threshold: &Threshold, window: &[usize]) -> u64 {
        let tuples = window.iter().map(|place| self.taken[*place].0);
        if threshold.distinct.is_some() {
            tuples.map(|tuple| tuple.value).collect::<HashSet<_>>().len() as u64
        } else {
            tuples.map(|tuple| u64::from(tuple.count)).sum()
        }
    }

    /// Every window there is, as places of what lies in it.
    fn windows(&self, threshold: &Threshold) -> Vec<Vec<usize>> {
        let time = |place: &usize| self.taken[*place].0.last.0;
        let mut places: Vec<usize> = (0..self.taken.len()).collect();
        places.sort_by_key(time);
        let gap = match threshold.shape {
            Shape::Sliding => {
                let ends: HashSet<i64> = places.iter().map(time).collect();
                let inside = |end: i64| {
                    let inside = |place: &usize| (end - threshold.within + 1..=end).contains(&time(place));
                    places.iter().copied().filter(inside).collect()
                };
                return ends.into_iter().map(inside).collect();
            }
            Shape::Fixed => i64::MAX,
            Shape::Session { gap } => gap,
        };
        let mut windows: Vec<Vec<usize>> = Vec::new();
        for place in places {
            match windows.last_mut() {
                Some(window)
                    if time(&place) - time(&window[0]) < threshold.within
                        && time(&place) - time(&window[window.len() - 1]) <= gap =>
                {
                    window.push(place);
                }
                _ => windows.push(vec![place]),
            }
        }
        windows
    }
}

fn threshold() -> impl Strategy<Value = Threshold> {
    let shape = prop_oneof![
        Just(Shape::Sliding),
        Just(Shape::Fixed),
        (1..15_i64).prop_map(|gap| Shape::Session { gap }),
    ];
    (1..6_u64, 1..40_i64, shape, any::<bool>(), 0..60_i64).prop_map(
        |(count, within, shape, distinct, lateness)| Threshold {
            count,
            within,
            shape,
            distinct: distinct.then_some(FieldId(0)),
            lateness,
        },
    )
}

/// Matches that go forward in time by `step` and are up to 30 late.
fn tuples(distinct: bool) -> impl Strategy<Value = Vec<Tuple>> {
    let late = prop_oneof![3 => Just(0_i64), 1 => 0..30_i64];
    let one = (0..12_i64, late, 1..4_u32, 0..4_u64);
    prop::collection::vec(one, 1..80).prop_map(move |steps| {
        let mut now = 0;
        let tuple = |(step, late, count, value): (i64, i64, u32, u64)| {
            now += step;
            let time = Timestamp(now - late);
            Tuple {
                first: time,
                last: time,
                count,
                value: if distinct { value } else { 0 },
            }
        };
        steps.into_iter().map(tuple).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_group_says_what_one_says_that_remembers_everything(
        (threshold, tuples) in threshold().prop_flat_map(|threshold| {
            let distinct = threshold.distinct.is_some();
            (Just(threshold), tuples(distinct))
        }),
        restarts in any::<u64>(),
    ) {
        let mut group = Group::default();
        let mut reference = Reference::default();
        for (place, tuple) in tuples.into_iter().enumerate() {
            if restarts >> (place % 64) & 1 == 1 {
                group = Group::decode(&threshold, &group.encode()).unwrap();
            }
            prop_assert_eq!(
                group.add(&threshold, tuple),
                reference.add(&threshold, tuple),
                "match {} at {}", place, tuple.last.0
            );
        }
    }

    /// In whatever order matches come that are not too late, all of them are told whose window holds at last.
    #[test]
    fn the_order_of_arrival_changes_nothing_in_the_end(
        threshold in threshold(),
        mut tuples in tuples(true),
        seed in any::<u64>(),
    ) {
        let threshold = Threshold { lateness: 10_000, ..threshold };
        let told = |tuples: &[Tuple]| {
            let mut group = Group::default();
            let mut told = 0;
            for tuple in tuples {
                if let Outcome::Fires(fired) = group.add(&threshold, *tuple) {
                    told += fired.count;
                }
            }
            told
        };
        tuples.sort_by_key(|tuple| tuple.last);
        if threshold.shape != Shape::Sliding {
            // Pieces are laid anew by what comes late, and what was told stays told.
            return Ok(());
        }
        let in_order = told(&tuples);
        let mut state = seed | 1;
        for place in (1..tuples.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let other = usize::try_from(state >> 33).unwrap_or(0) % (place + 1);
            tuples.swap(place, other);
        }
        prop_assert_eq!(told(&tuples), in_order);
    }

    #[test]
    fn any_bytes_are_a_group_or_an_error(threshold in threshold(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(mut group) = Group::decode(&threshold, &bytes) {
            let time = Timestamp(0);
            group.add(&threshold, Tuple { first: time, last: time, count: 1, value: 1 });
        }
    }
}

fn at(time: i64, value: u64) -> Tuple {
    Tuple {
        first: Timestamp(time),
        last: Timestamp(time),
        count: 1,
        value,
    }
}

/// A group takes as many matches as somebody likes to make, in bounded memory, and goes on saying what is so.
#[test]
fn a_flood_stays_bounded_and_is_told_once() {
    let shapes = [Shape::Sliding, Shape::Fixed, Shape::Session { gap: 10 }];
    for (shape, distinct, count) in shapes.into_iter().flat_map(|shape| {
        [
            (shape, None, 5),
            (shape, None, 50_000),
            (shape, Some(FieldId(0)), 1_000),
        ]
    }) {
        let threshold = Threshold {
            count,
            within: 1_000_000,
            shape,
            distinct,
            lateness: 100,
        };
        let mut group = Group::default();
        let mut told = 0;
        let mut fired_at = None;
        for time in 0..60_000_i64 {
            // A new value every tenth time.
            let value = u64::try_from(time / 10).unwrap();
            if let Outcome::Fires(fired) = group.add(&threshold, at(time, value)) {
                fired_at.get_or_insert(time);
                told += fired.count;
            }
        }
        let each = if distinct.is_some() { 10 } else { 1 };
        let due = i64::try_from(count * each).unwrap() - each_extra(distinct);
        assert_eq!(fired_at, Some(due), "{threshold:?}");
        assert_eq!(told, 60_000, "{threshold:?}");
        assert!(group.encode().len() < 32 * 1_024, "{threshold:?}");
    }
}

/// The last value is seen at its first match.
fn each_extra(distinct: Option<FieldId>) -> i64 {
    if distinct.is_some() { 10 } else { 1 }
}
