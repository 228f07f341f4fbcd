//! Decides whether a rule can run: pure, and the same for webhook and reconciler.

use std::collections::BTreeSet;

use kube::core::Selector;
use yagura_crds::DetectionRule;
use yagura_crds::convert::{ConvertError, lifetime, rule_source, rule_without_overrides};
use yagura_engine::testing::{Outcome, run_rule_tests};
use yagura_event::Registry;
use yagura_rules::{Code, Diagnostic, Lists, Origin, Part, RuleSource, compile, render};

use crate::index::policy::Windows;

/// Longest name of a rule: it becomes a label value.
const MAX_NAME: usize = 63;
/// Most failed tests that a message names.
const SHOWN_TESTS: usize = 8;

/// A rule's name, short enough for a label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RuleName(String);

/// The uid of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Uid(String);

impl RuleName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Uid {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A rule that compiles and passes its tests.
#[derive(Clone, Debug)]
pub(crate) struct Valid {
    pub(crate) name: RuleName,
    pub(crate) uid: Uid,
    pub(crate) source: RuleSource,
    /// What it counts over time.
    pub(crate) windows: Option<Windows>,
    /// The nodes that it runs on.
    pub(crate) nodes: Selector,
    /// Warnings of the compiler, each on one line.
    pub(crate) warnings: Vec<String>,
    /// Why its tests do not prove it, although it may run: it has none, or they fail by what is in lists.
    pub(crate) unproven: Option<String>,
}

/// Why a rule does not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    /// The object lacks something that the API server would have asked for.
    #[error("{0}")]
    Object(String),
    /// It does not compile; the compiler's diagnostics with their places.
    #[error("{0}")]
    Condition(String),
    /// It compiles but for lists that are not there or cannot be used.
    #[error("{explained}")]
    Lists {
        /// The compiler's diagnostics with their places.
        explained: String,
        /// The mistakes on one line each.
        lines: Vec<String>,
    },
    /// Its own tests fail.
    #[error("{0}")]
    Tests(String),
}

impl Invalid {
    /// Reason for the condition `Accepted`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Object(_) => "InvalidObject",
            Self::Condition(_) => "InvalidCondition",
            Self::Lists { .. } => "ListUnavailable",
            Self::Tests(_) => "TestsFailed",
        }
    }
}

impl Invalid {
    /// What does not compile.
    pub(crate) fn compiled<'s>(
        diagnostics: &[Diagnostic],
        place_of: impl Fn(Part) -> (String, &'s str),
    ) -> Self {
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
        let errors: Vec<Diagnostic> = errors.cloned().collect();
        let only_lists = errors.iter().all(|error| error.code == Code::UNKNOWN_LIST);
        let explained = explain(diagnostics, &place_of);
        if only_lists {
            Self::Lists {
                explained,
                lines: one_line_each(&errors, place_of),
            }
        } else {
            Self::Condition(explained)
        }
    }
}

impl From<ConvertError> for Invalid {
    fn from(error: ConvertError) -> Self {
        Self::Object(error.to_string())
    }
}

/// Decides whether a rule can run, with these lists.
pub(crate) fn validate(rule: &DetectionRule, lists: &Lists) -> Result<Valid, Invalid> {
    judge(rule, lists, &mut BTreeSet::new())
}

