//! Which kinds of events can meet a condition: evaluation with only the kind known.

use yagura_event::{EventKind, KindSet, Registry, Tree, ValueRef};

use crate::expr::{Expr, ExprId, MacroKind, OrderOp, Program};

/// What is known of a value before any event is seen.
#[derive(Clone, Debug)]
pub(crate) enum Known<'p> {
    Anything,
    Absent,
    Bool(bool),
    Value(&'p Tree),
    Kind(EventKind),
}

impl Known<'_> {
    /// The value as a condition: absent is false.
    fn truth(&self) -> Option<bool> {
        match self {
            Self::Anything => None,
            Self::Bool(value) | Self::Value(Tree::Bool(value)) => Some(*value),
            Self::Absent | Self::Value(_) | Self::Kind(_) => Some(false),
        }
    }

    fn view(&self) -> Option<ValueRef<'_>> {
        match self {
            Self::Anything => None,
            Self::Absent => Some(ValueRef::Absent),
            Self::Bool(value) => Some(ValueRef::Bool(*value)),
            Self::Value(tree) => Some(ValueRef::from(*tree)),
            Self::Kind(kind) => Some(ValueRef::from(kind.as_str())),
        }
    }
}

/// What can be said of a condition.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// Kinds for which it may hold.
    pub(crate) possible: KindSet,
    /// It holds whatever the event is.
    pub(crate) always: bool,
    /// It fails whatever the event is, even if the kind were left open.
    pub(crate) never: bool,
    /// A negation that holds in some possible kind only because the field is absent there.
    pub(crate) by_absence: Option<(ExprId, EventKind)>,
}

/// What is known of an expression as a condition.
pub(crate) fn truth(known: &Known<'_>) -> Option<bool> {
    known.truth()
}

/// Evaluates `root` for each kind in turn, or once where there are no kinds.
pub(crate) fn reach(program: &Program, root: ExprId, registry: &Registry) -> Reach {
    let open = evaluate(program, registry, None);
    let truth = open[root.index()].truth();
    let mut reach = Reach {
        possible: KindSet::NONE,
        always: truth == Some(true),
        never: truth == Some(false),
        by_absence: None,
    };
    if !registry.has_kinds() {
        return reach;
    }
    let reachable = reachable_from(program, root);
    for kind in EventKind::ALL {
        let known = evaluate(program, registry, Some(kind));
        if known[root.index()].truth() == Some(false) {
            continue;
        }
        reach.possible = reach.possible.with(kind);
        if reach.by_absence.is_none() {
            let index =
                (0..known.len()).find(|index| reachable[*index] && holds_by_absence(program, &known, *index));
            reach.by_absence = index.map(|index| (ExprId(u32::try_from(index).unwrap_or(u32::MAX)), kind));
        }
    }
    reach
}

/// Whether `!(field == …)` holds because the field is absent. `has` and comparisons with null ask for that.
fn holds_by_absence(program: &Program, known: &[Known<'_>], index: usize) -> bool {
    let Expr::Not(test) = &program.nodes()[index] else {
        return false;
    };
    let subjects: &[&ExprId] = match program.get(*test) {
        Expr::Equal(left, right) | Expr::Order(_, left, right) => &[left, right],
        Expr::In(subject, _) | Expr::Matches(subject, _) => &[subject],
        _ => return false,
    };
    subjects
        .iter()
        .any(|subject| matches!(known[subject.index()], Known::Absent))
}

fn reachable_from(program: &Program, root: ExprId) -> Vec<bool> {
    let mut reachable = vec![false; program.nodes().len()];
    reachable[root.index()] = true;
    for index in (0..=root.index()).rev() {
        if reachable[index] {
            for child in program.nodes()[index].children() {
                reachable[child.index()] = true;
            }
        }
    }
    reachable
}

/// What is known of each expression of a program, of events of a kind.
pub(crate) fn evaluate<'p>(
    program: &'p Program,
    registry: &Registry,
    kind: Option<EventKind>,
) -> Vec<Known<'p>> {
    let mut known: Vec<Known<'p>> = Vec::with_capacity(program.nodes().len());
    for expr in program.nodes() {
        let value = step(expr, &known, program, registry, kind);
        known.push(value);
    }
    known
}

