//! What texts stand for: addresses, networks, times and amounts. The compiler reads those that are written out, the engine the others.

mod address;
mod duration;
mod quantity;

pub use address::{address, holds};

use yagura_event::{Timestamp, Type, ValueRef};

/// What a text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Conversion {
    /// `ip(x)`
    Address,
    /// `cidr(x)`
    Network,
    /// `duration(x)`
    Duration,
    /// `timestamp(x)`
    Timestamp,
    /// `quantity(x)`
    Quantity,
}

impl Conversion {
    /// The type of what it gives.
    pub fn result(self) -> Type {
        match self {
            Self::Address => Type::ADDRESS,
            Self::Network => Type::NETWORK,
            Self::Duration => Type::DURATION,
            Self::Timestamp => Type::TIMESTAMP,
            Self::Quantity => Type::QUANTITY,
        }
    }

    /// What the text stands for; `None` when that is nothing.
    pub fn read(self, text: &[u8]) -> Option<ValueRef<'static>> {
        match self {
            Self::Address => Some(address::shown(&address(text)?)),
            Self::Network => address::network(text),
            Self::Duration => duration::duration(text).map(ValueRef::Int),
            Self::Timestamp => Timestamp::parse(text).map(|time| ValueRef::Int(time.0)),
            Self::Quantity => quantity::quantity(text),
        }
    }

    /// The same for a text that is written out, or what is wrong with it. It is held to more: what is most likely a
    /// mistake is refused, though it could be read.
    pub(crate) fn literal(self, text: &[u8]) -> Result<ValueRef<'static>, String> {
        let wanted = match self {
            Self::Network => return address::strict_network(text),
            Self::Address => "no IP address: write one such as 192.0.2.7 or 2001:db8::1",
            Self::Duration => {
                "no duration: write one such as 90s, 1h30m or 1.5h; units are h, m, s, ms, us and ns"
            }
            Self::Quantity => {
                "no quantity: write one such as 500m, 1.5 or 128Mi; suffixes are n, u, m, k, M, G, T, P, E and Ki, Mi, Gi, Ti, Pi, Ei"
            }
            Self::Timestamp => "no point in time from 1678 to 2261: write one such as 2026-01-31T12:00:00Z",
        };
        self.read(text).ok_or_else(|| format!("this is {wanted}"))
    }
}
