//! When a case holds: numbers of queries, compared and joined.

use yagura_event::Tree;

use crate::ast::{BinaryOp, Node, NodeId};
use crate::diagnostic::{Code, Part, Sink, Span};
use crate::parser::parse;
use crate::suggest::nearest;

/// A condition over the numbers of queries.
///
/// A query that has nothing to measure has no number, and what is calculated with none is none; a comparison with none is false, but for
/// `!=`, which is the opposite of `==`. What leaves the range of a 64-bit number is none, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Each after what it is made of. The last is the whole.
    nodes: Vec<Op>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Number(i64),
    Truth(bool),
    Query(usize),
    Not(usize),
    Negate(usize),
    Binary(BinaryOp, usize, usize),
}

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Number(Option<i64>),
    Truth(bool),
}

impl Value {
    fn number(self) -> Option<i64> {
        match self {
            Self::Number(number) => number,
            Self::Truth(_) => None,
        }
    }

    fn holds(self) -> bool {
        self == Self::Truth(true)
    }
}

impl When {
    /// Compiles a condition over queries of these names. What is wrong with it is reported.
    pub(super) fn compile(source: &str, part: Part, names: &[&str], sink: &mut Sink) -> Self {
        let Some(ast) = parse(source, part, sink) else {
            return Self::default();
        };
        let mut compiler = Compiler {
            part,
            names,
            sink,
            nodes: Vec::new(),
            numbers: Vec::new(),
        };
        for (node, span) in ast.nodes() {
            if !compiler.add(node, *span) {
                return Self::default();
            }
        }
        let root = ast.root.map(NodeId::index);
        if root.and_then(|root| compiler.numbers.get(root)) != Some(&false) {
            let span = Span::new(0, source.len());
            compiler.wrong(
                span,
                "the result is not true or false".to_owned(),
                Some("compare it with something"),
            );
            return Self::default();
        }
        let mut nodes = compiler.nodes;
        nodes.truncate(root.map_or(0, |root| root + 1));
        Self { nodes }
    }

    /// Whether it holds for these numbers of the queries, in their order.
    pub fn holds(&self, queries: &[Option<i64>]) -> bool {
        let mut values: Vec<Value> = Vec::with_capacity(self.nodes.len());
        for op in &self.nodes {
            let at = |place: usize| values.get(place).copied().unwrap_or(Value::Truth(false));
            let value = match *op {
                Op::Number(number) => Value::Number(Some(number)),
                Op::Truth(truth) => Value::Truth(truth),
                Op::Query(place) => Value::Number(queries.get(place).copied().flatten()),
                Op::Not(one) => Value::Truth(!at(one).holds()),
                Op::Negate(one) => Value::Number(at(one).number().and_then(i64::checked_neg)),
                Op::Binary(operator, one, other) => binary(operator, at(one), at(other)),
            };
            values.push(value);
        }
        values.last().is_some_and(|value| value.holds())
    }
}

fn binary(operator: BinaryOp, one: Value, other: Value) -> Value {
    let numbers = one.number().zip(other.number());
    let compared =
        |test: fn(&i64, &i64) -> bool| Value::Truth(numbers.is_some_and(|(one, other)| test(&one, &other)));
    let calculated =
        |of: fn(i64, i64) -> Option<i64>| Value::Number(numbers.and_then(|(one, other)| of(one, other)));
    match operator {
        BinaryOp::Or => Value::Truth(one.holds() || other.holds()),
        BinaryOp::And => Value::Truth(one.holds() && other.holds()),
        BinaryOp::Equal => Value::Truth(equal(one, other)),
        BinaryOp::NotEqual => Value::Truth(!equal(one, other)),
        BinaryOp::Less => compared(i64::lt),
        BinaryOp::LessEqual => compared(i64::le),
        BinaryOp::Greater => compared(i64::gt),
        BinaryOp::GreaterEqual => compared(i64::ge),
        BinaryOp::Add => calculated(i64::checked_add),
        BinaryOp::Subtract => calculated(i64::checked_sub),
        BinaryOp::Multiply => calculated(i64::checked_mul),
        BinaryOp::Divide => calculated(i64::checked_div),
        BinaryOp::Remainder => calculated(i64::checked_rem),
        // Refused when it was compiled.
        BinaryOp::In => Value::Truth(false),
    }
}

fn equal(one: Value, other: Value) -> bool {
    one == other && one != Value::Number(None)
}

struct Compiler<'a> {
    part: Part,
    names: &'a [&'a str],
    sink: &'a mut Sink,
    nodes: Vec<Op>,
    /// Whether each is a number.
    numbers: Vec<bool>,
}

