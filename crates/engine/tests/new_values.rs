//! New values against a reference that remembers every match.

use proptest::prelude::*;
use yagura_engine::window::{Fired, Input, MAX_VALUES, Outcome, State};
use yagura_event::Timestamp;
use yagura_rules::detect::{Method, NewValue};

#[derive(Clone, Debug)]
struct Seen {
    first: i64,
    last: i64,
    count: u32,
    values: Vec<u64>,
}

impl Seen {
    fn input(&self) -> Input<'_> {
        Input {
            first: Timestamp(self.first),
            last: Timestamp(self.last),
            count: self.count,
            values: &self.values,
            text: &[],
            steps: 0,
        }
    }
}

/// Everything that came, in the order in which it came.
#[derive(Default)]
struct Reference(Vec<Seen>);

impl Reference {
    fn add(&mut self, new: &NewValue, seen: &Seen) -> Outcome {
        let started = self.0.iter().map(|seen| seen.first).fold(seen.first, i64::min);
        let before: u64 = self.0.iter().map(|seen| u64::from(seen.count)).sum();
        let learns = seen.last < started + new.learn_for || before < new.learn_matches;
        // A time of a match counts as that of the 64th of `forget_after` that it lies in.
        let part = |time: i64| time.div_euclid((new.forget_after / 64).max(1));
        let known = |value: &u64| {
            let had = self.0.iter().filter(|other| other.values.contains(value));
            had.map(|other| part(other.last))
                .max()
                .is_some_and(|last| part(seen.last) - last <= 64)
        };
        let news = !seen.values.iter().all(known);
        self.0.push(seen.clone());
        if news && !learns {
            Outcome::Fires(Fired {
                count: u64::from(seen.count),
                first: Timestamp(seen.first),
                last: Timestamp(seen.last),
            })
        } else {
            Outcome::Waits
        }
    }
}

fn new_value() -> impl Strategy<Value = NewValue> {
    (0..200_i64, 0..8_u64, prop_oneof![1..40_i64, 100..2_000_i64]).prop_map(
        |(learn_for, learn_matches, forget_after)| NewValue {
            learn_for,
            learn_matches,
            forget_after,
        },
    )
}

/// Matches that go forward in time, of which some are late by far.
fn matches() -> impl Strategy<Value = Vec<Seen>> {
    let late = prop_oneof![3 => Just(0_i64), 1 => 0..300_i64];
    let values = prop::collection::btree_set(0..8_u64, 0..3);
    let one = (0..40_i64, late, 0..3_i64, 1..4_u32, values);
    prop::collection::vec(one, 1..60).prop_map(|steps| {
        let mut now = 0;
        let seen =
            |(step, late, length, count, values): (i64, i64, i64, u32, std::collections::BTreeSet<u64>)| {
                now += step;
                Seen {
                    first: now - late - length,
                    last: now - late,
                    count,
                    values: values.into_iter().collect(),
                }
            };
        steps.into_iter().map(seen).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_group_says_what_one_says_that_remembers_everything(
        new in new_value(),
        matches in matches(),
        restarts in any::<u64>(),
    ) {
        let method = Method::NewValue(new);
        let mut state = State::new(&method);
        let mut reference = Reference::default();
        for (place, seen) in matches.iter().enumerate() {
            if restarts >> (place % 64) & 1 == 1 {
                state = State::decode(&method, &state.encode()).unwrap();
            }
            let before = state.clone();
            let taken = state.add(&method, &seen.input());
            prop_assert_eq!(taken.outcome, reference.add(&new, seen), "match {} of {:?}", place, matches);
            prop_assert!(taken.changed || before == state, "what changed is written");
        }
    }

    #[test]
    fn any_bytes_are_a_group_or_an_error(new in new_value(), mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let method = Method::NewValue(new);
        if let Some(first) = bytes.first_mut() {
            *first = 2;
        }
        if let Ok(mut state) = State::decode(&method, &bytes) {
            for time in [i64::MIN, 0, i64::MAX] {
                let seen = Seen { first: time, last: time, count: u32::MAX, values: vec![0, u64::MAX] };
                state.add(&method, &seen.input());
            }
        }
    }
}

#[test]
fn a_flood_of_values_stays_bounded_and_keeps_those_seen_last() {
    let method = Method::NewValue(NewValue {
        learn_for: 0,
        learn_matches: 0,
        forget_after: 1_000_000,
    });
    let mut state = State::new(&method);
    let mut evicted = 0;
    let (mut now, mut fired) = (0, 0);
    for value in 1..=50_000_u64 {
        now += 20;
        for value in [0, value] {
            let seen = Seen {
                first: now,
                last: now,
                count: 1,
                values: vec![value],
            };
            let taken = state.add(&method, &seen.input());
            evicted += taken.evicted;
            fired += u64::from(taken.outcome != Outcome::Waits);
        }
    }
    assert_eq!(fired, 50_001, "the value that is seen all the time was new once");
    assert!(evicted >= 40_001, "{evicted}");
    assert!(state.encode().len() <= 17 + 16 * MAX_VALUES);
}
