//! From the graph to code.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use yagura_event::Tree;
use yagura_rules::NamedList;
use yagura_rules::expr::{Expr, ExprId, MacroKind};

use super::{Graph, Op, Range, Unit};

/// From how many strings on a written list is looked up by hash.
const HASHED: usize = 8;

/// What is still to be written: a stack instead of recursion, because chains may be long.
enum Task {
    /// An expression, and whether the tests in it may be shared: not where a variable may stand in them.
    Expr(ExprId, bool),
    Op(Op),
    Label(usize),
    Jump(fn(u32) -> Op, usize),
    Branch(usize, usize),
    Macro(MacroKind, u8, usize),
}

/// Writes code for the roots of a graph.
pub(super) struct Lowering<'g> {
    graph: &'g Graph,
    unit: Unit,
    predicates: HashMap<ExprId, u32>,
    constants: HashMap<ExprId, u32>,
    sets: HashMap<ExprId, u32>,
    named: HashMap<ExprId, u32>,
    waiting: Vec<ExprId>,
}

impl Graph {
    /// Code for each root. Tests outside of macros become predicates, which all roots share.
    pub(crate) fn lower(&self, roots: &[ExprId]) -> (Unit, Vec<Range>) {
        let mut lowering = Lowering {
            graph: self,
            unit: Unit {
                patterns: self.patterns.clone(),
                ..Unit::default()
            },
            predicates: HashMap::new(),
            constants: HashMap::new(),
            sets: HashMap::new(),
            named: HashMap::new(),
            waiting: Vec::new(),
        };
        let ranges = roots.iter().map(|root| lowering.code(*root, true)).collect();
        let mut next = 0;
        while let Some(predicate) = lowering.waiting.get(next).copied() {
            let range = lowering.code(predicate, false);
            lowering.unit.predicates.push(range);
            next += 1;
        }
        (lowering.unit, ranges)
    }
}

