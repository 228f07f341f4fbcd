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
