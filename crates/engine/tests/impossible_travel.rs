//! Impossible journeys against a reference that remembers every visit: shuffled, late, told twice, and carried over a restart
//! between any two of them.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::collections::BTreeSet;
use std::net::IpAddr;

use proptest::prelude::*;
use yagura_engine::method::travel::{Group, Journey, MAX_PLACES, MAX_VISITS, Outcome, Place, Travel, Visit};
use yagura_event::Timestamp;

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// Every visit that was not late, in order of arrival.
#[derive(Default)]
struct Reference {
    taken: Vec<Visit>,
}

impl Reference {
    fn add(&mut self, travel: &Travel, visit: Visit) -> Outcome {
        let newest = self.taken.iter().map(|taken| taken.time.0).max();
        if newest.is_some_and(|newest| visit.time.0 < newest - travel.lateness) {
            return Outcome::Late;
        }
        if self.taken.contains(&visit) {
            return Outcome::Waits;
        }
        self.taken.push(visit);
        let new = self.taken.len() - 1;
        let mut order: Vec<usize> = (0..=new).collect();
        order.sort_by_key(|place| self.taken[*place].time);
        let pairs = order.iter().zip(order.iter().skip(1));
        let journeys: Vec<Journey> = pairs
            .filter(|(from, to)| **from == new || **to == new)
            .filter_map(|(from, to)| self.judge(travel, self.taken[*from], self.taken[*to]))
            .collect();
        if journeys.is_empty() {
            Outcome::Waits
        } else {
            Outcome::Fires(journeys)
        }
    }

    fn judge(&self, travel: &Travel, from: Visit, to: Visit) -> Option<Journey> {
        let hours = f64::from(i32::try_from((to.time.0 - from.time.0) / SECOND).unwrap()) / 3_600.0;
        let network = |visit: Visit| {
            let text = visit.address?.to_string();
            let (separator, parts) = if text.contains(':') { (':', 3) } else { ('.', 3) };
            Some(text.split(separator).take(parts).collect::<Vec<_>>().join("/"))
        };
        if network(from).is_some_and(|network_of_from| Some(network_of_from) == network(to)) {
            return None;
        }
        let metres = chord_metres(from.place, to.place) - f64::from(from.accuracy) - f64::from(to.accuracy);
        if metres < f64::from(travel.distance) * 1_000.0
            || metres / 1_000.0 <= f64::from(travel.speed) * hours
            || to.time.0 - from.time.0 > travel.forget
        {
            return None;
        }
        if let Some(least) = travel.baseline {
            let days = |place: Option<Place>| -> u32 {
                let there = self
                    .taken
                    .iter()
                    .filter(|visit| place.is_none_or(|place| degrees(place) == degrees(visit.place)));
                let days: BTreeSet<i64> = there.map(|visit| visit.time.0.div_euclid(DAY)).collect();
                let counts = |day: &&i64| {
                    let end = (**day + 1) * DAY;
                    end <= to.time.0 - travel.lateness && end > to.time.0 - travel.forget
                };
                u32::try_from(days.iter().filter(counts).count()).unwrap()
            };
            let homes = days(Some(from.place)) >= least && days(Some(to.place)) >= least;
            if days(None) == 0 || homes {
                return None;
            }
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a distance on the earth"
        )]
        let metres = metres.round().max(0.0) as u32;
        Some(Journey { from, to, metres })
    }
}

/// By way of the chord through the earth: another formula than the one that is tested.
fn chord_metres(from: Place, to: Place) -> f64 {
    let vector = |place: Place| {
        let (latitude, longitude) = (place.latitude().to_radians(), place.longitude().to_radians());
        [
            latitude.cos() * longitude.cos(),
            latitude.cos() * longitude.sin(),
            latitude.sin(),
        ]
    };
    let (one, two) = (vector(from), vector(to));
    let squares: f64 = one.iter().zip(two).map(|(one, two)| (one - two).powi(2)).sum();
    2.0 * 6_371_008.8 * (squares.sqrt() / 2.0).min(1.0).asin()
}

fn degrees(place: Place) -> String {
    let rounded = |degrees: f64| (degrees + 0.5).floor();
    let longitude = rounded(place.longitude());
    format!(
        "{} {}",
        rounded(place.latitude()),
        if longitude >= 180.0 { -180.0 } else { longitude }
    )
}

/// The two formulas differ by rounding.
fn is_same(one: &Outcome, other: &Outcome) -> bool {
    let (Outcome::Fires(one), Outcome::Fires(other)) = (one, other) else {
        return one == other;
    };
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| {
            one.metres.abs_diff(other.metres) <= 1 && (one.from, one.to) == (other.from, other.to)
        })
}

fn place(latitude: f64, longitude: f64) -> Place {
    Place::new(latitude, longitude).unwrap()
}

