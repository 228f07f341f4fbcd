//! A group as bytes, for whoever keeps it.

use super::tokens::Tokens;
use super::{Content, Group, MAX_HASHES, MAX_SHAPES, MAX_TOKENS, Shape};
use crate::method::BadGroup;
use crate::method::bytes::Reader;

/// The first byte: another form would have another.
const FORM: u8 = 1;

impl Group {
    /// The group as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        let Some(newest) = self.newest else { return bytes };
        bytes.extend(newest.to_le_bytes());
        bytes.extend(self.since.to_le_bytes());
        bytes.extend(self.taken.to_le_bytes());
        for shape in &self.shapes {
            bytes.extend(shape.last.to_le_bytes());
            bytes.extend(shape.count.to_le_bytes());
            bytes.push(u8::try_from(shape.tokens.hashes.len()).unwrap_or(u8::MAX));
            for hash in &shape.tokens.hashes {
                bytes.extend(hash.to_le_bytes());
            }
        }
        bytes
    }

    /// The group that `bytes` are, under the parameters that it was remembered for.
    pub fn decode(content: &Content, bytes: &[u8]) -> Result<Self, BadGroup> {
        let mut reader = Reader::new(FORM, bytes)?;
        if reader.is_over() {
            return Ok(Self::default());
        }
        let newest = reader.i64()?;
        let mut group = Self {
            newest: Some(newest),
            since: reader.i64()?,
            taken: reader.u32()?,
            shapes: Vec::new(),
        };
        let horizon = super::horizon(content, super::watermark(content, newest));
        while !reader.is_over() {
            let shape = shape(&mut reader)?;
            if shape.last > newest || shape.last < horizon || group.shapes.len() == MAX_SHAPES {
                return Err(BadGroup);
            }
            group.shapes.push(shape);
        }
        if group.shapes.is_empty() || group.hashes() > MAX_HASHES || group.since > newest || group.taken == 0
        {
            return Err(BadGroup);
        }
        Ok(group)
    }
}

fn shape(reader: &mut Reader<'_>) -> Result<Shape, BadGroup> {
    let last = reader.i64()?;
    let count = reader.u32()?;
    let tokens = reader.u8()?;
    let hashes: Vec<u64> = (0..tokens).map(|_| reader.u64()).collect::<Result<_, _>>()?;
    let in_order = hashes.is_sorted_by(|one, next| one < next);
    if count == 0 || hashes.len() > MAX_TOKENS || !in_order {
        return Err(BadGroup);
    }
    Ok(Shape {
        last,
        count,
        tokens: Tokens { hashes },
    })
}

#[cfg(test)]
mod tests {
    use yagura_event::Timestamp;

    use super::*;

    const CONTENT: Content = Content {
        similarity: 50,
        similar: 1,
        learning: 0,
        learning_count: 1,
        forget: 1_000,
        lateness: 10,
    };

    fn group() -> Group {
        let mut group = Group::default();
        for (time, text) in [(5, "a b"), (20, "!"), (15, "a b c"), (30, "d")] {
            group.add(&CONTENT, Timestamp(time), text.as_bytes());
        }
        group
    }

    #[test]
    fn bytes_are_the_group_again() {
        for group in [Group::default(), group()] {
            assert_eq!(Group::decode(&CONTENT, &group.encode()), Ok(group));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let bytes = group().encode();
        let change = |place: usize, to: &[u8]| {
            let mut bytes = bytes.clone();
            bytes[place..place + to.len()].copy_from_slice(to);
            bytes
        };
        // The newest time, the earliest, how many; then shapes with two, no, and one token.
        let shape = 1 + 8 + 8 + 4;
        let bad = [
            Vec::new(),
            change(0, &[2]),
            bytes[..shape].to_vec(),
            bytes[..bytes.len() - 1].to_vec(),
            change(1, &19_i64.to_le_bytes()),
            change(1, &i64::MAX.to_le_bytes()),
            change(9, &31_i64.to_le_bytes()),
            change(17, &[0]),
            change(shape, &31_i64.to_le_bytes()),
            change(shape + 8, &[0]),
            change(shape + 12, &[65]),
            change(shape + 13, &bytes[shape + 21..shape + 29]),
            [&bytes[..], &[0; 13]].concat(),
            [&bytes[..], &bytes[bytes.len() - 21..].repeat(MAX_SHAPES)].concat(),
        ];
        for (which, bad) in bad.iter().enumerate() {
            assert_eq!(Group::decode(&CONTENT, bad), Err(BadGroup), "{which}");
        }
    }
}
