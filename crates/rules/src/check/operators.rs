//! Types of operators.

use yagura_event::field::Scalar;
use yagura_event::{EventKind, Text, Tree, Type};

use super::names::Shown;
use super::types::{
    are_apart, article, as_the_other, comparable, is_boolean, is_int, is_number, text_of, unify,
};
use super::{Checker, Sense, Walk};
use crate::ast::{BinaryOp, Node, NodeId};
use crate::diagnostic::{Code, Part, Span};
use crate::expr::{ArithmeticOp, Expr, ExprId, OrderOp};
use crate::suggest::nearest;

impl Checker<'_> {
    pub(super) fn binary(
        &mut self,
        walk: &Walk<'_>,
        operator: BinaryOp,
        left: NodeId,
        right: NodeId,
        span: Span,
    ) -> Sense {
        let (left_value, right_value) = (self.value(walk, left), self.value(walk, right));
        let (Some(left_value), Some(right_value)) = (left_value, right_value) else {
            return Sense::Error;
        };
        match operator {
            BinaryOp::Or | BinaryOp::And => {
                self.logic(walk, operator, (left, left_value), (right, right_value), span)
            }
            BinaryOp::Equal => self.equal(walk, left_value, right_value, span),
            BinaryOp::NotEqual => match self.equal(walk, left_value, right_value, span) {
                Sense::Value(equal) => self.emit(walk, Expr::Not(equal), Type::BOOL, span),
                other => other,
            },
            BinaryOp::Less => self.order(walk, OrderOp::Less, left_value, right_value, span),
            BinaryOp::LessEqual => self.order(walk, OrderOp::LessEqual, left_value, right_value, span),
            BinaryOp::Greater => self.order(walk, OrderOp::Greater, left_value, right_value, span),
            BinaryOp::GreaterEqual => self.order(walk, OrderOp::GreaterEqual, left_value, right_value, span),
            BinaryOp::In => self.membership(walk, left_value, right_value, span),
            BinaryOp::Add => self.arithmetic(walk, ArithmeticOp::Add, left_value, right_value, span),
            BinaryOp::Subtract => {
                self.arithmetic(walk, ArithmeticOp::Subtract, left_value, right_value, span)
            }
            BinaryOp::Multiply => {
                self.arithmetic(walk, ArithmeticOp::Multiply, left_value, right_value, span)
            }
            BinaryOp::Divide => self.arithmetic(walk, ArithmeticOp::Divide, left_value, right_value, span),
            BinaryOp::Remainder => {
                self.arithmetic(walk, ArithmeticOp::Remainder, left_value, right_value, span)
            }
        }
    }

    fn logic(
        &mut self,
        walk: &Walk<'_>,
        operator: BinaryOp,
        (left_node, left): (NodeId, ExprId),
        (right_node, right): (NodeId, ExprId),
        span: Span,
    ) -> Sense {
        let and = operator == BinaryOp::And;
        let name = if and { "&&" } else { "||" };
        let left_fits = self.wants_boolean(walk, left, name);
        let right_fits = self.wants_boolean(walk, right, name);
        if !left_fits || !right_fits {
            return Sense::Error;
        }
        // `a && b && c` is one expression of three members: a chain becomes no depth.
        let mut members = self.members(walk, left_node, left, operator, and);
        members.extend(self.members(walk, right_node, right, operator, and));
        let expr = if and {
            Expr::And(members)
        } else {
            Expr::Or(members)
        };
        self.emit(walk, expr, Type::BOOL, span)
    }

    /// The members of a chain that goes on, or the one value that begins it.
    fn members(
        &mut self,
        walk: &Walk<'_>,
        node: NodeId,
        value: ExprId,
        operator: BinaryOp,
        and: bool,
    ) -> Vec<ExprId> {
        // Only what this very operator made belongs to it; a `let` is shared and stays whole.
        let continues = matches!(walk.ast.node(node), Node::Binary(inner, ..) if *inner == operator);
        if continues && let Some(members) = self.program.take_members(value, and) {
            // Nothing refers to the shorter chain any more.
            self.program.reset(value, Expr::Const(Tree::Bool(and)));
            return members;
        }
        vec![value]
    }

    fn wants_boolean(&mut self, walk: &Walk<'_>, value: ExprId, operator: &str) -> bool {
        let ty = self.type_of(value);
        if is_boolean(ty) {
            return true;
        }
        let (_, span) = self.place_in(walk.part, value);
        let message = format!("`{operator}` wants true or false, this is {}", article(ty));
        let help = Some("compare it with something, or use has(…)".to_owned());
        self.error(Code::WRONG_TYPE, walk.part, span, message, help);
        false
    }

    /// Where a value stands, which for a `let` is elsewhere: then the use counts.
    pub(super) fn place_in(&self, part: Part, value: ExprId) -> (Part, Span) {
        let (of_value, span) = self.place(value);
        if of_value == part {
            (part, span)
        } else {
            (part, Span::default())
        }
    }

    fn equal(&mut self, walk: &Walk<'_>, left: ExprId, right: ExprId, span: Span) -> Sense {
        let null = Type::One(Scalar::Null);
        match (self.type_of(left), self.type_of(right)) {
            (_, ty) if ty == null => self.emit(walk, Expr::IsNull(left), Type::BOOL, span),
            (ty, _) if ty == null => self.emit(walk, Expr::IsNull(right), Type::BOOL, span),
            (left_type, right_type) if comparable(left_type, right_type) => {
                self.check_kind(walk, left, right);
                self.check_kind(walk, right, left);
                self.emit(walk, Expr::Equal(left, right), Type::BOOL, span)
            }
            (left_type, right_type) => {
                let message = format!("{} is never equal to {}", article(left_type), article(right_type));
                let help = match (left_type, right_type) {
                    (Type::List(_), Type::One(_)) | (Type::One(_), Type::List(_)) => {
                        Some("use `in` to look for it in the list".to_owned())
                    }
                    (Type::One(Scalar::String), Type::One(Scalar::Int)) => {
                        Some("write the number in quotes, or use int(…)".to_owned())
                    }
                    (Type::One(Scalar::Int), Type::One(Scalar::String)) => {
                        Some("write the number without quotes".to_owned())
                    }
                    (left, right) => as_the_other(left, right),
                };
                self.error(Code::NEVER_EQUAL, walk.part, span, message, help);
                Sense::Error
            }
        }
    }

    /// Reports the name of an event kind that none has.
    fn check_kind(&mut self, walk: &Walk<'_>, subject: ExprId, literal: ExprId) {
        let is_kind = matches!(self.program.get(subject), Expr::Field(id) if self.registry.field(*id).path == "event.kind");
        if !is_kind || !self.registry.has_kinds() {
            return;
        }
        let Expr::Const(value) = self.program.get(literal) else {
            return;
        };
        let values = match value {
            Tree::List(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        let is_kind = |name: &Text| {
            EventKind::ALL
                .iter()
                .any(|kind| kind.as_str().as_bytes() == name.as_bytes())
        };
        let wrong: Vec<Text> = values
            .iter()
            .filter_map(text_of)
            .filter(|name| !is_kind(name))
            .take(8)
            .cloned()
            .collect();
        for name in wrong {
            let near = nearest(&name.to_string(), EventKind::ALL.map(EventKind::as_str));
            let help = match near {
                Some(near) => format!("did you mean {near}?"),
                None => format!("there are {}", EventKind::ALL.map(EventKind::as_str).join(", ")),
            };
            let (_, span) = self.place_in(walk.part, literal);
            self.error(
                Code::UNKNOWN_KIND,
                walk.part,
                span,
                format!("no event kind is called {}", Tree::Text(name).shown()),
                Some(help),
            );
        }
    }

    fn order(
        &mut self,
        walk: &Walk<'_>,
        operator: OrderOp,
        left: ExprId,
        right: ExprId,
        span: Span,
    ) -> Sense {
        let (left_type, right_type) = (self.type_of(left), self.type_of(right));
        let ordered = |ty| {
            matches!(
                ty,
                Type::One(
                    Scalar::Bool
                        | Scalar::Int
                        | Scalar::Double
                        | Scalar::String
                        | Scalar::Duration
                        | Scalar::Timestamp
                        | Scalar::Quantity
                        | Scalar::Dynamic
                )
            )
        };
        if !ordered(left_type) || !ordered(right_type) || !comparable(left_type, right_type) {
            let message = format!("{} and {} have no order", article(left_type), article(right_type));
            let help = as_the_other(left_type, right_type);
            self.error(Code::NEVER_EQUAL, walk.part, span, message, help);
            return Sense::Error;
        }
        self.emit(walk, Expr::Order(operator, left, right), Type::BOOL, span)
    }

    fn membership(&mut self, walk: &Walk<'_>, left: ExprId, right: ExprId, span: Span) -> Sense {
        let (left_type, right_type) = (self.type_of(left), self.type_of(right));
        let fits = match right_type {
            Type::List(scalar) => comparable(left_type, Type::One(scalar)),
            Type::One(Scalar::StringMap) => comparable(left_type, Type::STRING),
            Type::One(Scalar::Dynamic) => !are_apart(left_type, right_type),
            Type::One(_) => {
                let message = format!("`in` wants a list on its right, this is {}", article(right_type));
                let help = (right_type == Type::STRING)
                    .then(|| "use .contains(…) to look for text in text".to_owned());
                self.error(Code::WRONG_TYPE, walk.part, span, message, help);
                return Sense::Error;
            }
        };
        if !fits {
            let message = format!("{} is never in {}", article(left_type), article(right_type));
            let help = as_the_other(left_type, right_type);
            self.error(Code::NEVER_EQUAL, walk.part, span, message, help);
            return Sense::Error;
        }
        self.check_kind(walk, left, right);
        self.emit(walk, Expr::In(left, right), Type::BOOL, span)
    }

    fn arithmetic(
        &mut self,
        walk: &Walk<'_>,
        operator: ArithmeticOp,
        left: ExprId,
        right: ExprId,
        span: Span,
    ) -> Sense {
        let (left_type, right_type) = (self.type_of(left), self.type_of(right));
        let ty = match (operator, left_type, right_type) {
            (_, Type::One(Scalar::Int), Type::One(Scalar::Int)) => Type::INT,
            (ArithmeticOp::Subtract, Type::TIMESTAMP, Type::TIMESTAMP)
            | (ArithmeticOp::Add | ArithmeticOp::Subtract, Type::DURATION, Type::DURATION) => Type::DURATION,
            (ArithmeticOp::Add | ArithmeticOp::Subtract, Type::TIMESTAMP, Type::DURATION)
            | (ArithmeticOp::Add, Type::DURATION, Type::TIMESTAMP) => Type::TIMESTAMP,
            (ArithmeticOp::Remainder, ..) if !is_int(left_type) || !is_int(right_type) => {
                return self.no_arithmetic(walk, left_type, right_type, "`%` wants ints", span);
            }
            (_, left, right) if is_number(left) && is_number(right) => {
                if left == Type::DYNAMIC || right == Type::DYNAMIC {
                    Type::DYNAMIC
                } else {
                    Type::DOUBLE
                }
            }
            (ArithmeticOp::Add, Type::One(Scalar::String), Type::One(Scalar::String)) => Type::STRING,
            (ArithmeticOp::Add, left, right) if are_apart(left, right) => {
                let what = "these cannot be calculated with";
                return self.no_arithmetic(walk, left_type, right_type, what, span);
            }
            (ArithmeticOp::Add, Type::One(Scalar::Dynamic), Type::One(Scalar::String) | Type::List(_))
            | (ArithmeticOp::Add, Type::One(Scalar::String) | Type::List(_), Type::One(Scalar::Dynamic)) => {
                Type::DYNAMIC
            }
            (ArithmeticOp::Add, Type::List(_), Type::List(_)) => unify(left_type, right_type),
            _ => {
                return self.no_arithmetic(
                    walk,
                    left_type,
                    right_type,
                    "these cannot be calculated with",
                    span,
                );
            }
        };
        self.emit(walk, Expr::Arithmetic(operator, left, right), ty, span)
    }

    /// Refuses one value that would be of two types, one of which means something only among its own kind.
    pub(super) fn mixed(&mut self, walk: &Walk<'_>, left: Type, right: Type, span: Span) -> Sense {
        let message = format!(
            "{} and {} cannot stand for each other",
            article(left),
            article(right)
        );
        let help = as_the_other(left, right);
        self.error(Code::WRONG_TYPE, walk.part, span, message, help);
        Sense::Error
    }

    fn no_arithmetic(&mut self, walk: &Walk<'_>, left: Type, right: Type, what: &str, span: Span) -> Sense {
        let message = format!("{what}: {} and {}", article(left), article(right));
        self.error(Code::WRONG_TYPE, walk.part, span, message, None);
        Sense::Error
    }

    pub(super) fn not(&mut self, walk: &Walk<'_>, operand: NodeId, span: Span) -> Sense {
        let Some(value) = self.value(walk, operand) else {
            return Sense::Error;
        };
        if !self.wants_boolean(walk, value, "!") {
            return Sense::Error;
        }
        self.emit(walk, Expr::Not(value), Type::BOOL, span)
    }

    pub(super) fn negate(&mut self, walk: &Walk<'_>, operand: NodeId, span: Span) -> Sense {
        let Some(value) = self.value(walk, operand) else {
            return Sense::Error;
        };
        let ty = self.type_of(value);
        if !is_number(ty) {
            let message = format!("`-` wants a number, this is {}", article(ty));
            self.error(Code::WRONG_TYPE, walk.part, span, message, None);
            return Sense::Error;
        }
        let negated = match self.program.get(value) {
            Expr::Const(literal) => yagura_event::value::negate(&literal.into()).to_tree(),
            _ => None,
        };
        let expr = negated.map_or(Expr::Negate(value), Expr::Const);
        self.emit(walk, expr, ty, span)
    }

    pub(super) fn conditional(
        &mut self,
        walk: &Walk<'_>,
        condition: NodeId,
        then: NodeId,
        otherwise: NodeId,
        span: Span,
    ) -> Sense {
        let values = (
            self.value(walk, condition),
            self.value(walk, then),
            self.value(walk, otherwise),
        );
        let (Some(condition), Some(then), Some(otherwise)) = values else {
            return Sense::Error;
        };
        if !self.wants_boolean(walk, condition, "?") {
            return Sense::Error;
        }
        let (then_type, otherwise_type) = (self.type_of(then), self.type_of(otherwise));
        if are_apart(then_type, otherwise_type) {
            return self.mixed(walk, then_type, otherwise_type, span);
        }
        let ty = unify(then_type, otherwise_type);
        self.emit(
            walk,
            Expr::Conditional {
                condition,
                then,
                otherwise,
            },
            ty,
            span,
        )
    }
}
