//! What the oracle reads from texts: as letters, not as numbers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::oracle::Value;

pub(crate) fn address(text: &[u8]) -> Value<'static> {
    match bits(text) {
        Some(bits) => Value::Text(written(&bits).into_bytes()),
        None => Value::Absent,
    }
}

pub(crate) fn network(text: &[u8]) -> Value<'static> {
    let Some(prefix) = prefix(text) else {
        return Value::Absent;
    };
    let width = if prefix.0 { 32 } else { 128 };
    let start = format!("{:0<width$}", prefix.1);
    Value::Text(format!("{}/{}", written(&start), prefix.1.len()).into_bytes())
}

/// An address is in a network when it begins with its bits.
pub(crate) fn holds(network: &[u8], address: &[u8]) -> bool {
    match (prefix(network), bits(address)) {
        (Some((v4, prefix)), Some(bits)) => v4 == (bits.len() == 32) && bits.starts_with(&prefix),
        _ => false,
    }
}

/// The digits of an address, 32 or 128 of them.
fn bits(text: &[u8]) -> Option<String> {
    let text = String::from_utf8(text.to_vec()).ok()?;
    let bits = all_bits(&text)?;
    let mapped = format!("{}{}", "0".repeat(80), "1".repeat(16));
    Some(bits.strip_prefix(&mapped).map_or(bits.clone(), str::to_owned))
}

fn all_bits(text: &str) -> Option<String> {
    Some(match text.parse().ok()? {
        IpAddr::V4(address) => format!("{:032b}", address.to_bits()),
        IpAddr::V6(address) => format!("{:0128b}", address.to_bits()),
    })
}

/// The digits that the addresses of a network begin with, and whether it is one of IPv4.
fn prefix(text: &[u8]) -> Option<(bool, String)> {
    let text = String::from_utf8(text.to_vec()).ok()?;
    let (start, length) = match text.split_once('/') {
        Some((start, length)) => (start, length.parse().ok()?),
        None => (text.as_str(), 128),
    };
    let written = all_bits(start)?;
    if text.contains('/') && length > written.len() {
        return None;
    }
    let cut = written[..written.len().min(length)].to_owned();
    let mapped = format!("{}{}", "0".repeat(80), "1".repeat(16));
    match cut.strip_prefix(&mapped) {
        Some(rest) if written.len() == 128 => Some((true, rest.to_owned())),
        _ => Some((written.len() == 32, cut)),
    }
}

fn written(bits: &str) -> String {
    let number = u128::from_str_radix(bits, 2).unwrap_or_default();
    match u32::try_from(number) {
        Ok(number) if bits.len() == 32 => Ipv4Addr::from(number).to_string(),
        _ => Ipv6Addr::from(number).to_string(),
    }
}

