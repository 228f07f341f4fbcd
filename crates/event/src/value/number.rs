//! Order and arithmetic of numbers of different forms, exact where a cast would round.

use std::cmp::Ordering;

use super::ValueRef;

/// How two numbers order; `None` when one is no number or not a number (NaN).
pub fn compare_numbers(left: &ValueRef<'_>, right: &ValueRef<'_>) -> Option<Ordering> {
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        (Some(left), None) => compare_whole(left, double(right)?),
        (None, Some(right)) => compare_whole(right, double(left)?).map(Ordering::reverse),
        (None, None) => double(left)?.partial_cmp(&double(right)?),
    }
}

/// The sum; absent on overflow, and when either is no number.
pub fn add(left: &ValueRef<'_>, right: &ValueRef<'_>) -> ValueRef<'static> {
    arithmetic(left, right, i128::checked_add, |left, right| left + right)
}

/// The difference; absent on overflow, and when either is no number.
pub fn subtract(left: &ValueRef<'_>, right: &ValueRef<'_>) -> ValueRef<'static> {
    arithmetic(left, right, i128::checked_sub, |left, right| left - right)
}

/// The product; absent on overflow, and when either is no number.
pub fn multiply(left: &ValueRef<'_>, right: &ValueRef<'_>) -> ValueRef<'static> {
    arithmetic(left, right, i128::checked_mul, |left, right| left * right)
}

/// The quotient, towards zero for whole numbers; absent for a division by zero, and when either is no number.
pub fn divide(left: &ValueRef<'_>, right: &ValueRef<'_>) -> ValueRef<'static> {
    arithmetic(left, right, i128::checked_div, |left, right| left / right)
}

/// The rest of a division of whole numbers; absent for a division by zero, and for anything else.
pub fn remainder(left: &ValueRef<'_>, right: &ValueRef<'_>) -> ValueRef<'static> {
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => fit(left.checked_rem(right)),
        _ => ValueRef::Absent,
    }
}

/// The number with its sign turned; absent on overflow and for anything that is no number.
pub fn negate(value: &ValueRef<'_>) -> ValueRef<'static> {
    match (whole(value), double(value)) {
        (Some(value), _) => fit(Some(-value)),
        (None, Some(value)) => ValueRef::Double(-value),
        (None, None) => ValueRef::Absent,
    }
}

fn arithmetic(
    left: &ValueRef<'_>,
    right: &ValueRef<'_>,
    on_whole: fn(i128, i128) -> Option<i128>,
    on_double: fn(f64, f64) -> f64,
) -> ValueRef<'static> {
    if let (Some(left), Some(right)) = (whole(left), whole(right)) {
        return fit(on_whole(left, right));
    }
    match (as_double(left), as_double(right)) {
        (Some(left), Some(right)) => {
            let result = on_double(left, right);
            if result.is_finite() {
                ValueRef::Double(result)
            } else {
                ValueRef::Absent
            }
        }
        _ => ValueRef::Absent,
    }
}

fn fit(value: Option<i128>) -> ValueRef<'static> {
    let Some(value) = value else {
        return ValueRef::Absent;
    };
    if let Ok(value) = i64::try_from(value) {
        ValueRef::Int(value)
    } else {
        u64::try_from(value).map_or(ValueRef::Absent, ValueRef::Uint)
    }
}

fn whole(value: &ValueRef<'_>) -> Option<i128> {
    match value {
        ValueRef::Int(value) => Some(i128::from(*value)),
        ValueRef::Uint(value) => Some(i128::from(*value)),
        _ => None,
    }
}

fn double(value: &ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Double(value) => Some(*value),
        _ => None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "mixed arithmetic is floating point arithmetic"
)]
fn as_double(value: &ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Int(value) => Some(*value as f64),
        ValueRef::Uint(value) => Some(*value as f64),
        other => double(other),
    }
}

/// 2 to the power of 65: every whole number of the language is smaller in magnitude.
const BEYOND: f64 = 36_893_488_147_419_103_232.0;

fn compare_whole(left: i128, right: f64) -> Option<Ordering> {
    if right.is_nan() {
        return None;
    }
    if right >= BEYOND {
        return Some(Ordering::Less);
    }
    if right <= -BEYOND {
        return Some(Ordering::Greater);
    }
    let floor = right.floor();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the floor is whole and smaller than 2^65"
    )]
    let below = floor as i128;
    Some(left.cmp(&below).then(if right > floor {
        Ordering::Less
    } else {
        Ordering::Equal
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_integers_do_not_round() {
        let big = ValueRef::Int(9_007_199_254_740_993);
        assert_eq!(
            compare_numbers(&big, &ValueRef::Double(9_007_199_254_740_992.0)),
            Some(Ordering::Greater)
        );
        assert_eq!(
            compare_numbers(&ValueRef::Uint(u64::MAX), &ValueRef::Double(1e300)),
            Some(Ordering::Less)
        );
        assert_eq!(
            compare_numbers(&ValueRef::Int(-3), &ValueRef::Double(-2.5)),
            Some(Ordering::Less)
        );
        assert_eq!(
            compare_numbers(&ValueRef::Int(2), &ValueRef::Double(2.5)),
            Some(Ordering::Less)
        );
        assert_eq!(
            compare_numbers(&ValueRef::Double(f64::NAN), &ValueRef::Int(2)),
            None
        );
    }

    #[test]
    fn what_does_not_fit_is_absent() {
        assert!(matches!(
            add(&ValueRef::Int(i64::MAX), &ValueRef::Int(1)),
            ValueRef::Uint(_)
        ));
        assert!(matches!(
            add(&ValueRef::Uint(u64::MAX), &ValueRef::Int(1)),
            ValueRef::Absent
        ));
        assert!(matches!(
            divide(&ValueRef::Int(1), &ValueRef::Int(0)),
            ValueRef::Absent
        ));
        assert!(matches!(
            remainder(&ValueRef::Int(7), &ValueRef::Int(-4)),
            ValueRef::Int(3)
        ));
        assert!(matches!(
            divide(&ValueRef::Double(1.0), &ValueRef::Int(0)),
            ValueRef::Absent
        ));
        assert!(matches!(negate(&ValueRef::Int(i64::MIN)), ValueRef::Uint(_)));
    }
}
