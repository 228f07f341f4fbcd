//! Queries and cases against a reference that remembers every match and looks at every window.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;
use yagura_engine::window::{Fired, Input, Outcome, State};
use yagura_event::{Registry, Timestamp};
use yagura_rules::detect::{Correlation, Measure, Method, Steps};
use yagura_rules::source::{
    CaseSource, CorrelationSource, DetectSource, MeasureSource, MethodSource, QuerySource,
};
use yagura_rules::{Lists, RuleSource, compile};

#[derive(Clone, Debug)]
struct Seen {
    time: i64,
    queries: Steps,
    count: u32,
    values: Vec<u64>,
    told: bool,
}

/// Everything that came and was not late, in order of time.
#[derive(Default)]
struct Reference(Vec<Seen>);

impl Reference {
    fn add(&mut self, all: &Correlation, seen: Seen) -> (Outcome, Option<u8>) {
        if self.0.iter().any(|other| seen.time < other.time - all.lateness) {
            return (Outcome::Late, None);
        }
        let time = seen.time;
        let place = self.0.iter().filter(|other| other.time <= time).count();
        self.0.insert(place, seen);
        let mut case: Option<u8> = None;
        let mut news: BTreeSet<usize> = BTreeSet::new();
        for end in time..time + all.within {
            if !self.0.iter().any(|seen| seen.time == end) {
                continue;
            }
            let inside: Vec<usize> = (0..self.0.len())
                .filter(|place| (end - all.within + 1..=end).contains(&self.0[*place].time))
                .collect();
            let numbers: Vec<Option<i64>> = (0..)
                .zip(&all.queries)
                .map(|(query, measure)| self.measure(&inside, query, *measure))
                .collect();
            let Some(first) = all.cases.iter().position(|case| case.when.holds(&numbers)) else {
                continue;
            };
            let first = u8::try_from(first).unwrap();
            case = Some(case.map_or(first, |case| case.min(first)));
            news.extend(inside);
        }
        let news: Vec<usize> = news.into_iter().filter(|place| !self.0[*place].told).collect();
        for place in &news {
            self.0[*place].told = true;
        }
        let told: Vec<&Seen> = news.iter().map(|place| &self.0[*place]).collect();
        match (told.first(), told.last()) {
            (Some(first), Some(last)) => (
                Outcome::Fires(Fired {
                    count: told.iter().map(|seen| u64::from(seen.count)).sum(),
                    first: Timestamp(first.time),
                    last: Timestamp(last.time),
                }),
                case,
            ),
            _ => (Outcome::Waits, None),
        }
    }

    fn measure(&self, inside: &[usize], query: usize, measure: Measure) -> Option<i64> {
        let about: Vec<&Seen> = inside
            .iter()
            .map(|place| &self.0[*place])
            .filter(|seen| seen.queries >> query & 1 == 1)
            .collect();
        let value = |seen: &Seen, place: usize| i64::try_from(seen.values[place]).unwrap();
        match measure {
            Measure::Count => Some(about.iter().map(|seen| i64::from(seen.count)).sum()),
            Measure::Distinct(place) => {
                let values: HashSet<i64> = about.iter().map(|seen| value(seen, place)).collect();
                Some(i64::try_from(values.len()).unwrap())
            }
            Measure::Sum(place) => Some(
                about
                    .iter()
                    .map(|seen| value(seen, place) * i64::from(seen.count))
                    .sum(),
            ),
            Measure::Max(place) => about.iter().map(|seen| value(seen, place)).max(),
        }
    }
}

