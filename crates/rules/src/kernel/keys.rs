//! Texts and numbers as the kernel compares them.

use std::collections::BTreeSet;

use yagura_event::field::kernel::{BASE_BYTES, COMM_BYTES, END_BYTES, FRONT_BYTES, KernelTest};
use yagura_event::{Text, Tree};

use super::atom::{Key, Range, Shape, Test};
use crate::expr::OrderOp;

/// How many bytes of a value the kernel compares from its front, and from its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Widths {
    front: usize,
    end: usize,
}

/// The widths for texts of that sort; `None` where beginnings and ends cannot be compared.
pub(super) fn widths(test: KernelTest, base: bool) -> Option<Widths> {
    match (test, base) {
        (KernelTest::Comm, _) => Some(Widths {
            front: COMM_BYTES,
            end: COMM_BYTES,
        }),
        (KernelTest::Path, true) => Some(Widths {
            front: BASE_BYTES,
            end: END_BYTES,
        }),
        (KernelTest::Path, false) => Some(Widths {
            front: FRONT_BYTES,
            end: END_BYTES,
        }),
        _ => None,
    }
}

/// A test that one of the texts stands in a value, and whether it is exact. A text that the kernel does not compare to its
/// end is cut; `None` when it is empty, which is in everything.
pub(super) fn texts<'t>(
    texts: impl IntoIterator<Item = (Shape, &'t [u8])>,
    widths: Widths,
) -> Option<(Test, bool)> {
    let mut keys = BTreeSet::new();
    let mut exact = true;
    for (shape, text) in texts {
        let (stands, cut) = match shape {
            // As long as what is compared, it could go on in the value.
            Shape::Whole if text.len() >= widths.front => (Shape::Prefix, text.get(..widths.front)?),
            Shape::Whole => (shape, text),
            Shape::Prefix => (shape, text.get(..widths.front).unwrap_or(text)),
            Shape::Suffix => {
                let from = text.len().saturating_sub(widths.end);
                (shape, text.get(from..)?)
            }
        };
        if cut.is_empty() && stands != Shape::Whole {
            return None;
        }
        exact &= stands == shape && cut.len() == text.len();
        keys.insert(Key {
            shape: stands,
            text: Text::from(cut),
        });
    }
    Some((Test::Texts(keys), exact))
}

/// A test that a value is one of the words.
pub(super) fn words<'t>(words: impl IntoIterator<Item = &'t [u8]>) -> Test {
    let key = |word| Key {
        shape: Shape::Whole,
        text: Text::from(word),
    };
    Test::Texts(words.into_iter().map(key).collect())
}

/// A whole number that fields of the kernel may have; negative ones none has.
pub(super) fn number(tree: &Tree) -> Option<u64> {
    match tree {
        Tree::Int(value) => u64::try_from(*value).ok(),
        Tree::Uint(value) => Some(*value),
        _ => None,
    }
}

/// The numbers that stand so to this one.
pub(super) fn ordered(operator: OrderOp, number: u64) -> Option<Range> {
    Some(match operator {
        OrderOp::Less => Range {
            min: 0,
            max: number.checked_sub(1)?,
        },
        OrderOp::LessEqual => Range { min: 0, max: number },
        OrderOp::Greater => Range {
            min: number.checked_add(1)?,
            max: u64::MAX,
        },
        OrderOp::GreaterEqual => Range {
            min: number,
            max: u64::MAX,
        },
    })
}

/// Brings ranges in order, and makes one of those that touch.
pub(super) fn in_order(ranges: &mut Vec<Range>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let touches = next.min <= kept.max.saturating_add(1);
        if touches {
            kept.max = kept.max.max(next.max);
        }
        touches
    });
}

/// The numbers that lie in ranges of both; each are in order and do not touch.
pub(super) fn common(left: &[Range], right: &[Range]) -> Vec<Range> {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    let mut common = Vec::new();
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        let (min, max) = (one.min.max(other.min), one.max.min(other.max));
        if min <= max {
            common.push(Range { min, max });
        }
        if one.max < other.max {
            left.next();
        } else {
            right.next();
        }
    }
    common
}
