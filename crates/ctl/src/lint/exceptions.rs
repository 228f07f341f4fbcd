//! Exceptions against the rules that they name, as far as those are among the files.

use std::collections::BTreeMap;

use yagura_crds::convert::rule_source;
use yagura_crds::detection_rule::Exceptable;
use yagura_crds::exception::RuleSelector;
use yagura_crds::source::{Document, Object};
use yagura_event::Registry;
use yagura_rules::{Level, Lists, RuleSource};

use super::{doubt, of_object};
use crate::compile::of_diagnostics;
use crate::files::Source;
use crate::finding::Finding;

/// A rule that is in the files and compiles.
struct Rule {
    source: RuleSource,
    labels: BTreeMap<String, String>,
    exceptable: Exceptable,
}

/// The rules of the files.
pub(super) struct Rules(Vec<Rule>);

impl Rules {
    /// Those of the objects that compile: what is wrong with others is said there.
    pub(super) fn of<'a>(objects: impl Iterator<Item = &'a Object>, lists: &Lists) -> Self {
        let rule = |object: &Object| {
            let Object::DetectionRule(rule) = object else {
                return None;
            };
            let source = rule_source(rule).ok()?;
            let compiled = yagura_rules::compile(&source, Registry::workload(), lists);
            compiled.rule.map(|_| Rule {
                source,
                labels: rule.metadata.labels.clone().unwrap_or_default(),
                exceptable: rule.spec.exceptable_in_effect(),
            })
        };
        Self(objects.filter_map(rule).collect())
    }

    /// What is wrong with an exception; nothing of an object that is none.
    pub(super) fn check(&self, source: &Source, document: &Document, lists: &Lists) -> Vec<Finding> {
        let Some(exception) = document.object.as_exception() else {
            return Vec::new();
        };
        let mut findings = Vec::new();
        let named: Vec<&Rule> = self
            .0
            .iter()
            .filter(|rule| exception.names(&rule.source.name, &rule.labels))
            .collect();
        for (index, selector) in exception.rules.iter().enumerate() {
            let known = |rule: &&Rule| selector.selects(&rule.source.name, &rule.labels);
            let (place, help) = (
                document.position_of(&format!("spec.rules[{index}]")),
                "name its file or folder, too, or see that the cluster has it",
            );
            match selector {
                RuleSelector::Name(name) if !self.0.iter().any(|rule| known(&rule)) => {
                    let message = format!("no DetectionRule {name} that compiles is among these files");
                    findings.push(doubt(source, place, document, message, help));
                }
                _ => {}
            }
            for rule in self.0.iter().filter(known) {
                if let Err(why) = exception.is_allowed_by(rule.exceptable) {
                    let message = format!("it cannot be for rule {}: {why}", rule.source.name);
                    findings.push(of_object(source, place, document, message));
                }
            }
        }
        let shown =
            |diagnostics: &[_]| of_diagnostics(source, document, diagnostics, |_| &exception.condition);
        if named.is_empty() {
            let (wrong, doubtful) = exception.diagnostics_alone(lists);
            findings.extend(shown(&wrong));
            findings.extend(shown(&doubtful).into_iter().map(|mut finding| {
                finding.level = Level::Warning;
                finding.rendered = finding.rendered.replacen("error", "warning", 1);
                finding
            }));
        }
        for rule in named {
            for finding in shown(&exception.diagnostics(&rule.source, lists)) {
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
        findings
    }
}
