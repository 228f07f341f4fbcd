//! Decides whether a check can be evaluated: pure, and the same for webhook and reconciler.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use yagura_crds::PostureCheck;
use yagura_crds::convert::check_source;
use yagura_engine::posture::Judge;
use yagura_engine::testing::run_check_tests;
use yagura_rules::{CheckSource, Lists, Part, compile_check};

use crate::detection_rule::validate::{Invalid, excused, failed_tests, one_line_each};

/// A check that compiles and passes its tests.
#[derive(Clone, Debug)]
pub(crate) struct Valid {
    /// What evaluates it; `None` for a manual check.
    pub(crate) judge: Option<Arc<Judge>>,
    /// Warnings of the compiler, each on one line.
    pub(crate) warnings: Vec<String>,
}

/// Decides whether a check can be evaluated, with these lists.
pub(crate) fn validate(check: &PostureCheck, lists: &Lists) -> Result<Valid, Invalid> {
    judge(check, lists, &mut BTreeSet::new())
}

/// The same; `uses` takes the names of the lists that the check asks for, whether it can be evaluated or not.
pub(crate) fn judge(
    check: &PostureCheck,
    lists: &Lists,
    uses: &mut BTreeSet<String>,
) -> Result<Valid, Invalid> {
    let Some(source) = check_source(check)? else {
        return Ok(Valid {
            judge: None,
            warnings: Vec::new(),
        });
    };
    let compiled = compile_check(&source, &BTreeMap::new(), lists);
    uses.clone_from(&compiled.lists);
    let place = |part| (format!("spec.{part}"), part_of(&source, part));
    let Some(runnable) = compiled.check else {
        return Err(Invalid::compiled(&compiled.diagnostics, place));
    };
    let mut warnings = one_line_each(&compiled.diagnostics, place);
    if let Some(failed) = failed_tests(run_check_tests(&runnable, &source.tests)) {
        warnings.push(excused(failed, uses, lists)?);
    }
    Ok(Valid {
        judge: Some(Arc::new(Judge::new(runnable))),
        warnings,
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
