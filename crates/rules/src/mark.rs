//! Marks: what a rule sets when it matches, and what it reads of those that others set.

use std::collections::BTreeSet;

use yagura_event::field::Scalar;
use yagura_event::{Bearer, FieldId, Registry, Text, Tree, Type};

use crate::check::Checker;
use crate::diagnostic::{Code, MarkPlace, Part, Span};
use crate::expr::{Expr, ExprId, Program};
use crate::source::{MarkScope, RuleSource};
use crate::template::find_field;

/// Longest name, in bytes.
pub const MAX_NAME: usize = 63;
/// Shortest time that a mark is there, in nanoseconds: a second.
pub const MIN_TTL: i64 = 1_000_000_000;
/// Longest time that a mark is there, in nanoseconds: 24 hours.
pub const MAX_TTL: i64 = 24 * 3_600 * MIN_TTL;

/// A mark by what bears it and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarkName {
    /// What bears it.
    pub bearer: Bearer,
    /// Its name.
    pub name: Text,
}

/// What a match sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What bears it, and its name.
    pub name: MarkName,
    /// Whether processes take it over from the one that starts them.
    pub inherited: bool,
    /// The field whose value it has; `None`: it is true.
    pub value: Option<FieldId>,
    /// Whether the value is added to those that it has.
    pub append: bool,
    /// How long it is there, in nanoseconds.
    pub ttl: i64,
}

impl MarkScope {
    /// What bears it.
    pub fn bearer(self) -> Bearer {
        match self {
            Self::Process | Self::ProcessTree => Bearer::Process,
            Self::Container => Bearer::Container,
            Self::Node => Bearer::Host,
        }
    }
}

/// Compiles the mark of a rule, and says what is wrong with it.
pub(crate) fn compile(checker: &mut Checker<'_>, rule: &RuleSource, registry: &Registry) -> Option<Mark> {
    let mut wrong = |place, span, message: String, help: Option<&str>| {
        let help = help.map(str::to_owned);
        checker.error(Code::BAD_MARK, Part::Mark(place), span, message, help);
    };
    if rule.silent && rule.detect.is_some() {
        let message = "a rule that only marks has nothing to detect over time".to_owned();
        wrong(
            MarkPlace::Silent,
            Span::default(),
            message,
            Some("leave silent or detect out"),
        );
    }
    let Some(source) = &rule.mark else {
        if rule.silent {
            let message = "a silent rule only marks, and this one does not".to_owned();
            wrong(
                MarkPlace::Silent,
                Span::default(),
                message,
                Some("add a mark, or leave silent out"),
            );
        }
        return None;
    };
    if !is_name(&source.name) {
        let span = Span::new(0, source.name.len());
        let message = format!(
            "the name of a mark has 1 to {MAX_NAME} lower-case letters, digits and -, and begins with a letter"
        );
        wrong(MarkPlace::Name, span, message, None);
    }
    if !(MIN_TTL..=MAX_TTL).contains(&source.ttl) {
        let message = "a mark is there for a second to 24 hours".to_owned();
        wrong(MarkPlace::Ttl, Span::default(), message, None);
    }
    if source.append && source.value.is_none() {
        let message = "without a value there is nothing to append".to_owned();
        wrong(
            MarkPlace::Append,
            Span::default(),
            message,
            Some("name a field in value"),
        );
    }
    let value = source
        .value
        .as_ref()
        .and_then(|name| value(checker, name, registry));
    Some(Mark {
        name: MarkName {
            bearer: source.scope.bearer(),
            name: Text::from(source.name.as_str()),
        },
        inherited: source.scope == MarkScope::ProcessTree,
        value,
        append: source.append,
        ttl: source.ttl.clamp(MIN_TTL, MAX_TTL),
    })
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn value(checker: &mut Checker<'_>, name: &str, registry: &Registry) -> Option<FieldId> {
    let (part, span) = (Part::Mark(MarkPlace::Value), Span::new(0, name.len()));
    let id = find_field(name, registry, part, span, &mut checker.sink)?;
    let ty = registry.field(id).ty;
    if matches!(ty, Type::One(Scalar::String | Scalar::Int | Scalar::Bool)) {
        return Some(id);
    }
    let message = format!("{name} is a {ty}, which no mark can have as its value");
    let help = Some("name a field with one string, number or truth value".to_owned());
    checker.error(Code::BAD_MARK, part, span, message, help);
    None
}

/// Where a program asks for which mark: each by the expression that does.
pub fn asked(program: &Program, registry: &Registry) -> Vec<(ExprId, MarkName)> {
    let mut asked = Vec::new();
    for (id, expr) in numbered(program) {
        if let Some((base, name)) = member(program, expr)
            && let Some(bearer) = bearer(program, base, registry)
        {
            let name = name.clone();
            asked.push((id, MarkName { bearer, name }));
        }
    }
    asked
}

/// The marks that the rule asks for. Each has to be asked for by its name, so that it is known which rules set it.
pub(crate) fn reads(checker: &mut Checker<'_>, registry: &Registry) -> BTreeSet<MarkName> {
    let program = &checker.program;
    let asked = asked(program, registry);
    let named: BTreeSet<ExprId> = asked
        .iter()
        .filter_map(|(id, _)| Some(member(program, program.get(*id))?.0))
        .collect();
    let mut wrong: BTreeSet<ExprId> = numbered(program)
        .map(|(id, _)| id)
        .filter(|id| bearer(program, *id, registry).is_some() && !named.contains(id))
        .collect();
    for expr in program.nodes() {
        let base = member(program, expr).map(|(base, _)| base);
        wrong.extend(
            expr.children()
                .filter(|child| Some(*child) != base && bearer(program, *child, registry).is_some()),
        );
    }
    for id in wrong {
        let (part, span) = checker.place(id);
        let message = "marks are asked for by names that are written out".to_owned();
        let help = Some("write process.marks[\"name\"]".to_owned());
        checker.error(Code::BAD_MARK, part, span, message, help);
    }
    // Whoever writes an exception must not decide in which order the cluster's rules run.
    for (id, _) in &asked {
        let (part, span) = checker.place(*id);
        if matches!(part, Part::Joined(_)) {
            let message = "an Exception object cannot ask for marks".to_owned();
            let help = Some("only the rule's own conditions and exceptions can".to_owned());
            checker.error(Code::BAD_MARK, part, span, message, help);
        }
    }
    asked.into_iter().map(|(_, name)| name).collect()
}

fn numbered(program: &Program) -> impl Iterator<Item = (ExprId, &Expr)> {
    (0..).map(ExprId).zip(program.nodes())
}

/// What bears the marks that an expression stands for.
fn bearer(program: &Program, id: ExprId, registry: &Registry) -> Option<Bearer> {
    match program.get(id) {
        Expr::Field(field) => Bearer::of_path(registry.field(*field).path),
        _ => None,
    }
}

/// The base and the name of a member whose name is written out.
fn member<'p>(program: &'p Program, expr: &'p Expr) -> Option<(ExprId, &'p Text)> {
    match expr {
        Expr::Select(base, name) => Some((*base, name)),
        Expr::Index(base, index) => match program.get(*index) {
            Expr::Const(Tree::Text(name)) => Some((*base, name)),
            _ => None,
        },
        _ => None,
    }
}
