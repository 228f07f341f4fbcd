//! Appending, and what gives way when the limit is reached.
//!
//! A record makes room by turning records of a lower rank, lowest and oldest first, into losses in
//! their place. Where that is not enough it gets no place itself: it is counted as *unplaced*, and
//! one loss record for all of those takes the next sequence as soon as there is room.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};
use yagura_engine::Changed;

use super::{NewRecord, ROW_BYTES, Spool, SpoolError, Usage, classify, key, windows};

/// Cause of losses for want of room.
const FULL: &str = "spool-full";

/// What became of records that were appended. `placed + unplaced` is what was handed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Matches in the records that were written.
    pub placed: u64,
    /// Matches in the records for which there was no room.
    pub unplaced: u64,
    /// Matches in older records that gave way; they had been counted as placed.
    pub evicted: u64,
}

impl Spool {
    /// Writes records in one commit: when it returns they survive the death of the process.
    /// On an error nothing is written.
    pub fn append(&mut self, records: &[NewRecord]) -> Result<Appended, SpoolError> {
        self.append_with(records, &BTreeMap::new(), &[])
    }

    /// Writes records, that matches were lost before they reached the spool, by cause, and what was counted on the way
    /// to these records.
    pub fn append_with(
        &mut self,
        records: &[NewRecord],
        losses: &BTreeMap<String, u64>,
        groups: &[Changed],
    ) -> Result<Appended, SpoolError> {
        let path = self.path.clone();
        self.commit(records, losses, groups)
            .map_err(|source| classify(&path, source))
    }

    fn commit(
        &mut self,
        records: &[NewRecord],
        losses: &BTreeMap<String, u64>,
        groups: &[Changed],
    ) -> rusqlite::Result<Appended> {
        let mut writer = Writer {
            number: self.run.number,
            last: self.run.last,
            usage: self.usage,
            limit: self.limit_bytes,
            handed_out: self.handed_out,
            transaction: self.connection.transaction()?,
        };
        for (cause, matches) in losses {
            writer.count_unplaced(cause, *matches)?;
        }
        writer.place_losses()?;
        windows::write(&writer.transaction, groups)?;
        let mut appended = Appended::default();
        for record in records {
            appended.evicted += writer.make_room(record)?;
            if writer.fits(record) {
                writer.insert(record)?;
                appended.placed += record.matches;
            } else {
                writer.count_unplaced(FULL, record.matches)?;
                appended.unplaced += record.matches;
            }
        }
        let Writer {
            transaction,
            last,
            usage,
            ..
        } = writer;
        transaction.commit()?;
        self.run.last = last;
        self.usage = usage;
        Ok(appended)
    }
}

struct Writer<'a> {
    transaction: Transaction<'a>,
    number: i64,
    last: u64,
    usage: Usage,
    limit: u64,
    handed_out: i64,
}

impl Writer<'_> {
    fn fits(&self, record: &NewRecord) -> bool {
        self.usage.bytes + record.body.len() as u64 + ROW_BYTES <= self.limit
    }

    fn insert(&mut self, record: &NewRecord) -> rusqlite::Result<()> {
        self.transaction
            .prepare_cached("INSERT INTO record (key, rank, matches, body) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                key(self.number, self.last + 1),
                record.rank,
                record.matches.cast_signed(),
                record.body,
            ])?;
        self.last += 1;
        self.usage.records += 1;
        self.usage.bytes += record.body.len() as u64 + ROW_BYTES;
        Ok(())
    }

    /// Turns records of a lower rank into losses until `record` fits. Returns their matches.
    fn make_room(&mut self, record: &NewRecord) -> rusqlite::Result<u64> {
        if self.fits(record) {
            return Ok(0);
        }
        let mut victims = Vec::new();
        let mut freed = 0;
        {
            let need = (self.usage.bytes + record.body.len() as u64 + ROW_BYTES).saturating_sub(self.limit);
            let mut statement = self.transaction.prepare_cached(
                "SELECT key, length(body), matches FROM record \
                 WHERE body IS NOT NULL AND rank < ?1 AND key > ?2 ORDER BY rank, key",
            )?;
            let mut rows = statement.query(params![record.rank, self.handed_out])?;
            while freed < need {
                let Some(row) = rows.next()? else {
                    // Giving records up without making room for this one would only lose more.
                    return Ok(0);
                };
                let (victim, length, matches): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                freed += length.unsigned_abs();
                victims.push((victim, matches.unsigned_abs()));
            }
        }
        let mut matches = 0;
        for (victim, count) in victims {
            self.transaction
                .prepare_cached("UPDATE record SET body = NULL, cause = ?2 WHERE key = ?1")?
                .execute(params![victim, FULL])?;
            matches += count;
        }
        self.usage.bytes = self.usage.bytes.saturating_sub(freed);
        Ok(matches)
    }

    fn count_unplaced(&mut self, cause: &str, matches: u64) -> rusqlite::Result<()> {
        self.transaction
            .prepare_cached(
                "INSERT INTO unplaced (cause, matches) VALUES (?1, ?2) \
                 ON CONFLICT (cause) DO UPDATE SET matches = matches + excluded.matches",
            )?
            .execute(params![cause, matches.cast_signed()])?;
        Ok(())
    }

    /// Gives every unplaced loss a sequence, if there is room for it.
    fn place_losses(&mut self) -> rusqlite::Result<()> {
        let unplaced: Vec<(String, i64)> = self
            .transaction
            .prepare_cached("SELECT cause, matches FROM unplaced ORDER BY cause")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (cause, matches) in unplaced {
            if self.usage.bytes + ROW_BYTES > self.limit {
                break;
            }
            self.transaction.execute(
                "INSERT INTO record (key, rank, matches, cause) VALUES (?1, ?2, ?3, ?4)",
                params![key(self.number, self.last + 1), u8::MAX, matches, cause],
            )?;
            self.transaction
                .execute("DELETE FROM unplaced WHERE cause = ?1", [&cause])?;
            self.last += 1;
            self.usage.records += 1;
            self.usage.bytes += ROW_BYTES;
        }
        Ok(())
    }
}
