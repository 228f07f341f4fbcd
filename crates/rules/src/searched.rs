//! Which patterns no text can speed up: an engine that searches events for texts first has to try them on every event.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, ClassBytesRange, ClassUnicodeRange, Hir, HirKind};
use yagura_event::{Registry, Tree};

use crate::expr::{Expr, ExprId, MacroKind, Program};
use crate::function::Function;

/// Tests of patterns in a condition that needs no text, and that need none themselves.
pub(crate) fn unaided(program: &Program, registry: &Registry, condition: ExprId) -> Vec<ExprId> {
    let nodes = program.nodes().get(..=condition.index()).unwrap_or_default();
    // Whether a text is needed for it to hold, and for it not to.
    let mut needs: Vec<(bool, bool)> = Vec::with_capacity(nodes.len());
    for expr in nodes {
        let of = |id: &ExprId| needs.get(id.index()).copied().unwrap_or_default();
        needs.push(match expr {
            Expr::And(members) => (
                members.iter().any(|member| of(member).0),
                members.iter().all(|member| of(member).1),
            ),
            Expr::Or(members) => (
                members.iter().all(|member| of(member).0),
                members.iter().any(|member| of(member).1),
            ),
            Expr::Not(inner) => (of(inner).1, of(inner).0),
            Expr::Macro {
                kind: MacroKind::Exists | MacroKind::ExistsOne,
                body,
                ..
            } => (of(body).0, false),
            expr => (needs_text(program, registry, expr), false),
        });
    }
    if needs.last().is_none_or(|(holds, _)| *holds) {
        return Vec::new();
    }
    let mut reached = vec![false; nodes.len()];
    if let Some(last) = reached.last_mut() {
        *last = true;
    }
    let mut found = Vec::new();
    for (index, expr) in nodes.iter().enumerate().rev() {
        if !reached.get(index).is_some_and(|reached| *reached) {
            continue;
        }
        for child in expr.children() {
            if let Some(child) = reached.get_mut(child.index()) {
                *child = true;
            }
        }
        if let Expr::Matches(_, pattern) = expr
            && !pattern_needs_text(&program.pattern(*pattern).source)
        {
            found.extend(u32::try_from(index).map(ExprId));
        }
    }
    found.reverse();
    found
}

/// Whether a test compares something of the event with texts that are written out.
fn needs_text(program: &Program, registry: &Registry, expr: &Expr) -> bool {
    let is_text = |id: &ExprId| match program.get(*id) {
        Expr::Const(Tree::Text(text)) => !text.is_empty(),
        Expr::Const(Tree::List(items)) => items.iter().all(|item| matches!(item, Tree::Text(_))),
        Expr::Named(_) => true,
        _ => false,
    };
    // What tells little more than the kind, which decides without any search.
    let is_of_event = |id: &ExprId| match program.get(*id) {
        Expr::Field(field) => registry.field(*field).path.starts_with("event."),
        _ => false,
    };
    let compares = |left: &ExprId, right: &ExprId| is_text(right) && !is_of_event(left);
    match expr {
        Expr::Equal(left, right) => compares(left, right) || compares(right, left),
        Expr::In(left, right) => compares(left, right) || is_text(left),
        Expr::Call(
            Function::Intersects
            | Function::StartsWith
            | Function::EndsWith
            | Function::Contains
            | Function::EqualsIgnoreCase
            | Function::StartsWithIgnoreCase
            | Function::EndsWithIgnoreCase
            | Function::ContainsIgnoreCase,
            arguments,
        ) => arguments.iter().any(is_text),
        Expr::Matches(_, pattern) => pattern_needs_text(&program.pattern(*pattern).source),
        _ => false,
    }
}

/// Whether some text stands wherever the pattern matches.
fn pattern_needs_text(pattern: &str) -> bool {
    // As `regex::bytes` reads it.
    let parsed = ParserBuilder::new().utf8(false).build().parse(pattern);
    // One that cannot be read was refused before.
    parsed.is_ok_and(|parsed| has_text(&parsed))
}

/// Patterns nest at most as deep as their parser lets them.
fn has_text(pattern: &Hir) -> bool {
    match pattern.kind() {
        HirKind::Literal(_) => true,
        // A letter in either case.
        HirKind::Class(Class::Unicode(class)) => {
            let lengths = class.ranges().iter().map(ClassUnicodeRange::len);
            lengths.sum::<usize>() <= 2
        }
        HirKind::Class(Class::Bytes(class)) => {
            let lengths = class.ranges().iter().map(ClassBytesRange::len);
            lengths.sum::<usize>() <= 2
        }
        HirKind::Repetition(repetition) => repetition.min > 0 && has_text(&repetition.sub),
        HirKind::Capture(capture) => has_text(&capture.sub),
        HirKind::Concat(parts) => parts.iter().any(has_text),
        HirKind::Alternation(branches) => branches.iter().all(has_text),
        HirKind::Empty | HirKind::Look(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::pattern_needs_text;

    #[test]
    fn a_text_stands_in_the_beginning_in_the_end_or_between() {
        for pattern in [
            "^/tmp/",
            ".*x",
            "[0-9]+-[0-9]+",
            "(a|b[0-9])c?",
            "(?i)sh$",
            "(ab){2}",
        ] {
            assert!(pattern_needs_text(pattern), "{pattern}");
        }
        for pattern in [
            "",
            "^[a-z]+$",
            ".*",
            "a*",
            "(ab)?",
            "(ab|[0-9])",
            r"\d{4}",
            r"(?-u)\xff?",
        ] {
            assert!(!pattern_needs_text(pattern), "{pattern}");
        }
    }
}
