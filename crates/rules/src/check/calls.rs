//! Types of function calls.

use std::sync::Arc;

use yagura_event::field::Scalar;
use yagura_event::{Text, Tree, Type, ValueRef};

use super::types::{are_apart, article, as_the_other, text_of};
use super::{Checker, Sense, Walk};
use crate::apply::apply;
use crate::ast::NodeId;
use crate::convert::Conversion;
use crate::diagnostic::{Code, Span};
use crate::expr::{ArithmeticOp, Expr, ExprId};
use crate::function::{Accepts, Form, Function, FunctionDoc, Meaning, find, functions};
use crate::limits;
use crate::lists::{ListType, NamedList};
use crate::pattern;
use crate::suggest::nearest;

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        walk: &Walk<'_>,
        function: &str,
        name: Span,
        target: Option<NodeId>,
        arguments: &[NodeId],
        span: Span,
    ) -> Sense {
        let values: Option<Vec<ExprId>> = target
            .iter()
            .chain(arguments)
            .map(|argument| self.value(walk, *argument))
            .collect();
        let Some(doc) = find(function) else {
            self.unknown_function(walk, function, name);
            return Sense::Error;
        };
        let written_well = match doc.form {
            Form::Method => target.is_some(),
            Form::Global => target.is_none(),
            Form::Both => true,
        };
        let wanted = match doc.meaning {
            Meaning::Function(_, accepts, _) => accepts.len(),
            Meaning::Pattern(..) | Meaning::Macro => 2,
            Meaning::Mode | Meaning::Has | Meaning::Age => 1,
        };
        if !written_well || wanted != usize::from(target.is_some()) + arguments.len() {
            let message = format!("`{function}` is called otherwise");
            self.error(
                Code::WRONG_ARGUMENT_COUNT,
                walk.part,
                span,
                message,
                Some(format!("write {}", doc.usage())),
            );
            return Sense::Error;
        }
        let Some(values) = values else { return Sense::Error };
        match doc.meaning {
            Meaning::Function(function, accepts, ty) => {
                let mut fits = true;
                for (value, accepts) in values.iter().zip(accepts) {
                    fits &= self.wants(walk, doc, *value, *accepts);
                }
                if !fits {
                    return Sense::Error;
                }
                if function == Function::Intersects && !self.share_elements(walk, values[0], values[1], span)
                {
                    return Sense::Error;
                }
                if let Some(conversion) = function.conversion()
                    && let Some(text) = self.literal_text(values[0])
                {
                    return self.convert(walk, conversion, &text, values[0], span);
                }
                if function == Function::ContainsAddress
                    && let Some(network) = self.literal_text(values[0])
                {
                    return self.in_network(walk, network, values[1], span);
                }
                if let Some(value) = self.folded(function, &values) {
                    return self.emit(walk, Expr::Const(value), ty, span);
                }
                self.emit(walk, Expr::Call(function, values), ty, span)
            }
            Meaning::Pattern(syntax, ignore_case) => {
                if !self.wants(walk, doc, values[0], Accepts::Text) {
                    return Sense::Error;
                }
                self.pattern(
                    walk,
                    values[0],
                    (arguments[0], values[1]),
                    syntax,
                    ignore_case,
                    span,
                )
            }
            Meaning::Age => self.age(walk, doc, values[0], (name, span)),
            Meaning::Mode => self.mode(walk, values[0], span),
            // The parser takes `has(x)` and `list.exists(x, …)`; what comes here is written otherwise, and refused.
            Meaning::Has | Meaning::Macro => Sense::Error,
        }
    }

    fn unknown_function(&mut self, walk: &Walk<'_>, function: &str, name: Span) {
        let known = functions().iter().map(|doc| doc.name);
        let help = match nearest(function, known) {
            Some(near) => format!("did you mean {near}?"),
            None => "`yagura functions` lists them".to_owned(),
        };
        self.error(
            Code::UNKNOWN_FUNCTION,
            walk.part,
            name,
            format!("unknown function {function}"),
            Some(help),
        );
    }

    fn wants(&mut self, walk: &Walk<'_>, doc: &FunctionDoc, value: ExprId, accepts: Accepts) -> bool {
        let ty = self.type_of(value);
        let (fits, wanted) = match (accepts, ty) {
            (Accepts::Network, Type::DYNAMIC) => (false, "a cidr"),
            (Accepts::Timestamp, ty) => (ty == Type::TIMESTAMP, "a timestamp"),
            (_, Type::One(Scalar::Dynamic)) => return true,
            (Accepts::Text, ty) => (ty == Type::STRING, "a string"),
            (Accepts::Int, ty) => (ty == Type::INT, "an int"),
            (Accepts::TextOrNumber, ty) => {
                let fits = matches!(ty, Type::STRING | Type::INT | Type::DOUBLE);
                (fits, "a string or number")
            }
            (Accepts::TextOrAddress, ty) => (matches!(ty, Type::STRING | Type::ADDRESS), "a string or an ip"),
            (Accepts::Network, ty) => (ty == Type::NETWORK, "a cidr"),
            (Accepts::List, ty) => (matches!(ty, Type::List(_)), "a list"),
            (Accepts::TextOrList, ty) => {
                let fits = matches!(ty, Type::List(_) | Type::One(Scalar::String | Scalar::StringMap));
                (fits, "a string, list or map")
            }
            (Accepts::Scalar, ty) => {
                let fits = matches!(
                    ty,
                    Type::One(Scalar::String | Scalar::Int | Scalar::Double | Scalar::Bool)
                );
                (fits, "a string or number")
            }
        };
        if fits {
            return true;
        }
        let (part, span) = self.place(value);
        let span = if part == walk.part { span } else { Span::default() };
        let help = match (accepts, ty) {
            (Accepts::Text | Accepts::TextOrAddress, Type::List(Scalar::String))
                if doc.form == Form::Global =>
            {
                format!("ask for its elements: list.exists(x, {}(x))", doc.name)
            }
            (Accepts::Text, Type::List(Scalar::String)) => {
                format!("ask for its elements: list.exists(x, x.{}(…))", doc.name)
            }
            (Accepts::Network, Type::STRING | Type::DYNAMIC) => format!("write cidr(…).{}(…)", doc.name),
            (Accepts::Timestamp, Type::STRING | Type::DYNAMIC) => format!("write {}(timestamp(…))", doc.name),
            _ => format!("it is {}", doc.usage()),
        };
        let message = format!("`{}` wants {wanted}, this is {}", doc.name, article(ty));
        self.error(Code::WRONG_TYPE, walk.part, span, message, Some(help));
        false
    }

    /// The time from then to the event.
    fn age(&mut self, walk: &Walk<'_>, doc: &FunctionDoc, time: ExprId, (name, span): (Span, Span)) -> Sense {
        let Some(now) = self.registry.find("event.time") else {
            let message = "`age` is of events; there is none here".to_owned();
            let help = Some("compare two timestamps".to_owned());
            self.error(Code::UNKNOWN_FUNCTION, walk.part, name, message, help);
            return Sense::Error;
        };
        if !self.wants(walk, doc, time, Accepts::Timestamp) {
            return Sense::Error;
        }
        let now = self.push(walk, Expr::Field(now), Type::TIMESTAMP, span);
        let age = Expr::Arithmetic(ArithmeticOp::Subtract, now, time);
        self.emit(walk, age, Type::DURATION, span)
    }

    /// Whether lists may have elements in common.
    fn share_elements(&mut self, walk: &Walk<'_>, left: ExprId, right: ExprId, span: Span) -> bool {
        let (left, right) = (self.type_of(left), self.type_of(right));
        let apart = are_apart(left, right);
        if apart {
            let message = format!(
                "{} and {} have no element in common",
                article(left),
                article(right)
            );
            let help = as_the_other(left, right);
            self.error(Code::NEVER_EQUAL, walk.part, span, message, help);
        }
        !apart
    }

    /// The result of a function whose arguments are all written out. What is absent, or a list, is left to the engine, and so are
    /// arguments of a size with which a rule of thousands of calls could spend the compiler's time and memory.
    fn folded(&self, function: Function, values: &[ExprId]) -> Option<Tree> {
        let arguments: Option<Vec<ValueRef<'_>>> = values
            .iter()
            .map(|value| match self.program.get(*value) {
                Expr::Const(tree) if is_small(tree) => Some(ValueRef::from(tree)),
                _ => None,
            })
            .collect();
        let result = apply(function, &arguments?);
        if !result.is_present() || matches!(result, ValueRef::List(_)) {
            return None;
        }
        result.to_tree()
    }

    /// The text of a literal.
    fn literal_text(&self, value: ExprId) -> Option<Text> {
        match self.program.get(value) {
            Expr::Const(value) => text_of(value).cloned(),
            _ => None,
        }
    }

    /// What a text that is written out stands for, once and for all.
    fn convert(
        &mut self,
        walk: &Walk<'_>,
        conversion: Conversion,
        text: &Text,
        literal: ExprId,
        span: Span,
    ) -> Sense {
        match conversion.literal(text.as_bytes()) {
            Ok(value) => {
                let value = value.to_tree().unwrap_or_default();
                self.emit(walk, Expr::Const(value), conversion.result(), span)
            }
            Err(message) => {
                let (_, span) = self.place_in(walk.part, literal);
                self.error(Code::BAD_LITERAL, walk.part, span, message, None);
                Sense::Error
            }
        }
    }

    /// A search in a network that is written out is one in a list of that network: it is read once.
    fn in_network(&mut self, walk: &Walk<'_>, network: Text, address: ExprId, span: Span) -> Sense {
        let Ok(list) = NamedList::new(ListType::Cidr, [network]) else {
            return Sense::Error;
        };
        let list = self.push(walk, Expr::Named(Arc::new(list)), Type::NETWORK, span);
        self.emit(walk, Expr::In(address, list), Type::BOOL, span)
    }

    fn pattern(
        &mut self,
        walk: &Walk<'_>,
        subject: ExprId,
        (node, literal): (NodeId, ExprId),
        syntax: pattern::Syntax,
        ignore_case: bool,
        span: Span,
    ) -> Sense {
        let text = match self.program.get(literal) {
            Expr::Const(value) => text_of(value).cloned(),
            _ => None,
        };
        let Some(text) = text else {
            let message = "a pattern is a string that is written out".to_owned();
            let help = Some("a let with a string will do".to_owned());
            self.error(
                Code::PATTERN_NOT_LITERAL,
                walk.part,
                walk.span(node),
                message,
                help,
            );
            return Sense::Error;
        };
        let compiled = pattern::translate(text.as_bytes(), syntax, ignore_case)
            .and_then(|source| self.program.push_pattern(source, self.patterns, pattern::compile));
        match compiled {
            Ok(id) => self.emit(walk, Expr::Matches(subject, id), Type::BOOL, span),
            Err(reason) => {
                let message = format!("the pattern cannot be compiled: {reason}");
                self.error(Code::BAD_PATTERN, walk.part, walk.span(node), message, None);
                Sense::Error
            }
        }
    }

    fn mode(&mut self, walk: &Walk<'_>, literal: ExprId, span: Span) -> Sense {
        let digits = match self.program.get(literal) {
            Expr::Const(value) => text_of(value).and_then(|text| std::str::from_utf8(text.as_bytes()).ok()),
            _ => None,
        };
        let number = digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| i64::from_str_radix(digits, 8).ok())
            .filter(|number| *number <= 0o7777);
        let Some(number) = number else {
            let message = "a mode is a string of octal digits up to 7777".to_owned();
            self.error(
                Code::BAD_MODE,
                walk.part,
                span,
                message,
                Some("write mode(\"0644\")".to_owned()),
            );
            return Sense::Error;
        };
        self.emit(walk, Expr::Const(Tree::Int(number)), Type::INT, span)
    }
}

/// Whether functions of the value are calculated by the compiler.
fn is_small(value: &Tree) -> bool {
    let fits = |value: &Tree| match value {
        Tree::Text(text) => text.len() <= limits::FOLDED,
        Tree::List(_) | Tree::Map(_) => false,
        _ => true,
    };
    match value {
        Tree::List(items) => items.len() <= limits::FOLDED / 4 && items.iter().all(fits),
        value => fits(value),
    }
}
