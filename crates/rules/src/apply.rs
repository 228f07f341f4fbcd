//! Functions on values: the engine calls them for each event, the compiler once where all arguments are written out.
//!
//! Each is total: there are no arguments for which it fails.

mod address;
mod base64;

use std::borrow::Cow;

use yagura_event::ValueRef;
use yagura_event::value::ListRef;

use crate::convert::{self, Conversion};
use crate::function::Function;

/// The result of a function.
///
/// An absent argument, or one of a wrong type, makes a test false and everything else absent; otherwise an
/// unknown one makes it unknown.
pub fn apply<'a>(function: Function, arguments: &[ValueRef<'a>]) -> ValueRef<'a> {
    let none = if function.is_test() {
        ValueRef::Bool(false)
    } else {
        ValueRef::Absent
    };
    if arguments.iter().any(ValueRef::is_absent) {
        return none;
    }
    let unknown = arguments
        .iter()
        .any(|argument| matches!(argument, ValueRef::Unknown));
    if unknown {
        let fits = arguments
            .iter()
            .all(|argument| matches!(argument, ValueRef::Unknown) || accepts(function, argument));
        return if fits { ValueRef::Unknown } else { none };
    }
    match arguments {
        [value] => unary(function, value).unwrap_or(none),
        [ValueRef::Bytes(left), ValueRef::Bytes(right)] => on_texts(function, left, right).unwrap_or(none),
        [left, right] if takes_bits(function) => on_bits(function, left, right).unwrap_or(none),
        [ValueRef::List(left), ValueRef::List(right)] if function == Function::Intersects => {
            intersects(left, right)
        }
        _ => none,
    }
}

/// Whether a known argument could give a result.
fn accepts(function: Function, argument: &ValueRef<'_>) -> bool {
    match function {
        Function::Intersects => matches!(argument, ValueRef::List(_)),
        Function::ToQuantity | Function::Size | Function::ToInt | Function::ToDouble | Function::ToText => {
            true
        }
        function if takes_bits(function) => bits(argument).is_some(),
        _ => matches!(argument, ValueRef::Bytes(_)),
    }
}

fn takes_bits(function: Function) -> bool {
    matches!(
        function,
        Function::BitsAnd | Function::BitsAnyOf | Function::BitsAllOf
    )
}

/// A whole number as 64 bits.
fn bits(value: &ValueRef<'_>) -> Option<u64> {
    match value {
        ValueRef::Int(value) => Some(value.cast_unsigned()),
        ValueRef::Uint(value) => Some(*value),
        _ => None,
    }
}

fn on_bits<'a>(function: Function, left: &ValueRef<'_>, right: &ValueRef<'_>) -> Option<ValueRef<'a>> {
    let wanted = bits(right)?;
    let common = bits(left)? & wanted;
    match function {
        Function::BitsAnd => Some(ValueRef::uint(common)),
        Function::BitsAnyOf => Some(ValueRef::Bool(common != 0)),
        Function::BitsAllOf => Some(ValueRef::Bool(common == wanted)),
        _ => None,
    }
}

fn unary<'a>(function: Function, value: &ValueRef<'a>) -> Option<ValueRef<'a>> {
    match (function, value) {
        (Function::Size, value) => size(value),
        (Function::ToInt, value) => to_int(value),
        (Function::ToDouble, value) => to_double(value),
        (Function::ToText, value) => to_text(value),
        (Function::ToQuantity, ValueRef::Int(_) | ValueRef::Uint(_) | ValueRef::Double(_)) => {
            let text = to_text(value)?;
            Conversion::Quantity.read(text.as_bytes()?)
        }
        (function, ValueRef::Bytes(text)) => match function.conversion() {
            Some(conversion) => conversion.read(text),
            None => on_text(function, text),
        },
        _ => None,
    }
}

fn size<'a>(value: &ValueRef<'a>) -> Option<ValueRef<'a>> {
    Some(match value {
        ValueRef::Bytes(text) => ValueRef::uint(text.len() as u64),
        ValueRef::List(list) if list.complete => ValueRef::uint(list.len() as u64),
        ValueRef::List(_) => ValueRef::Unknown,
        ValueRef::Map(map) => ValueRef::uint(map.len() as u64),
        _ => return None,
    })
}

fn to_int<'a>(value: &ValueRef<'a>) -> Option<ValueRef<'a>> {
    match value {
        ValueRef::Int(_) | ValueRef::Uint(_) => Some(value.clone()),
        ValueRef::Bool(value) => Some(ValueRef::Int(i64::from(*value))),
        ValueRef::Double(value) => double_to_int(*value),
        ValueRef::Bytes(text) => {
            let text = std::str::from_utf8(text).ok()?;
            text.parse::<i64>()
                .map(ValueRef::Int)
                .ok()
                .or_else(|| text.parse::<u64>().map(ValueRef::uint).ok())
        }
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "checked to be within 63 bits before"
)]
fn double_to_int<'a>(value: f64) -> Option<ValueRef<'a>> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (value > -LIMIT && value < LIMIT).then_some(ValueRef::Int(value as i64))
}