fn visit(time: i64, place: Place, address: &str) -> Visit {
    Visit::new(Timestamp(time), place, 0.0, address.parse().ok())
}

/// Berlin, a suburb, New York, two on either side of the date line, and a pole.
fn places() -> [Place; 6] {
    [
        place(52.52, 13.405),
        place(52.39, 13.06),
        place(40.7128, -74.006),
        place(-16.5, 179.9),
        place(-16.5, -179.9),
        place(90.0, 0.0),
    ]
}

fn travel() -> impl Strategy<Value = Travel> {
    let lateness = prop_oneof![Just(0), Just(120 * SECOND), Just(3 * HOUR), Just(DAY)];
    let forget = prop_oneof![Just(HOUR), Just(3 * DAY), Just(30 * DAY)];
    let baseline = prop_oneof![2 => Just(None), 3 => (1..4_u32).prop_map(Some)];
    (lateness, forget, baseline, prop_oneof![Just(100), Just(900)]).prop_map(
        |(lateness, forget, baseline, speed)| Travel {
            speed,
            distance: 50,
            forget,
            lateness,
            baseline,
        },
    )
}

/// Visits that go forward by seconds to days, some of them late or twice.
fn visits() -> impl Strategy<Value = Vec<Visit>> {
    let step = prop_oneof![
        3 => (0..100_i64).prop_map(|seconds| seconds * SECOND),
        3 => (0..10 * 3_600_i64).prop_map(|seconds| seconds * SECOND),
        1 => (0..3 * 24 * 3_600_i64).prop_map(|seconds| seconds * SECOND),
    ];
    let late = prop_oneof![3 => Just(0), 1 => 0..300_i64, 1 => 0..2 * 24 * 3_600_i64];
    let address = prop_oneof![
        Just(""),
        Just("192.0.2.1"),
        Just("192.0.2.77"),
        Just("::ffff:192.0.2.9"),
        Just("192.0.3.1"),
        Just("2001:db8:1:1::1"),
        Just("2001:db8:1:2::1"),
        Just("2001:db8:2::1"),
    ];
    let radius = prop_oneof![4 => Just(0.0), 1 => Just(50.0), 1 => Just(6_000.0), 1 => Just(f64::NAN)];
    let one = (
        step,
        late,
        0..6_usize,
        address,
        radius,
        prop_oneof![9 => Just(1_usize), 1 => Just(2)],
    );
    prop::collection::vec(one, 1..60).prop_map(|steps| {
        let mut now = 1_000 * DAY;
        let mut visits = Vec::new();
        for (step, late, place, address, radius, times) in steps {
            now += step;
            let address: Option<IpAddr> = address.parse().ok();
            let visit = Visit::new(Timestamp(now - late * SECOND), places()[place], radius, address);
            visits.extend(std::iter::repeat_n(visit, times));
        }
        visits
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_group_says_what_one_says_that_remembers_everything(
        travel in travel(),
        visits in visits(),
        restarts in any::<u64>(),
    ) {
        let mut group = Group::default();
        let mut reference = Reference::default();
        for (place, visit) in visits.into_iter().enumerate() {
            if restarts >> (place % 64) & 1 == 1 {
                group = Group::decode(&travel, &group.encode()).unwrap();
            }
            let (said, expected) = (group.add(&travel, visit), reference.add(&travel, visit));
            prop_assert!(is_same(&said, &expected), "visit {place}: {said:?}\n{expected:?}");
        }
    }

    /// In whatever order visits come that are not too late, each journey is told that is impossible at last.
    #[test]
    fn the_order_of_arrival_hides_no_journey(
        travel in travel(),
        mut visits in visits(),
        delays in prop::collection::vec(any::<u32>(), 120),
    ) {
        let told = |visits: &[Visit]| {
            let mut group = Group::default();
            let mut told = Vec::new();
            for visit in visits {
                if let Outcome::Fires(journeys) = group.add(&travel, *visit) {
                    told.extend(journeys);
                }
            }
            told
        };
        visits.sort_by_key(|visit| visit.time);
        visits.dedup_by_key(|visit| visit.time);
        let in_order = told(&visits);
        let mut delayed: Vec<(i64, Visit)> = Vec::new();
        for (visit, delay) in visits.into_iter().zip(delays) {
            let delay = i64::from(delay) * 1_000_000 % (travel.lateness + 1);
            delayed.push((visit.time.0 + delay, visit));
        }
        delayed.sort_by_key(|(arrival, _)| *arrival);
        let shuffled: Vec<Visit> = delayed.into_iter().map(|(_, visit)| visit).collect();
        let out_of_order = told(&shuffled);
        for journey in in_order {
            prop_assert!(out_of_order.contains(&journey), "{journey:?}");
        }
    }

    #[test]
    fn any_bytes_and_any_numbers_are_taken(
        travel in travel(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        times in prop::collection::vec(prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX)], 1..20),
        numbers in prop::array::uniform3(any::<f64>()),
    ) {
        let decoded = Group::decode(&travel, &[&[1][..], &bytes].concat());
        let [latitude, longitude, radius] = numbers;
        let there = Place::new(latitude, longitude).unwrap_or(place(-90.0, 180.0));
        for mut group in [Group::default(), decoded.unwrap_or_default()] {
            for time in &times {
                group.add(&travel, Visit::new(Timestamp(*time), there, radius, None));
                group.add(&travel, Visit::new(Timestamp(*time), places()[0], 0.0, None));
            }
            prop_assert_eq!(Group::decode(&travel, &group.encode()), Ok(group));
        }
    }
}

#[test]
fn a_flight_is_possible_and_a_jump_is_not() {
    let [berlin, suburb, new_york, ..] = places();
    let travel = Travel::default();
    let second = |hours: i64, there, address| {
        let mut group = Group::default();
        group.add(&travel, visit(0, berlin, "192.0.2.1"));
        group.add(&travel, visit(hours * HOUR, there, address))
    };
    // 6,385 km are seven hours and six minutes at 900 km/h.
    assert_eq!(second(8, new_york, "198.51.100.1"), Outcome::Waits);
    assert!(matches!(second(7, new_york, "198.51.100.1"), Outcome::Fires(told) if told.len() == 1));
    assert_eq!(
        second(7, new_york, "192.0.2.200"),
        Outcome::Waits,
        "the same network"
    );
    assert_eq!(second(0, suburb, "198.51.100.1"), Outcome::Waits, "too near");
}

#[test]
fn a_late_visit_is_judged_against_both_its_neighbours() {
    let [berlin, _, new_york, ..] = places();
    let travel = Travel::default();
    let mut group = Group::default();
    group.add(&travel, visit(0, berlin, "192.0.2.1"));
    assert_eq!(
        group.add(&travel, visit(100 * SECOND, berlin, "192.0.2.1")),
        Outcome::Waits
    );
    let away = visit(50 * SECOND, new_york, "198.51.100.1");
    let Outcome::Fires(told) = group.add(&travel, away) else {
        panic!("it is between two visits to Berlin");
    };
    let ends: Vec<_> = told
        .iter()
        .map(|journey| (journey.from.time.0, journey.to.time.0))
        .collect();
    assert_eq!(ends, [(0, 50 * SECOND), (50 * SECOND, 100 * SECOND)]);
    // Sent again, it is the same visit.
    assert_eq!(group.add(&travel, away), Outcome::Waits);
}

#[test]
fn who_is_at_home_in_two_places_is_told_of_until_that_is_known() {
    let [berlin, _, new_york, tokyo, ..] = places();
    let travel = Travel {
        baseline: Some(3),
        ..Travel::default()
    };
    let mut group = Group::default();
    let told: Vec<bool> = (0..6)
        .map(|day| {
            group.add(&travel, visit(day * DAY, berlin, "192.0.2.1"));
            let gateway = group.add(&travel, visit(day * DAY + HOUR, new_york, "198.51.100.1"));
            matches!(gateway, Outcome::Fires(_))
        })
        .collect();
    // Learned for a day, and known on the fourth.
    assert_eq!(told, [false, true, true, false, false, false]);
    let elsewhere = group.add(&travel, visit(5 * DAY + 2 * HOUR, tokyo, "203.0.113.1"));
    assert!(matches!(elsewhere, Outcome::Fires(_)));
    // Forgotten, it is learned again.
    let later = 5 * DAY + travel.memory();
    group.add(&travel, visit(later, berlin, "192.0.2.1"));
    assert_eq!(
        group.add(&travel, visit(later + HOUR, tokyo, "203.0.113.1")),
        Outcome::Waits
    );
}

#[test]
fn memory_is_bounded_and_homes_are_not_displaced() {
    let [berlin, _, new_york, ..] = places();
    let travel = Travel {
        baseline: Some(3),
        lateness: HOUR,
        ..Travel::default()
    };
    let mut group = Group::default();
    for day in 0..4 {
        group.add(&travel, visit(day * DAY, berlin, "192.0.2.1"));
        group.add(&travel, visit(day * DAY + 12 * HOUR, new_york, "198.51.100.1"));
    }
    let mut now = 4 * DAY;
    for step in 0..2_000 {
        now += SECOND;
        let there = place(f64::from(step % 50), f64::from(step % 170));
        group.add(&travel, visit(now, there, ""));
    }
    let most = 1 + 4 + MAX_VISITS * 37 + 8 + MAX_PLACES * 12;
    assert!(group.encode().len() <= most, "{}", group.encode().len());
    group.add(&travel, visit(now + 20 * HOUR, berlin, "192.0.2.1"));
    let gateway = group.add(&travel, visit(now + 21 * HOUR, new_york, "198.51.100.1"));
    assert_eq!(gateway, Outcome::Waits);
}
