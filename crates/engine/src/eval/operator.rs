//! Operators on values.

use std::borrow::Cow;
use std::cmp::Ordering;

use yagura_event::ValueRef;
use yagura_event::value::{self, Items, ListRef};
use yagura_rules::expr::{ArithmeticOp, OrderOp};
use yagura_rules::limits;

use super::Truth;

/// A value as a condition: absent, and anything that is not true or false, does not hold.
pub(crate) fn truth(value: &ValueRef<'_>) -> Truth {
    match value {
        ValueRef::Bool(value) => Truth::from(*value),
        ValueRef::Unknown => Truth::Unknown,
        _ => Truth::False,
    }
}

/// Whether the value is absent or null.
pub(crate) fn is_null(value: &ValueRef<'_>) -> Truth {
    match value {
        ValueRef::Unknown => Truth::Unknown,
        value => Truth::from(value.is_absent()),
    }
}

/// An ordering; values that have none do not fulfil it.
pub(crate) fn compare(operator: OrderOp, left: &ValueRef<'_>, right: &ValueRef<'_>) -> Truth {
    if left.is_absent() || right.is_absent() {
        return Truth::False;
    }
    if matches!(left, ValueRef::Unknown) || matches!(right, ValueRef::Unknown) {
        return Truth::Unknown;
    }
    let order = left.order(right);
    Truth::from(match operator {
        OrderOp::Less => order.is_some_and(Ordering::is_lt),
        OrderOp::LessEqual => order.is_some_and(Ordering::is_le),
        OrderOp::Greater => order.is_some_and(Ordering::is_gt),
        OrderOp::GreaterEqual => order.is_some_and(Ordering::is_ge),
    })
}

/// Whether a list has the element, or a map the name.
pub(crate) fn is_member(element: &ValueRef<'_>, group: &ValueRef<'_>) -> Truth {
    if element.is_absent() {
        return Truth::False;
    }
    match (group, element) {
        (ValueRef::Unknown, _) | (ValueRef::Map(_), ValueRef::Unknown) => Truth::Unknown,
        (ValueRef::List(list), element) => Truth::from(list.contains(element)),
        (ValueRef::Map(map), ValueRef::Bytes(name)) => {
            Truth::from(!matches!(map.get(name), ValueRef::Absent))
        }
        _ => Truth::False,
    }
}

/// A member that only the data knows.
///
/// A list has none. Which of its elements was meant cannot be told, so the answer is unknown: a check then says
/// so instead of passing.
pub(crate) fn select<'a>(base: &ValueRef<'a>, name: &[u8]) -> ValueRef<'a> {
    match base {
        ValueRef::Map(map) => map.get(name),
        ValueRef::Unknown | ValueRef::List(_) => ValueRef::Unknown,
        _ => ValueRef::Absent,
    }
}

/// An element of a list, or a member of a map.
pub(crate) fn index<'a>(base: &ValueRef<'a>, at: &ValueRef<'_>) -> ValueRef<'a> {
    match (base, at) {
        (ValueRef::Absent | ValueRef::Null, _) | (_, ValueRef::Absent | ValueRef::Null) => ValueRef::Absent,
        (ValueRef::Unknown, _) | (ValueRef::List(_) | ValueRef::Map(_), ValueRef::Unknown) => {
            ValueRef::Unknown
        }
        (ValueRef::List(list), ValueRef::Int(at)) => {
            usize::try_from(*at).map_or(ValueRef::Absent, |at| list.get(at))
        }
        (ValueRef::Map(map), ValueRef::Bytes(name)) => map.get(name),
        _ => ValueRef::Absent,
    }
}

/// A calculation; absent when there is no result.
pub(crate) fn arithmetic<'a>(
    operator: ArithmeticOp,
    left: &ValueRef<'a>,
    right: &ValueRef<'a>,
) -> ValueRef<'a> {
    if left.is_absent() || right.is_absent() {
        return ValueRef::Absent;
    }
    if matches!(left, ValueRef::Unknown) || matches!(right, ValueRef::Unknown) {
        return ValueRef::Unknown;
    }
    match operator {
        ArithmeticOp::Add => match (left, right) {
            (ValueRef::Bytes(left), ValueRef::Bytes(right)) => concatenate(left, right),
            (ValueRef::List(left), ValueRef::List(right)) => append(left, right),
            _ => value::add(left, right),
        },
        ArithmeticOp::Subtract => value::subtract(left, right),
        ArithmeticOp::Multiply => value::multiply(left, right),
        ArithmeticOp::Divide => value::divide(left, right),
        ArithmeticOp::Remainder => value::remainder(left, right),
    }
}

fn concatenate<'a>(left: &[u8], right: &[u8]) -> ValueRef<'a> {
    if left.len() + right.len() > limits::DERIVED_BYTES {
        return ValueRef::Unknown;
    }
    ValueRef::Bytes(Cow::Owned([left, right].concat()))
}

fn append<'a>(left: &ListRef<'a>, right: &ListRef<'a>) -> ValueRef<'a> {
    if left.len() + right.len() > limits::DERIVED_BYTES {
        return ValueRef::Unknown;
    }
    let values: Vec<ValueRef<'a>> = left.iter().chain(right.iter()).collect();
    ValueRef::List(ListRef {
        items: Items::Owned(values.into()),
        complete: left.complete && right.complete,
    })
}
