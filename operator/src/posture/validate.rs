//! Decides whether a check can be evaluated: pure, and the same for webhook and reconciler.

use std::collections::BTreeMap;
use std::sync::Arc;

use yagura_crds::PostureCheck;
use yagura_crds::convert::check_source;
use yagura_engine::posture::Judge;
use yagura_engine::testing::run_check_tests;
use yagura_rules::{CheckSource, Lists, Part, compile_check};

use crate::detection_rule::validate::{Invalid, explain, failed_tests, one_line_each};

/// A check that compiles and passes its tests.
#[derive(Clone, Debug)]
pub(crate) struct Valid {
    /// What evaluates it; `None` for a manual check.
    pub(crate) judge: Option<Arc<Judge>>,
    /// Warnings of the compiler, each on one line.
    pub(crate) warnings: Vec<String>,
}

/// Decides whether a check can be evaluated.
pub(crate) fn validate(check: &PostureCheck) -> Result<Valid, Invalid> {
    let Some(source) = check_source(check)? else {
        return Ok(Valid {
            judge: None,
            warnings: Vec::new(),
        });
    };
    let compiled = compile_check(&source, &BTreeMap::new(), &Lists::builtin());
    let place = |part| (format!("spec.{part}"), part_of(&source, part));
    let Some(runnable) = compiled.check else {
        return Err(Invalid::Condition(explain(&compiled.diagnostics, place)));
    };
    if let Some(failed) = failed_tests(run_check_tests(&runnable, &source.tests)) {
        return Err(Invalid::Tests(failed));
    }
    Ok(Valid {
        judge: Some(Arc::new(Judge::new(runnable))),
        warnings: one_line_each(&compiled.diagnostics, place),
    })
}

fn part_of(source: &CheckSource, part: Part) -> &str {
    match part {
        Part::Pass => &source.pass,
        Part::AppliesWhen => source.applies_when.as_deref().unwrap_or_default(),
        Part::Evidence(index) => source.evidence.get(index).map_or("", String::as_str),
        _ => "",
    }
}
