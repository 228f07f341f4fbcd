//! Whole rules and checks: from their sources to what the engine runs.

mod warn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use yagura_event::{FieldId, KindSet, Registry, Severity, Tree};

use crate::check::Checker;
use crate::cost::{Cost, costs};
use crate::detect::{self, Detect};
use crate::diagnostic::{Code, Diagnostic, Part, Place, Span};
use crate::expr::{ExprId, Program};
use crate::limits;
use crate::lists::Lists;
use crate::mark::{self, Mark, MarkName};
use crate::source::{CheckSource, ExceptionSource, JoinedSource, LetSource, RuleSource, WhereSource};
use crate::template::{Template, find_field};

/// A compiled exception.
#[derive(Clone, Debug)]
pub struct Exception {
    /// Its name.
    pub name: String,
    /// When it holds.
    pub condition: ExprId,
    /// When it ends, in seconds since the Unix epoch.
    pub expires: Option<i64>,
}

/// A compiled Exception object.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Uid of the object.
    pub uid: String,
    /// The namespace whose workloads alone it reaches; empty: all, and hosts.
    pub namespace: String,
    /// When it holds.
    pub condition: ExprId,
    /// When it ends, in seconds since the Unix epoch.
    pub expires: Option<i64>,
}

/// A compiled rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Name.
    pub name: String,
    /// Uid of the object; its name where rules come from files.
    pub uid: String,
    /// Hash of everything that decides how it behaves.
    pub hash: String,
    /// How urgent a match is.
    pub severity: Severity,
    /// Where it applies.
    pub where_: WhereSource,
    /// Its expressions.
    pub program: Program,
    /// When it matches.
    pub condition: ExprId,
    /// When it does not after all.
    pub exceptions: Vec<Exception>,
    /// Exception objects, asked after the rule's own.
    pub joined: Vec<Joined>,
    /// The title of its signals.
    pub title: Template,
    /// How matches become detections; `None`: each is one.
    pub detect: Option<Detect>,
    /// What a match tells other rules.
    pub mark: Option<Mark>,
    /// Whether it only marks: matches make no signal.
    pub silent: bool,
    /// The marks that its conditions and its own exceptions ask for.
    pub reads: BTreeSet<MarkName>,
    /// Fields whose values make a signal of their own, with their names.
    pub group_by: Vec<(String, FieldId)>,
    /// Fields that a signal shows beyond those it always shows.
    pub fields: Vec<FieldId>,
    /// Event kinds that can meet its condition.
    pub kinds: KindSet,
    /// Steps of a byte for one event, at most, without what Exception objects cost when it matched.
    pub cost: u64,
}

impl Rule {
    /// How urgent its detections of that case are.
    pub fn severity_of(&self, case: Option<u8>) -> Severity {
        let case = self
            .detect
            .as_ref()
            .zip(case)
            .and_then(|(detect, case)| detect.case(case));
        case.and_then(|case| case.severity).unwrap_or(self.severity)
    }
}

/// What comes of compiling a rule: the rule, unless there is an error, and everything there is to say.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The rule, when no diagnostic is an error.
    pub rule: Option<Arc<Rule>>,
    /// Errors and warnings, in the order of the source.
    pub diagnostics: Vec<Diagnostic>,
    /// Names of the lists that it asks for, whether there are such or not.
    pub lists: BTreeSet<String>,
}

/// Compiles a rule.
pub fn compile(rule: &RuleSource, registry: &Registry, lists: &Lists) -> Compiled {
    compile_placed(rule, registry, lists).0
}

