//! Values of any shape.

use yagura_event::{Text, Tree};

use super::ConvertError;
use crate::v1;
use crate::v1::value::Kind;

/// Values are nested this deep at most.
pub const MAX_DEPTH: usize = 32;

/// A value has this many parts at most, itself included: with at least two bytes a part on the
/// wire, a 4 MiB message could otherwise become a hundred times its size in memory.
pub const MAX_NODES: usize = 20_000;

/// Reads a value.
pub fn tree_from_message(value: v1::Value) -> Result<Tree, ConvertError> {
    let mut budget = MAX_NODES;
    read(value, MAX_DEPTH, &mut budget)
}

fn read(value: v1::Value, depth: usize, budget: &mut usize) -> Result<Tree, ConvertError> {
    let depth = depth.checked_sub(1).ok_or(ConvertError::TooDeep)?;
    *budget = budget.checked_sub(1).ok_or(ConvertError::TooLarge {
        field: "the number of parts of a value",
        limit: MAX_NODES as u64,
    })?;
    Ok(
        match value.kind.ok_or(ConvertError::Missing("the kind of a value"))? {
            Kind::Null(_) => Tree::Null,
            Kind::Unknown(_) => Tree::Unknown,
            Kind::Bool(value) => Tree::Bool(value),
            Kind::Int(value) => Tree::Int(value),
            Kind::Uint(value) => Tree::Uint(value),
            Kind::Double(value) => Tree::Double(value),
            Kind::Text(bytes) => Tree::Text(Text::from(bytes)),
            Kind::List(list) => Tree::List(
                list.items
                    .into_iter()
                    .map(|item| read(item, depth, budget))
                    .collect::<Result<_, _>>()?,
            ),
            Kind::Map(map) => {
                let mut pairs = Vec::new();
                for entry in map.entries {
                    let value = entry.value.ok_or(ConvertError::Missing("a value of a map"))?;
                    pairs.push((Text::from(entry.key), read(value, depth, budget)?));
                }
                Tree::map(pairs)
            }
        },
    )
}

/// Writes a value. What is nested too deep to be read becomes unknown.
pub fn tree_to_message(tree: &Tree) -> v1::Value {
    write(tree, MAX_DEPTH)
}

fn write(tree: &Tree, depth: usize) -> v1::Value {
    let nested = depth.saturating_sub(1);
    let kind = match tree {
        Tree::List(items) if nested > 0 => Kind::List(v1::ValueList {
            items: items.iter().map(|item| write(item, nested)).collect(),
        }),
        Tree::Map(pairs) if nested > 0 => Kind::Map(v1::ValueMap {
            entries: pairs
                .iter()
                .map(|(key, value)| v1::ValueEntry {
                    key: key.as_bytes().to_vec(),
                    value: Some(write(value, nested)),
                })
                .collect(),
        }),
        Tree::List(items) if items.is_empty() => Kind::List(v1::ValueList::default()),
        Tree::Map(pairs) if pairs.is_empty() => Kind::Map(v1::ValueMap::default()),
        Tree::Unknown | Tree::List(_) | Tree::Map(_) => Kind::Unknown(true),
        Tree::Null => Kind::Null(true),
        Tree::Bool(value) => Kind::Bool(*value),
        Tree::Int(value) => Kind::Int(*value),
        Tree::Uint(value) => Kind::Uint(*value),
        Tree::Double(value) => Kind::Double(*value),
        Tree::Text(text) => Kind::Text(text.as_bytes().to_vec()),
    };
    v1::Value { kind: Some(kind) }
}