/// Nanoseconds of a duration, from its pieces of number and unit as decimal fractions.
pub(crate) fn duration(text: &[u8]) -> Option<i128> {
    let text = String::from_utf8(text.to_vec()).ok()?;
    let (sign, body) = match text.strip_prefix('-') {
        Some(body) => (-1, body),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    if body == "0" {
        return Some(0);
    }
    let mut rest = body.to_owned();
    let mut sum = 0;
    while !rest.is_empty() || body.is_empty() {
        let number: String = rest
            .chars()
            .take_while(|letter| letter.is_ascii_digit() || *letter == '.')
            .collect();
        let after = rest.split_off(number.len());
        let unit: String = after
            .chars()
            .take_while(|letter| letter.is_alphabetic())
            .collect();
        let zeros = match unit.as_str() {
            "ns" => 0,
            "us" => 3,
            "ms" => 6,
            "s" | "m" | "h" => 9,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') {
            return None;
        }
        // Sixty seconds and sixty minutes are multiplied after the shift: digits enough are kept.
        let digits = format!("{whole}{fraction:0<20}");
        let factor = match unit.as_str() {
            "m" => 60,
            "h" => 3_600,
            _ => 1,
        };
        let scaled = digits.parse::<i128>().ok()? * factor;
        sum += scaled / 10i128.pow(20 - zeros);
        after[unit.len()..].clone_into(&mut rest);
    }
    i64::try_from(sign * sum).ok().map(i128::from)
}

/// Nanoseconds from the epoch to a point in time, day by day.
pub(crate) fn timestamp(text: &[u8]) -> Option<i128> {
    let text = String::from_utf8(text.to_vec()).ok()?;
    let (date, time) = text.split_once('T')?;
    let (time, zone) = if let Some(time) = time.strip_suffix('Z') {
        (time, 0)
    } else {
        let (time, zone) = time.split_at_checked(time.len().checked_sub(6)?)?;
        let (hours, minutes) = zone[1..].split_once(':')?;
        let minutes = hours.parse::<i128>().ok()? * 60 + minutes.parse::<i128>().ok()?;
        (time, if zone.starts_with('-') { -minutes } else { minutes })
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let numbers = |text: &str, sign: char| -> Option<Vec<i128>> {
        text.split(sign).map(|number| number.parse().ok()).collect()
    };
    let (date, time) = (numbers(date, '-')?, numbers(time, ':')?);
    let (&[year, month, day], &[hour, minute, second]) = (date.as_slice(), time.as_slice()) else {
        return None;
    };
    if !(1970..2262).contains(&year) || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59
    {
        return None;
    }
    let leap = |year: i128| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let place = usize::try_from(month).ok()? - 1;
    if day < 1 || day > months[place] {
        return None;
    }
    let years: i128 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    let days = years + months[..place].iter().sum::<i128>() + day - 1;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - zone * 60;
    let fraction = format!("{fraction:0<9}")[..9].parse::<i128>().ok()?;
    Some(seconds * 1_000_000_000 + fraction)
}

/// The bits of all letters in a row, eight of which make a byte.
pub(crate) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = String::from_utf8(text.to_vec())
        .ok()?
        .replace('-', "+")
        .replace('_', "/");
    let letters = text.trim_end_matches('=');
    let padding = text.len() - letters.len();
    if padding > 2 || (padding > 0 && text.len() % 4 != 0) || letters.len() % 4 == 1 {
        return None;
    }
    let mut bits = Vec::new();
    for letter in letters.bytes() {
        let at = LETTERS.iter().position(|known| *known == letter)?;
        bits.extend((0..6).rev().map(|bit| at >> bit & 1 == 1));
    }
    let byte = |bits: &[bool]| bits.iter().fold(0, |sum, bit| sum * 2 + u8::from(*bit));
    Some(bits.chunks_exact(8).map(byte).collect())
}

/// By what the standard library calls the networks that the random texts come from.
pub(crate) fn is_public(text: &[u8]) -> bool {
    match String::from_utf8_lossy(text).parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            !(address.is_private() || address.is_loopback() || address.is_unspecified())
        }
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => is_public(address.to_string().as_bytes()),
            None => !(address.is_loopback() || address.is_unique_local() || address.is_unspecified()),
        },
        Err(_) => false,
    }
}

/// An amount, as its decimal digits shifted and then doubled as often as its suffix says.
pub(crate) fn quantity(text: &[u8]) -> Value<'static> {
    amount(text).map_or(Value::Absent, |amount| {
        // As the engine keeps it, since constants come that way.
        Value::Text((amount.wrapping_add(i128::MIN)).to_be_bytes().to_vec())
    })
}

fn amount(text: &[u8]) -> Option<i128> {
    let text = String::from_utf8(text.to_vec()).ok()?;
    let end = text
        .find(|letter: char| letter.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (shift, doublings) = match (suffix, suffix.strip_prefix(['e', 'E'])) {
        ("", _) => (0, 0),
        ("Ei", _) => (0, 60),
        ("E", _) => (18, 0),
        (_, Some(exponent)) => (exponent.parse::<i32>().ok()?, 0),
        _ => match ("num".find(suffix), "kMGTP".find(suffix)) {
            (Some(at), _) => (3 * i32::try_from(at).ok()? - 9, 0),
            (None, Some(at)) => (3 * i32::try_from(at).ok()? + 3, 0),
            _ => {
                let at = "KMGTP".find(suffix.strip_suffix('i')?)?;
                (0, 10 * (at + 1))
            }
        },
    };
    let unsigned = number.trim_start_matches(['+', '-']);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if number.len() > unsigned.len() + 1 || whole.len() + fraction.len() == 0 || suffix.len() > 3 {
        return None;
    }
    let places = usize::try_from(shift + 9 + 3).ok()?;
    let digits = format!("{whole}{fraction:0<places$}");
    // Three digits more than are kept, so that what is less than one part is seen.
    let mut exact = digits.parse::<i128>().ok()?;
    for _ in 0..doublings {
        exact = exact.checked_mul(2)?;
    }
    let part = 1_000;
    let amount = exact / part + i128::from(exact % part != 0);
    Some(if number.starts_with('-') { -amount } else { amount })
}
