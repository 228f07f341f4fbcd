//! A rule's test, played: events in the order in which they arrive, signals compared with what is expected.

use yagura_event::lifetime::Lifetime;
use yagura_event::{Timestamp, Tree, ValueRef, build_event};
use yagura_rules::RuleTest;
use yagura_rules::source::{ExpectedSignal, TestEvent};

use super::failure::{Difference, Failure, Seen, quoted, shown};
use crate::signals::{Signal, SignalKey, Signals};
use crate::{Detector, Memory, Place, Strata};

/// Between two events without a time.
const SECOND: i64 = 1_000_000_000;

pub(super) fn play(strata: &Strata, lifetime: &Lifetime, test: &RuleTest) -> Result<(), Failure> {
    let mut memory = Memory::default();
    let mut events = Vec::with_capacity(test.events.len());
    for (index, time) in arrivals(&test.events) {
        let fields = test.events.get(index).map_or(&Tree::Null, |event| &event.fields);
        let event = build_event(fields, time).map_err(|reason| Failure::Event { index, reason })?;
        events.push((index, event));
    }
    let mut detector = Detector::new(Place::Alone);
    let mut signals = Signals::default();
    let mut seen = Seen::default();
    for (index, event) in &events {
        for found in strata.evaluate(event, &mut memory) {
            if found.excepted.is_some() {
                seen.excepted.push(*index);
                continue;
            }
            seen.matched.push(*index);
            let Some(rule) = strata.rule(found.rule).filter(|rule| !rule.silent) else {
                continue;
            };
            let key = SignalKey::new(found.rule, rule, &event.host.name, &found.group);
            if let Some(detection) = detector.take(rule, found, event.time) {
                signals.add(&key, rule, lifetime, detection);
            }
            if detector.take_tally().left_out > 0 {
                seen.left_out.push(*index);
            }
        }
    }
    let differences = compare(&test.each, signals.all());
    let got = signals.all().len() as u64;
    if got == test.signals && differences.is_empty() {
        let got = memory.take_tally().set;
        return match test.marks {
            Some(expected) if expected != got => Err(Failure::Marks { expected, got }),
            _ => Ok(()),
        };
    }
    seen.sort();
    Err(Failure::Signals {
        expected: test.signals,
        got,
        seen,
        differences,
    })
}

/// Places and times of events, in the order in which they arrive; of two that arrive at a time, that which is written first.
fn arrivals(events: &[TestEvent]) -> Vec<(usize, Timestamp)> {
    let mut next = 0;
    let mut arrivals: Vec<(i64, usize, Timestamp)> = Vec::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        let at = event.at.unwrap_or(next);
        next = at.saturating_add(SECOND);
        arrivals.push((at.saturating_add(event.late), index, Timestamp(at)));
    }
    arrivals.sort_by_key(|(arrival, ..)| *arrival);
    arrivals
        .into_iter()
        .map(|(_, index, time)| (index, time))
        .collect()
}

fn compare(expected: &[ExpectedSignal], got: &[Signal]) -> Vec<Difference> {
    if expected.is_empty() {
        return Vec::new();
    }
    let mut differences = Vec::new();
    for (index, wanted) in expected.iter().enumerate() {
        match got.get(index) {
            Some(signal) => differ(index, wanted, signal, &mut differences),
            None => differences.push(Difference::Missing { index }),
        }
    }
    for signal in got.iter().skip(expected.len()) {
        differences.push(Difference::TooMany {
            count: signal.count,
            title: signal.title.clone(),
        });
    }
    differences
}

fn differ(index: usize, wanted: &ExpectedSignal, signal: &Signal, differences: &mut Vec<Difference>) {
    let mut unless = |same: bool, member: String, expected: String, got: String| {
        if !same {
            differences.push(Difference::Member {
                index,
                member,
                expected,
                got,
            });
        }
    };
    if let Some(count) = wanted.count {
        unless(
            count == signal.count,
            "count".to_owned(),
            count.to_string(),
            signal.count.to_string(),
        );
    }
    for (field, value) in &wanted.group {
        let got = signal.group.0.iter().find(|(name, _)| name == field);
        let same = got.is_some_and(|(_, got)| same(value, got));
        let got = got.map_or_else(
            || "a rule that does not group by it".to_owned(),
            |(_, got)| shown(got),
        );
        unless(same, format!("group.{field}"), shown(value), got);
    }
    if let Some(severity) = wanted.severity {
        unless(
            severity == signal.severity,
            "severity".to_owned(),
            severity.as_str().to_owned(),
            signal.severity.as_str().to_owned(),
        );
    }
    if let Some(title) = &wanted.title {
        unless(
            *title == signal.title,
            "title".to_owned(),
            quoted(title),
            quoted(&signal.title),
        );
    }
}

/// Whether a group has the value. Here what is absent is a value like any other, and so is what is not known.
fn same(left: &Tree, right: &Tree) -> bool {
    left == right || ValueRef::from(left).equals(&ValueRef::from(right)) == Some(true)
}