/// The same, and where each expression of the rule's program is written.
pub fn compile_placed(
    rule: &RuleSource,
    registry: &Registry,
    lists: &Lists,
) -> (Compiled, Vec<(Part, Span)>) {
    let mut checker = Checker::new(registry, lists, None);
    if rule.source != registry.name() {
        let shown: String = rule.source.chars().take(60).collect();
        let message = format!("the source {shown:?} is not known here");
        let help = Some(format!("use {}", registry.name()));
        checker.error(
            Code::UNKNOWN_SOURCE,
            Part::Source,
            Span::new(0, rule.source.len()),
            message,
            help,
        );
    }
    check_lets(&mut checker, &rule.lets);
    bound(
        &mut checker,
        Part::Exception(0),
        "exceptions",
        rule.exceptions.len(),
    );
    bound(
        &mut checker,
        Part::GroupBy(0),
        "grouping fields",
        rule.signal.group_by.len(),
    );
    let condition = checker.check_condition(&rule.condition, Part::Condition);
    let exceptions = check_exceptions(&mut checker, &rule.exceptions);
    let title = Template::compile(rule.signal_title(), Part::Title, registry, &mut checker.sink);
    let Grouping {
        detect,
        group_by,
        conditions,
    } = check_grouping(&mut checker, rule, condition, registry);
    let fields = check_fields(&mut checker, rule, registry);
    let joined = check_joined(&mut checker, &rule.joined);
    let mark = mark::compile(&mut checker, rule, registry);
    let reads = mark::reads(&mut checker, registry);
    checker.warn_unused();

    let Some(condition) = condition else {
        let compiled = Compiled {
            rule: None,
            diagnostics: checker.sink.finish(),
            lists: checker.used_lists,
        };
        return (compiled, Vec::new());
    };
    let mut kinds = KindSet::of(&[]);
    for condition in &conditions {
        let reached = warn::of_condition(&mut checker, registry, *condition);
        kinds = reached.iter().fold(kinds, KindSet::with);
    }
    let condition = match conditions.as_slice() {
        [only] => *only,
        _ => checker.any(condition, conditions),
    };
    let roots: Vec<ExprId> = std::iter::once(condition)
        .chain(exceptions.iter().map(|e| e.condition))
        .collect();
    let cost = check_cost(&mut checker, registry, &roots, limits::COST);
    for exception in &exceptions {
        warn::of_exception(&mut checker, registry, exception.condition);
    }
    warn::of_patterns(&mut checker, registry, condition);
    check_joined_cost(&mut checker, registry, &joined);
    let rule = (!checker.sink.has_errors()).then(|| {
        Arc::new(Rule {
            name: rule.name.clone(),
            uid: if rule.uid.is_empty() {
                rule.name.clone()
            } else {
                rule.uid.clone()
            },
            hash: lists.hash_with(rule.hash(), &checker.used_lists),
            severity: rule.severity,
            where_: rule.where_.clone(),
            program: std::mem::take(&mut checker.program),
            condition,
            exceptions,
            joined,
            title,
            detect,
            mark,
            silent: rule.silent,
            reads,
            group_by,
            fields,
            kinds,
            cost,
        })
    });
    let places = checker.places();
    let compiled = Compiled {
        rule,
        diagnostics: checker.sink.finish(),
        lists: checker.used_lists,
    };
    (compiled, places)
}

fn check_fields(checker: &mut Checker<'_>, rule: &RuleSource, registry: &Registry) -> Vec<FieldId> {
    let names = &rule.signal.fields;
    bound(checker, Part::Field(0), "shown fields", names.len());
    let mut fields = Vec::new();
    for (index, name) in names.iter().take(limits::PARTS).enumerate() {
        let span = Span::new(0, name.len());
        fields.extend(find_field(
            name,
            registry,
            Part::Field(index),
            span,
            &mut checker.sink,
        ));
    }
    fields
}

/// What a rule looks for over time, by which fields its matches make signals of their own, and what each of them meets.
struct Grouping {
    detect: Option<Detect>,
    group_by: Vec<(String, FieldId)>,
    conditions: Vec<ExprId>,
}

