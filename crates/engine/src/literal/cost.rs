//! How much it tells that a text is seen.

use std::cmp::Ordering;

use yagura_event::Registry;

use super::{Base, Literal, Shape};

/// How often events have one of some texts, as far as a guess goes. It decides speed, never what matches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// A value has to be derived, which is worth it only when nothing else decides.
    derived: bool,
    /// How likely an event has one: more than 1 when the sum of guesses is.
    likelihood: f64,
}

impl Cost {
    /// From how likely on a search is not worth it.
    const USELESS: f64 = 0.9;

    pub(super) fn of(literal: &Literal<'_>, registry: &Registry) -> Self {
        let path = match literal.place.base {
            Base::Field(field) => registry.field(field).path,
            Base::Variable(_) => "",
        };
        let length = i32::try_from(literal.text.len()).unwrap_or(i32::MAX);
        let one = match literal.shape {
            Shape::Whole => whole(path),
            // Paths have beginnings in common.
            Shape::Prefix => 0.8_f64.powi(length),
            Shape::Within | Shape::WithinAnyCase => 0.6_f64.powi(length),
        };
        // A process has several ancestors.
        let many = if literal.place.member.is_some() { 4.0 } else { 1.0 };
        Self {
            derived: matches!(path, "process.command_line" | "process.args_flags"),
            likelihood: one * many,
        }
    }

    pub(super) fn useful(self) -> bool {
        self.likelihood < Self::USELESS
    }

    pub(super) fn order(&self, other: &Self) -> Ordering {
        let derived = self.derived.cmp(&other.derived);
        derived.then(self.likelihood.total_cmp(&other.likelihood))
    }

    /// The cost of both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            derived: self.derived || other.derived,
            likelihood: self.likelihood + other.likelihood,
        }
    }
}

/// Fields with few different values do not tell events apart.
fn whole(path: &str) -> f64 {
    let (above, last) = path.rsplit_once('.').unwrap_or(("", path));
    let root = path.split('.').next().unwrap_or(path);
    match (root, above, last) {
        ("event", ..) => 1.0,
        (_, _, "kind" | "runtime") => 0.5,
        (_, above, "name") if above.ends_with("user") => 0.5,
        ("host" | "k8s" | "container", ..) => 0.2,
        _ => 0.004,
    }
}
