//! Which detections are one signal, where nobody but the rules closes one: over recorded events and in tests.
//!
//! The operator decides the same of its stored signals, by the same [`Lifetime`].

use std::collections::HashMap;

use yagura_event::lifetime::{Goes, LastSignal, Lifetime};
use yagura_event::{GroupKey, Severity, Text, Timestamp};
use yagura_rules::Rule;
use yagura_rules::detect::Scope;

use crate::Detection;
use crate::unit::encode_tree;

/// A signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// The place of its rule among those that are played.
    pub rule: usize,
    /// How urgent its most urgent detection is.
    pub severity: Severity,
    /// The title of that one.
    pub title: String,
    /// What its matches have in common.
    pub group: GroupKey,
    /// When the match that opened it happened.
    pub opened: Timestamp,
    /// Time of its first match.
    pub first: Timestamp,
    /// Time of its last match.
    pub last: Timestamp,
    /// How many matches it counts.
    pub count: u64,
}

/// What detections count together by: the place of their rule, and bytes of their group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SignalKey {
    /// The place of the rule.
    pub rule: usize,
    group: Vec<u8>,
}

impl SignalKey {
    /// The key of a match on `node` of the rule at that place. Nodes count apart, unless the rule counts across them.
    pub fn new(place: usize, rule: &Rule, node: &Text, group: &GroupKey) -> Self {
        let mut bytes = Vec::new();
        let across = rule
            .detect
            .as_ref()
            .is_some_and(|detect| detect.scope == Scope::Cluster);
        if !across {
            encode_tree(&node.clone().into(), &mut bytes);
        }
        for (_, value) in &group.0 {
            encode_tree(value, &mut bytes);
        }
        Self {
            rule: place,
            group: bytes,
        }
    }
}

/// The signals that detections opened, in the order in which they did.
#[derive(Debug, Default)]
pub struct Signals {
    all: Vec<Signal>,
    last: HashMap<SignalKey, usize>,
}

impl Signals {
    /// Takes a detection. Gives the place of the signal that it opened or counts into.
    pub fn add(&mut self, key: &SignalKey, rule: &Rule, lifetime: &Lifetime, detection: Detection) -> usize {
        let severity = rule.severity_of(detection.case);
        let latest = self.last.get(key).copied();
        if let Some((place, signal)) = latest.and_then(|place| Some((place, self.all.get_mut(place)?))) {
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
                return place;
            }
        }
        let place = self.all.len();
        self.last.insert(key.clone(), place);
        self.all.push(Signal {
            rule: key.rule,
            severity,
            title: detection.found.title,
            group: detection.found.group,
            opened: detection.first,
            first: detection.first,
            last: detection.last,
            count: detection.count,
        });
        place
    }

    /// All of them, in the order in which they opened.
    pub fn all(&self) -> &[Signal] {
        &self.all
    }
}