fn to_double<'a>(value: &ValueRef<'a>) -> Option<ValueRef<'a>> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest double is what was asked for"
    )]
    let double = match value {
        ValueRef::Double(value) => *value,
        ValueRef::Int(value) => *value as f64,
        ValueRef::Uint(value) => *value as f64,
        ValueRef::Bytes(text) => std::str::from_utf8(text).ok()?.parse().ok()?,
        _ => return None,
    };
    double.is_finite().then_some(ValueRef::Double(double))
}

fn to_text<'a>(value: &ValueRef<'a>) -> Option<ValueRef<'a>> {
    let text = match value {
        ValueRef::Bytes(_) => return Some(value.clone()),
        ValueRef::Bool(value) => value.to_string(),
        ValueRef::Int(value) => value.to_string(),
        ValueRef::Uint(value) => value.to_string(),
        ValueRef::Double(value) => value.to_string(),
        _ => return None,
    };
    Some(ValueRef::Bytes(Cow::Owned(text.into_bytes())))
}

/// Applies `cut` without copying what is borrowed.
fn part<'a>(text: &Cow<'a, [u8]>, cut: impl Fn(&[u8]) -> Option<&[u8]>) -> Option<ValueRef<'a>> {
    Some(ValueRef::Bytes(match text {
        Cow::Borrowed(text) => Cow::Borrowed(cut(text)?),
        Cow::Owned(text) => Cow::Owned(cut(text)?.to_vec()),
    }))
}

fn on_text<'a>(function: Function, text: &Cow<'a, [u8]>) -> Option<ValueRef<'a>> {
    match function {
        Function::LowerAscii => Some(ValueRef::Bytes(Cow::Owned(text.to_ascii_lowercase()))),
        Function::UpperAscii => Some(ValueRef::Bytes(Cow::Owned(text.to_ascii_uppercase()))),
        Function::DecodeBase64 => Some(ValueRef::Bytes(Cow::Owned(base64::decode(text)?))),
        Function::IsPublic => Some(ValueRef::Bool(
            convert::address(text).is_some_and(address::is_public),
        )),
        Function::Trim => part(text, |text| Some(text.trim_ascii())),
        Function::Base => part(text, |text| text.rsplit(|byte| *byte == b'/').next()),
        Function::Dir => part(text, |text| {
            let slash = text.iter().rposition(|byte| *byte == b'/')?;
            Some(if slash == 0 { &text[..1] } else { &text[..slash] })
        }),
        _ => None,
    }
}

fn on_texts<'a>(function: Function, text: &Cow<'a, [u8]>, other: &[u8]) -> Option<ValueRef<'a>> {
    let holds = match function {
        Function::StartsWith => text.starts_with(other),
        Function::ContainsAddress => convert::holds(text, other),
        Function::EndsWith => text.ends_with(other),
        Function::Contains => contains(text, other),
        Function::EqualsIgnoreCase => text.eq_ignore_ascii_case(other),
        Function::StartsWithIgnoreCase => {
            text.len() >= other.len() && text[..other.len()].eq_ignore_ascii_case(other)
        }
        Function::EndsWithIgnoreCase => {
            text.len() >= other.len() && text[text.len() - other.len()..].eq_ignore_ascii_case(other)
        }
        Function::ContainsIgnoreCase => contains_ignore_case(text, other),
        Function::Split => return split(text, other),
        _ => return None,
    };
    Some(ValueRef::Bool(holds))
}

/// Whether `wanted` stands in `text`: in linear time.
fn contains(text: &[u8], wanted: &[u8]) -> bool {
    memchr::memmem::find(text, wanted).is_some()
}

/// The same without regard to the case of ASCII letters; copies nothing.
fn contains_ignore_case(text: &[u8], wanted: &[u8]) -> bool {
    let Some(first) = wanted.first() else { return true };
    memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text)
        .filter_map(|at| text.get(at..at + wanted.len()))
        .any(|found| found.eq_ignore_ascii_case(wanted))
}

fn split<'a>(text: &Cow<'a, [u8]>, separator: &[u8]) -> Option<ValueRef<'a>> {
    if separator.is_empty() {
        return None;
    }
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut push = |from: usize, to: usize| {
        pieces.push(ValueRef::Bytes(match text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[from..to]),
            Cow::Owned(text) => Cow::Owned(text[from..to].to_vec()),
        }));
    };
    for found in memchr::memmem::find_iter(text, separator) {
        push(start, found);
        start = found + separator.len();
    }
    push(start, text.len());
    Some(ValueRef::owned_list(pieces, true))
}

fn intersects<'a>(left: &ListRef<'_>, right: &ListRef<'_>) -> ValueRef<'a> {
    let mut known = left.complete && right.complete;
    for element in left.iter() {
        match right.contains(&element) {
            Some(true) => return ValueRef::Bool(true),
            Some(false) => {}
            None => known = false,
        }
    }
    if known {
        ValueRef::Bool(false)
    } else {
        ValueRef::Unknown
    }
}
