//! Rules that run together on events and tell each other something by marks.
//!
//! Those that ask for marks come after those that set them, on the same event. Rules that have nothing to do with marks are
//! all in the first stratum, so that they share their tests.

mod order;

use std::sync::Arc;

use yagura_event::{Event, Record};
use yagura_rules::Rule;

use crate::marks::{Marks, Tally};
use crate::unit::Scratch;
use crate::{Match, RuleSet};

pub use order::{Link, MAX_STRATA, Unordered, order, shown};

/// Compiled rules in the order in which they are asked.
#[derive(Debug)]
pub struct Strata {
    rules: Vec<Arc<Rule>>,
    levels: Vec<Stratum>,
    unordered: Vec<(usize, Unordered)>,
}

#[derive(Debug)]
struct Stratum {
    set: RuleSet,
    /// The places of its rules among all.
    places: Vec<usize>,
    /// Whether one of its rules asks for marks.
    reads: bool,
}

/// What is carried from one event to the next: the marks of one node, and memory that is used again.
#[derive(Debug, Default)]
pub struct Memory {
    marks: Marks,
    scratches: Vec<Scratch>,
}

impl Memory {
    /// How many processes and containers bear marks.
    pub fn bearers(&self) -> usize {
        self.marks.bearers()
    }

    /// What was marked and forgotten since this was asked last.
    pub fn take_tally(&mut self) -> Tally {
        self.marks.take_tally()
    }
}

impl Strata {
    /// Puts compiled rules in order. [`Match::rule`] counts them as they are given.
    pub fn new(rules: impl IntoIterator<Item = Arc<Rule>>) -> Self {
        let rules: Vec<Arc<Rule>> = rules.into_iter().collect();
        let mut unordered = Vec::new();
        let mut levels: Vec<Vec<usize>> = vec![Vec::new()];
        for (place, level) in order(&rules).into_iter().enumerate() {
            match level {
                Err(why) => unordered.push((place, why)),
                Ok(level) => {
                    levels.resize_with(levels.len().max(level + 1), Vec::new);
                    if let Some(places) = levels.get_mut(level) {
                        places.push(place);
                    }
                }
            }
        }
        let stratum = |places: Vec<usize>| {
            let of: Vec<&Arc<Rule>> = places.iter().filter_map(|place| rules.get(*place)).collect();
            Stratum {
                reads: of.iter().any(|rule| !rule.reads.is_empty()),
                set: RuleSet::new(of.into_iter().map(Arc::clone)),
                places,
            }
        };
        Self {
            levels: levels.into_iter().map(stratum).collect(),
            rules,
            unordered,
        }
    }

    /// The rules that have no place in the order, and why. They do not run.
    pub fn unordered(&self) -> &[(usize, Unordered)] {
        &self.unordered
    }

    /// The rules, in the order in which they were given.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Arc<Rule>> {
        self.rules.iter()
    }

    /// The rule at that place.
    pub fn rule(&self, index: usize) -> Option<&Arc<Rule>> {
        self.rules.get(index)
    }

    /// The matches of an event, in the order of the rules, and what they mark. Matches of silent rules are among them.
    pub fn evaluate(&self, event: &Event, memory: &mut Memory) -> Vec<Match> {
        let Memory { marks, scratches } = memory;
        if scratches.len() < self.levels.len() {
            scratches.resize_with(self.levels.len(), Scratch::default);
        }
        marks.begin(event);
        let mut all = Vec::new();
        let mut marked = None;
        for (stratum, scratch) in self.levels.iter().zip(scratches) {
            if stratum.set.rules_for(event.kind) == 0 {
                continue;
            }
            let subject = match stratum.reads.then(|| marks.of(event)).flatten() {
                None => event,
                Some(found) => &*marked.insert(Event {
                    marks: Some(Arc::new(found)),
                    ..event.clone()
                }),
            };
            let mut matches = stratum.set.evaluate(subject, scratch);
            for found in &mut matches {
                if let Some(place) = stratum.places.get(found.rule) {
                    found.rule = *place;
                }
            }
            for found in matches.iter().filter(|found| found.excepted.is_none()) {
                if let Some(mark) = self.rule(found.rule).and_then(|rule| rule.mark.as_ref()) {
                    marks.set(mark, event);
                }
            }
            all.append(&mut matches);
        }
        if self.levels.len() > 1 {
            all.sort_by_key(|found| found.rule);
        }
        marks.end(event);
        all
    }

    /// What a signal shows of an event that matched the rule at that place.
    pub fn record(&self, rule: usize, event: &Event) -> Record {
        let of = |stratum: &Stratum| {
            let place = stratum.places.binary_search(&rule).ok()?;
            Some(stratum.set.record(place, event))
        };
        self.levels.iter().find_map(of).unwrap_or_default()
    }
}
