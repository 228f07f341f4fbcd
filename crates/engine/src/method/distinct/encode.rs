//! A set as bytes, for whoever keeps it.

use super::sketch::Sketch;
use super::{Distinct, MAX_EXACT, Values};
use crate::method::BadGroup;
use crate::method::bytes::Reader;

/// The first byte: another form would have another.
const EXACT: u8 = 1;
const ESTIMATED: u8 = 2;

impl Distinct {
    /// The set as bytes.
    pub fn encode(&self) -> Vec<u8> {
        match &self.0 {
            Values::Exact(values) => {
                let mut bytes = Vec::with_capacity(1 + values.len() * 8);
                bytes.push(EXACT);
                for value in values {
                    bytes.extend(value.to_le_bytes());
                }
                bytes
            }
            Values::Estimated(sketch) => [&[ESTIMATED], &sketch.registers()[..]].concat(),
        }
    }

    /// The set that `bytes` are.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadGroup> {
        if let Ok(mut reader) = Reader::new(ESTIMATED, bytes) {
            let registers = Box::new(reader.take()?);
            let sketch = Sketch::restore(registers).filter(|_| reader.is_over());
            return sketch
                .map(|sketch| Self(Values::Estimated(sketch)))
                .ok_or(BadGroup);
        }
        let mut reader = Reader::new(EXACT, bytes)?;
        let mut values = Vec::new();
        while !reader.is_over() {
            let value = reader.u64()?;
            if values.last().is_some_and(|last| *last >= value) || values.len() == MAX_EXACT {
                return Err(BadGroup);
            }
            values.push(value);
        }
        Ok(Self(Values::Exact(values)))
    }
}
