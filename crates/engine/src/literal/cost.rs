//! How much it tells that a literal is seen.

use std::cmp::Ordering;

use yagura_event::field::{Scalar, Type};
use yagura_event::{FieldId, Registry};

use super::{Base, Literal, Shape, TextWanted, Wanted};

/// How often events have one of some literals, as far as a guess goes. It decides speed, never what matches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// It is looked for last, and only if nothing else has decided: see [`late`].
    pub(super) late: bool,
    /// How likely an event has one: more than 1 when the sum of guesses is.
    pub(super) likelihood: f64,
}

impl Cost {
    /// From how likely on a search is not worth it.
    const USELESS: f64 = 0.9;

    pub(super) fn of(literal: &Literal<'_>, registry: &Registry) -> Self {
        let path = match literal.place.base {
            Base::Field(field) => registry.field(field).path,
            Base::Variable(_) => "",
        };
        let one = match &literal.wanted {
            Wanted::Text(TextWanted { shape, text, .. }) => match shape {
                Shape::Whole => whole(path),
                // Paths have beginnings in common.
                Shape::Prefix => 0.8_f64.powi(length(text)),
                Shape::Suffix | Shape::Within => 0.6_f64.powi(length(text)),
            },
            // What is said with zero and one is often said: root, the first process, the normal exit.
            Wanted::Number(0 | 1) | Wanted::True | Wanted::False | Wanted::Present | Wanted::Absent => 0.5,
            Wanted::Number(_) => 0.01,
            Wanted::AtLeast(_) | Wanted::AtMost(_) => 0.4,
            Wanted::NotTrue => 0.6,
        };
        // A process has several ancestors.
        let many = if literal.place.member.is_some() { 4.0 } else { 1.0 };
        Self {
            late: matches!(literal.place.base, Base::Field(field) if late(field, registry)),
            likelihood: one * many,
        }
    }

    pub(super) fn useful(self) -> bool {
        self.likelihood < Self::USELESS
    }

    pub(super) fn order(&self, other: &Self) -> Ordering {
        let late = self.late.cmp(&other.late);
        late.then(self.likelihood.total_cmp(&other.likelihood))
    }

    /// The cost of both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            late: self.late || other.late,
            likelihood: self.likelihood + other.likelihood,
        }
    }
}

/// Whether reading a field takes long: its value has to be made first, or lies in memory that other events have been in since.
pub(super) fn late(field: FieldId, registry: &Registry) -> bool {
    let field = registry.field(field);
    matches!(field.ty, Type::List(Scalar::Object(_)))
        || matches!(field.path, "process.command_line" | "process.args_flags")
}

fn length(text: &[u8]) -> i32 {
    i32::try_from(text.len()).unwrap_or(i32::MAX)
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
