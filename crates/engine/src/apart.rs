//! By what matches of one group are told apart.

use yagura_event::Tree;
use yagura_rules::detect::{Measure, Method, Steps};

use crate::unit::encode_tree;
use crate::window::value_id;

/// Most combinations of elements of lists that one match has as values.
pub const MAX_COMBINATIONS: usize = 100;

/// Whether a match has what it is told apart by. What has no value adds none: a query that measures it is not about the match.
pub(crate) fn has_values(method: &Method, values: &[Tree], steps: &mut Steps) -> bool {
    let Method::Correlation(all) = method else {
        return !values.contains(&Tree::Null);
    };
    for (query, measure) in all.queries.iter().enumerate() {
        if let Measure::Distinct(place) | Measure::Sum(place) | Measure::Max(place) = measure
            && values.get(*place).is_none_or(|value| *value == Tree::Null)
        {
            *steps &= !(1 << query);
        }
    }
    *steps != 0
}

/// What stands for the values of a match, in `out`. Numbers that queries sum up or compare stand for themselves. For new values each element of a list is one of its own, with every
/// combination of the elements of others; no more than the first [`MAX_COMBINATIONS`].
pub fn tell_apart(method: &Method, values: &[Tree], bytes: &mut Vec<u8>, out: &mut Vec<u64>) {
    if values.is_empty() {
        return;
    }
    if let Method::Correlation(all) = method {
        for (place, value) in values.iter().enumerate() {
            let is_number = all
                .queries
                .iter()
                .any(|query| matches!(query, Measure::Sum(at) | Measure::Max(at) if *at == place));
            match value {
                Tree::Int(number) if is_number => out.push(number.cast_unsigned()),
                Tree::Uint(number) if is_number => {
                    let number = i64::try_from(*number).unwrap_or(i64::MAX);
                    out.push(number.cast_unsigned());
                }
                value => {
                    bytes.clear();
                    encode_tree(value, bytes);
                    out.push(value_id(bytes));
                }
            }
        }
        return;
    }
    let lists = matches!(method, Method::NewValue(_));
    let length = |value: &Tree| match value {
        Tree::List(list) if lists => list.len(),
        _ => 1,
    };
    let combinations = values
        .iter()
        .map(length)
        .fold(1_usize, usize::saturating_mul)
        .min(MAX_COMBINATIONS);
    for combination in 0..combinations {
        bytes.clear();
        let mut rest = combination;
        for value in values {
            let place = rest % length(value).max(1);
            rest /= length(value).max(1);
            match value {
                Tree::List(list) if lists => {
                    if let Some(element) = list.get(place) {
                        encode_tree(element, bytes);
                    }
                }
                value => encode_tree(value, bytes),
            }
        }
        out.push(value_id(bytes));
    }
}

/// The text of a match that is compared with those before it.
pub fn compared<'a>(method: &Method, values: &'a [Tree]) -> &'a [u8] {
    match (method, values.first()) {
        (Method::Content(_), Some(Tree::Text(text))) => text.as_bytes(),
        _ => &[],
    }
}
