//! Parts of the shipped content that are wanted or not as a whole.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A part of the shipped content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pack {
    /// Rules on what runs on nodes and in containers.
    Workload,
    /// Checks of configuration, and the frameworks over them.
    Posture,
}

impl Pack {
    /// Every pack.
    pub const ALL: [Self; 2] = [Self::Workload, Self::Posture];

    /// The name as it stands in values and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::Posture => "posture",
        }
    }
}

impl fmt::Display for Pack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The packs that are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packs(BTreeSet<Pack>);

impl Packs {
    /// Whether a pack is wanted.
    pub fn contains(&self, pack: Pack) -> bool {
        self.0.contains(&pack)
    }
}

impl FromIterator<Pack> for Packs {
    fn from_iter<T: IntoIterator<Item = Pack>>(packs: T) -> Self {
        Self(packs.into_iter().collect())
    }
}

/// A pack that does not ship.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no pack; use workload, posture, both separated by a comma, or none")]
pub struct UnknownPack(String);

impl FromStr for Packs {
    type Err = UnknownPack;

    fn from_str(text: &str) -> Result<Self, UnknownPack> {
        if text == "none" {
            return Ok(Self::default());
        }
        let pack = |name: &str| {
            Pack::ALL
                .into_iter()
                .find(|pack| pack.as_str() == name)
                .ok_or_else(|| UnknownPack(name.to_owned()))
        };
        text.split(',').map(pack).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Pack, Packs};

    #[test]
    fn packs_are_named_one_by_one_or_none() {
        let parse = |text: &str| text.parse::<Packs>();
        assert_eq!(parse("none"), Ok(Packs::default()));
        assert_eq!(parse("posture,workload"), Ok(Pack::ALL.into_iter().collect()));
        assert!(!parse("posture").unwrap().contains(Pack::Workload));
        assert!(parse("").is_err() && parse("posture,").is_err() && parse("all").is_err());
    }
}
