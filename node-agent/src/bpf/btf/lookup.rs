//! Questions about types by name.

use super::{
    Btf,
    parse::{Type, kind},
};

/// How deep anonymous members and modifiers are followed. Hostile BTF may refer to itself.
const DEPTH: usize = 16;

/// Where a member lies in its structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From the start of the structure, in bits.
    pub bits: u32,
    /// Width of a bit field; 0 for an ordinary member.
    pub width: u8,
}

impl Btf<'_> {
    /// Where `path` lies in the structure `owner`. Dots lead into nested structures, a bar
    /// separates alternatives of one step; members of anonymous structures count as the owner's.
    pub fn member(&self, owner: &str, path: &str) -> Option<Position> {
        let mut current = self.named(owner, &[kind::STRUCT, kind::UNION])?;
        let mut bits = 0_u32;
        let mut width = 0;
        let mut steps = path.split('.').peekable();
        while let Some(step) = steps.next() {
            let (found, member_type) = step
                .split('|')
                .find_map(|name| self.member_of(current, name.as_bytes(), DEPTH))?;
            bits = bits.checked_add(found.bits)?;
            width = found.width;
            if steps.peek().is_some() {
                current = self.resolved(member_type)?;
            }
        }
        Some(Position { bits, width })
    }

    /// Size of a structure in bytes.
    pub fn size(&self, owner: &str) -> Option<u32> {
        Some(self.named(owner, &[kind::STRUCT, kind::UNION])?.refers)
    }

    /// Value of an enumeration's constant.
    pub fn constant(&self, enumeration: &str, name: &str) -> Option<u32> {
        let found = self.named(enumeration, &[kind::ENUM])?;
        (0..found.count).find_map(|index| {
            let at = found.at + Type::FIXED + index * 8;
            self.is_named(self.word(at)?, name.as_bytes())
                .then(|| self.word(at + 4))?
        })
    }

    /// Number of arguments that a tracepoint passes, without the first, internal one.
    pub fn tracepoint_arguments(&self, tracepoint: &str) -> Option<usize> {
        let alias = self.named(&format!("btf_trace_{tracepoint}"), &[kind::TYPEDEF])?;
        let pointer = self.by_id(alias.refers)?;
        let prototype = self.by_id(pointer.refers)?;
        (pointer.kind == kind::PTR && prototype.kind == kind::FUNC_PROTO)
            .then(|| prototype.count.checked_sub(1))?
    }

    /// How many types there are, the base's included.
    pub fn len(&self) -> usize {
        self.types.len() + self.base.map_or(0, Btf::len)
    }

    /// Whether there are no types.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn named(&self, name: &str, kinds: &[u8]) -> Option<Type> {
        self.types
            .iter()
            .filter_map(|at| self.type_at(usize::try_from(*at).ok()?))
            .find(|found| kinds.contains(&found.kind) && self.is_named(found.name, name.as_bytes()))
            .or_else(|| self.base?.named(name, kinds))
    }

    fn by_id(&self, id: u32) -> Option<Type> {
        match id.checked_sub(self.first_id()) {
            Some(index) => {
                let at = self.types.get(usize::try_from(index).ok()?)?;
                self.type_at(usize::try_from(*at).ok()?)
            }
            None => self.base?.by_id(id),
        }
    }

    /// The type behind aliases and modifiers.
    fn resolved(&self, id: u32) -> Option<Type> {
        let mut found = self.by_id(id)?;
        for _ in 0..DEPTH {
            match found.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    found = self.by_id(found.refers)?;
                }
                _ => return Some(found),
            }
        }
        None
    }

    /// Position and type id of a member, looked for in anonymous members too.
    fn member_of(&self, owner: Type, name: &[u8], depth: usize) -> Option<(Position, u32)> {
        if !matches!(owner.kind, kind::STRUCT | kind::UNION) {
            return None;
        }
        let depth = depth.checked_sub(1)?;
        (0..owner.count).find_map(|index| {
            let at = owner.at + Type::FIXED + index * 12;
            let member_name = self.string(self.word(at)?)?;
            let member_type = self.word(at + 4)?;
            let raw = self.word(at + 8)?;
            let here = if owner.flag {
                Position {
                    bits: raw & 0x00ff_ffff,
                    width: u8::try_from(raw >> 24).ok()?,
                }
            } else {
                Position { bits: raw, width: 0 }
            };
            if member_name == name {
                return Some((here, member_type));
            }
            if !member_name.is_empty() {
                return None;
            }
            let (inner, inner_type) = self.member_of(self.resolved(member_type)?, name, depth)?;
            let bits = here.bits.checked_add(inner.bits)?;
            Some((
                Position {
                    bits,
                    width: inner.width,
                },
                inner_type,
            ))
        })
    }
}
