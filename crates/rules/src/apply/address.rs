//! Which IP addresses anybody on the internet may have.
//!
//! The networks are those of the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates),
//! and those for multicast (RFC 5771, RFC 4291), which are in registries of their own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Special networks: address, length of the prefix, and whether the registry calls it globally reachable. The
/// first that fits decides, so exceptions stand before what they are exceptions from.
const V4: &[([u8; 4], u32, bool)] = &[
    ([0, 0, 0, 0], 8, false),
    ([10, 0, 0, 0], 8, false),
    ([100, 64, 0, 0], 10, false),
    ([127, 0, 0, 0], 8, false),
    ([169, 254, 0, 0], 16, false),
    ([172, 16, 0, 0], 12, false),
    ([192, 0, 0, 9], 32, true),
    ([192, 0, 0, 10], 32, true),
    ([192, 0, 0, 0], 24, false),
    ([192, 0, 2, 0], 24, false),
    ([192, 88, 99, 0], 24, false),
    ([192, 168, 0, 0], 16, false),
    ([198, 18, 0, 0], 15, false),
    ([198, 51, 100, 0], 24, false),
    ([203, 0, 113, 0], 24, false),
    ([224, 0, 0, 0], 4, false),
    ([240, 0, 0, 0], 4, false),
];

const V6: &[([u16; 8], u32, bool)] = &[
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, false),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, false),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, false),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, false),
    ([0x100, 0, 0, 1, 0, 0, 0, 0], 64, false),
    ([0x2001, 1, 0, 0, 0, 0, 0, 1], 128, true),
    ([0x2001, 1, 0, 0, 0, 0, 0, 2], 128, true),
    ([0x2001, 1, 0, 0, 0, 0, 0, 3], 128, true),
    ([0x2001, 3, 0, 0, 0, 0, 0, 0], 32, true),
    ([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48, true),
    ([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, true),
    ([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28, true),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, false),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, false),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, false),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, false),
    ([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, false),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, false),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, false),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, false),
];

/// Whether it is a unicast address that is globally reachable.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let fits = |network: [u8; 4], prefix: u32| {
                let differ = address.to_bits() ^ Ipv4Addr::from(network).to_bits();
                differ.leading_zeros() >= prefix
            };
            reachable(V4, fits)
        }
        IpAddr::V6(address) => {
            let fits = |network: [u16; 8], prefix: u32| {
                let differ = address.to_bits() ^ Ipv6Addr::from(network).to_bits();
                differ.leading_zeros() >= prefix
            };
            reachable(V6, fits)
        }
    }
}

fn reachable<N: Copy>(networks: &[(N, u32, bool)], fits: impl Fn(N, u32) -> bool) -> bool {
    networks
        .iter()
        .find(|(network, prefix, _)| fits(*network, *prefix))
        .is_none_or(|(_, _, reachable)| *reachable)
}

#[cfg(test)]
mod tests {
    use crate::convert::address as parse;

    use super::*;

    #[test]
    fn networks_end_where_the_registries_end_them() {
        let public = |text: &str| parse(text.as_bytes()).map(is_public);
        for text in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.0.9",
            "192.31.196.1",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2001:4860:4860::8888",
            "2001:1::1",
            "2001:200::",
            "64:ff9b::808:808",
            "2620:4f:8000::1",
        ] {
            assert_eq!(public(text), Some(true), "{text}");
        }
        for text in [
            "0.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.0.1",
            "198.19.255.255",
            "203.0.113.7",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:a00:1::",
            "64:ff9b:1::1",
            "3fff:fff::1",
        ] {
            assert_eq!(public(text), Some(false), "{text}");
        }
        for text in [
            "",
            "300.1.1.1",
            "10.0.0.1/8",
            "010.0.0.1",
            "fe80::1%eth0",
            "1.2.3",
            " 8.8.8.8",
        ] {
            assert_eq!(public(text), None, "{text}");
        }
    }
}
