//! What texts stand for: addresses and networks. The compiler reads those that are written out, the engine the others.

mod address;

pub use address::{address, holds};

use yagura_event::{Type, ValueRef};

/// What a text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Conversion {
    /// `ip(x)`
    Address,
    /// `cidr(x)`
    Network,
}

impl Conversion {
    /// The type of what it gives.
    pub fn result(self) -> Type {
        match self {
            Self::Address => Type::ADDRESS,
            Self::Network => Type::NETWORK,
        }
    }

    /// What the text stands for; `None` when that is nothing.
    pub fn read(self, text: &[u8]) -> Option<ValueRef<'static>> {
        match self {
            Self::Address => Some(address::shown(&address(text)?)),
            Self::Network => address::network(text),
        }
    }

    /// The same for a text that is written out, or what is wrong with it. It is held to more: what is most likely a
    /// mistake is refused, though it could be read.
    pub(crate) fn literal(self, text: &[u8]) -> Result<ValueRef<'static>, String> {
        match self {
            Self::Address => self.read(text).ok_or_else(|| {
                "this is no IP address: write one such as 192.0.2.7 or 2001:db8::1".to_owned()
            }),
            Self::Network => address::strict_network(text),
        }
    }
}