fn step<'p>(
    expr: &'p Expr,
    known: &[Known<'p>],
    program: &Program,
    registry: &Registry,
    kind: Option<EventKind>,
) -> Known<'p> {
    let of = |id: &ExprId| &known[id.index()];
    let bool_or_anything = |value: Option<bool>| value.map_or(Known::Anything, Known::Bool);
    match expr {
        Expr::Const(Tree::Unknown) | Expr::Variable(_) | Expr::List(_) | Expr::Named(_) => Known::Anything,
        Expr::Const(value) => Known::Value(value),
        Expr::Field(id) => {
            let field = registry.field(*id);
            match kind {
                Some(kind) if field.path == "event.kind" => Known::Kind(kind),
                Some(kind) if !field.kinds.contains(kind) => Known::Absent,
                _ => Known::Anything,
            }
        }
        Expr::Member(base, _) | Expr::Select(base, _) | Expr::Index(base, _) | Expr::Negate(base) => {
            match of(base) {
                Known::Absent => Known::Absent,
                _ => Known::Anything,
            }
        }
        Expr::IsNull(base) => bool_or_anything(of(base).view().map(|value| value.is_absent())),
        Expr::Not(base) => bool_or_anything(of(base).truth().map(|value| !value)),
        Expr::And(members) => all(members.iter().map(|member| of(member).truth()), true),
        Expr::Or(members) => all(members.iter().map(|member| of(member).truth()), false),
        Expr::Conditional {
            condition,
            then,
            otherwise,
        } => match of(condition).truth() {
            Some(true) => of(then).clone(),
            Some(false) => of(otherwise).clone(),
            // An unknown condition makes the result unknown, whatever the branches are.
            None => Known::Anything,
        },
        Expr::Equal(left, right) => same(of(left), of(right)),
        Expr::Order(operator, left, right) => compare(of(left), of(right), |left, right| {
            let order = left.order(right);
            Some(match operator {
                OrderOp::Less => order.is_some_and(std::cmp::Ordering::is_lt),
                OrderOp::LessEqual => order.is_some_and(std::cmp::Ordering::is_le),
                OrderOp::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
                OrderOp::GreaterEqual => order.is_some_and(std::cmp::Ordering::is_ge),
            })
        }),
        Expr::In(left, right) if let Expr::Named(list) = program.get(*right) => match of(left).view() {
            Some(ValueRef::Bytes(text)) => Known::Bool(list.holds(&text)),
            Some(_) => Known::Bool(false),
            None => Known::Anything,
        },
        Expr::In(left, right) => compare(of(left), of(right), |left, right| match right {
            ValueRef::List(list) => list.contains(left),
            _ => None,
        }),
        Expr::Arithmetic(_, left, right) => match (of(left), of(right)) {
            (Known::Absent, _) | (_, Known::Absent) => Known::Absent,
            _ => Known::Anything,
        },
        Expr::Matches(subject, pattern) => match of(subject).view() {
            Some(ValueRef::Bytes(bytes)) => Known::Bool(program.pattern(*pattern).regex.is_match(&bytes)),
            Some(_) => Known::Bool(false),
            None => Known::Anything,
        },
        Expr::Call(function, arguments) => {
            if arguments
                .iter()
                .any(|argument| matches!(of(argument), Known::Absent))
            {
                if function.is_test() {
                    Known::Bool(false)
                } else {
                    Known::Absent
                }
            } else {
                Known::Anything
            }
        }
        Expr::Macro { kind, range, .. } => match (kind, of(range)) {
            (MacroKind::Exists | MacroKind::ExistsOne, Known::Absent) => Known::Bool(false),
            (MacroKind::All, Known::Absent) => Known::Bool(true),
            _ => Known::Anything,
        },
    }
}

fn same(left: &Known<'_>, right: &Known<'_>) -> Known<'static> {
    let equals = |left: &ValueRef<'_>, right: &ValueRef<'_>| left.equals(right);
    compare(left, right, equals)
}

fn compare(
    left: &Known<'_>,
    right: &Known<'_>,
    test: impl FnOnce(&ValueRef<'_>, &ValueRef<'_>) -> Option<bool>,
) -> Known<'static> {
    match (left, right) {
        (Known::Absent, _) | (_, Known::Absent) => Known::Bool(false),
        _ => match (left.view(), right.view()) {
            (Some(left), Some(right)) => test(&left, &right).map_or(Known::Anything, Known::Bool),
            _ => Known::Anything,
        },
    }
}

/// `&&` when `and`, else `||`, of what is known of the members.
fn all(members: impl Iterator<Item = Option<bool>>, and: bool) -> Known<'static> {
    let mut known = true;
    for member in members {
        match member {
            Some(value) if value != and => return Known::Bool(!and),
            Some(_) => {}
            None => known = false,
        }
    }
    if known { Known::Bool(and) } else { Known::Anything }
}
