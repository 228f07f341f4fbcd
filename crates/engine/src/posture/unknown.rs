//! Which paths of a resource could not be read, when a check cannot be decided.

use yagura_event::{Tree, ValueRef};
use yagura_rules::Program;
use yagura_rules::expr::{Expr, ExprId};

use super::path_step;
use crate::eval::{index, select};

/// Most paths that are named.
const PATHS: usize = 8;

/// The paths that the condition reads and that lead to something unknown; those of list elements end at the list.
pub(super) fn paths(program: &Program, root: ExprId, resource: &Tree) -> Vec<String> {
    let mut seen = vec![false; program.nodes().len()];
    let mut found: Vec<String> = Vec::new();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        if std::mem::replace(&mut seen[id.index()], true) || found.len() >= PATHS {
            continue;
        }
        let expr = program.get(id);
        if let Some(path) = unknown_path(program, id, resource) {
            if !found.contains(&path) {
                found.push(path);
            }
            continue;
        }
        open.extend(expr.children());
    }
    if found.is_empty() {
        // Something below an element of a list: only the list has a path of its own.
        for id in (0..program.nodes().len()).filter(|id| seen[*id]) {
            if let Expr::Macro { range, .. } = &program.nodes()[id]
                && let Some(path) = written_path(program, *range)
            {
                found.push(format!("{path}[…]"));
            }
        }
        found.dedup();
        found.truncate(PATHS);
    }
    found.sort();
    found
}

/// The path of an expression that leads from the root to something unknown.
fn unknown_path(program: &Program, id: ExprId, resource: &Tree) -> Option<String> {
    let mut steps = Vec::new();
    let mut at = id;
    while let Some((base, step)) = path_step(program, at) {
        steps.push((at, step));
        at = base;
    }
    if !matches!(program.get(at), Expr::Field(_)) {
        return None;
    }
    let mut path = String::from("resource");
    let mut value = ValueRef::from(resource);
    for (step, text) in steps.into_iter().rev() {
        if matches!(value, ValueRef::Unknown) {
            break;
        }
        value = match program.get(step) {
            Expr::Select(_, name) => select(&value, name.as_bytes()),
            Expr::Index(_, at) => match program.get(*at) {
                Expr::Const(at) => index(&value, &ValueRef::from(at)),
                _ => return None,
            },
            _ => return None,
        };
        path.push_str(&text);
    }
    matches!(value, ValueRef::Unknown).then_some(path)
}

fn written_path(program: &Program, id: ExprId) -> Option<String> {
    let mut steps = Vec::new();
    let mut at = id;
    while let Some((base, step)) = path_step(program, at) {
        steps.push(step);
        at = base;
    }
    matches!(program.get(at), Expr::Field(_)).then(|| {
        steps.push("resource".to_owned());
        steps.into_iter().rev().collect()
    })
}
