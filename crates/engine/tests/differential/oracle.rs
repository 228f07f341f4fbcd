//! A second evaluator, as simple as can be: it walks the tree, caches nothing, compiles nothing, and shares no
//! code with the engine but the compiler's front end.

#![expect(
    clippy::match_same_arms,
    clippy::too_many_lines,
    reason = "one line a rule of the language, in one place"
)]

use yagura_event::field::ObjectRef;
use yagura_event::value::ListRef;
use yagura_event::{FieldId, Tree, ValueRef};
use yagura_rules::expr::{ArithmeticOp, Expr, ExprId, MacroKind, OrderOp};
use yagura_rules::function::Function;
use yagura_rules::{NamedList, Program};

use crate::convert;

/// A mistake that is planted on purpose: the comparison has to notice each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    Nothing,
    OrDropsUnknown,
    AndDropsUnknown,
    AbsentIsUnequalToNothing,
    UnknownEqualsAbsent,
    LessOrEqualIsLess,
    ExistsIgnoresCutLists,
    AllOfNothingFails,
    PrefixOfCase,
    DivisionByZeroIsZero,
    NullIsPresent,
    ElseOnUnknown,
}

/// A value with everything in it.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Absent,
    Unknown,
    Bool(bool),
    Whole(i128),
    Double(f64),
    Text(Vec<u8>),
    List(Vec<Value<'a>>, bool),
    Map(Vec<(Vec<u8>, Value<'a>)>),
    Object(ObjectRef<'a>),
}

pub(crate) struct Oracle<'a, F> {
    pub(crate) program: &'a Program,
    pub(crate) field: F,
    pub(crate) plant: Plant,
}

/// A named list whose values are no texts to compare with.
fn matcher(expr: &Expr) -> Option<&NamedList> {
    match expr {
        Expr::Named(list) if list.strings().is_none() => Some(list),
        _ => None,
    }
}

/// Three-valued truth, unknown as `None`.
type Truth = Option<bool>;

fn value<'a>(view: &ValueRef<'a>) -> Value<'a> {
    match view {
        ValueRef::Absent | ValueRef::Null => Value::Absent,
        ValueRef::Unknown => Value::Unknown,
        ValueRef::Bool(value) => Value::Bool(*value),
        ValueRef::Int(value) => Value::Whole(i128::from(*value)),
        ValueRef::Uint(value) => Value::Whole(i128::from(*value)),
        ValueRef::Double(value) => Value::Double(*value),
        ValueRef::Bytes(bytes) => Value::Text(bytes.to_vec()),
        ValueRef::List(list) => list_value(list),
        ValueRef::Map(map) => match map.to_tree() {
            Tree::Map(pairs) => Value::Map(
                pairs
                    .into_iter()
                    .map(|(name, member)| (name.as_bytes().to_vec(), owned(&member)))
                    .collect(),
            ),
            _ => Value::Absent,
        },
        ValueRef::Object(object) => Value::Object(*object),
    }
}

fn list_value<'a>(list: &ListRef<'a>) -> Value<'a> {
    Value::List(
        list.iter().map(|element| value(&element)).collect(),
        list.complete,
    )
}

/// The value of a tree, which may go away.
fn owned(tree: &Tree) -> Value<'static> {
    match tree {
        Tree::Null => Value::Absent,
        Tree::Unknown => Value::Unknown,
        Tree::Bool(value) => Value::Bool(*value),
        Tree::Int(value) => Value::Whole(i128::from(*value)),
        Tree::Uint(value) => Value::Whole(i128::from(*value)),
        Tree::Double(value) => Value::Double(*value),
        Tree::Text(text) => Value::Text(text.as_bytes().to_vec()),
        Tree::List(values) => Value::List(values.iter().map(owned).collect(), true),
        Tree::Map(pairs) => Value::Map(
            pairs
                .iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), owned(value)))
                .collect(),
        ),
    }
}

fn from_truth<'a>(truth: Truth) -> Value<'a> {
    truth.map_or(Value::Unknown, Value::Bool)
}

fn number(value: i128) -> Value<'static> {
    let fits = value >= i128::from(i64::MIN) && value <= i128::from(u64::MAX);
    if fits { Value::Whole(value) } else { Value::Absent }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "mixed arithmetic is floating point arithmetic"
)]
fn as_double(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Whole(value) => Some(*value as f64),
        Value::Double(value) => Some(*value),
        _ => None,
    }
}

