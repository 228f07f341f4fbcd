//! IP addresses and networks. Both are kept as the text in the one form that is equal to itself.

use std::borrow::Cow;
use std::net::IpAddr;

use yagura_event::ValueRef;

use crate::lists::Network;

/// Longest text that is an address or a network.
const LONGEST: usize = 64;

/// The address that a text is. What an IPv6 socket calls `::ffff:10.0.0.1` is an IPv4 address.
pub fn address(text: &[u8]) -> Option<IpAddr> {
    if text.len() > LONGEST {
        return None;
    }
    let address: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(address.to_canonical())
}

/// Whether the second text is an address in the network that the first is.
pub fn holds(network: &[u8], text: &[u8]) -> bool {
    match (read(network), address(text)) {
        (Some(network), Some(address)) => network.holds(address),
        _ => false,
    }
}

/// A network that is written out: bits behind its length are refused, as in a list of networks.
pub(super) fn strict_network(text: &[u8]) -> Result<ValueRef<'static>, String> {
    Network::read(text).map(|network| shown(&network))
}

/// A network from elsewhere: bits behind its length mean nothing, as everywhere in Kubernetes.
pub(super) fn network(text: &[u8]) -> Option<ValueRef<'static>> {
    read(text).map(|network| shown(&network))
}

fn read(text: &[u8]) -> Option<Network> {
    let short = text.len() <= LONGEST;
    short.then(|| Network::around(text).ok()).flatten()
}

pub(super) fn shown(value: &impl ToString) -> ValueRef<'static> {
    ValueRef::Bytes(Cow::Owned(value.to_string().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Conversion;

    fn text(conversion: Conversion, text: &str) -> Option<String> {
        let value = conversion.read(text.as_bytes())?;
        Some(String::from_utf8(value.as_bytes()?.to_vec()).unwrap())
    }

    #[test]
    fn addresses_have_one_form() {
        for (written, form) in [
            ("10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
        ] {
            assert_eq!(text(Conversion::Address, written).as_deref(), Some(form));
        }
        for wrong in [
            "",
            "10.0.0",
            "10.0.0.1/8",
            "010.0.0.1",
            "fe80::1%eth0",
            "10.0.0.1:80",
        ] {
            assert_eq!(text(Conversion::Address, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn networks_hold_the_addresses_of_their_own_family() {
        assert_eq!(
            text(Conversion::Network, "10.1.2.3/8").as_deref(),
            Some("10.0.0.0/8")
        );
        assert_eq!(
            text(Conversion::Network, "::ffff:10.0.0.0/104").as_deref(),
            Some("10.0.0.0/8")
        );
        assert_eq!(
            text(Conversion::Network, "192.0.2.7").as_deref(),
            Some("192.0.2.7/32")
        );
        assert_eq!(text(Conversion::Network, "10.0.0.0/33"), None);
        assert!(Conversion::Network.literal(b"10.1.2.3/8").is_err());
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("::/0", "10.0.0.1", false),
            ("::/0", "ffff::", true),
            ("2001:db8::/32", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("10.0.0.0/8", "x", false),
            ("x", "10.0.0.1", false),
        ] {
            assert_eq!(
                holds(network.as_bytes(), address.as_bytes()),
                inside,
                "{network} {address}"
            );
        }
    }
}
