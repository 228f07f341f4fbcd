//! Reading a state that somebody else kept.

use crate::window::BadGroup;

/// Bytes that are read from the front. Numbers are little-endian.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` behind their first one, which has to be `form`.
    pub(super) fn new(form: u8, bytes: &'a [u8]) -> Result<Self, BadGroup> {
        match bytes.split_first() {
            Some((first, rest)) if *first == form => Ok(Self { rest }),
            _ => Err(BadGroup),
        }
    }

    /// The next bytes.
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], BadGroup> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(BadGroup)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, BadGroup> {
        self.take().map(|[byte]| byte)
    }

    /// A byte that is 0 or 1.
    pub(super) fn flag(&mut self) -> Result<bool, BadGroup> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(BadGroup),
        }
    }

    pub(super) fn u32(&mut self) -> Result<u32, BadGroup> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, BadGroup> {
        self.take().map(u64::from_le_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, BadGroup> {
        self.take().map(i16::from_le_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, BadGroup> {
        self.take().map(i32::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, BadGroup> {
        self.take().map(i64::from_le_bytes)
    }

    /// Whether nothing is left.
    pub(super) fn is_over(&self) -> bool {
        self.rest.is_empty()
    }
}
