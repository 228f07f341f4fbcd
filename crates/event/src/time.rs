//! Points in time.

use std::fmt;

const SECOND: i128 = 1_000_000_000;
const DAY: i64 = 86_400;

/// Nanoseconds since the Unix epoch, UTC. Always handed in: nothing in the core reads a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The time `nanoseconds` later, saturating.
    #[must_use]
    pub fn after(self, nanoseconds: i64) -> Self {
        Self(self.0.saturating_add(nanoseconds))
    }

    /// Nanoseconds from `earlier` to this, negative when `earlier` is later.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time that a text in the form of RFC 3339 says, such as `2026-01-31T12:00:00.5+01:00`. `None` for what has
    /// another form, is no time, or lies beyond what nanoseconds since the epoch reach: the years 1678 to 2261.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let [y @ .., b'-', m1, m2, b'-', d1, d2] = date else {
            return None;
        };
        let (year, month, day) = (digits(y)?, digits(&[*m1, *m2])?, digits(&[*d1, *d2])?);
        let [b'T' | b't', h1, h2, b':', i1, i2, b':', s1, s2, rest @ ..] = rest else {
            return None;
        };
        let (hour, minute, second) = (digits(&[*h1, *h2])?, digits(&[*i1, *i2])?, digits(&[*s1, *s2])?);
        let (fraction, zone) = fraction(rest)?;
        let offset = offset(zone)?;
        let valid = (1..=12).contains(&month)
            && (1..=days_of(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        if !valid {
            return None;
        }
        let seconds = days_before(year, month) + day - 1;
        let seconds = seconds * DAY + hour * 3_600 + minute * 60 + second - offset * 60;
        let nanoseconds = i128::from(seconds) * SECOND + i128::from(fraction);
        i64::try_from(nanoseconds).ok().map(Self)
    }
}

impl fmt::Display for Timestamp {
    /// In the form of RFC 3339, UTC, with as many digits after the point as are needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanoseconds) = (self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000));
        let (days, of_day) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        let (year, month, day) = date(days);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        if nanoseconds != 0 {
            let digits = format!("{nanoseconds:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i64::from(digit - b'0'))
    })
}

/// Nanoseconds after the point, as far as there is one, and what follows. Digits beyond the ninth are less than one.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let end = rest
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(rest.len());
    if end == 0 {
        return None;
    }
    let nanoseconds = (0..9).fold(0, |number, at| {
        let digit = rest[..end].get(at).map_or(0, |digit| digit - b'0');
        number * 10 + i64::from(digit)
    });
    Some((nanoseconds, &rest[end..]))
}

/// Minutes that a zone is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    let [sign, h1, h2, b':', m1, m2] = zone else {
        return matches!(zone, [b'Z' | b'z']).then_some(0);
    };
    let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    match sign {
        b'+' => Some(hours * 60 + minutes),
        b'-' => Some(-hours * 60 - minutes),
        _ => None,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first day of a year.
fn days_before_year(year: i64) -> i64 {
    let before = year - 1;
    let leaps = before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400);
    before * 365 + leaps - 719_162
}

fn days_before(year: i64, month: i64) -> i64 {
    days_before_year(year) + (1..month).map(|month| days_of(year, month)).sum::<i64>()
}

/// Year, month and day, so many days after 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let mut year = 1970 + days.div_euclid(365);
    while days_before_year(year) > days {
        year -= 1;
    }
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    let mut left = days - days_before_year(year);
    let mut month = 1;
    while left >= days_of(year, month) {
        left -= days_of(year, month);
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, nanoseconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("2000-02-29T12:00:00Z", 951_825_600_000_000_000),
            ("2026-01-01T00:00:00Z", 1_767_225_600_000_000_000),
            ("2026-11-28T08:30:00.25Z", 1_795_854_600_250_000_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000_000_000),
            ("2262-04-11T23:47:16.854775807Z", i64::MAX),
            ("1677-09-21T00:12:43.145224192Z", i64::MIN),
        ] {
            assert_eq!(
                Timestamp::parse(text.as_bytes()),
                Some(Timestamp(nanoseconds)),
                "{text}"
            );
            assert_eq!(Timestamp(nanoseconds).to_string(), text);
        }
        let same = Timestamp::parse(b"2026-01-01T00:00:00Z");
        for text in ["2026-01-01t05:30:00+05:30", "2025-12-31T18:00:00.000-06:00"] {
            assert_eq!(Timestamp::parse(text.as_bytes()), same, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        for text in [
            "",
            "2026-01-01",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+0100",
            "+026-01-01T00:00:00Z",
            "2262-04-11T23:47:16.854775808Z",
            "9999-01-01T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_eight_centuries_comes_back() {
        let first = days_before_year(1600);
        let mut days = first;
        for year in 1600..2400 {
            for month in 1..=12 {
                for day in 1..=days_of(year, month) {
                    assert_eq!(date(days), (year, month, day));
                    days += 1;
                }
            }
        }
        assert_eq!(days - first, 2 * 146_097);
    }
}
