//! What is done with an input that a fuzzer made up. Whatever it is, nothing here may panic, overflow its stack or hang.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use yagura_crds::TestValue;
use yagura_crds::convert::{check_source, lifetime, rule_source};
use yagura_crds::source::{Document, Object, read};
use yagura_engine::explain::explain;
use yagura_engine::testing::{run_check_tests, run_rule_tests};
use yagura_event::{Registry, Timestamp, build_recorded_event};
use yagura_rules::{Diagnostic, LetSource, Lists, Origin, RuleSource, compile, compile_check, render};

/// Between the parts of an input that has several.
const SEPARATOR: &str = "\n---\n";

/// A condition, and below it a `let` named `x` that it may use: parsed, checked and compiled, its mistakes shown.
///
/// # Panics
/// When a mistake lies outside of the text, or is none although nothing runs.
pub fn condition(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (condition, value) = text.split_once(SEPARATOR).unwrap_or((text, "1"));
    let mut source = RuleSource::new("fuzz", condition);
    source.lets = vec![LetSource {
        name: "x".to_owned(),
        value: value.to_owned(),
    }];
    let compiled = compile(&source, Registry::workload(), &Lists::builtin());
    let has_errors = compiled.diagnostics.iter().any(Diagnostic::is_error);
    assert_eq!(compiled.rule.is_none(), has_errors);
    for diagnostic in &compiled.diagnostics {
        let text = source.text_of(diagnostic.part);
        let (start, end) = (diagnostic.span.start as usize, diagnostic.span.end as usize);
        assert!(start <= end && end <= text.len(), "{diagnostic:?}");
        assert!(!render(diagnostic, "fuzz.yaml", text, &Origin::default()).is_empty());
    }
}

/// A YAML file: read, converted, compiled, and the tests in it run.
///
/// # Panics
/// When something is wrong before the first line.
pub fn file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let file = read("fuzz.yaml", text);
    for fault in &file.faults {
        assert!(fault.position.line >= 1, "{fault}");
    }
    for document in &file.documents {
        match &document.object {
            Object::DetectionRule(rule) => {
                let Ok(source) = rule_source(rule) else { continue };
                let compiled = compile(&source, Registry::workload(), &Lists::builtin());
                show(document, &compiled.diagnostics, |part| source.text_of(part));
                if let Some(compiled) = compiled.rule {
                    for outcome in run_rule_tests(&compiled, &lifetime(&rule.spec.signal), &source.tests) {
                        drop(outcome.failure.map(|failure| failure.to_string()));
                    }
                }
            }
            Object::PostureCheck(check) => {
                let Ok(Some(source)) = check_source(check) else {
                    continue;
                };
                let compiled = compile_check(&source, &BTreeMap::new(), &Lists::builtin());
                show(document, &compiled.diagnostics, |_| "");
                if let Some(compiled) = compiled.check {
                    for outcome in run_check_tests(&compiled, &source.tests) {
                        drop(outcome.failure.map(|failure| failure.to_string()));
                    }
                }
            }
            Object::ValueList(list) => drop(list.spec.list()),
            Object::PostureFramework(_) | Object::Exception(_) | Object::ClusterException(_) => {}
        }
    }
}

fn show<'a>(
    document: &Document,
    diagnostics: &[Diagnostic],
    text_of: impl Fn(yagura_rules::Part) -> &'a str,
) {
    for diagnostic in diagnostics {
        let origin = document.origin(diagnostic.part);
        render(diagnostic, "fuzz.yaml", text_of(diagnostic.part), &origin);
    }
}

/// A condition, and below it an event in JSON: judged by the engine, which searches for texts first, and once more part by
/// part, which does not.
///
/// # Panics
/// When both say something else.
pub fn evaluate(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Some((condition, event)) = text.split_once(SEPARATOR) else {
        return;
    };
    let Ok(event) = serde_json::from_str::<TestValue>(event) else {
        return;
    };
    let Ok(event) = build_recorded_event(&event.to_tree(), Timestamp(1_700_000_000_000_000_000)) else {
        return;
    };
    let source = RuleSource::new("fuzz", condition);
    let compiled = compile(&source, Registry::workload(), &Lists::builtin());
    let Some(rule) = compiled.rule else { return };
    let explained = explain(&rule, &event);
    let Some(root) = explained.condition.first() else {
        return;
    };
    assert_eq!(explained.found.is_some(), root.value != Some(false));
    if let Some(found) = explained.found {
        assert_eq!(found.incomplete, root.value.is_none());
    }
}
