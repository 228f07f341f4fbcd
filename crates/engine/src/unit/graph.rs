//! The expressions of all rules as one graph in which the same expression stands once.

use std::collections::HashMap;

use regex::bytes::Regex;
use yagura_event::field::MemberId;
use yagura_event::{Registry, Tree};
use yagura_rules::cost::costs;
use yagura_rules::expr::{Expr, ExprId, PatternId, Program};

/// A node of the graph: an expression whose children are nodes of the graph, and what it costs.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) expr: Expr,
    pub(super) cost: u64,
}

/// Expressions of many programs, each once.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) patterns: Vec<Regex>,
    by_key: HashMap<Vec<u8>, ExprId>,
    by_pattern: HashMap<String, PatternId>,
}

impl Graph {
    /// Adds a program; gives the node of each of its expressions.
    pub(crate) fn add(&mut self, program: &Program, registry: &Registry) -> Vec<ExprId> {
        let costs = costs(program, registry);
        let mut nodes: Vec<ExprId> = Vec::with_capacity(program.nodes().len());
        for (expr, cost) in program.nodes().iter().zip(costs) {
            let mut moved = self.moved(expr, &nodes, program);
            if let Expr::And(members) | Expr::Or(members) = &mut moved {
                // Cheap before costly: what is cheap often decides. Order has no other meaning.
                members.sort_by_key(|member| (self.nodes[member.index()].cost, *member));
                members.dedup();
            }
            let mut key = Vec::new();
            encode(&moved, &mut key);
            let next = ExprId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
            let id = *self.by_key.entry(key).or_insert(next);
            if id == next {
                self.nodes.push(Node {
                    expr: moved,
                    cost: cost.steps,
                });
            }
            nodes.push(id);
        }
        nodes
    }

    pub(super) fn expr(&self, id: ExprId) -> &Expr {
        &self.nodes[id.index()].expr
    }

    /// The expression with its children and its pattern replaced by those of the graph.
    fn moved(&mut self, expr: &Expr, nodes: &[ExprId], program: &Program) -> Expr {
        let to = |id: &ExprId| nodes[id.index()];
        let all = |ids: &[ExprId]| ids.iter().map(to).collect::<Vec<_>>();
        match expr {
            Expr::Const(_) | Expr::Named(_) | Expr::Field(_) | Expr::Variable(_) => expr.clone(),
            Expr::Member(base, member) => Expr::Member(to(base), *member),
            Expr::Select(base, name) => Expr::Select(to(base), name.clone()),
            Expr::Index(base, index) => Expr::Index(to(base), to(index)),
            Expr::IsNull(base) => Expr::IsNull(to(base)),
            Expr::Not(base) => Expr::Not(to(base)),
            Expr::Negate(base) => Expr::Negate(to(base)),
            Expr::And(members) => Expr::And(all(members)),
            Expr::Or(members) => Expr::Or(all(members)),
            Expr::Conditional {
                condition,
                then,
                otherwise,
            } => Expr::Conditional {
                condition: to(condition),
                then: to(then),
                otherwise: to(otherwise),
            },
            Expr::Equal(left, right) => Expr::Equal(to(left), to(right)),
            Expr::Order(operator, left, right) => Expr::Order(*operator, to(left), to(right)),
            Expr::In(left, right) => Expr::In(to(left), to(right)),
            Expr::Arithmetic(operator, left, right) => Expr::Arithmetic(*operator, to(left), to(right)),
            Expr::Call(function, arguments) => Expr::Call(*function, all(arguments)),
            Expr::Matches(base, pattern) => {
                let pattern = program.pattern(*pattern);
                let next = PatternId(u32::try_from(self.patterns.len()).unwrap_or(u32::MAX));
                let id = *self.by_pattern.entry(pattern.source.clone()).or_insert(next);
                if id == next {
                    self.patterns.push(pattern.regex.clone());
                }
                Expr::Matches(to(base), id)
            }
            Expr::Macro {
                kind,
                range,
                variable,
                body,
            } => Expr::Macro {
                kind: *kind,
                range: to(range),
                variable: *variable,
                body: to(body),
            },
            Expr::List(elements) => Expr::List(all(elements)),
        }
    }
}

/// Bytes that differ when expressions do.
fn encode(expr: &Expr, out: &mut Vec<u8>) {
    let tag = match expr {
        Expr::Const(value) => {
            out.push(0);
            return encode_tree(value, out);
        }
        Expr::Field(id) => (1, u32::from(id.0)),
        Expr::Variable(level) => (2, u32::from(*level)),
        Expr::Member(_, MemberId(member)) => (3, u32::from(*member)),
        Expr::Select(_, name) => {
            out.extend((name.len() as u64).to_be_bytes());
            out.extend_from_slice(name.as_bytes());
            (4, 0)
        }
        Expr::Index(..) => (5, 0),
        Expr::IsNull(_) => (6, 0),
        Expr::Not(_) => (7, 0),
        Expr::Negate(_) => (8, 0),
        Expr::And(_) => (9, 0),
        Expr::Or(_) => (10, 0),
        Expr::Conditional { .. } => (11, 0),
        Expr::Equal(..) => (12, 0),
        Expr::Order(operator, ..) => (13, *operator as u32),
        Expr::In(..) => (14, 0),
        Expr::Arithmetic(operator, ..) => (15, *operator as u32),
        Expr::Call(function, _) => (16, *function as u32),
        Expr::Matches(_, pattern) => (17, pattern.0),
        Expr::Macro { kind, variable, .. } => (18, (*kind as u32) << 8 | u32::from(*variable)),
        Expr::List(_) => (19, 0),
        // However many rules use it, and under whatever name: the same values are one node.
        Expr::Named(list) => {
            out.extend_from_slice(list.digest());
            (20, 0)
        }
    };
    for child in expr.children() {
        out.extend(child.0.to_be_bytes());
    }
    let (kind, detail): (u8, u32) = tag;
    out.extend(detail.to_be_bytes());
    out.push(kind);
    // Constants begin with 0; everything else begins with children, a name or a detail, and must not.
    out.insert(0, 1);
}

/// Bytes that differ when trees do.
pub(crate) fn encode_tree(tree: &Tree, out: &mut Vec<u8>) {
    let mut counted = |tag: u8, count: usize| {
        out.push(tag);
        out.extend((count as u64).to_be_bytes());
    };
    match tree {
        Tree::Null => out.push(0),
        Tree::Unknown => out.push(1),
        Tree::Bool(value) => out.extend([2, u8::from(*value)]),
        Tree::Int(value) => {
            out.push(3);
            out.extend(value.to_be_bytes());
        }
        Tree::Uint(value) => {
            out.push(4);
            out.extend(value.to_be_bytes());
        }
        Tree::Double(value) => {
            out.push(5);
            out.extend(value.to_bits().to_be_bytes());
        }
        Tree::Text(text) => {
            counted(6, text.len());
            out.extend_from_slice(text.as_bytes());
        }
        Tree::List(values) => {
            counted(7, values.len());
            for value in values {
                encode_tree(value, out);
            }
        }
        Tree::Map(pairs) => {
            counted(8, pairs.len());
            for (name, value) in pairs {
                out.extend((name.len() as u64).to_be_bytes());
                out.extend_from_slice(name.as_bytes());
                encode_tree(value, out);
            }
        }
    }
}
