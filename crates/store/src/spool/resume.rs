//! Going on from where a receiver says that it has nothing more, because it lost what it had acknowledged.

use rusqlite::OptionalExtension;

use super::{Position, SEQUENCE_BITS, Spool, SpoolError, classify, key, split};

/// Where to go on with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Reading on from here gives what the run still holds from that sequence on.
    pub position: Position,
    /// How many records from that sequence on are not there any more: they were acknowledged once.
    pub forgotten: u64,
}

impl Spool {
    /// Where to go on with the run `spool` for a receiver that has nothing of it from `sequence` on. `None` when the
    /// run is not known or ends before.
    pub fn resume(&self, spool: &str, sequence: u64) -> Result<Option<Resume>, SpoolError> {
        self.find(spool, sequence)
            .map_err(|source| classify(&self.path, source))
    }

    fn find(&self, spool: &str, sequence: u64) -> rusqlite::Result<Option<Resume>> {
        let run: Option<i64> = self
            .connection
            .query_row("SELECT number FROM run WHERE id = ?1", [spool], |row| row.get(0))
            .optional()?;
        let Some(run) = run else { return Ok(None) };
        // A sequence beyond the bits that a key has for it is of no record.
        if sequence == 0 || sequence >> SEQUENCE_BITS != 0 {
            return Ok(None);
        }
        let (from, end) = (key(run, sequence), key(run + 1, 0));
        let first: Option<i64> = self.connection.query_row(
            "SELECT min(key) FROM record WHERE key >= ?1 AND key < ?2",
            [from, end],
            |row| row.get(0),
        )?;
        Ok(first.map(|first| Resume {
            position: Position(first - 1),
            forgotten: split(first).1 - sequence,
        }))
    }
}
