//! A group as bytes, for whoever keeps it.

use std::collections::{HashSet, VecDeque};

use yagura_rules::detect::Threshold;

use super::group::{Entry, Group, MAX_ENTRIES};

/// The first byte: another form would have another.
const FORM: u8 = 1;
/// First, last, value, count, told.
const ENTRY: usize = 8 + 8 + 8 + 4 + 1;

/// Bytes that are no group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadGroup;

impl std::fmt::Display for BadGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("these bytes are no group of matches")
    }
}

impl std::error::Error for BadGroup {}

impl Group {
    /// The group as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.entries.len() * ENTRY);
        bytes.push(FORM);
        for entry in &self.entries {
            bytes.extend(entry.first.to_le_bytes());
            bytes.extend(entry.last.to_le_bytes());
            bytes.extend(entry.value.to_le_bytes());
            bytes.extend(entry.count.to_le_bytes());
            bytes.push(u8::from(entry.told));
        }
        bytes
    }

    /// The group that `bytes` are, under the threshold that it was remembered for.
    pub fn decode(threshold: &Threshold, bytes: &[u8]) -> Result<Self, BadGroup> {
        let Some((&FORM, body)) = bytes.split_first() else {
            return Err(BadGroup);
        };
        let (chunks, rest) = body.as_chunks::<ENTRY>();
        if !rest.is_empty() || chunks.len() > MAX_ENTRIES {
            return Err(BadGroup);
        }
        let mut entries: VecDeque<Entry> = chunks.iter().map(entry).collect::<Option<_>>().ok_or(BadGroup)?;
        let ordered = entries
            .iter()
            .zip(entries.iter().skip(1))
            .all(|(one, next)| one.last <= next.last);
        if !ordered || entries.iter().any(|entry| entry.first > entry.last) {
            return Err(BadGroup);
        }
        let mut later = HashSet::new();
        for entry in entries.iter_mut().rev() {
            entry.repeated = threshold.distinct.is_some() && !later.insert(entry.value);
        }
        Ok(Self::restore(threshold, entries))
    }
}

fn entry(chunk: &[u8; ENTRY]) -> Option<Entry> {
    let (first, rest) = chunk.split_first_chunk()?;
    let (last, rest) = rest.split_first_chunk()?;
    let (value, rest) = rest.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    Some(Entry {
        first: i64::from_le_bytes(*first),
        last: i64::from_le_bytes(*last),
        value: u64::from_le_bytes(*value),
        count: u32::from_le_bytes(*count),
        told: rest == [1],
        repeated: false,
    })
}

#[cfg(test)]
mod tests {
    use yagura_event::{FieldId, Timestamp};
    use yagura_rules::detect::Shape;

    use super::super::Tuple;
    use super::*;

    fn group(threshold: &Threshold) -> Group {
        let mut group = Group::default();
        for (time, value) in [(10, 7), (20, 8), (30, 7), (25, 9)] {
            let time = Timestamp(time);
            group.add(
                threshold,
                Tuple {
                    first: time,
                    last: time,
                    count: 2,
                    value,
                },
            );
        }
        group
    }

    #[test]
    fn bytes_are_the_group_again() {
        for distinct in [None, Some(FieldId(0))] {
            let threshold = Threshold {
                count: 3,
                within: 100,
                shape: Shape::Sliding,
                distinct,
                lateness: 50,
            };
            let group = group(&threshold);
            assert_eq!(Group::decode(&threshold, &group.encode()), Ok(group));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let threshold = Threshold {
            count: 3,
            within: 100,
            shape: Shape::Fixed,
            distinct: None,
            lateness: 50,
        };
        let bytes = group(&threshold).encode();
        let mut disordered = bytes.clone();
        disordered[9..17].copy_from_slice(&i64::MAX.to_le_bytes());
        for bad in [&[][..], &[2], &bytes[..bytes.len() - 1], &disordered] {
            assert_eq!(Group::decode(&threshold, bad), Err(BadGroup), "{bad:?}");
        }
    }
}