/// The same; `uses` takes the names of the lists that the rule asks for, whether it can run or not.
pub(crate) fn judge(
    rule: &DetectionRule,
    lists: &Lists,
    uses: &mut BTreeSet<String>,
) -> Result<Valid, Invalid> {
    let source = rule_source(rule)?;
    if source.name.is_empty() || source.name.len() > MAX_NAME {
        return Err(Invalid::Object(format!(
            "metadata.name: has {} bytes; 1 to {MAX_NAME} are allowed, because it becomes a label value",
            source.name.len()
        )));
    }
    let nodes = rule
        .spec
        .scope_in_effect()
        .and_then(|scope| scope.node_selector.clone())
        .unwrap_or_default();
    let nodes = Selector::try_from(nodes)
        .map_err(|error| Invalid::Object(format!("{}.nodeSelector: {error}", rule.spec.scope_path())))?;
    let compiled = compile(&source, Registry::workload(), lists);
    uses.clone_from(&compiled.lists);
    let place = |part| (rule.spec.path_of(part), source.text_of(part));
    let Some(runnable) = compiled.rule else {
        return Err(Invalid::compiled(&compiled.diagnostics, place));
    };
    let windows = runnable.detect.clone().map(|detect| Windows {
        fields: runnable.group_by.iter().map(|(name, _)| name.clone()).collect(),
        detect,
    });
    // Tests prove the rule as it was written; it compiles if it does with more exceptions.
    let written = rule_without_overrides(rule)?;
    let written = written.and_then(|written| compile(&written, Registry::workload(), lists).rule);
    let runnable = written.unwrap_or(runnable);
    let mut warnings = one_line_each(&compiled.diagnostics, place);
    let outcomes = run_rule_tests(&runnable, &lifetime(&rule.spec.signal), &source.tests);
    let mut unproven = source
        .tests
        .is_empty()
        .then(|| "spec.tests: missing; the rule must prove what it matches and what it does not".to_owned());
    if let Some(failed) = failed_tests(outcomes) {
        let excused = excused(failed, uses, lists)?;
        warnings.push(excused.clone());
        unproven = Some(excused);
    }
    Ok(Valid {
        name: RuleName(source.name.clone()),
        uid: Uid(source.uid.clone()),
        warnings,
        unproven,
        source,
        windows,
        nodes,
    })
}

/// A warning for failed tests of what uses lists of the cluster: those who edit a list must not switch off a rule or a check by it.
pub(crate) fn excused(failed: String, uses: &BTreeSet<String>, lists: &Lists) -> Result<String, Invalid> {
    let builtin = Lists::builtin();
    let changes = uses
        .iter()
        .find(|name| lists.fingerprint(name) != builtin.fingerprint(name));
    match changes {
        Some(name) => Ok(format!("with what is in lists such as {name} now, {failed}")),
        None => Err(Invalid::Tests(failed)),
    }
}

/// The diagnostics as the compiler shows them, errors first, with places such as
/// `spec.condition:2:7`. `place_of` gives the path of a part and its text.
pub(crate) fn explain<'s>(
    diagnostics: &[Diagnostic],
    place_of: impl Fn(Part) -> (String, &'s str),
) -> String {
    let (errors, warnings): (Vec<_>, Vec<_>) =
        diagnostics.iter().partition(|diagnostic| diagnostic.is_error());
    errors
        .into_iter()
        .chain(warnings)
        .map(|diagnostic| {
            let (path, text) = place_of(diagnostic.part);
            render(diagnostic, &path, text, &Origin::default())
        })
        .collect()
}

/// The diagnostics on one line each, with their places.
pub(crate) fn one_line_each<'s>(
    diagnostics: &[Diagnostic],
    place_of: impl Fn(Part) -> (String, &'s str),
) -> Vec<String> {
    diagnostics
        .iter()
        .map(|diagnostic| {
            let (path, text) = place_of(diagnostic.part);
            let place = Origin::default().locate(text, diagnostic.span.start);
            format!("{path}:{}:{}: {diagnostic}", place.line, place.column)
        })
        .collect()
}

/// What to say of tests that failed; `None` when all passed.
pub(crate) fn failed_tests(outcomes: Vec<Outcome>) -> Option<String> {
    let count = outcomes.len();
    let failed: Vec<String> = outcomes
        .into_iter()
        .enumerate()
        .filter_map(|(index, outcome)| {
            let failure = outcome.failure?.to_string();
            // What follows the first line belongs to this test.
            let failure = failure.replace('\n', "\n  ");
            Some(format!("spec.tests[{index}] {:?}:\n  {failure}", outcome.name))
        })
        .collect();
    if failed.is_empty() {
        return None;
    }
    let mut message = format!("{} of {count} tests fail:\n", failed.len());
    message.push_str(&failed[..failed.len().min(SHOWN_TESTS)].join("\n"));
    if failed.len() > SHOWN_TESTS {
        message.push_str("\n…");
    }
    Some(message)
}