/// Four queries, one of each kind, and three cases.
fn correlation(within: i64, lateness: i64, cases: [&str; 3]) -> Correlation {
    let query = |name: &str, measure| QuerySource {
        name: name.to_owned(),
        condition: "process.pid == 1".to_owned(),
        measure,
    };
    let number = || "process.pid".to_owned();
    let mut source = RuleSource::new("r", "event.kind == \"process.exec\"");
    source.detect = Some(DetectSource {
        group_by: Vec::new(),
        method: MethodSource::Correlation(CorrelationSource {
            within,
            queries: vec![
                query("often", MeasureSource::Count),
                query("kinds", MeasureSource::Distinct("process.name".to_owned())),
                query("together", MeasureSource::Sum(number())),
                query("most", MeasureSource::Max(number())),
            ],
            cases: cases
                .iter()
                .map(|when| CaseSource {
                    when: (*when).to_owned(),
                    ..CaseSource::default()
                })
                .collect(),
        }),
    });
    let compiled = compile(&source, Registry::workload(), &Lists::default());
    let rule = compiled.rule.expect("the rule compiles");
    match &rule.detect.as_ref().expect("it has a method").method {
        Method::Correlation(all) => Correlation {
            lateness,
            ..all.clone()
        },
        _ => unreachable!("it is a correlation"),
    }
}

/// Matches that go forward in time, of which some are late.
fn matches() -> impl Strategy<Value = Vec<Seen>> {
    let late = prop_oneof![3 => Just(0_i64), 1 => 0..30_i64];
    let values = prop::collection::vec(0..6_u64, 3);
    let one = (0..8_i64, late, 0..16_u16, 1..3_u32, values);
    prop::collection::vec(one, 1..40).prop_map(|steps| {
        let mut now = 0;
        let seen = |(step, late, queries, count, values): (i64, i64, Steps, u32, Vec<u64>)| {
            now += step;
            Seen {
                time: now - late,
                queries,
                count,
                values,
                told: false,
            }
        };
        steps.into_iter().map(seen).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_group_says_what_one_says_that_looks_at_every_window(
        within in 1..30_i64,
        lateness in 0..40_i64,
        least in 2..7_i64,
        matches in matches(),
        restarts in any::<u64>(),
    ) {
        let worst = format!("often >= {least} && most == 5");
        let sums = format!("together > {} || kinds * 2 > {least} + 1", least * 3);
        let all = correlation(within, lateness, [&worst, &sums, "most < kinds"]);
        let method = Method::Correlation(all.clone());
        let mut state = State::new(&method);
        let mut reference = Reference::default();
        for (place, seen) in matches.iter().enumerate() {
            if restarts >> (place % 64) & 1 == 1 {
                state = State::decode(&method, &state.encode()).unwrap();
            }
            let time = Timestamp(seen.time);
            let input = Input { first: time, last: time, count: seen.count, values: &seen.values, text: &[], steps: seen.queries };
            let taken = state.add(&method, &input);
            let expected = reference.add(&all, seen.clone());
            prop_assert_eq!((taken.outcome, taken.case), expected, "match {} of {:?}", place, matches);
        }
    }

    #[test]
    fn any_bytes_are_a_group_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let method = Method::Correlation(correlation(10, 10, ["often > 1", "kinds > 1", "most > 1"]));
        if let Some(first) = bytes.first_mut() {
            *first = 4;
        }
        if let Ok(mut state) = State::decode(&method, &bytes) {
            for time in [i64::MIN, 0, i64::MAX] {
                let time = Timestamp(time);
                let input = Input { first: time, last: time, count: u32::MAX, values: &[u64::MAX; 3], text: &[], steps: Steps::MAX };
                state.add(&method, &input);
            }
        }
    }
}

#[test]
fn a_flood_stays_bounded_and_its_count_right() {
    let all = correlation(1_000_000, 10, ["often >= 50000", "false", "false"]);
    let method = Method::Correlation(all);
    let mut state = State::new(&method);
    let mut fired = Vec::new();
    for time in 1..=60_000_i64 {
        let time = Timestamp(time);
        let input = Input {
            first: time,
            last: time,
            count: 1,
            values: &[0, 0, 0],
            text: &[],
            steps: 1,
        };
        if let Outcome::Fires(told) = state.add(&method, &input).outcome {
            fired.push((time.0, told.count));
        }
    }
    assert_eq!(fired[0], (50_000, 50_000));
    assert_eq!(fired.len(), 10_001);
    assert!(state.encode().len() <= 1 + 79 * 1_024);
}
