//! Sequences against a reference that remembers every match and tries every way.

use proptest::prelude::*;
use yagura_engine::window::{Fired, Input, Outcome, State};
use yagura_event::Timestamp;
use yagura_rules::detect::{Method, Sequence, Steps, UNTIL};

fn input(time: i64, steps: Steps) -> Input<'static> {
    Input {
        first: Timestamp(time),
        last: Timestamp(time),
        count: 1,
        values: &[],
        text: &[],
        steps,
    }
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    time: i64,
    steps: Steps,
    told: bool,
}

/// Everything that came and was not late, in order of time.
#[derive(Default)]
struct Reference(Vec<Seen>);

impl Reference {
    fn add(&mut self, sequence: &Sequence, time: i64, steps: Steps) -> Outcome {
        if self.0.iter().any(|other| time < other.time - sequence.lateness) {
            return Outcome::Late;
        }
        let place = self.0.iter().filter(|other| other.time <= time).count();
        let seen = Seen {
            time,
            steps,
            told: false,
        };
        self.0.insert(place, seen);
        let wanted: Vec<usize> = (0..)
            .zip(sequence.counts.iter())
            .flat_map(|(step, count)| std::iter::repeat_n(step, *count as usize))
            .collect();
        let mut fired: Option<Fired> = None;
        // The match can make sequences hold that end with it or later.
        for end in place..self.0.len() {
            let Some(start) = self.begins_latest(sequence, &wanted, end) else {
                continue;
            };
            // What was not there before is told; so is an end that only now has its beginning.
            if !(start..=end).contains(&place) {
                continue;
            }
            for seen in &mut self.0[start..=end] {
                if seen.told || seen.steps & !UNTIL == 0 {
                    continue;
                }
                seen.told = true;
                let time = Timestamp(seen.time);
                let fired = fired.get_or_insert(Fired {
                    count: 0,
                    first: time,
                    last: time,
                });
                fired.count += 1;
                fired.first = fired.first.min(time);
                fired.last = fired.last.max(time);
            }
        }
        fired.map_or(Outcome::Waits, Outcome::Fires)
    }

    /// Where the latest of all sequences begins that end there.
    fn begins_latest(&self, sequence: &Sequence, wanted: &[usize], end: usize) -> Option<usize> {
        (0..=end).rev().find(|start| {
            let inside = &self.0[*start..=end];
            let near = self.0[end].time - self.0[*start].time < sequence.within;
            // What ends sequences may begin one.
            let ended = inside.iter().skip(1).any(|seen| seen.steps & UNTIL != 0);
            near && !ended && holds(inside, wanted)
        })
    }
}

/// Whether the first and the last, and matches between them, are what is wanted, in order: by trying every way.
fn holds(inside: &[Seen], wanted: &[usize]) -> bool {
    fn from(inside: &[Seen], wanted: &[usize]) -> bool {
        match wanted {
            [] => false,
            [last] => inside.len() == 1 && inside[0].steps >> last & 1 == 1,
            [first, rest @ ..] => {
                inside.len() > 1
                    && inside[0].steps >> first & 1 == 1
                    && (1..inside.len()).any(|next| {
                        // Only the last of what is wanted has to be the last there is.
                        from(&inside[next..], rest)
                    })
            }
        }
    }
    from(inside, wanted)
}

fn sequence() -> impl Strategy<Value = Sequence> {
    let counts = prop::collection::vec(1..3_u32, 1..4);
    (1..60_i64, counts, 0..40_i64).prop_map(|(within, counts, lateness)| Sequence {
        within,
        counts: counts.into(),
        lateness,
    })
}

/// Matches that go forward in time, of which some are late; each of some steps, some of them ending sequences.
fn matches() -> impl Strategy<Value = Vec<(i64, Steps)>> {
    let late = prop_oneof![3 => Just(0_i64), 1 => 0..30_i64];
    let until = prop_oneof![8 => Just(0_u16), 1 => Just(UNTIL)];
    let one = (0..10_i64, late, 0..8_u16, until);
    prop::collection::vec(one, 1..30).prop_map(|steps| {
        let mut now = 0;
        let seen = |(step, late, steps, until): (i64, i64, Steps, Steps)| {
            now += step;
            (now - late, steps | until)
        };
        steps.into_iter().map(seen).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_group_says_what_one_says_that_tries_every_way(
        sequence in sequence(),
        matches in matches(),
        restarts in any::<u64>(),
    ) {
        let method = Method::Sequence(sequence.clone());
        let mut state = State::new(&method);
        let mut reference = Reference::default();
        for (place, (time, steps)) in matches.iter().enumerate() {
            if restarts >> (place % 64) & 1 == 1 {
                state = State::decode(&method, &state.encode()).unwrap();
            }
            let taken = state.add(&method, &input(*time, *steps));
            let expected = reference.add(&sequence, *time, *steps);
            prop_assert_eq!(taken.outcome, expected, "match {} of {:?}", place, matches);
        }
    }

    #[test]
    fn any_bytes_are_a_group_or_an_error(sequence in sequence(), mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let method = Method::Sequence(sequence);
        if let Some(first) = bytes.first_mut() {
            *first = 3;
        }
        if let Ok(mut state) = State::decode(&method, &bytes) {
            for time in [i64::MIN, 0, i64::MAX] {
                state.add(&method, &input(time, 7));
            }
        }
    }
}

/// Whoever floods a step cannot make what came before it forgotten.
#[test]
fn a_flood_stays_bounded_and_hides_no_sequence() {
    let sequence = Sequence {
        within: 1_000_000,
        counts: [2, 1, 1].into(),
        lateness: 10,
    };
    let method = Method::Sequence(sequence);
    let mut state = State::new(&method);
    let mut told = Vec::new();
    let mut take = |state: &mut State, time: i64, steps: Steps| {
        if let Outcome::Fires(fired) = state.add(&method, &input(time, steps)).outcome {
            told.push(fired.first.0);
        }
    };
    for time in [1, 2] {
        take(&mut state, time, 0b001);
    }
    for time in 3..50_000 {
        take(&mut state, time, 0b010);
    }
    assert!(state.encode().len() <= 1 + 15 * 1_024);
    take(&mut state, 50_000, 0b100);
    assert_eq!(told, [1]);
}

#[test]
fn matches_that_were_joined_on_their_way_count_as_often_as_they_were() {
    let method = Method::Sequence(Sequence {
        within: 100,
        counts: [1, 3].into(),
        lateness: 10,
    });
    let mut state = State::new(&method);
    let joined = |first, last, count, steps| Input {
        first: Timestamp(first),
        last: Timestamp(last),
        count,
        values: &[],
        text: &[],
        steps,
    };
    // The last of the first step comes after matches of the second: the first of it does not.
    assert_eq!(state.add(&method, &joined(1, 9, 2, 0b01)).outcome, Outcome::Waits);
    assert_eq!(state.add(&method, &joined(4, 4, 2, 0b10)).outcome, Outcome::Waits);
    let fired = Fired {
        count: 5,
        first: Timestamp(1),
        last: Timestamp(11),
    };
    assert_eq!(
        state.add(&method, &joined(11, 11, 1, 0b10)).outcome,
        Outcome::Fires(fired)
    );
}
