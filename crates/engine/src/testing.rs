//! Tests that rules and checks carry, run by the engine that runs them in production.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use yagura_event::{BuildEventError, Timestamp, build_event};
use yagura_rules::source::{CheckTest, Expected};
use yagura_rules::{Check, Rule, RuleTest};

use crate::posture::{Judge, Verdict};
use crate::unit::{Scratch, encode_tree};
use crate::{Detector, Place, RuleSet};

/// Why a test failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// An event cannot be built.
    Event {
        /// Which, from 0.
        index: usize,
        /// Why.
        reason: BuildEventError,
    },
    /// Another number of signals came out.
    Signals {
        /// How many the test expects.
        expected: u64,
        /// How many there were.
        got: u64,
        /// The events that matched, from 0.
        matched: Vec<usize>,
    },
    /// A check said something else.
    Verdict {
        /// What the test expects.
        expected: Expected,
        /// What it said.
        got: Verdict,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { index, reason } => write!(f, "events[{index}]: {reason}"),
            Self::Signals {
                expected,
                got,
                matched,
            } => {
                write!(f, "expected {expected} signals, got {got}")?;
                if matched.is_empty() {
                    f.write_str("; no event matched")
                } else {
                    write!(f, "; events {matched:?} matched")
                }
            }
            Self::Verdict { expected, got } => {
                write!(f, "expected {expected:?}, got ")?;
                match got {
                    Verdict::Error(paths) => write!(f, "Error: not known: {}", paths.join(", ")),
                    other => write!(f, "{other:?}"),
                }
            }
        }
    }
}

/// The result of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The test's name.
    pub name: String,
    /// Why it failed; `None`: it passed.
    pub failure: Option<Failure>,
}

impl Outcome {
    /// Whether it passed.
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }
}

/// Runs the tests of a rule. Events are one second apart; matches of one group are one signal, and excepted ones
/// none.
pub fn run_rule_tests(rule: &Arc<Rule>, tests: &[RuleTest]) -> Vec<Outcome> {
    let set = RuleSet::new([Arc::clone(rule)]);
    let mut scratch = Scratch::default();
    tests
        .iter()
        .map(|test| Outcome {
            name: test.name.clone(),
            failure: rule_test(&set, test, &mut scratch).err(),
        })
        .collect()
}

fn rule_test(set: &RuleSet, test: &RuleTest, scratch: &mut Scratch) -> Result<(), Failure> {
    let mut detector = Detector::new(Place::Alone);
    let mut groups = HashSet::new();
    let mut matched = Vec::new();
    for (index, tree) in test.events.iter().enumerate() {
        let time = Timestamp(0).after(
            i64::try_from(index)
                .unwrap_or(i64::MAX)
                .saturating_mul(1_000_000_000),
        );
        let event = build_event(tree, time).map_err(|reason| Failure::Event { index, reason })?;
        for found in set.evaluate(&event, scratch) {
            if found.excepted.is_some() {
                continue;
            }
            matched.push(index);
            let Some(rule) = set.rule(found.rule) else {
                continue;
            };
            if let Some(detection) = detector.take(rule, found, event.time) {
                let mut key = Vec::new();
                for (_, value) in &detection.found.group.0 {
                    encode_tree(value, &mut key);
                }
                groups.insert(key);
            }
        }
    }
    let got = groups.len() as u64;
    if got == test.signals {
        Ok(())
    } else {
        Err(Failure::Signals {
            expected: test.signals,
            got,
            matched,
        })
    }
}

/// Runs the tests of a check.
pub fn run_check_tests(check: &Arc<Check>, tests: &[CheckTest]) -> Vec<Outcome> {
    let judge = Judge::new(Arc::clone(check));
    let mut scratch = Scratch::default();
    tests
        .iter()
        .map(|test| {
            let got = judge.evaluate(&test.resource, &mut scratch).verdict;
            let as_expected = matches!(
                (test.expect, &got),
                (Expected::Pass, Verdict::Pass)
                    | (Expected::Fail, Verdict::Fail)
                    | (Expected::Error, Verdict::Error(_))
                    | (Expected::NotApplicable, Verdict::NotApplicable)
            );
            let failure = (!as_expected).then_some(Failure::Verdict {
                expected: test.expect,
                got,
            });
            Outcome {
                name: test.name.clone(),
                failure,
            }
        })
        .collect()
}
