//! Marks that the rules of the files set and ask for: together they need an order, and somebody who sets them.

use std::collections::BTreeSet;
use std::sync::Arc;

use yagura_crds::convert::rule_source;
use yagura_crds::source::{Document, Object};
use yagura_engine::strata::{order, shown};
use yagura_event::Registry;
use yagura_rules::compile::compile_placed;
use yagura_rules::{Code, Diagnostic, Lists, MarkPlace, Part, Rule, RuleSource, Span, mark};

use crate::compile::of_diagnostics;
use crate::files::Source;
use crate::finding::Finding;

/// A rule that is in the files, runs, and has to do with marks.
struct Marking<'a> {
    file: &'a Source,
    document: &'a Document,
    source: RuleSource,
    rule: Arc<Rule>,
    places: Vec<(Part, Span)>,
}

/// What is wrong with the marks of all rules together.
pub(super) fn check<'a>(
    documents: impl Iterator<Item = (&'a Source, &'a Document)>,
    lists: &Lists,
) -> Vec<Finding> {
    let marking: Vec<Marking<'_>> = documents
        .filter_map(|(file, document)| marking(file, document, lists))
        .collect();
    let rules: Vec<Arc<Rule>> = marking.iter().map(|one| Arc::clone(&one.rule)).collect();
    let set: BTreeSet<_> = rules
        .iter()
        .filter_map(|rule| rule.mark.as_ref())
        .map(|mark| &mark.name)
        .collect();
    let mut findings = Vec::new();
    for (one, place) in marking.iter().zip(order(&rules)) {
        let mut diagnostics = Vec::new();
        if let Err(why) = place {
            let name = one.source.mark.as_ref().map_or("", |mark| &mark.name);
            diagnostics.push(Diagnostic {
                code: Code::MARK_CIRCLE,
                part: Part::Mark(MarkPlace::Name),
                span: Span::new(0, name.len()),
                message: why.to_string(),
                help: Some("let one of them do without the other's mark".to_owned()),
            });
        }
        for (id, name) in mark::asked(&one.rule.program, Registry::workload()) {
            let Some((part, span)) = one.places.get(id.index()).copied() else {
                continue;
            };
            if !set.contains(&name) {
                diagnostics.push(Diagnostic {
                    code: Code::UNSET_MARK,
                    part,
                    span,
                    message: format!("no rule among these files sets {}", shown(&name)),
                    help: Some(
                        "check the name and what bears the mark, or name the file of the rule that sets it, too"
                            .to_owned(),
                    ),
                });
            }
        }
        let text = |part| one.source.text_of(part);
        findings.extend(of_diagnostics(one.file, one.document, &diagnostics, text));
    }
    findings
}

/// Rules that are switched off tell nobody anything, and what is wrong with those that do not compile is said there.
fn marking<'a>(file: &'a Source, document: &'a Document, lists: &Lists) -> Option<Marking<'a>> {
    let Object::DetectionRule(object) = &document.object else {
        return None;
    };
    if !object.spec.enabled {
        return None;
    }
    let source = rule_source(object).ok()?;
    let (compiled, places) = compile_placed(&source, Registry::workload(), lists);
    let rule = compiled.rule?;
    (rule.mark.is_some() || !rule.reads.is_empty()).then_some(Marking {
        file,
        document,
        source,
        rule,
        places,
    })
}
