//! The number of different values: exact as long as it is said to be, near where it is estimated.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use yagura_engine::method::BadGroup;
use yagura_engine::method::distinct::{Count, Distinct, MAX_EXACT};

/// Values as random as hashes, other ones for each seed: `SplitMix64`.
fn values(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed.wrapping_mul(0xd134_2543_de82_ef95);
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

fn set(seed: u64, count: usize) -> Distinct {
    let mut set = Distinct::default();
    for value in values(seed).take(count) {
        set.add(value);
    }
    set
}

/// The standard error is 1.625 %. Over the seeds it must be about that, on the mean there must be next to none, and no single
/// estimate may be off by more than four times as much.
#[test]
fn estimates_are_as_near_as_promised() {
    const SEEDS: u32 = 30;
    let sizes = [1_025, 2_000, 4_096, 8_000, 12_000, 20_000, 50_000];
    let mut errors = vec![Vec::new(); sizes.len()];
    for seed in 0..u64::from(SEEDS) {
        let mut set = Distinct::default();
        for (place, value) in values(seed).take(50_000).enumerate() {
            let count = set.add(value);
            if let Some(size) = sizes.iter().position(|size| *size == place + 1) {
                assert!(count.estimated);
                let (said, is) = (
                    u32::try_from(count.values).unwrap(),
                    u32::try_from(place + 1).unwrap(),
                );
                errors[size].push(f64::from(said) / f64::from(is) - 1.0);
            }
        }
    }
    for (size, errors) in sizes.iter().zip(errors) {
        let mean = errors.iter().sum::<f64>() / f64::from(SEEDS);
        let square = errors.iter().map(|error| error * error).sum::<f64>() / f64::from(SEEDS);
        let worst = errors.iter().fold(0.0_f64, |worst, error| worst.max(error.abs()));
        let said = format!(
            "{size}: mean {mean:.4}, standard {:.4}, worst {worst:.4}",
            square.sqrt()
        );
        assert!(mean.abs() < 0.008, "{said}");
        assert!(square.sqrt() < 0.020, "{said}");
        assert!(worst < 0.065, "{said}");
    }
}

#[test]
fn the_last_exact_count_is_not_undercut() {
    let mut set = set(1, MAX_EXACT);
    assert_eq!(
        set.count(),
        Count {
            values: 1_024,
            estimated: false
        }
    );
    let mut before = 1_024;
    for value in values(1).skip(MAX_EXACT - 1).take(5_000) {
        let count = set.add(value);
        assert!(count.values >= before, "{count:?} after {before}");
        assert_eq!(count.estimated, count.values > 1_024);
        before = count.values;
    }
}

#[test]
fn memory_is_bounded() {
    for count in [0, 1, MAX_EXACT, MAX_EXACT + 1, 50_000] {
        let set = set(7, count);
        let bytes = set.encode();
        assert!(bytes.len() <= 1 + MAX_EXACT * 8, "{count}");
        assert_eq!(Distinct::decode(&bytes), Ok(set));
    }
}

#[test]
fn other_bytes_are_refused() {
    let exact = set(1, 3).encode();
    let estimated = set(1, 2_000).encode();
    let all: Vec<u8> = (0..=1_024_u64).flat_map(u64::to_le_bytes).collect();
    let mut rank = estimated.clone();
    rank[17] = 54;
    let bad = [
        &[][..],
        &[0],
        &[3],
        &exact[..exact.len() - 1],
        &[&exact[..], &exact[17..]].concat(),
        &[&[1], &exact[9..], &exact[1..9]].concat(),
        &[&[1], &all[..]].concat(),
        &estimated[..estimated.len() - 1],
        &[&estimated[..], &[0]].concat(),
        &rank,
    ];
    for (which, bad) in bad.iter().enumerate() {
        assert_eq!(Distinct::decode(bad), Err(BadGroup), "{which}");
    }
}

/// Takes the values; encodes and decodes before every thousandth.
fn restarted(values: &[u64]) -> Distinct {
    let mut set = Distinct::default();
    for (place, value) in values.iter().enumerate() {
        if place % 1_000 == 999 {
            set = Distinct::decode(&set.encode()).unwrap();
        }
        set.add(*value);
    }
    set
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn few_values_are_counted_exactly(
        values in prop::collection::vec(prop_oneof![any::<u64>(), 0..600_u64], 0..1_500),
        restarts in 1..200_usize,
    ) {
        let mut set = Distinct::default();
        let mut reference = BTreeSet::new();
        for (place, value) in values.into_iter().enumerate() {
            if place % restarts == 0 {
                set = Distinct::decode(&set.encode()).unwrap();
            }
            reference.insert(value);
            let count = set.add(value);
            prop_assert_eq!(count.estimated, reference.len() > MAX_EXACT);
            if !count.estimated {
                prop_assert_eq!(count.values, reference.len() as u64);
            }
        }
    }

    #[test]
    fn only_the_set_of_values_matters(
        seed in any::<u64>(),
        count in 0..3_000_usize,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut all: Vec<u64> = values(seed).take(count).collect();
        let whole = restarted(&all);
        let (one, other) = all.split_at(cut.index(count + 1));
        for (one, other) in [(one, other), (other, one), (&all[..], other)] {
            let mut merged = restarted(one);
            merged.merge(&restarted(other));
            prop_assert_eq!(&merged, &whole);
        }
        all.extend_from_within(..count / 2);
        all.sort_unstable();
        prop_assert_eq!(restarted(&all), whole);
    }

    #[test]
    fn any_bytes_are_a_set_or_an_error(first in 0..4_u8, bytes in prop::collection::vec(0..60_u8, 0..200), length in 4_090..4_100_usize) {
        let long: Vec<u8> = bytes.iter().copied().chain(std::iter::repeat(7)).take(length).collect();
        for bytes in [bytes, long] {
            if let Ok(mut set) = Distinct::decode(&[&[first][..], &bytes].concat()) {
                set.add(1);
                prop_assert_eq!(Distinct::decode(&set.encode()), Ok(set));
            }
        }
    }
}
