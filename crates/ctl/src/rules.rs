//! The rules of files as they would run: with overrides in effect, and with the exceptions beside them.

use std::collections::BTreeMap;
use std::sync::Arc;

use yagura_crds::convert::{lifetime, rule_source};
use yagura_crds::exception::AnyException;
use yagura_crds::source::{self, Object};
use yagura_event::Registry;
use yagura_event::lifetime::Lifetime;
use yagura_rules::compile::compile_placed;
use yagura_rules::{Level, Part, Rule, RuleSource, Span};

use crate::compile::lists_of;
use crate::files::Source;
use crate::finding::count;

/// Rules cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// There is none.
    #[error("there is no DetectionRule in the files; name a file or folder with rules")]
    None,
    /// What stands in the files has mistakes.
    #[error("{} in the rules, the first at {first}; `yagura lint` shows all", count(*.mistakes, "mistake"))]
    Broken {
        /// How many.
        mistakes: usize,
        /// Place and message of the first.
        first: String,
    },
}

/// A rule of a file.
#[derive(Debug)]
pub struct Loaded {
    /// What the compiler took.
    pub source: RuleSource,
    /// What came of it.
    pub rule: Arc<Rule>,
    /// Where each expression of its program is written.
    pub places: Vec<(Part, Span)>,
    /// Names of the Exception objects that it carries.
    pub joined: Vec<String>,
    /// Whether nodes would run it.
    pub enabled: bool,
    /// How long its signals take matches.
    pub lifetime: Lifetime,
}

/// Every rule in the files, compiled. One with a mistake is an error: what the others do says nothing about it.
pub fn load(sources: &[Source]) -> Result<Vec<Loaded>, RulesError> {
    let files: Vec<_> = sources
        .iter()
        .map(|source| (source, source::read(&source.name, &source.text)))
        .collect();
    let lists = lists_of(files.iter().flat_map(|(_, file)| &file.documents));
    let exceptions: Vec<(String, AnyException)> = files
        .iter()
        .flat_map(|(_, file)| &file.documents)
        .filter_map(|document| {
            let name = document.object.name().to_owned();
            Some((name, document.object.as_exception()?))
        })
        .collect();
    let mut loaded = Vec::new();
    let mut mistakes: Vec<String> = Vec::new();
    for (source, file) in &files {
        mistakes.extend(file.faults.iter().map(ToString::to_string));
        for document in &file.documents {
            let Object::DetectionRule(object) = &document.object else {
                continue;
            };
            let findings = crate::compile::compile(source, document, &lists).findings;
            let errors = findings.iter().filter(|finding| finding.is_error());
            mistakes.extend(errors.map(|finding| {
                format!(
                    "{}:{}:{}: {}",
                    finding.file, finding.start.line, finding.start.column, finding.message
                )
            }));
            let Ok(mut source) = rule_source(object) else {
                continue;
            };
            let nothing = BTreeMap::new();
            let labels = object.metadata.labels.as_ref().unwrap_or(&nothing);
            let exceptable = object.spec.exceptable_in_effect();
            let carried: Vec<_> = exceptions
                .iter()
                .filter(|(_, exception)| exception.names(&source.name, labels))
                .filter(|(_, exception)| exception.is_allowed_by(exceptable).is_ok())
                .collect();
            let joined = carried.iter().map(|(name, _)| name.clone()).collect();
            source.joined = carried.iter().map(|(_, exception)| exception.source()).collect();
            let (compiled, places) = compile_placed(&source, Registry::workload(), &lists);
            let of_exceptions = compiled
                .diagnostics
                .iter()
                .filter(|one| one.level() == Level::Error && matches!(one.part, Part::Joined(_)));
            mistakes.extend(
                of_exceptions.map(|one| format!("an exception of rule {}: {}", source.name, one.message)),
            );
            if let Some(rule) = compiled.rule {
                loaded.push(Loaded {
                    source,
                    rule,
                    places,
                    joined,
                    enabled: object.spec.enabled,
                    lifetime: lifetime(&object.spec.signal),
                });
            }
        }
    }
    if let Some(first) = mistakes.first() {
        return Err(RulesError::Broken {
            mistakes: mistakes.len(),
            first: first.clone(),
        });
    }
    if loaded.is_empty() {
        return Err(RulesError::None);
    }
    Ok(loaded)
}
