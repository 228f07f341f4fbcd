//! Tests that rules and checks carry, run by the engine that runs them in production.

mod failure;
mod played;

use std::sync::Arc;

use yagura_event::lifetime::Lifetime;
use yagura_rules::source::{CheckTest, Expected};
use yagura_rules::{Check, Rule, RuleTest};

use crate::Strata;
use crate::posture::{Judge, Verdict};
use crate::unit::Scratch;

pub use failure::{Difference, Failure, Seen};

/// The result of one test.
#[derive(Clone, Debug, PartialEq)]
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

/// Runs the tests of a rule whose signals take matches that long. The time of a test begins at the Unix epoch, and what a
/// match becomes is what it would in production; excepted ones become nothing. Of marks there are those that an event is
/// given and those that the rule sets itself.
pub fn run_rule_tests(rule: &Arc<Rule>, lifetime: &Lifetime, tests: &[RuleTest]) -> Vec<Outcome> {
    let strata = Strata::new([Arc::clone(rule)]);
    tests
        .iter()
        .map(|test| Outcome {
            name: test.name.clone(),
            failure: played::play(&strata, lifetime, test).err(),
        })
        .collect()
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