fn check_grouping(
    checker: &mut Checker<'_>,
    rule: &RuleSource,
    condition: Option<ExprId>,
    registry: &Registry,
) -> Grouping {
    if let (Some(_), Some(name)) = (&rule.detect, rule.signal.group_by.first()) {
        let span = Span::new(0, name.len());
        let message = "matches of this rule are grouped by detect already".to_owned();
        let help = Some("leave signal.groupBy out".to_owned());
        checker.error(Code::GROUPED_TWICE, Part::GroupBy(0), span, message, help);
    }
    if let Some(source) = &rule.detect {
        let part = Part::Detect(source.method.name(), Place::GroupBy(0));
        bound(checker, part, "grouping fields", source.group_by.len());
        let compiled = detect::compile(checker, rule, source, condition, registry);
        return Grouping {
            detect: Some(compiled.detect),
            group_by: compiled.group_by,
            conditions: compiled.conditions,
        };
    }
    let mut group_by = Vec::new();
    for (index, name) in rule.signal.group_by.iter().take(limits::PARTS).enumerate() {
        let span = Span::new(0, name.len());
        if let Some(id) = find_field(name, registry, Part::GroupBy(index), span, &mut checker.sink) {
            group_by.push((name.clone(), id));
        }
    }
    Grouping {
        detect: None,
        group_by,
        conditions: condition.into_iter().collect(),
    }
}

/// A compiled check.
#[derive(Clone, Debug)]
pub struct Check {
    /// Name.
    pub name: String,
    /// How urgent a failure is.
    pub severity: Severity,
    /// The type of resource it judges.
    pub resource: String,
    /// Its expressions.
    pub program: Program,
    /// When it applies; `None`: always.
    pub applies_when: Option<ExprId>,
    /// When a resource passes.
    pub pass: ExprId,
    /// What is shown with a finding, with the expression as written.
    pub evidence: Vec<(String, ExprId)>,
}

/// What comes of compiling a check.
#[derive(Clone, Debug)]
pub struct CompiledCheck {
    /// The check, when no diagnostic is an error.
    pub check: Option<Arc<Check>>,
    /// Errors and warnings, in the order of the source.
    pub diagnostics: Vec<Diagnostic>,
    /// Names of the lists that it asks for, whether there are such or not.
    pub lists: BTreeSet<String>,
}

/// Compiles a check, with parameters that a framework gives in place of the check's own.
pub fn compile_check(
    check: &CheckSource,
    overrides: &BTreeMap<String, Tree>,
    lists: &Lists,
) -> CompiledCheck {
    let registry = Registry::resource();
    let mut parameters = check.parameters.clone();
    for (name, value) in overrides {
        if let Some(known) = parameters.get_mut(name) {
            known.clone_from(value);
        }
    }
    let mut checker = Checker::new(registry, lists, Some(&parameters));
    check_lets(&mut checker, &check.lets);
    bound(
        &mut checker,
        Part::Evidence(0),
        "pieces of evidence",
        check.evidence.len(),
    );
    let applies_when = check
        .applies_when
        .as_ref()
        .map(|text| checker.check_condition(text, Part::AppliesWhen));
    let pass = checker.check_condition(&check.pass, Part::Pass);
    let mut evidence = Vec::new();
    for (index, text) in check.evidence.iter().take(limits::PARTS).enumerate() {
        if let Some(id) = checker.check_evidence(text, index) {
            evidence.push((text.clone(), id));
        }
    }
    checker.warn_unused();
    let (Some(pass), false) = (pass, applies_when == Some(None)) else {
        return CompiledCheck {
            check: None,
            diagnostics: checker.sink.finish(),
            lists: checker.used_lists,
        };
    };
    let applies_when = applies_when.flatten();
    let roots: Vec<ExprId> = std::iter::once(pass)
        .chain(applies_when)
        .chain(evidence.iter().map(|(_, id)| *id))
        .collect();
    check_cost(&mut checker, registry, &roots, limits::CHECK_COST);
    warn::of_condition(&mut checker, registry, pass);
    let compiled = (!checker.sink.has_errors()).then(|| {
        Arc::new(Check {
            name: check.name.clone(),
            severity: check.severity,
            resource: check.resource.clone(),
            program: std::mem::take(&mut checker.program),
            applies_when,
            pass,
            evidence,
        })
    });
    CompiledCheck {
        check: compiled,
        diagnostics: checker.sink.finish(),
        lists: checker.used_lists,
    }
}