impl<'a, F: Fn(FieldId) -> ValueRef<'a>> Oracle<'a, F> {
    /// Whether a condition holds.
    pub(crate) fn condition(&self, root: ExprId) -> Truth {
        truth(&self.eval(root, &mut Vec::new()))
    }

    fn planted(&self, plant: Plant) -> bool {
        self.plant == plant
    }

    fn eval(&self, id: ExprId, variables: &mut Vec<Value<'a>>) -> Value<'a> {
        match self.program.get(id) {
            Expr::Const(tree) => owned(tree),
            Expr::Named(list) => {
                let texts = list.strings().unwrap_or_default();
                let texts = texts.iter().map(|text| Value::Text(text.as_bytes().to_vec()));
                Value::List(texts.collect(), true)
            }
            Expr::Field(id) => value(&(self.field)(*id)),
            Expr::Variable(level) => variables[usize::from(*level)].clone(),
            Expr::Member(base, member) => match self.eval(*base, variables) {
                Value::Object(object) => value(&object.member(*member)),
                Value::Unknown => Value::Unknown,
                _ => Value::Absent,
            },
            Expr::Select(base, name) => match self.eval(*base, variables) {
                Value::Map(pairs) => member(&pairs, name.as_bytes()),
                Value::Unknown | Value::List(..) => Value::Unknown,
                _ => Value::Absent,
            },
            Expr::Index(base, at) => {
                let (base, at) = (self.eval(*base, variables), self.eval(*at, variables));
                index(&base, &at)
            }
            Expr::IsNull(base) => match self.eval(*base, variables) {
                Value::Unknown => Value::Unknown,
                Value::Absent => Value::Bool(!self.planted(Plant::NullIsPresent)),
                _ => Value::Bool(false),
            },
            Expr::Not(base) => from_truth(truth(&self.eval(*base, variables)).map(|value| !value)),
            Expr::Negate(base) => match self.eval(*base, variables) {
                Value::Whole(value) => number(-value),
                Value::Double(value) => Value::Double(-value),
                Value::Unknown => Value::Unknown,
                _ => Value::Absent,
            },
            Expr::And(members) => {
                let all: Vec<Truth> = members
                    .iter()
                    .map(|id| truth(&self.eval(*id, variables)))
                    .collect();
                if all.contains(&Some(false)) {
                    Value::Bool(false)
                } else if all.contains(&None) && !self.planted(Plant::AndDropsUnknown) {
                    Value::Unknown
                } else {
                    Value::Bool(true)
                }
            }
            Expr::Or(members) => {
                let all: Vec<Truth> = members
                    .iter()
                    .map(|id| truth(&self.eval(*id, variables)))
                    .collect();
                if all.contains(&Some(true)) {
                    Value::Bool(true)
                } else if all.contains(&None) && !self.planted(Plant::OrDropsUnknown) {
                    Value::Unknown
                } else {
                    Value::Bool(false)
                }
            }
            Expr::Conditional {
                condition,
                then,
                otherwise,
            } => match truth(&self.eval(*condition, variables)) {
                Some(true) => self.eval(*then, variables),
                Some(false) => self.eval(*otherwise, variables),
                None if self.planted(Plant::ElseOnUnknown) => self.eval(*otherwise, variables),
                None => Value::Unknown,
            },
            Expr::Equal(left, right) => {
                let (left, right) = (self.eval(*left, variables), self.eval(*right, variables));
                from_truth(self.equal(&left, &right))
            }
            Expr::Order(operator, left, right) => {
                let (left, right) = (self.eval(*left, variables), self.eval(*right, variables));
                from_truth(self.order(*operator, &left, &right))
            }
            Expr::In(left, right) if let Some(list) = matcher(self.program.get(*right)) => {
                match self.eval(*left, variables) {
                    Value::Text(text) => Value::Bool(list.holds(&text)),
                    Value::Unknown => Value::Unknown,
                    _ => Value::Bool(false),
                }
            }
            Expr::In(left, right) => {
                let (left, right) = (self.eval(*left, variables), self.eval(*right, variables));
                from_truth(self.member_of(&left, &right))
            }
            Expr::Arithmetic(operator, left, right) => {
                let (left, right) = (self.eval(*left, variables), self.eval(*right, variables));
                self.arithmetic(*operator, left, right)
            }
            Expr::Call(function, arguments) => {
                let arguments: Vec<Value<'a>> =
                    arguments.iter().map(|id| self.eval(*id, variables)).collect();
                self.call(*function, &arguments)
            }
            Expr::Matches(subject, pattern) => match self.eval(*subject, variables) {
                Value::Text(text) => Value::Bool(self.program.pattern(*pattern).regex.is_match(&text)),
                Value::Unknown => Value::Unknown,
                _ => Value::Bool(false),
            },
            Expr::Macro {
                kind,
                range,
                variable,
                body,
            } => {
                let range = self.eval(*range, variables);
                self.macro_(*kind, range, usize::from(*variable), *body, variables)
            }
            Expr::List(elements) => Value::List(
                elements.iter().map(|id| self.eval(*id, variables)).collect(),
                true,
            ),
        }
    }

    fn macro_(
        &self,
        kind: MacroKind,
        range: Value<'a>,
        level: usize,
        body: ExprId,
        variables: &mut Vec<Value<'a>>,
    ) -> Value<'a> {
        let test = !matches!(kind, MacroKind::Filter | MacroKind::Map);
        let (elements, complete) = match range {
            Value::List(elements, complete) => (elements, complete),
            Value::Absent => (Vec::new(), true),
            Value::Unknown => return Value::Unknown,
            _ if test => return Value::Bool(false),
            _ => return Value::Absent,
        };
        let mut results = Vec::new();
        for element in &elements {
            variables.truncate(level);
            variables.push(element.clone());
            results.push(self.eval(body, variables));
            variables.truncate(level);
        }
        let truths: Vec<Truth> = results.iter().map(truth).collect();
        let count = |wanted: Truth| truths.iter().filter(|truth| **truth == wanted).count();
        let open = count(None) > 0 || !complete;
        match kind {
            MacroKind::Exists if count(Some(true)) > 0 => Value::Bool(true),
            MacroKind::Exists if count(None) == 0 && self.planted(Plant::ExistsIgnoresCutLists) => {
                Value::Bool(false)
            }
            MacroKind::All if elements.is_empty() && self.planted(Plant::AllOfNothingFails) => {
                Value::Bool(false)
            }
            MacroKind::All if count(Some(false)) > 0 => Value::Bool(false),
            MacroKind::ExistsOne if count(Some(true)) > 1 => Value::Bool(false),
            MacroKind::Exists | MacroKind::All | MacroKind::ExistsOne if open => Value::Unknown,
            MacroKind::Exists => Value::Bool(false),
            MacroKind::All => Value::Bool(true),
            MacroKind::ExistsOne => Value::Bool(count(Some(true)) == 1),
            MacroKind::Filter => {
                let kept = elements
                    .into_iter()
                    .zip(truths)
                    .filter(|(_, truth)| *truth == Some(true));
                Value::List(kept.map(|(element, _)| element).collect(), !open)
            }
            MacroKind::Map => Value::List(results, complete),
        }
    }

    fn equal(&self, left: &Value<'_>, right: &Value<'_>) -> Truth {
        match (left, right) {
            (Value::Absent, Value::Unknown) | (Value::Unknown, Value::Absent) => {
                if self.planted(Plant::UnknownEqualsAbsent) {
                    None
                } else {
                    Some(false)
                }
            }
            (Value::Absent, _) | (_, Value::Absent) => Some(self.planted(Plant::AbsentIsUnequalToNothing)),
            (Value::Unknown, _) | (_, Value::Unknown) => None,
            (Value::Bool(left), Value::Bool(right)) => Some(left == right),
            (Value::Text(left), Value::Text(right)) => Some(left == right),
            (Value::List(left, left_complete), Value::List(right, right_complete)) => {
                let complete = *left_complete && *right_complete;
                if complete && left.len() != right.len() {
                    return Some(false);
                }
                let all: Vec<Truth> = left
                    .iter()
                    .zip(right)
                    .map(|(left, right)| self.equal(left, right))
                    .collect();
                if all.contains(&Some(false)) {
                    Some(false)
                } else if all.contains(&None) || !complete {
                    None
                } else {
                    Some(true)
                }
            }
            (Value::Map(left), Value::Map(right)) => {
                if left.len() != right.len() || left.iter().zip(right).any(|(left, right)| left.0 != right.0)
                {
                    return Some(false);
                }
                let all: Vec<Truth> = left
                    .iter()
                    .zip(right)
                    .map(|(left, right)| self.equal(&left.1, &right.1))
                    .collect();
                if all.contains(&Some(false)) {
                    Some(false)
                } else if all.contains(&None) {
                    None
                } else {
                    Some(true)
                }
            }
            (Value::Whole(left), Value::Whole(right)) => Some(left == right),
            // The numbers of these tests are small: their doubles are exact.
            (left, right) => Some(match (as_double(left), as_double(right)) {
                (Some(left), Some(right)) => left.partial_cmp(&right) == Some(std::cmp::Ordering::Equal),
                _ => false,
            }),
        }
    }

    fn order(&self, operator: OrderOp, left: &Value<'_>, right: &Value<'_>) -> Truth {
        let order = match (left, right) {
            (Value::Absent, _) | (_, Value::Absent) => return Some(false),
            (Value::Unknown, _) | (_, Value::Unknown) => return None,
            (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
            (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
            (Value::Whole(left), Value::Whole(right)) => Some(left.cmp(right)),
            (left, right) => match (as_double(left), as_double(right)) {
                (Some(left), Some(right)) => left.partial_cmp(&right),
                _ => None,
            },
        };
        let Some(order) = order else { return Some(false) };
        Some(match operator {
            OrderOp::Less => order.is_lt(),
            OrderOp::LessEqual if self.planted(Plant::LessOrEqualIsLess) => order.is_lt(),
            OrderOp::LessEqual => order.is_le(),
            OrderOp::Greater => order.is_gt(),
            OrderOp::GreaterEqual => order.is_ge(),
        })
    }

    fn member_of(&self, element: &Value<'_>, group: &Value<'_>) -> Truth {
        match (element, group) {
            (Value::Absent, _) => Some(false),
            (_, Value::Unknown) => None,
            (element, Value::List(values, complete)) => {
                let all: Vec<Truth> = values.iter().map(|value| self.equal(value, element)).collect();
                if all.contains(&Some(true)) {
                    Some(true)
                } else if all.contains(&None) || !complete {
                    None
                } else {
                    Some(false)
                }
            }
            (Value::Text(name), Value::Map(pairs)) => Some(pairs.iter().any(|(key, _)| key == name)),
            (Value::Unknown, Value::Map(_)) => None,
            _ => Some(false),
        }
    }

    fn arithmetic(&self, operator: ArithmeticOp, left: Value<'a>, right: Value<'a>) -> Value<'a> {
        match (left, right) {
            (Value::Absent, _) | (_, Value::Absent) => Value::Absent,
            (Value::Unknown, _) | (_, Value::Unknown) => Value::Unknown,
            (Value::Text(mut left), Value::Text(right)) if operator == ArithmeticOp::Add => {
                left.extend(right);
                Value::Text(left)
            }
            (Value::List(mut left, first), Value::List(right, second)) if operator == ArithmeticOp::Add => {
                left.extend(right);
                Value::List(left, first && second)
            }
            (Value::Whole(left), Value::Whole(right)) => match operator {
                ArithmeticOp::Add => number(left + right),
                ArithmeticOp::Subtract => number(left - right),
                ArithmeticOp::Multiply => left.checked_mul(right).map_or(Value::Absent, number),
                ArithmeticOp::Divide | ArithmeticOp::Remainder if right == 0 => {
                    if self.planted(Plant::DivisionByZeroIsZero) {
                        Value::Whole(0)
                    } else {
                        Value::Absent
                    }
                }
                ArithmeticOp::Divide => number(left / right),
                ArithmeticOp::Remainder => number(left % right),
            },
            (left, right) => {
                let (Some(left), Some(right)) = (as_double(&left), as_double(&right)) else {
                    return Value::Absent;
                };
                let result = match operator {
                    ArithmeticOp::Add => left + right,
                    ArithmeticOp::Subtract => left - right,
                    ArithmeticOp::Multiply => left * right,
                    ArithmeticOp::Divide => left / right,
                    ArithmeticOp::Remainder => return Value::Absent,
                };
                if result.is_finite() {
                    Value::Double(result)
                } else {
                    Value::Absent
                }
            }
        }
    }

    fn call(&self, function: Function, arguments: &[Value<'a>]) -> Value<'a> {
        let none = if function.is_test() {
            Value::Bool(false)
        } else {
            Value::Absent
        };
        let text = |value: &Value<'_>| matches!(value, Value::Text(_) | Value::Unknown);
        let list = |value: &Value<'_>| matches!(value, Value::List(..) | Value::Unknown);
        let fits = match function {
            Function::Intersects => arguments.iter().all(list),
            Function::BitsAnd | Function::BitsAnyOf | Function::BitsAllOf => arguments
                .iter()
                .all(|value| matches!(value, Value::Whole(_) | Value::Unknown)),
            Function::ToQuantity
            | Function::Size
            | Function::ToInt
            | Function::ToDouble
            | Function::ToText => !matches!(arguments[0], Value::Absent),
            _ => arguments.iter().all(text),
        };
        if !fits {
            return none;
        }
        if arguments
            .iter()
            .any(|argument| matches!(argument, Value::Unknown))
        {
            return Value::Unknown;
        }
        let lower = |text: &[u8]| text.to_ascii_lowercase();
        match (function, arguments) {
            (Function::StartsWith, [Value::Text(left), Value::Text(right)]) => {
                if self.planted(Plant::PrefixOfCase) {
                    return Value::Bool(lower(left).starts_with(&lower(right)));
                }
                Value::Bool(left.starts_with(right))
            }
            (Function::EndsWith, [Value::Text(left), Value::Text(right)]) => {
                Value::Bool(left.ends_with(right))
            }
            (Function::Contains, [Value::Text(left), Value::Text(right)]) => {
                Value::Bool(contains(left, right))
            }
            (Function::EqualsIgnoreCase, [Value::Text(left), Value::Text(right)]) => {
                Value::Bool(lower(left) == lower(right))
            }
            (Function::StartsWithIgnoreCase, [Value::Text(left), Value::Text(right)]) => {
                Value::Bool(lower(left).starts_with(&lower(right)))
            }
            (Function::EndsWithIgnoreCase, [Value::Text(left), Value::Text(right)]) => {
                Value::Bool(lower(left).ends_with(&lower(right)))
            }
            (Function::ContainsIgnoreCase, [Value::Text(left), Value::Text(right)]) => {
                Value::Bool(contains(&lower(left), &lower(right)))
            }
            (Function::LowerAscii, [Value::Text(text)]) => Value::Text(lower(text)),
            (Function::UpperAscii, [Value::Text(text)]) => Value::Text(text.to_ascii_uppercase()),
            (Function::Trim, [Value::Text(text)]) => Value::Text(text.trim_ascii().to_vec()),
            (Function::Base, [Value::Text(text)]) => Value::Text(
                text.split(|byte| *byte == b'/')
                    .next_back()
                    .unwrap_or_default()
                    .to_vec(),
            ),
            (Function::Dir, [Value::Text(text)]) => {
                let pieces: Vec<&[u8]> = text.split(|byte| *byte == b'/').collect();
                match pieces.len() {
                    0 | 1 => Value::Absent,
                    count => {
                        let dir = pieces[..count - 1].join(&b'/');
                        Value::Text(if dir.is_empty() { b"/".to_vec() } else { dir })
                    }
                }
            }
            (Function::DecodeBase64, [Value::Text(text)]) => {
                convert::base64(text).map_or(Value::Absent, Value::Text)
            }
            (Function::ToAddress, [Value::Text(text)]) => convert::address(text),
            (Function::ToNetwork, [Value::Text(text)]) => convert::network(text),
            (Function::ToDuration, [Value::Text(text)]) => {
                convert::duration(text).map_or(Value::Absent, Value::Whole)
            }
            (Function::ToTimestamp, [Value::Text(text)]) => {
                convert::timestamp(text).map_or(Value::Absent, Value::Whole)
            }
            (Function::ToQuantity, [Value::Text(text)]) => convert::quantity(text),
            (Function::ToQuantity, [Value::Whole(number)]) => {
                convert::quantity(number.to_string().as_bytes())
            }
            (Function::ToQuantity, [Value::Double(number)]) => {
                convert::quantity(number.to_string().as_bytes())
            }
            (Function::ContainsAddress, [Value::Text(network), Value::Text(address)]) => {
                Value::Bool(convert::holds(network, address))
            }
            (Function::IsPublic, [Value::Text(text)]) => Value::Bool(convert::is_public(text)),
            (
                Function::BitsAnd | Function::BitsAnyOf | Function::BitsAllOf,
                [Value::Whole(left), Value::Whole(right)],
            ) => {
                let bits: Vec<(bool, bool)> = (0..64)
                    .map(|bit| (left >> bit & 1 == 1, right >> bit & 1 == 1))
                    .collect();
                match function {
                    Function::BitsAnyOf => Value::Bool(bits.contains(&(true, true))),
                    Function::BitsAllOf => Value::Bool(!bits.contains(&(false, true))),
                    _ => Value::Whole(
                        bits.iter()
                            .rev()
                            .fold(0, |sum, (left, right)| sum * 2 + i128::from(*left && *right)),
                    ),
                }
            }
            (Function::Split, [Value::Text(text), Value::Text(separator)]) => split(text, separator),
            (Function::Size, [Value::Text(text)]) => Value::Whole(text.len() as i128),
            (Function::Size, [Value::List(values, true)]) => Value::Whole(values.len() as i128),
            (Function::Size, [Value::List(_, false)]) => Value::Unknown,
            (Function::Size, [Value::Map(pairs)]) => Value::Whole(pairs.len() as i128),
            (
                Function::Intersects,
                [
                    Value::List(left, complete),
                    right @ Value::List(_, right_complete),
                ],
            ) => {
                let all: Vec<Truth> = left
                    .iter()
                    .map(|element| self.member_of(element, right))
                    .collect();
                if all.contains(&Some(true)) {
                    Value::Bool(true)
                } else if all.contains(&None) || !complete || !right_complete {
                    Value::Unknown
                } else {
                    Value::Bool(false)
                }
            }
            (Function::ToInt, [Value::Whole(value)]) => Value::Whole(*value),
            (Function::ToInt, [Value::Bool(value)]) => Value::Whole(i128::from(*value)),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the numbers of these tests are small"
            )]
            (Function::ToInt, [Value::Double(value)]) => Value::Whole(*value as i128),
            (Function::ToInt, [Value::Text(text)]) => String::from_utf8_lossy(text)
                .parse()
                .map_or(Value::Absent, number),
            (Function::ToDouble, [Value::Text(text)]) => match String::from_utf8_lossy(text).parse::<f64>() {
                Ok(value) if value.is_finite() => Value::Double(value),
                _ => Value::Absent,
            },
            (Function::ToDouble, [number]) => as_double(number).map_or(Value::Absent, Value::Double),
            (Function::ToText, [Value::Text(text)]) => Value::Text(text.clone()),
            (Function::ToText, [Value::Bool(value)]) => Value::Text(value.to_string().into_bytes()),
            (Function::ToText, [Value::Whole(value)]) => Value::Text(value.to_string().into_bytes()),
            (Function::ToText, [Value::Double(value)]) => Value::Text(value.to_string().into_bytes()),
            _ => none,
        }
    }
}