impl Compiler<'_> {
    fn wrong(&mut self, span: Span, message: String, help: Option<&str>) {
        let help = help.map(str::to_owned);
        self.sink
            .push(Code::BAD_CORRELATION, self.part, span, message, help);
    }

    /// Adds a node. False when it cannot be one.
    fn add(&mut self, node: &Node, span: Span) -> bool {
        let (op, operands, wants_number, is_number) = match node {
            Node::Literal(Tree::Int(number)) => (Op::Number(*number), [None, None], false, true),
            Node::Literal(Tree::Bool(truth)) => (Op::Truth(*truth), [None, None], false, false),
            Node::Ident(name) => {
                let Some(place) = self.names.iter().position(|known| known == name) else {
                    self.unknown(name, span);
                    return false;
                };
                (Op::Query(place), [None, None], false, true)
            }
            Node::Not(one) => (Op::Not(one.index()), [Some(*one), None], false, false),
            Node::Negate(one) => (Op::Negate(one.index()), [Some(*one), None], true, true),
            Node::Binary(operator, one, other) if *operator != BinaryOp::In => {
                let (wants, is) = match operator {
                    BinaryOp::Or | BinaryOp::And | BinaryOp::In => (false, false),
                    BinaryOp::Equal
                    | BinaryOp::NotEqual
                    | BinaryOp::Less
                    | BinaryOp::LessEqual
                    | BinaryOp::Greater
                    | BinaryOp::GreaterEqual => (true, false),
                    BinaryOp::Add
                    | BinaryOp::Subtract
                    | BinaryOp::Multiply
                    | BinaryOp::Divide
                    | BinaryOp::Remainder => (true, true),
                };
                let op = Op::Binary(*operator, one.index(), other.index());
                (op, [Some(*one), Some(*other)], wants, is)
            }
            Node::Error => return false,
            _ => {
                let message = "a case compares names of queries with numbers and with each other";
                self.wrong(
                    span,
                    message.to_owned(),
                    Some("use < <= > >= == != + - * / % && || !"),
                );
                return false;
            }
        };
        for operand in operands.into_iter().flatten() {
            if self.numbers.get(operand.index()) != Some(&wants_number) {
                let (is, wants) = if wants_number {
                    ("true or false", "a number")
                } else {
                    ("a number", "true or false")
                };
                self.wrong(span, format!("this is made of what is {is}, not {wants}"), None);
                return false;
            }
        }
        self.nodes.push(op);
        self.numbers.push(is_number);
        true
    }

    fn unknown(&mut self, name: &str, span: Span) {
        let shown: String = name.chars().take(60).collect();
        let help = nearest(name, self.names.iter().copied()).map(|near| format!("did you mean {near}?"));
        self.wrong(span, format!("there is no query {shown:?}"), help.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{MethodName, Place};

    fn compile(source: &str) -> Result<When, Vec<String>> {
        let mut sink = Sink::default();
        let part = Part::Detect(MethodName::Correlation, Place::Case(0));
        let when = When::compile(source, part, &["failed", "success"], &mut sink);
        let found: Vec<String> = sink.finish().iter().map(ToString::to_string).collect();
        if found.is_empty() { Ok(when) } else { Err(found) }
    }

    #[test]
    fn numbers_of_queries_are_compared_and_joined() {
        for (source, failed, success, expected) in [
            ("failed > 5 && success > 0", Some(6), Some(1), true),
            ("failed > 5 && success > 0", Some(6), Some(0), false),
            ("failed > 5 && success > 0", Some(6), None, false),
            ("success != 0", Some(0), None, true),
            ("!(success == 0)", Some(0), None, true),
            ("failed * 2 - 1 == success || false", Some(3), Some(5), true),
            ("failed / success > 1", Some(3), Some(0), false),
            ("failed % 2 == 1 && -failed < success", Some(3), Some(0), true),
            ("failed + success > 0", Some(i64::MAX), Some(1), false),
            ("success == success", Some(0), None, false),
        ] {
            let when = compile(source).unwrap();
            assert_eq!(when.holds(&[failed, success]), expected, "{source}");
        }
    }

    #[test]
    fn anything_else_is_refused_where_it_stands() {
        for (source, expected) in [
            ("faild > 5", "there is no query \"faild\" (did you mean failed?)"),
            (
                "failed",
                "the result is not true or false (compare it with something)",
            ),
            ("failed > 5 > 3", "chained"),
            (
                "(failed > 5) > 3",
                "this is made of what is true or false, not a number",
            ),
            (
                "failed && success > 1",
                "this is made of what is a number, not true or false",
            ),
            ("failed > 1.5", "a case compares names of queries"),
            ("process.pid == 1", "there is no query \"process\""),
            ("size(failed) > 1", "a case compares names of queries"),
            ("failed in [1]", "a case compares names of queries"),
            ("", ""),
        ] {
            let found = compile(source).unwrap_err();
            assert!(
                source == "failed > 5 > 3" || found[0].contains(expected),
                "{source}: {found:?}"
            );
        }
    }
}
