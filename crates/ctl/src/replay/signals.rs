//! From events to signals: matches, detections, and which of them are one signal.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use yagura_crds::convert::json as json_of;
use yagura_engine::{Detection, Detector, Match, Place, RuleSet, Scratch};
use yagura_event::lifetime::{Goes, LastSignal, Lifetime};
use yagura_event::{Event, GroupKey, Severity, Text, Timestamp};
use yagura_rules::Rule;
use yagura_rules::detect::{Detect, Scope, UNTIL};

/// Events that a signal names.
const EVENTS: usize = 1_000;
/// How often windows are looked at that are over, in events.
const FORGET: u64 = 100_000;

/// A rule and what becomes of its matches.
pub(super) struct Played {
    pub(super) rule: Arc<Rule>,
    pub(super) lifetime: Lifetime,
}

/// A signal.
struct Signal {
    rule: usize,
    severity: Severity,
    title: String,
    group: GroupKey,
    opened: Timestamp,
    first: Timestamp,
    last: Timestamp,
    count: u64,
    /// The first lines that made it.
    events: Vec<u64>,
    /// How many more did.
    more_events: usize,
}

impl Signal {
    fn add(&mut self, events: Vec<u64>) {
        let room = EVENTS.saturating_sub(self.events.len());
        self.more_events += events.len().saturating_sub(room);
        self.events.extend(events.into_iter().take(room));
    }
}

/// Plays events one after the other.
pub(super) struct Player<'a> {
    set: &'a RuleSet,
    rules: Vec<Played>,
    detector: Detector,
    scratch: Scratch,
    signals: Vec<Signal>,
    /// The last signal of each group.
    last: HashMap<(usize, String), usize>,
    /// Matches of rules with a threshold that no detection told yet, by group.
    waiting: HashMap<(usize, String), VecDeque<(Timestamp, u64)>>,
    matches: Vec<u64>,
    played: u64,
}

impl<'a> Player<'a> {
    pub(super) fn new(set: &'a RuleSet, rules: Vec<Played>) -> Self {
        Self {
            set,
            matches: vec![0; rules.len()],
            rules,
            detector: Detector::new(Place::Alone),
            scratch: Scratch::default(),
            signals: Vec::new(),
            last: HashMap::new(),
            waiting: HashMap::new(),
            played: 0,
        }
    }

    /// Plays the event with that index. True when a rule matched.
    pub(super) fn play(&mut self, event: &Event, index: u64) -> bool {
        self.played += 1;
        if self.played.is_multiple_of(FORGET) {
            let rules = self.rules.iter().map(|played| Arc::as_ref(&played.rule));
            self.detector.forget(rules, event.time);
        }
        let mut matched = false;
        for found in self.set.evaluate(event, &mut self.scratch) {
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
        let across = rule
            .detect
            .as_ref()
            .is_some_and(|detect| detect.scope == Scope::Cluster);
        let node = (!across).then_some(&event.host.name);
        let key = (place, key(node, &found.group));
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
            let age = detect.method.tells_back();
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
    fn told(&mut self, key: &(usize, String), detection: &Detection) -> Vec<u64> {
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

    fn signal(&mut self, key: &(usize, String), detection: Detection, events: Vec<u64>) {
        let Played { rule, lifetime } = &self.rules[key.0];
        let severity = rule.severity_of(detection.case);
        if let Some(place) = self.last.get(key) {
            let signal = &mut self.signals[*place];
            let last = LastSignal {
                open: true,
                opened: signal.opened,
                last: signal.last,
            };
            if lifetime.next(&last, detection.first) == Goes::On {
                signal.count += detection.count;
                signal.first = signal.first.min(detection.first);
                signal.last = signal.last.max(detection.last);
                if severity > signal.severity {
                    // From now on it says what is more urgent.
                    signal.severity = severity;
                    signal.title = detection.found.title;
                }
                signal.add(events);
                return;
            }
        }
        self.last.insert(key.clone(), self.signals.len());
        let mut signal = Signal {
            rule: key.0,
            severity,
            title: detection.found.title,
            group: detection.found.group,
            opened: detection.first,
            first: detection.first,
            last: detection.last,
            count: detection.count,
            events: Vec::new(),
            more_events: 0,
        };
        signal.add(events);
        self.signals.push(signal);
    }

    /// The signals, in the order in which they opened.
    pub(super) fn finish(&self) -> Vec<Value> {
        self.signals.iter().map(|signal| self.shown(signal)).collect()
    }

    fn shown(&self, signal: &Signal) -> Value {
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
            "events": signal.events,
            "moreEvents": signal.more_events,
        })
    }

    /// Name, matches and signals of every rule that matched.
    pub(super) fn by_rule(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        let mut signals: BTreeMap<usize, u64> = BTreeMap::new();
        for signal in &self.signals {
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
    detect.method.tells_back() > 0
}

/// What groups are told apart by: the node, unless matches of all nodes are counted together, and their values. The form of
/// a value is that of its type, so that "1" is not 1.
fn key(node: Option<&Text>, group: &GroupKey) -> String {
    format!("{node:?} {:?}", group.0)
}

/// A time as events and signals show it.
fn time(time: Timestamp) -> Value {
    jiff::Timestamp::from_nanosecond(i128::from(time.0)).map_or(Value::Null, |time| time.to_string().into())
}