fn check_lets(checker: &mut Checker<'_>, lets: &[LetSource]) {
    bound(checker, Part::LetName(0), "let names", lets.len());
    for (index, LetSource { name, value }) in lets.iter().take(limits::PARTS).enumerate() {
        checker.check_let(index, name, value);
    }
}

fn check_exceptions(checker: &mut Checker<'_>, sources: &[ExceptionSource]) -> Vec<Exception> {
    let mut exceptions = Vec::new();
    for (index, exception) in sources.iter().take(limits::PARTS).enumerate() {
        if let Some(condition) = checker.check_condition(&exception.condition, Part::Exception(index)) {
            exceptions.push(Exception {
                name: exception.name.clone(),
                condition,
                expires: exception.expires,
            });
        }
    }
    exceptions
}

fn bound(checker: &mut Checker<'_>, part: Part, what: &str, count: usize) {
    bound_by(checker, part, what, count, limits::PARTS);
}

fn bound_by(checker: &mut Checker<'_>, part: Part, what: &str, count: usize, most: usize) {
    if count > most {
        let message = format!("{count} {what}, more than {most}");
        checker.error(
            Code::TOO_MANY_PARTS,
            part,
            Span::default(),
            message,
            Some("split the rule".to_owned()),
        );
    }
}

/// Checks Exception objects. Each has limits of its own: those that compile with the rule one by one also do together.
fn check_joined(checker: &mut Checker<'_>, sources: &[JoinedSource]) -> Vec<Joined> {
    bound_by(
        checker,
        Part::Joined(0),
        "exceptions",
        sources.len(),
        limits::JOINED,
    );
    let mut joined = Vec::new();
    for (index, source) in sources.iter().take(limits::JOINED).enumerate() {
        if let Some(condition) = checker.check_joined(&source.condition, Part::Joined(index)) {
            joined.push(Joined {
                uid: source.uid.clone(),
                namespace: source.namespace.clone(),
                condition,
                expires: source.expires,
            });
        }
    }
    joined
}

/// Refuses each Exception object that costs too much by itself.
fn check_joined_cost(checker: &mut Checker<'_>, registry: &Registry, joined: &[Joined]) {
    if joined.is_empty() {
        return;
    }
    let costs = costs(&checker.program, registry);
    for Joined { condition, .. } in joined {
        let Cost { steps, nodes } = costs[condition.index()];
        let (part, span) = checker.place(*condition);
        if nodes > limits::JOINED_NODES {
            let message = format!(
                "with let names written out it has {nodes} parts, more than {}",
                limits::JOINED_NODES
            );
            let help = "split the exception, or use fewer let names in each other";
            checker.error(Code::TOO_LARGE, part, span, message, Some(help.to_owned()));
        } else if steps > limits::JOINED_COST {
            let message = format!("it may take {steps} steps, more than {}", limits::JOINED_COST);
            let help = "test cheaper fields, or fewer lists in lists";
            checker.error(Code::TOO_COSTLY, part, span, message, Some(help.to_owned()));
        }
    }
}

/// Refuses what costs too much; gives the cost of all roots together.
fn check_cost(checker: &mut Checker<'_>, registry: &Registry, roots: &[ExprId], limit: u64) -> u64 {
    let costs = costs(&checker.program, registry);
    let mut steps = 0u64;
    let mut nodes = 0u64;
    for root in roots {
        let cost = costs[root.index()];
        steps = steps.saturating_add(cost.steps);
        nodes = nodes.saturating_add(cost.nodes);
        let (part, span) = checker.place(*root);
        if nodes > limits::EXPANDED_NODES {
            let message =
                format!("with its let names written out the rule has {nodes} parts, more than 50,000");
            checker.error(
                Code::TOO_LARGE,
                part,
                span,
                message,
                Some("use fewer let names in each other".to_owned()),
            );
            return steps;
        }
        if steps > limit {
            let message = format!("it may take {steps} steps, more than {limit}");
            let help = "test cheaper fields, or fewer lists in lists";
            checker.error(Code::TOO_COSTLY, part, span, message, Some(help.to_owned()));
            return steps;
        }
    }
    steps
}
