//! Amounts of resources as Kubernetes writes them: `500m`, `1.5`, `128Mi`, `1e3`.
//!
//! They are counted exactly, in parts of 10⁻⁹, as Kubernetes does. A number of the language is too small for that, so
//! they are kept as sixteen bytes which order as the amounts do.

use std::borrow::Cow;

use yagura_event::ValueRef;

/// Longest text that is a quantity.
const LONGEST: usize = 64;
/// Digits behind the point that count.
const NANO: i32 = 9;
/// Largest exponent that can be written, either way.
const EXPONENT: i32 = 60;

/// The amount that a text is.
pub(super) fn quantity(text: &[u8]) -> Option<ValueRef<'static>> {
    let amount = nano(text)?;
    // The sign is turned, so that what is negative comes first.
    let bytes = (amount.cast_unsigned() ^ (1 << 127)).to_be_bytes();
    Some(ValueRef::Bytes(Cow::Owned(bytes.to_vec())))
}

/// The amount in parts of 10⁻⁹; what is less than one of them counts as one.
fn nano(text: &[u8]) -> Option<i128> {
    if text.len() > LONGEST {
        return None;
    }
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let (whole, rest) = digits(text);
    let (fraction, suffix) = match rest {
        [b'.', rest @ ..] => digits(rest),
        rest => (&rest[..0], rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (binary, decimal) = scale(suffix)?;
    let number = whole.iter().chain(fraction).try_fold(0i128, |number, digit| {
        number.checked_mul(10)?.checked_add(i128::from(digit - b'0'))
    })?;
    let number = number.checked_mul(1 << binary)?;
    let power = decimal + NANO - i32::try_from(fraction.len()).ok()?;
    let factor = 10i128.checked_pow(power.unsigned_abs());
    let amount = if power >= 0 {
        match factor {
            Some(factor) => number.checked_mul(factor)?,
            None if number == 0 => 0,
            None => return None,
        }
    } else {
        // A divisor beyond all numbers leaves less than one part.
        factor.map_or(i128::from(number != 0), |factor| {
            number / factor + i128::from(number % factor != 0)
        })
    };
    Some(if negative { -amount } else { amount })
}

/// The digits that a text begins with, and what follows.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// What a suffix multiplies by: a power of two, and one of ten.
fn scale(suffix: &[u8]) -> Option<(u32, i32)> {
    Some(match suffix {
        b"" => (0, 0),
        b"n" => (0, -9),
        b"u" => (0, -6),
        b"m" => (0, -3),
        b"k" => (0, 3),
        b"M" => (0, 6),
        b"G" => (0, 9),
        b"T" => (0, 12),
        b"P" => (0, 15),
        b"E" => (0, 18),
        b"Ki" => (10, 0),
        b"Mi" => (20, 0),
        b"Gi" => (30, 0),
        b"Ti" => (40, 0),
        b"Pi" => (50, 0),
        b"Ei" => (60, 0),
        [b'e' | b'E', exponent @ ..] => {
            let exponent: i32 = std::str::from_utf8(exponent).ok()?.parse().ok()?;
            (-EXPONENT..=EXPONENT)
                .contains(&exponent)
                .then_some((0, exponent))?
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;

    #[test]
    fn amounts_are_exact() {
        const ONE: i128 = 1_000_000_000;
        for (text, amount) in [
            ("0", 0),
            ("1", ONE),
            ("+1.", ONE),
            (".5", ONE / 2),
            ("-500m", -ONE / 2),
            ("100n", 100),
            ("1u", 1_000),
            ("1k", 1_000 * ONE),
            ("1Ki", 1_024 * ONE),
            ("1.5Gi", 1_610_612_736 * ONE),
            ("1E", 1_000_000_000_000_000_000 * ONE),
            ("8Ei", (1 << 63) * ONE),
            ("1e3", 1_000 * ONE),
            ("12E-1", 1_200_000_000),
            ("0.1n", 1),
            ("-0.1n", -1),
            ("1e-60", 1),
            ("0e60", 0),
        ] {
            assert_eq!(nano(text.as_bytes()), Some(amount), "{text}");
        }
        for text in [
            "",
            "-",
            ".",
            "Mi",
            "1mi",
            "1K",
            "1 Gi",
            "1GiB",
            "1e",
            "1e61",
            "1e1.5",
            "--1",
            "1..2",
            "0x10",
            "1e30",
            "99999999999999999999Ei",
            "Inf",
        ] {
            assert_eq!(nano(text.as_bytes()), None, "{text}");
        }
        assert_eq!(nano("0".repeat(65).as_bytes()), None);
    }

    #[test]
    fn what_is_kept_orders_as_the_amounts_do() {
        let rising = [
            "-1Gi", "-1", "-1n", "0", "1n", "999m", "1", "1001m", "1M", "1Mi", "1Gi", "1025Mi", "8Ei",
        ];
        let kept = rising.map(|text| quantity(text.as_bytes()).unwrap());
        for pair in kept.windows(2) {
            assert_eq!(pair[0].order(&pair[1]), Some(Ordering::Less), "{pair:?}");
        }
        let equal = |left: &str, right: &str| {
            quantity(left.as_bytes())
                .unwrap()
                .equals(&quantity(right.as_bytes()).unwrap())
        };
        assert_eq!(equal("1024Mi", "1Gi"), Some(true));
        assert_eq!(equal("0.5", "500m"), Some(true));
        assert_eq!(equal("-0", "0"), Some(true));
        assert_eq!(equal("1G", "1Gi"), Some(false));
    }
}
