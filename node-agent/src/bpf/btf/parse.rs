//! The layout of BTF: a header, types one behind the other, strings.

use super::{Btf, ParseError};

const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 24;

pub(super) mod kind {
    pub(crate) const PTR: u8 = 2;
    pub(crate) const STRUCT: u8 = 4;
    pub(crate) const UNION: u8 = 5;
    pub(crate) const ENUM: u8 = 6;
    pub(crate) const TYPEDEF: u8 = 8;
    pub(crate) const VOLATILE: u8 = 9;
    pub(crate) const CONST: u8 = 10;
    pub(crate) const RESTRICT: u8 = 11;
    pub(crate) const FUNC_PROTO: u8 = 13;
    pub(crate) const TYPE_TAG: u8 = 18;
}

/// The fixed part of a type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Type {
    /// Place of the fixed part in the file.
    pub(super) at: usize,
    pub(super) name: u32,
    pub(super) kind: u8,
    /// Number of members, values or parameters.
    pub(super) count: usize,
    /// For a structure: whether a member's offset carries the size of a bit field.
    pub(super) flag: bool,
    /// Size in bytes or id of the type referred to.
    pub(super) refers: u32,
}

impl Type {
    /// Bytes of the fixed part.
    pub(super) const FIXED: usize = 12;

    /// Bytes behind the fixed part; `None` for a kind that is not known.
    fn trailer(self) -> Option<usize> {
        Some(match self.kind {
            2 | 7..=12 | 16 | 18 => 0,
            1 | 14 | 17 => 4,
            3 => 12,
            4 | 5 | 15 | 19 => 12 * self.count,
            6 | 13 => 8 * self.count,
            _ => return None,
        })
    }
}

impl<'base> Btf<'base> {
    pub(super) fn parse(bytes: Vec<u8>, base: Option<&'base Btf<'base>>) -> Result<Self, ParseError> {
        let short = ParseError::Truncated {
            needed: HEADER as u64,
            there: bytes.len(),
        };
        let magic = bytes.first_chunk().ok_or(short)?;
        if u16::from_ne_bytes(*magic) != MAGIC {
            return Err(ParseError::Magic);
        }
        let version = *bytes.get(2).ok_or(short)?;
        if version != 1 {
            return Err(ParseError::Version(version));
        }
        let mut fields = [0_u32; 5];
        for (index, field) in fields.iter_mut().enumerate() {
            *field = u32_at(&bytes, 4 + index * 4).ok_or(short)?;
        }
        let [header, type_at, type_len, string_at, string_len] = fields;
        let types = section(&bytes, header, type_at, type_len)?;
        let strings = section(&bytes, header, string_at, string_len)?;

        let mut btf = Self {
            base,
            bytes,
            strings,
            types: Vec::new(),
        };
        let mut at = types.start;
        while at < types.end {
            let id = btf.next_id();
            let found = btf.type_at(at).ok_or(ParseError::Overrun(id))?;
            let trailer = found.trailer().ok_or(ParseError::Kind { id, kind: found.kind })?;
            let end = at + Type::FIXED + trailer;
            if end > types.end {
                return Err(ParseError::Overrun(id));
            }
            btf.types
                .push(u32::try_from(at).map_err(|_too_far| ParseError::Overrun(id))?);
            at = end;
        }
        Ok(btf)
    }

    /// Id of the first type after those that are there. 0 is `void` and has no bytes.
    fn next_id(&self) -> u32 {
        self.first_id() + u32::try_from(self.types.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn first_id(&self) -> u32 {
        self.base.map_or(1, Btf::next_id)
    }

    pub(super) fn type_at(&self, at: usize) -> Option<Type> {
        let name = u32_at(&self.bytes, at)?;
        let info = u32_at(&self.bytes, at + 4)?;
        Some(Type {
            at,
            name,
            kind: u8::try_from((info >> 24) & 0x1f).ok()?,
            count: usize::try_from(info & 0xffff).ok()?,
            flag: info >> 31 != 0,
            refers: u32_at(&self.bytes, at + 8)?,
        })
    }

    pub(super) fn string(&self, offset: u32) -> Option<&[u8]> {
        let below = self.base.map_or(0, Btf::string_end);
        if offset < below {
            return self.base?.string(offset);
        }
        let all = self.bytes.get(self.strings.clone())?;
        let text = all.get(usize::try_from(offset - below).ok()?..)?;
        let end = text.iter().position(|byte| *byte == 0)?;
        text.get(..end)
    }

    /// Whether the string at `offset` is `name`.
    pub(super) fn is_named(&self, offset: u32, name: &[u8]) -> bool {
        let below = self.base.map_or(0, Btf::string_end);
        if offset < below {
            return self.base.is_some_and(|base| base.is_named(offset, name));
        }
        usize::try_from(offset - below)
            .ok()
            .and_then(|start| self.bytes.get(self.strings.clone())?.get(start..))
            .and_then(|text| text.strip_prefix(name))
            .is_some_and(|rest| rest.first() == Some(&0))
    }

    fn string_end(&self) -> u32 {
        let own = u32::try_from(self.strings.len()).unwrap_or(u32::MAX);
        self.base.map_or(0, Btf::string_end).saturating_add(own)
    }

    pub(super) fn word(&self, at: usize) -> Option<u32> {
        u32_at(&self.bytes, at)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn section(bytes: &[u8], header: u32, at: u32, length: u32) -> Result<std::ops::Range<usize>, ParseError> {
    let start = u64::from(header) + u64::from(at);
    let needed = start + u64::from(length);
    let cut = ParseError::Truncated {
        needed,
        there: bytes.len(),
    };
    let range =
        usize::try_from(start).map_err(|_too_far| cut)?..usize::try_from(needed).map_err(|_too_far| cut)?;
    if range.end > bytes.len() {
        return Err(cut);
    }
    Ok(range)
}