impl Lowering<'_> {
    /// Code for one expression; with `share`, the tests in it are predicates.
    fn code(&mut self, root: ExprId, share: bool) -> Range {
        let start = self.position();
        let mut labels: Vec<u32> = Vec::new();
        let mut patches: Vec<(usize, [usize; 2])> = Vec::new();
        let mut tasks = vec![Task::Expr(root, share)];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Op(op) => self.unit.ops.push(op),
                Task::Label(label) => labels[label] = self.position(),
                Task::Jump(op, label) => {
                    patches.push((self.unit.ops.len(), [label, label]));
                    self.unit.ops.push(op(0));
                }
                Task::Branch(otherwise, end) => {
                    patches.push((self.unit.ops.len(), [otherwise, end]));
                    self.unit.ops.push(Op::Branch(0, 0));
                }
                Task::Macro(kind, variable, end) => {
                    patches.push((self.unit.ops.len(), [end, end]));
                    self.unit.ops.push(Op::Macro(kind, variable, 0));
                }
                Task::Expr(id, share) => {
                    let first = tasks.len();
                    self.expand(id, share, &mut tasks, &mut labels);
                    // Tasks are taken from the end.
                    tasks[first..].reverse();
                }
            }
        }
        for (at, [first, second]) in patches {
            let (first, second) = (labels[first], labels[second]);
            match &mut self.unit.ops[at] {
                Op::AndJump(to) | Op::OrJump(to) | Op::Jump(to) | Op::Macro(_, _, to) => *to = first,
                Op::Branch(otherwise, end) => (*otherwise, *end) = (first, second),
                _ => {}
            }
        }
        Range {
            start,
            end: self.position(),
        }
    }

    fn position(&self) -> u32 {
        u32::try_from(self.unit.ops.len()).unwrap_or(u32::MAX)
    }

    /// What to write for one expression, in order.
    fn expand(&mut self, id: ExprId, share: bool, tasks: &mut Vec<Task>, labels: &mut Vec<u32>) {
        let graph = self.graph;
        let expr = graph.expr(id);
        if share && is_test(expr) {
            let next = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
            let predicate = *self.predicates.entry(id).or_insert(next);
            if predicate == next {
                self.waiting.push(id);
            }
            tasks.push(Task::Op(Op::Predicate(predicate)));
            return;
        }
        let mut label = || {
            labels.push(0);
            labels.len() - 1
        };
        match expr {
            Expr::And(members) | Expr::Or(members) => {
                let and = matches!(expr, Expr::And(_));
                let end = label();
                for (index, member) in members.iter().enumerate() {
                    if index > 0 {
                        tasks.push(Task::Jump(if and { Op::AndJump } else { Op::OrJump }, end));
                    }
                    tasks.push(Task::Expr(*member, share));
                    tasks.push(Task::Op(match (index, and) {
                        (0, _) => Op::Truth,
                        (_, true) => Op::And,
                        (_, false) => Op::Or,
                    }));
                }
                tasks.push(Task::Label(end));
            }
            Expr::Conditional {
                condition,
                then,
                otherwise,
            } => {
                let (other, end) = (label(), label());
                tasks.push(Task::Expr(*condition, share));
                tasks.push(Task::Branch(other, end));
                tasks.push(Task::Expr(*then, share));
                tasks.push(Task::Jump(Op::Jump, end));
                tasks.push(Task::Label(other));
                tasks.push(Task::Expr(*otherwise, share));
                tasks.push(Task::Label(end));
            }
            Expr::Macro {
                kind,
                range,
                variable,
                body,
            } => {
                let end = label();
                tasks.push(Task::Expr(*range, share));
                tasks.push(Task::Macro(*kind, *variable, end));
                tasks.push(Task::Expr(*body, false));
                tasks.push(Task::Label(end));
            }
            Expr::In(left, right) => {
                tasks.push(Task::Expr(*left, share));
                if let Expr::Named(list) = graph.expr(*right) {
                    let named = self.named(*right, list);
                    tasks.push(Task::Op(Op::InNamed(named)));
                } else if let Some(set) = self.set(*right) {
                    tasks.push(Task::Op(Op::InSet(set)));
                } else {
                    tasks.push(Task::Expr(*right, share));
                    tasks.push(Task::Op(Op::In));
                }
            }
            expr => {
                tasks.extend(expr.children().map(|child| Task::Expr(child, share)));
                let op = self.op(id, expr);
                tasks.push(Task::Op(op));
            }
        }
    }

    /// The instruction of an expression whose operands come before it.
    fn op(&mut self, id: ExprId, expr: &Expr) -> Op {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        match expr {
            Expr::Const(value) => {
                let next = count(self.unit.constants.len());
                let index = *self.constants.entry(id).or_insert(next);
                if index == next {
                    self.unit.constants.push(value.clone());
                }
                Op::Const(index)
            }
            Expr::Named(list) => Op::Named(self.named(id, list)),
            Expr::Field(id) => Op::Field(*id),
            Expr::Variable(level) => Op::Variable(*level),
            Expr::Member(_, member) => Op::Member(*member),
            Expr::Select(_, name) => {
                let index = self
                    .unit
                    .names
                    .iter()
                    .position(|known| known == name)
                    .unwrap_or_else(|| {
                        self.unit.names.push(name.clone());
                        self.unit.names.len() - 1
                    });
                Op::Select(count(index))
            }
            Expr::Index(..) => Op::Index,
            Expr::IsNull(_) => Op::IsNull,
            Expr::Not(_) => Op::Not,
            Expr::Negate(_) => Op::Negate,
            Expr::Equal(..) => Op::Equal,
            Expr::Order(operator, ..) => Op::Order(*operator),
            Expr::In(..) => Op::In,
            Expr::Arithmetic(operator, ..) => Op::Arithmetic(*operator),
            Expr::Call(function, arguments) => {
                Op::Call(*function, u8::try_from(arguments.len()).unwrap_or(u8::MAX))
            }
            Expr::Matches(_, pattern) => Op::Matches(pattern.0),
            Expr::List(elements) => Op::List(count(elements.len())),
            // Written out by `expand`, with jumps.
            Expr::And(_) => Op::And,
            Expr::Or(_) => Op::Or,
            Expr::Conditional { .. } | Expr::Macro { .. } => Op::Truth,
        }
    }

    /// The place of a named list.
    fn named(&mut self, id: ExprId, list: &Arc<NamedList>) -> u32 {
        let next = u32::try_from(self.unit.named.len()).unwrap_or(u32::MAX);
        let index = *self.named.entry(id).or_insert(next);
        if index == next {
            self.unit.named.push(Arc::clone(list));
        }
        index
    }

    /// The set of a written list of many strings.
    fn set(&mut self, list: ExprId) -> Option<u32> {
        if let Some(set) = self.sets.get(&list) {
            return Some(*set);
        }
        let Expr::Const(Tree::List(values)) = self.graph.expr(list) else {
            return None;
        };
        if values.len() < HASHED {
            return None;
        }
        let mut set = HashSet::with_capacity(values.len());
        for value in values {
            let Tree::Text(text) = value else { return None };
            set.insert(Box::from(text.as_bytes()));
        }
        let index = u32::try_from(self.unit.sets.len()).unwrap_or(u32::MAX);
        self.unit.sets.push(set);
        self.sets.insert(list, index);
        Some(index)
    }
}

/// Whether an expression is a test of its own, rather than a combination of tests, or a value that is cheaper to
/// read than to look up.
fn is_test(expr: &Expr) -> bool {
    match expr {
        Expr::Equal(..) | Expr::Order(..) | Expr::In(..) | Expr::IsNull(_) | Expr::Matches(..) => true,
        Expr::Call(function, _) => function.is_test(),
        Expr::Macro { kind, .. } => !matches!(kind, MacroKind::Filter | MacroKind::Map),
        Expr::Const(_)
        | Expr::Named(_)
        | Expr::Field(_)
        | Expr::Variable(_)
        | Expr::Member(..)
        | Expr::Select(..)
        | Expr::Index(..)
        | Expr::Not(_)
        | Expr::Negate(_)
        | Expr::And(_)
        | Expr::Or(_)
        | Expr::Conditional { .. }
        | Expr::Arithmetic(..)
        | Expr::List(_) => false,
    }
}
