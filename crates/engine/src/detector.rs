//! From matches to detections: what a rule's `detect` asks for, counted where its windows are.

use std::collections::{HashMap, HashSet};

use yagura_event::{Timestamp, Tree};
use yagura_rules::Rule;
use yagura_rules::detect::{Detect, STEPS_NAME, Scope};

use crate::apart::{compared, has_values, tell_apart};
use crate::unit::encode_tree;
use crate::window::{Groups, Input, MAX_GROUPS, Outcome, State};
use crate::{Match, show};

/// Where matches are turned into detections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a node whose operator counts what concerns all nodes: such matches go on as they are.
    Node,
    /// Where nobody else counts: on a single host, or over recorded events.
    Alone,
}

/// Matches that are reported: one, or as many as made a window hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// The match that completed it.
    pub found: Match,
    /// How many matches it stands for.
    pub count: u64,
    /// Time of the first.
    pub first: Timestamp,
    /// Time of the last.
    pub last: Timestamp,
    /// The case of the rule that it is, if the rule has cases.
    pub case: Option<u8>,
}

impl Detection {
    /// A match that is a detection by itself.
    pub fn of(found: Match, time: Timestamp) -> Self {
        Self {
            found,
            count: 1,
            first: time,
            last: time,
            case: None,
        }
    }
}

/// What windows took and gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Matches that were taken.
    pub taken: u64,
    /// Matches that were given in detections.
    pub told: u64,
    /// Matches that came later than their group waits for, or had no value to tell apart: none of those taken.
    pub left_out: u64,
    /// Groups that were forgotten because their rule had too many.
    pub evicted: u64,
    /// Values that were forgotten because their group had too many.
    pub evicted_values: u64,
}

/// A group of a window that changed, for whoever keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The state that it belongs to: [`Detect::state`].
    pub state: String,
    /// Its key.
    pub key: Box<[u8]>,
    /// It as bytes; `None`: it was forgotten.
    pub group: Option<Vec<u8>>,
}

/// Turns matches into detections.
#[derive(Debug)]
pub struct Detector {
    place: Place,
    /// Whether somebody keeps what changes.
    kept: bool,
    windows: HashMap<String, Groups>,
    tally: Tally,
    key: Vec<u8>,
    values: Vec<u64>,
}

impl Detector {
    /// One that has counted nothing.
    pub fn new(place: Place) -> Self {
        Self {
            place,
            kept: false,
            windows: HashMap::new(),
            tally: Tally::default(),
            key: Vec::new(),
            values: Vec::new(),
        }
    }

    /// The same for somebody who keeps what changes: [`Detector::take_changed`] has to be called.
    pub fn kept(place: Place) -> Self {
        Self {
            kept: true,
            ..Self::new(place)
        }
    }

    /// Takes a match of `rule` at the event's `time`. Gives the detection that it completes.
    pub fn take(&mut self, rule: &Rule, mut found: Match, time: Timestamp) -> Option<Detection> {
        let Some(detect) = &rule.detect else {
            return Some(Detection::of(found, time));
        };
        let values = std::mem::take(&mut found.values);
        if !has_values(&detect.method, &values, &mut found.steps) {
            self.tally.left_out += 1;
            return None;
        }
        if detect.scope == Scope::Cluster && self.place == Place::Node {
            // Matches of different values must stay apart on their way to who counts them.
            let names = detect.values.iter().map(|(name, _)| name.clone());
            found.group.0.extend(names.zip(values));
            if detect.has_steps() {
                let steps = Tree::Int(i64::from(found.steps));
                found.group.0.push((STEPS_NAME.to_owned(), steps));
            }
            return Some(Detection::of(found, time));
        }
        self.values.clear();
        self.key.clear();
        tell_apart(&detect.method, &values, &mut self.key, &mut self.values);
        self.key.clear();
        for (_, value) in &found.group.0 {
            encode_tree(value, &mut self.key);
        }
        let input = Input {
            first: time,
            last: time,
            count: 1,
            values: &self.values,
            text: compared(&detect.method, &values),
            steps: found.steps,
        };
        let added = groups(&mut self.windows, detect, self.kept).add(&self.key, &input);
        self.tally.evicted += u64::from(added.evicted);
        self.tally.evicted_values += added.evicted_values;
        if added.outcome == Outcome::Late {
            self.tally.left_out += 1;
            return None;
        }
        self.tally.taken += 1;
        let Outcome::Fires(fired) = added.outcome else {
            return None;
        };
        self.tally.told += fired.count;
        let case = added.case.and_then(|case| detect.case(case));
        if let Some(title) = case.and_then(|case| case.title.as_ref()) {
            found.title = show::group_title(title, &found.group);
        }
        Some(Detection {
            found,
            count: fired.count,
            first: fired.first,
            last: fired.last,
            case: added.case,
        })
    }

    /// Puts a group in that was kept. One that cannot be read, or is of no rule in `rules`, is left out.
    pub fn restore<'a>(&mut self, rules: impl IntoIterator<Item = &'a Rule>, kept: Vec<Changed>) {
        let detects: HashMap<&str, &Detect> = rules
            .into_iter()
            .filter_map(|rule| rule.detect.as_ref())
            .map(|detect| (detect.state.as_str(), detect))
            .collect();
        for Changed { state, key, group } in kept {
            let Some(detect) = detects.get(state.as_str()) else {
                continue;
            };
            let group = group.and_then(|bytes| State::decode(&detect.method, &bytes).ok());
            if let Some(group) = group {
                groups(&mut self.windows, detect, self.kept).restore(key, group);
            }
        }
    }

    /// Forgets what the rules that run now do not count any more, and what no match from `now` on can belong to. The
    /// states of `rules` stay: a rule whose exceptions or title changed goes on counting.
    pub fn forget<'a>(&mut self, rules: impl IntoIterator<Item = &'a Rule>, now: Timestamp) {
        let states: HashSet<&str> = rules
            .into_iter()
            .filter_map(|rule| rule.detect.as_ref())
            .map(|detect| detect.state.as_str())
            .collect();
        self.windows.retain(|state, groups| {
            groups.forget_over(now);
            states.contains(state.as_str())
        });
    }

    /// Groups that changed since this was asked last.
    pub fn take_changed(&mut self) -> Vec<Changed> {
        let mut all = Vec::new();
        for (state, groups) in &mut self.windows {
            all.extend(groups.take_changed().into_iter().map(|(key, group)| Changed {
                state: state.clone(),
                key,
                group,
            }));
        }
        all
    }

    /// What windows took and gave since this was asked last.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// How many groups are counted.
    pub fn groups(&self) -> usize {
        self.windows.values().map(Groups::len).sum()
    }
}

fn groups<'a>(windows: &'a mut HashMap<String, Groups>, detect: &Detect, kept: bool) -> &'a mut Groups {
    let new = if kept { Groups::tracked } else { Groups::new };
    windows
        .entry(detect.state.clone())
        .or_insert_with(|| new(detect.method.clone(), MAX_GROUPS))
}
