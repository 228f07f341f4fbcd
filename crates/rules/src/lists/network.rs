//! Networks, and which addresses are in them.

use std::fmt;
use std::net::IpAddr;

use yagura_event::Text;

use super::named::{ValueFault, tell};
use crate::convert::address;

/// Networks as ranges that do not touch, sorted: a search takes a few steps however many there are.
pub(super) struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    pub(super) fn new(values: &[Text], faults: &mut Vec<ValueFault>) -> Result<Self, ()> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (index, value) in values.iter().enumerate() {
            match Network::read(value.as_bytes()) {
                Ok(Network {
                    address: IpAddr::V4(address),
                    prefix,
                }) => {
                    let start = address.to_bits();
                    v4.push((start, start | u32::MAX.checked_shr(prefix).unwrap_or(0)));
                }
                Ok(Network {
                    address: IpAddr::V6(address),
                    prefix,
                }) => {
                    let start = address.to_bits();
                    v6.push((start, start | u128::MAX.checked_shr(prefix).unwrap_or(0)));
                }
                Err(message) => tell(faults, index, message),
            }
        }
        if !faults.is_empty() {
            return Err(());
        }
        Ok(Self {
            v4: merged(v4, |end| end.checked_add(1)),
            v6: merged(v6, |end| end.checked_add(1)),
        })
    }

    /// Whether a text is an address in one of them.
    pub(super) fn holds(&self, text: &[u8]) -> bool {
        match address(text) {
            Some(IpAddr::V4(address)) => covers(&self.v4, address.to_bits()),
            Some(IpAddr::V6(address)) => covers(&self.v6, address.to_bits()),
            None => false,
        }
    }
}

/// A network that is written out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    prefix: u32,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Network {
    /// The network that a text is, when no bit behind its length is set.
    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        let (written, prefix) = parse(text)?;
        let start = first(written, prefix);
        if start != written {
            return Err(format!(
                "bits behind the first {prefix} are set: write {start}/{prefix}, or leave the length out for the one address"
            ));
        }
        Ok(Self::new(written, prefix))
    }

    /// The network of a text, whatever bits behind its length are set.
    pub(crate) fn around(text: &[u8]) -> Result<Self, String> {
        let (written, prefix) = parse(text)?;
        Ok(Self::new(first(written, prefix), prefix))
    }

    fn new(written: IpAddr, prefix: u32) -> Self {
        match (written, written.to_canonical()) {
            (IpAddr::V6(_), address @ IpAddr::V4(_)) if prefix >= 96 => Self {
                address,
                prefix: prefix - 96,
            },
            (address, _) => Self { address, prefix },
        }
    }

    /// Whether the address is in it.
    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && first(address, self.prefix) == self.address
    }
}

/// The address and the length that are written.
fn parse(text: &[u8]) -> Result<(IpAddr, u32), String> {
    const NONE: &str =
        "it is no network and no address: write one such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32";
    let text = std::str::from_utf8(text).map_err(|_invalid| NONE.to_owned())?;
    let (start, length) = match text.split_once('/') {
        Some((start, length)) => (start, Some(length)),
        None => (text, None),
    };
    let written: IpAddr = start.parse().map_err(|_invalid| NONE.to_owned())?;
    let bits = if written.is_ipv4() { 32 } else { 128 };
    let prefix = match length {
        None => bits,
        Some(digits) => Some(digits)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|prefix| *prefix <= bits)
            .ok_or_else(|| format!("the length after the slash is a number up to {bits}"))?,
    };
    Ok((written, prefix))
}

/// The first address of the network that an address is in.
fn first(address: IpAddr, prefix: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
            IpAddr::V4((address.to_bits() & !host).into())
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(prefix).unwrap_or(0);
            IpAddr::V6((address.to_bits() & !host).into())
        }
    }
}

