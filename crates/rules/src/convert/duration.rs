//! Lengths of time in the form of Go, which is that of Kubernetes and of CEL: `1h30m`, `-1.5s`, `250ms`.

/// Longest text that is a duration.
const LONGEST: usize = 64;

/// The nanoseconds that a text stands for. What is less than one is cut off.
pub(super) fn duration(text: &[u8]) -> Option<i64> {
    if text.len() > LONGEST {
        return None;
    }
    let (negative, mut rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let mut sum: i128 = 0;
    if rest != b"0" {
        loop {
            let (nanoseconds, after) = part(rest)?;
            sum = sum.checked_add(nanoseconds)?;
            if after.is_empty() {
                break;
            }
            rest = after;
        }
    }
    i64::try_from(if negative { -sum } else { sum }).ok()
}

/// A number and its unit, and what follows them.
fn part(text: &[u8]) -> Option<(i128, &[u8])> {
    let (whole, rest) = number(text);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => number(rest),
        rest => (&rest[..0], rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (unit, rest) = unit(rest)?;
    let whole = value(whole)?.checked_mul(unit)?;
    let scale = 10i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = value(fraction)?.checked_mul(unit)? / scale;
    Some((whole.checked_add(fraction)?, rest))
}

/// The digits that a text begins with, and what follows.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn value(digits: &[u8]) -> Option<i128> {
    digits.iter().try_fold(0i128, |number, digit| {
        number.checked_mul(10)?.checked_add(i128::from(digit - b'0'))
    })
}

fn unit(text: &[u8]) -> Option<(i128, &[u8])> {
    const UNITS: &[(&[u8], i128)] = &[
        (b"ns", 1),
        (b"us", 1_000),
        ("\u{b5}s".as_bytes(), 1_000),
        ("\u{3bc}s".as_bytes(), 1_000),
        (b"ms", 1_000_000),
        (b"s", 1_000_000_000),
        (b"m", 60_000_000_000),
        (b"h", 3_600_000_000_000),
    ];
    UNITS
        .iter()
        .find_map(|(unit, nanoseconds)| Some((*nanoseconds, text.strip_prefix(*unit)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("0s", 0),
            ("-0", 0),
            ("5m", 300_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("-1.5s", -1_500_000_000),
            ("+250ms", 250_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("1\u{b5}s2us3ns", 3_003),
            ("0.9ns", 0),
            ("2562047h47m16.854775807s", i64::MAX),
            ("-2562047h47m16.854775808s", i64::MIN),
        ] {
            assert_eq!(duration(text.as_bytes()), Some(nanoseconds), "{text}");
        }
        let long = "1".repeat(40) + "h";
        for text in [
            "",
            "-",
            "5",
            "m",
            "5 m",
            "5d",
            "1w",
            "5M",
            ".s",
            "1..5s",
            "--5s",
            "5s ",
            "1e3s",
            "5sx",
            "2562047h47m16.854775808s",
            &long,
            &"0".repeat(100),
        ] {
            assert_eq!(duration(text.as_bytes()), None, "{text}");
        }
    }
}