fn truth(value: &Value<'_>) -> Truth {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Unknown => None,
        _ => Some(false),
    }
}

fn member<'a>(pairs: &[(Vec<u8>, Value<'a>)], name: &[u8]) -> Value<'a> {
    pairs
        .iter()
        .find(|(key, _)| key == name)
        .map_or(Value::Absent, |(_, value)| value.clone())
}

fn index<'a>(base: &Value<'a>, at: &Value<'_>) -> Value<'a> {
    match (base, at) {
        (Value::Absent, _) | (_, Value::Absent) => Value::Absent,
        (Value::Unknown, _) => Value::Unknown,
        (Value::List(..) | Value::Map(_), Value::Unknown) => Value::Unknown,
        (Value::List(values, complete), Value::Whole(at)) => match usize::try_from(*at) {
            Ok(at) if at < values.len() => values[at].clone(),
            Ok(_) if !complete => Value::Unknown,
            _ => Value::Absent,
        },
        (Value::Map(pairs), Value::Text(name)) => member(pairs, name),
        _ => Value::Absent,
    }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|window| window == wanted)
}

fn split<'a>(text: &[u8], separator: &[u8]) -> Value<'a> {
    if separator.is_empty() {
        return Value::Absent;
    }
    let mut pieces = vec![Vec::new()];
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(separator) {
            pieces.push(Vec::new());
            at += separator.len();
        } else {
            pieces
                .last_mut()
                .expect("there is one from the start")
                .push(text[at]);
            at += 1;
        }
    }
    Value::List(pieces.into_iter().map(Value::Text).collect(), true)
}