/// Sorted, with those that touch or overlap made one.
fn merged<N: Copy + Ord>(mut ranges: Vec<(N, N)>, next: impl Fn(N) -> Option<N>) -> Vec<(N, N)> {
    ranges.sort_unstable();
    let mut merged: Vec<(N, N)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match merged.last_mut() {
            Some(last) if next(last.1).is_none_or(|next| start <= next) => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

fn covers<N: Copy + Ord>(ranges: &[(N, N)], address: N) -> bool {
    let after = ranges.partition_point(|(start, _)| *start <= address);
    after > 0 && address <= ranges[after - 1].1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(values: &[&str]) -> Networks {
        let values: Vec<Text> = values.iter().copied().map(Text::from).collect();
        Networks::new(&values, &mut Vec::new()).unwrap_or_else(|()| panic!("{values:?}"))
    }

    #[test]
    fn networks_end_where_they_end() {
        let networks = networks(&[
            "10.0.0.0/8",
            "192.0.2.7",
            "198.51.100.0/25",
            "198.51.100.128/25",
            "2001:db8::/32",
            "::ffff:203.0.113.0/120",
        ]);
        for text in [
            "10.0.0.0",
            "10.255.255.255",
            "::ffff:10.1.2.3",
            "192.0.2.7",
            "198.51.100.127",
            "198.51.100.255",
            "203.0.113.9",
            "2001:db8::1",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert!(networks.holds(text.as_bytes()), "{text}");
        }
        for text in [
            "9.255.255.255",
            "11.0.0.0",
            "192.0.2.6",
            "192.0.2.8",
            "198.51.101.0",
            "203.0.114.0",
            "2001:db9::",
            "::1",
            "",
            "10.0.0.0/8",
            "10.0.0.1:80",
            "fe80::1%eth0",
        ] {
            assert!(!networks.holds(text.as_bytes()), "{text}");
        }
        assert_eq!(networks.v4.len(), 4);
    }

    #[test]
    fn everything_and_nothing_are_lists_as_well() {
        let all = networks(&["0.0.0.0/0", "::/0", "255.255.255.255"]);
        assert!(all.holds(b"255.255.255.255") && all.holds(b"0.0.0.0") && all.holds(b"ffff::"));
        assert!(!networks(&[]).holds(b"0.0.0.0"));
    }

    #[test]
    fn what_is_no_network_is_told_what_was_meant() {
        let message = |text: &str| Network::read(text.as_bytes()).unwrap_err();
        assert_eq!(
            message("10.1.2.3/8"),
            "bits behind the first 8 are set: write 10.0.0.0/8, or leave the length out for the one address"
        );
        for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8"] {
            assert_eq!(
                message(text),
                "the length after the slash is a number up to 32",
                "{text}"
            );
        }
        assert!(message("::/129").contains("up to 128"));
        for text in ["10.0.0", "example.com", "010.0.0.1", "/8", "fe80::1%eth0"] {
            assert!(message(text).starts_with("it is no network"), "{text}");
        }
    }

    #[test]
    fn a_search_agrees_with_looking_at_each_network() {
        let values: Vec<String> = (0..500u32)
            .map(|n| {
                let address = n.wrapping_mul(2_654_435_761);
                let prefix = 8 + n % 25;
                format!("{}/{prefix}", first(IpAddr::V4(address.into()), prefix))
            })
            .collect();
        let texts: Vec<Text> = values.iter().map(|value| Text::from(value.as_str())).collect();
        let networks = Networks::new(&texts, &mut Vec::new()).unwrap_or_else(|()| panic!());
        for n in 0..5_000u32 {
            let address = IpAddr::V4(n.wrapping_mul(858_993_459).into());
            let expected = texts.iter().any(|text| {
                let network = Network::read(text.as_bytes()).unwrap();
                first(address, network.prefix) == network.address
            });
            assert_eq!(
                networks.holds(address.to_string().as_bytes()),
                expected,
                "{address}"
            );
        }
    }
}
