//! Compiles an object of a file as operator and agents do.

use std::collections::BTreeMap;
use std::sync::Arc;

use yagura_crds::ValueList;
use yagura_crds::convert::{check_source, lifetime, rule_source, rule_without_overrides};
use yagura_crds::source::{Document, Object};
use yagura_event::Registry;
use yagura_event::lifetime::Lifetime;
use yagura_rules::source::{CheckSource, RuleSource};
use yagura_rules::{Check, Diagnostic, Lists, Origin, Part, Position, Rule, RuleTest, compile_check, render};

use crate::files::Source;
use crate::finding::Finding;
use crate::lint;

/// An object after compilation.
#[derive(Debug)]
pub struct Compiled {
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// What can be run, when nothing is.
    pub program: Option<Program>,
}

/// Something that can be run.
#[derive(Debug)]
pub enum Program {
    /// A rule.
    Rule(Box<Runnable>),
    /// A check, with its tests.
    Check(Arc<Check>, Box<CheckSource>),
}

/// A rule that can be run.
#[derive(Debug)]
pub struct Runnable {
    /// With the overrides that apply.
    pub effective: Arc<Rule>,
    /// As it was written, which is what its tests prove.
    pub written: Arc<Rule>,
    /// Its tests.
    pub tests: Vec<RuleTest>,
    /// How long its signals take matches.
    pub lifetime: Lifetime,
}

/// Compiles an object. A framework and a manual check have nothing to compile, and an exception only with the rules that it
/// names.
pub fn compile(source: &Source, document: &Document, lists: &Lists) -> Compiled {
    let converted = match &document.object {
        Object::DetectionRule(rule) => rule_source(rule).and_then(|effective| {
            let written = rule_without_overrides(rule)?;
            let lifetime = lifetime(&rule.spec.signal);
            Ok(Some(Either::Rule(Box::new((effective, written, lifetime)))))
        }),
        Object::PostureCheck(check) => check_source(check).map(|check| check.map(Either::Check)),
        Object::ValueList(list) => return of_list(source, document, list),
        Object::PostureFramework(_) | Object::Exception(_) | Object::ClusterException(_) => Ok(None),
    };
    match converted {
        Ok(Some(Either::Rule(sources))) => {
            let (rule, written, lifetime) = *sources;
            let run = |rule: &RuleSource| yagura_rules::compile(rule, Registry::workload(), lists);
            let compiled = run(&rule);
            let text = |part| rule.text_of(part);
            let findings = of_diagnostics(source, document, &compiled.diagnostics, text);
            let program = compiled.rule.and_then(|effective| {
                let written = match written {
                    Some(written) => run(&written).rule?,
                    None => Arc::clone(&effective),
                };
                let tests = rule.tests;
                Some(Program::Rule(Box::new(Runnable {
                    effective,
                    written,
                    tests,
                    lifetime,
                })))
            });
            Compiled { findings, program }
        }
        Ok(Some(Either::Check(check))) => {
            let compiled = compile_check(&check, &BTreeMap::new(), lists);
            let text = |part| text_of_check(&check, part);
            let findings = of_diagnostics(source, document, &compiled.diagnostics, text);
            let program = compiled
                .check
                .map(|compiled| Program::Check(compiled, Box::new(check)));
            Compiled { findings, program }
        }
        Ok(None) => Compiled {
            findings: Vec::new(),
            program: None,
        },
        // The message begins with the path of the member.
        Err(error) => {
            let message = error.to_string();
            let path = message.split(':').next().unwrap_or_default();
            let position = document.position_of(path);
            let finding = lint::of_object(source, position, document, message);
            Compiled {
                findings: vec![finding],
                program: None,
            }
        }
    }
}

/// What is wrong with a list.
fn of_list(source: &Source, document: &Document, list: &ValueList) -> Compiled {
    let faults = list.spec.list().err().unwrap_or_default();
    let findings = faults.into_iter().map(|fault| {
        let path = match fault.index {
            Some(index) => format!("spec.values[{index}]"),
            None => "spec.values".to_owned(),
        };
        let position = document.position_of(&path);
        lint::of_object(source, position, document, format!("{path}: {}", fault.message))
    });
    Compiled {
        findings: findings.collect(),
        program: None,
    }
}

/// The lists that the objects of these files may name.
pub(crate) fn lists_of<'a>(documents: impl Iterator<Item = &'a Document>) -> Lists {
    yagura_crds::value_list::known(documents.filter_map(|document| match &document.object {
        Object::ValueList(list) => Some(&**list),
        _ => None,
    }))
}

enum Either {
    /// As it applies and, when that differs, as it was written; and how long its signals take matches.
    Rule(Box<(RuleSource, Option<RuleSource>, Lifetime)>),
    Check(CheckSource),
}

pub(crate) fn of_diagnostics<'a>(
    source: &Source,
    document: &Document,
    diagnostics: &[Diagnostic],
    text: impl Fn(Part) -> &'a str,
) -> Vec<Finding> {
    diagnostics
        .iter()
        .map(|diagnostic| {
            let text = text(diagnostic.part);
            let origin = origin(document, diagnostic.part);
            Finding {
                file: source.name.clone(),
                start: origin.locate(text, diagnostic.span.start),
                end: origin.locate(text, diagnostic.span.end),
                level: diagnostic.level(),
                code: Some(diagnostic.code.to_string()),
                object: Some((
                    document.object.kind().to_owned(),
                    document.object.name().to_owned(),
                )),
                message: diagnostic.message.clone(),
                help: diagnostic.help.clone(),
                rendered: render(diagnostic, &source.name, text, &origin),
            }
        })
        .collect()
}

/// Where the text of a part stands. A rule whose signal has no title of its own gives it the rule's.
fn origin(document: &Document, part: Part) -> Origin {
    let origin = document.origin(part);
    if part == Part::Title && origin == Origin::default() {
        let Position { line, column } = document.position_of("spec.title");
        return Origin::at(line, column);
    }
    origin
}

/// The text that a diagnostic of this part counts from.
fn text_of_check(check: &CheckSource, part: Part) -> &str {
    let text = match part {
        Part::AppliesWhen => check.applies_when.as_ref(),
        Part::Pass => Some(&check.pass),
        Part::Evidence(index) => check.evidence.get(index),
        Part::LetName(index) => check.lets.get(index).map(|part| &part.name),
        Part::Let(index) => check.lets.get(index).map(|part| &part.value),
        Part::Source
        | Part::Condition
        | Part::Exception(_)
        | Part::Joined(_)
        | Part::Detect(..)
        | Part::Mark(_)
        | Part::Title
        | Part::GroupBy(_)
        | Part::Field(_) => None,
    };
    text.map_or("", String::as_str)
}
