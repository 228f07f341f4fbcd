//! From events to signals: matches, detections, and which of them are one signal.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use yagura_crds::convert::json as json_of;
use yagura_engine::signals::{Signal, SignalKey, Signals};
use yagura_engine::{Detection, Detector, Match, Memory, Place, Strata};
use yagura_event::lifetime::Lifetime;
use yagura_event::{Event, Text, Timestamp};
use yagura_rules::Rule;
use yagura_rules::detect::{Detect, Method, UNTIL};

/// Events that a signal names.
const EVENTS: usize = 1_000;
/// How often windows are looked at that are over, in events.
const FORGET: u64 = 100_000;

/// A rule and what becomes of its matches.
pub(super) struct Played {
    pub(super) rule: Arc<Rule>,
    pub(super) lifetime: Lifetime,
}

/// The lines that made a signal.
#[derive(Default)]
struct Made {
    /// The first of them.
    events: Vec<u64>,
    /// How many more did.
    more: usize,
}

impl Made {
    fn add(&mut self, events: Vec<u64>) {
        let room = EVENTS.saturating_sub(self.events.len());
        self.more += events.len().saturating_sub(room);
        self.events.extend(events.into_iter().take(room));
    }
}

/// Plays events one after the other.
pub(super) struct Player<'a> {
    strata: &'a Strata,
    rules: Vec<Played>,
    detector: Detector,
    /// Of each node, by its name: marks do not go from one to another.
    memories: HashMap<Text, Memory>,
    signals: Signals,
    /// What made each of them.
    made: Vec<Made>,
    /// Matches of rules with a threshold that no detection told yet, by group.
    waiting: HashMap<SignalKey, VecDeque<(Timestamp, u64)>>,
    matches: Vec<u64>,
    played: u64,
    /// When the last event was.
    time: Timestamp,
}

impl<'a> Player<'a> {
    pub(super) fn new(strata: &'a Strata, rules: Vec<Played>) -> Self {
        Self {
            strata,
            matches: vec![0; rules.len()],
            rules,
            detector: Detector::new(Place::Alone),
            memories: HashMap::new(),
            signals: Signals::default(),
            made: Vec::new(),
            waiting: HashMap::new(),
            played: 0,
            time: Timestamp(i64::MIN),
        }
    }

    /// Plays the event with that index. True when a rule matched.
    pub(super) fn play(&mut self, event: &Event, index: u64) -> bool {
        self.played += 1;
        if self.played.is_multiple_of(FORGET) {
            let rules = self.rules.iter().map(|played| Arc::as_ref(&played.rule));
            // One event whose clock is far ahead must not end the windows of all others.
            self.detector.forget(rules, event.time.min(self.time));
        }
        self.time = event.time;
        let mut matched = false;
        let memory = self.memories.entry(event.host.name.clone()).or_default();
        for found in self.strata.evaluate(event, memory) {
            if found.excepted.is_none() {
                matched = true;
                self.matched(found, event, index);
            }
        }
        matched
    }

    fn matched(&mut self, found: Match, event: &Event, index: u64) {
        let (place, time) = (found.rule, event.time);
        self.matches[place] += 1;
        let rule = Arc::clone(&self.rules[place].rule);
        if rule.silent {
            return;
        }
        let key = SignalKey::new(place, &rule, &event.host.name, &found.group);
        let ends = found.steps == UNTIL;
        let detection = self.detector.take(&rule, found, time);
        let Some(detect) = rule.detect.as_ref().filter(|detect| tells_several(detect)) else {
            if let Some(detection) = detection {
                self.signal(&key, detection, vec![index]);
            }
            return;
        };
        // What is too late, or has no value to tell apart, is in no window, and what only ends sequences is never told.
        if self.detector.take_tally().taken > 0 && !ends {
            let age = detect.method.remembers();
            let waiting = self.waiting.entry(key.clone()).or_default();
            while waiting
                .front()
                .is_some_and(|(before, _)| time.since(*before) > age)
            {
                waiting.pop_front();
            }
            waiting.push_back((time, index));
        }
        let Some(detection) = detection else { return };
        let events = self.told(&key, &detection);
        self.signal(&key, detection, events);
    }

    /// The matches that a detection tells.
    fn told(&mut self, key: &SignalKey, detection: &Detection) -> Vec<u64> {
        let mut told = Vec::new();
        if let Some(waiting) = self.waiting.get_mut(key) {
            waiting.retain(|(time, index)| {
                let is_told = (detection.first..=detection.last).contains(time);
                if is_told {
                    told.push(*index);
                }
                !is_told
            });
        }
        told.sort_unstable();
        told
    }

    fn signal(&mut self, key: &SignalKey, detection: Detection, events: Vec<u64>) {
        let Played { rule, lifetime } = &self.rules[key.rule];
        let place = self.signals.add(key, rule, lifetime, detection);
        if place == self.made.len() {
            self.made.push(Made::default());
        }
        self.made[place].add(events);
    }

    /// The signals, in the order in which they opened.
    pub(super) fn finish(&self) -> Vec<Value> {
        let all = self.signals.all().iter().zip(&self.made);
        all.map(|(signal, made)| self.shown(signal, made)).collect()
    }

    fn shown(&self, signal: &Signal, made: &Made) -> Value {
        let group: Map<String, Value> = signal
            .group
            .0
            .iter()
            .map(|(field, value)| (field.clone(), json_of(value)))
            .collect();
        let rule = &self.rules[signal.rule].rule;
        json!({
            "rule": rule.name,
            "severity": signal.severity.as_str(),
            "title": signal.title,
            "group": group,
            "count": signal.count,
            "first": time(signal.first),
            "last": time(signal.last),
            "events": made.events,
            "moreEvents": made.more,
        })
    }

    /// Name, matches and signals of every rule that matched.
    pub(super) fn by_rule(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        let mut signals: BTreeMap<usize, u64> = BTreeMap::new();
        for signal in self.signals.all() {
            *signals.entry(signal.rule).or_default() += 1;
        }
        let rules = self.rules.iter().enumerate();
        rules.filter_map(move |(place, played)| {
            let matches = self.matches[place];
            let opened = signals.get(&place).copied().unwrap_or(0);
            (matches > 0).then_some((played.rule.name.as_str(), matches, opened))
        })
    }
}

/// Whether a detection may tell matches that came before the one that completed it.
fn tells_several(detect: &Detect) -> bool {
    !matches!(detect.method, Method::NewValue(_))
}

/// A time as events and signals show it.
fn time(time: Timestamp) -> Value {
    jiff::Timestamp::from_nanosecond(i128::from(time.0)).map_or(Value::Null, |time| time.to_string().into())
}
