//! Why a rule matches an event, or does not: the value of each part of its condition.

use std::collections::HashSet;
use std::sync::Arc;

use yagura_event::{Event, FieldId, Registry, Tree};
use yagura_rules::expr::{Expr, ExprId, Program};
use yagura_rules::{Rule, Target};

use crate::eval::Truth;
use crate::ruleset::reaches;
use crate::selector::{Selected, selects};
use crate::unit::{Graph, Scratch};
use crate::{Excepted, Match, RuleSet};

/// A part of a condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The expression, by its place in the rule's program.
    pub expr: ExprId,
    /// How many parts it stands within.
    pub depth: usize,
    /// Whether it holds; `None`: unknown.
    pub value: Option<bool>,
    /// Whether it stands above already, with its own parts.
    pub repeated: bool,
    /// The fields that it asks for, when it has no parts of its own. What is absent is [`Tree::Null`].
    pub fields: Vec<(FieldId, Tree)>,
}

/// An exception of the rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Which.
    pub exception: Excepted,
    /// Its condition, part by part.
    pub steps: Vec<Step>,
    /// Whether it ended before the event.
    pub expired: bool,
    /// Whether it is for the namespace that the event happened in.
    pub reaches: bool,
}

/// Why a rule matches an event, or does not.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// What the engine says; `None`: no match.
    pub found: Option<Match>,
    /// Whether its `target` has the event.
    pub target: bool,
    /// Whether its selectors choose the event; `None`: the labels are unknown.
    pub selected: Option<bool>,
    /// The condition, part by part: each before those that it is made of.
    pub condition: Vec<Step>,
    /// The exceptions: the rule's own, then Exception objects.
    pub exceptions: Vec<Held>,
}

/// Explains what a rule says of an event.
pub fn explain(rule: &Arc<Rule>, event: &Event) -> Explanation {
    let registry = Registry::workload();
    let mut scratch = Scratch::default();
    let set = RuleSet::new([Arc::clone(rule)]);
    let found = set.evaluate(event, &mut scratch).pop();

    let own = rule.exceptions.iter().enumerate().map(|(index, one)| {
        let reaches = true;
        (Excepted::Own(index), one.condition, one.expires, reaches)
    });
    let joined = rule.joined.iter().enumerate().map(|(index, one)| {
        let reaches = reaches(&one.namespace, event);
        (Excepted::Joined(index), one.condition, one.expires, reaches)
    });
    let mut condition = steps(&rule.program, rule.condition);
    let mut exceptions: Vec<Held> = own
        .chain(joined)
        .map(|(exception, condition, expires, reaches)| Held {
            exception,
            steps: steps(&rule.program, condition),
            expired: expires.is_some_and(|seconds| event.time.0 >= seconds.saturating_mul(1_000_000_000)),
            reaches,
        })
        .collect();

    let mut graph = Graph::default();
    let nodes = graph.add(&rule.program, registry);
    let mut all: Vec<&mut Step> = condition
        .iter_mut()
        .chain(exceptions.iter_mut().flat_map(|held| &mut held.steps))
        .collect();
    let roots: Vec<ExprId> = all.iter().map(|step| nodes[step.expr.index()]).collect();
    let (unit, ranges) = graph.lower(&roots);
    scratch.begin(&unit);
    let mut machine = scratch.machine(&unit, event);
    for (step, range) in all.iter_mut().zip(ranges) {
        step.value = match machine.truth(range) {
            Truth::True => Some(true),
            Truth::False => Some(false),
            Truth::Unknown => None,
        };
        for (field, value) in &mut step.fields {
            *value = registry.read(*field, event).to_tree().unwrap_or_default();
        }
    }
    Explanation {
        found,
        target: !matches!(
            (rule.where_.target, event.container.is_some()),
            (Target::Host, true) | (Target::Container, false)
        ),
        selected: match selects(&rule.where_, event) {
            Selected::No => Some(false),
            Selected::Yes => Some(true),
            Selected::Pending => None,
        },
        condition,
        exceptions,
    }
}

/// The parts of a condition, without their values. What a `let` shares is taken apart once.
fn steps(program: &Program, root: ExprId) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut seen = HashSet::new();
    let mut waiting = vec![(root, 0)];
    while let Some((expr, depth)) = waiting.pop() {
        let parts = parts(program, expr);
        let repeated = !parts.is_empty() && !seen.insert(expr);
        let fields = if parts.is_empty() {
            fields(program, expr)
        } else {
            Vec::new()
        };
        if !repeated {
            waiting.extend(parts.into_iter().rev().map(|part| (part, depth + 1)));
        }
        steps.push(Step {
            expr,
            depth,
            value: None,
            repeated,
            fields: fields.into_iter().map(|field| (field, Tree::Null)).collect(),
        });
    }
    steps
}

/// What decides an expression that is made of conditions; nothing of a comparison.
fn parts(program: &Program, expr: ExprId) -> Vec<ExprId> {
    match program.get(expr) {
        Expr::And(members) | Expr::Or(members) => members.clone(),
        Expr::Conditional {
            condition,
            then,
            otherwise,
        } => vec![*condition, *then, *otherwise],
        Expr::Not(inner) if !parts_of_not(program, *inner).is_empty() => vec![*inner],
        _ => Vec::new(),
    }
}

/// `!` of a comparison is a comparison.
fn parts_of_not(program: &Program, inner: ExprId) -> &[ExprId] {
    match program.get(inner) {
        Expr::And(members) | Expr::Or(members) => members,
        Expr::Conditional { condition, .. } => std::slice::from_ref(condition),
        Expr::Not(inner) => std::slice::from_ref(inner),
        _ => &[],
    }
}

/// The fields that an expression asks for, in the order in which they are written.
fn fields(program: &Program, root: ExprId) -> Vec<FieldId> {
    let mut fields = Vec::new();
    let mut seen = HashSet::new();
    let mut waiting = vec![root];
    while let Some(expr) = waiting.pop() {
        if !seen.insert(expr) {
            continue;
        }
        let expr = program.get(expr);
        match expr {
            Expr::Field(field) if !fields.contains(field) => fields.push(*field),
            _ => {
                let children: Vec<ExprId> = expr.children().collect();
                waiting.extend(children.into_iter().rev());
            }
        }
    }
    fields
}
