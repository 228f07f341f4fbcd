//! A group as bytes, for whoever keeps it.

use std::collections::VecDeque;

use super::baseline::Grid;
use super::{Anomaly, Closed, Group, Open};
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
        for open in &self.open {
            bytes.extend(open.count.to_le_bytes());
            bytes.push(u8::from(open.told));
            bytes.push(u8::from(open.limit.is_some()));
            bytes.extend(open.limit.unwrap_or(0).to_le_bytes());
        }
        if let Some(since) = self.since {
            bytes.extend(since.to_le_bytes());
        }
        for closed in &self.closed {
            bytes.extend(closed.index.to_le_bytes());
            bytes.extend(closed.count.to_le_bytes());
        }
        bytes
    }

    /// The group that `bytes` are, under the parameters that it was remembered for.
    pub fn decode(anomaly: &Anomaly, bytes: &[u8]) -> Result<Self, BadGroup> {
        let grid = Grid::of(anomaly);
        let mut reader = Reader::new(FORM, bytes)?;
        if reader.is_over() {
            return Ok(Self::default());
        }
        let newest = reader.i64()?;
        let open: VecDeque<Open> = (0..=grid.open)
            .map(|_| open(&mut reader))
            .collect::<Result<_, _>>()?;
        let since = if reader.is_over() {
            None
        } else {
            Some(reader.i32()?)
        };
        let mut closed: VecDeque<Closed> = VecDeque::new();
        // What is closed lies before what is open, in order, as far back as samples reach.
        let end = grid.index(newest) - grid.open;
        let mut first = since.unwrap_or(end);
        while !reader.is_over() {
            let bucket = Closed {
                index: reader.i32()?,
                count: reader.u32()?,
            };
            if bucket.index < first || bucket.index >= end || bucket.count == 0 {
                return Err(BadGroup);
            }
            first = bucket.index + 1;
            closed.push_back(bucket);
        }
        let reach = match (closed.front(), closed.back()) {
            (Some(first), Some(last)) => last.index - first.index,
            _ => 0,
        };
        // A group is known since a bucket with a match; that may have been forgotten, the last one is not.
        if since.is_some() == closed.is_empty()
            || reach >= grid.reach()
            || since.is_some_and(|since| grid.is_far(since))
        {
            return Err(BadGroup);
        }
        Ok(Self {
            newest: Some(newest),
            since,
            closed,
            open,
        })
    }
}

fn open(reader: &mut Reader<'_>) -> Result<Open, BadGroup> {
    let count = reader.u32()?;
    let told = reader.flag()?;
    let limited = reader.flag()?;
    let limit = reader.u32()?;
    let spikes = limited && count > limit;
    if told != spikes || (!limited && limit != 0) || (limited && limit == 0) {
        return Err(BadGroup);
    }
    Ok(Open {
        count,
        limit: limited.then_some(limit),
        told,
    })
}

#[cfg(test)]
mod tests {
    use yagura_event::Timestamp;

    use yagura_rules::detect::MIN_BUCKET;

    use super::super::Outcome;
    use super::*;

    const ANOMALY: Anomaly = Anomaly {
        bucket: MIN_BUCKET,
        history: 100 * MIN_BUCKET,
        learning: 2 * MIN_BUCKET,
        quantile: 995,
        tolerance: 1,
        min_count: 3,
        lateness: MIN_BUCKET,
    };

    fn group() -> Group {
        let mut group = Group::default();
        for minute in [0, 1, 2, 3, 5] {
            group.add(&ANOMALY, Timestamp(minute * MIN_BUCKET), 1);
        }
        let fires = group.add(&ANOMALY, Timestamp(5 * MIN_BUCKET), 9);
        assert!(
            matches!(fires, Outcome::Fires(spike) if spike.count == 10),
            "{fires:?}"
        );
        group
    }

    #[test]
    fn bytes_are_the_group_again() {
        for group in [Group::default(), group()] {
            assert_eq!(Group::decode(&ANOMALY, &group.encode()), Ok(group));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let bytes = group().encode();
        // Behind the form, the newest time, and two open buckets of ten bytes.
        let since = 1 + 8 + 2 * 10;
        let change = |place: usize, to: &[u8]| {
            let mut bytes = bytes.clone();
            bytes[place..place + to.len()].copy_from_slice(to);
            bytes
        };
        let bad = [
            Vec::new(),
            change(0, &[2]),
            bytes[..bytes.len() - 1].to_vec(),
            bytes[..since + 4].to_vec(),
            [&bytes[..], &[0; 8]].concat(),
            change(1, &i64::MIN.to_le_bytes()),
            change(since, &i32::MIN.to_le_bytes()),
            change(since, &1_i32.to_le_bytes()),
            change(since + 4, &3_i32.to_le_bytes()),
            change(since + 8, &0_u32.to_le_bytes()),
            change(13, &[1]),
            change(13, &[2]),
            change(14, &[0]),
        ];
        for bad in bad {
            assert_eq!(Group::decode(&ANOMALY, &bad), Err(BadGroup), "{bad:?}");
        }
    }
}
