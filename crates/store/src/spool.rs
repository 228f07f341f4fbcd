//! The agent's spool: records that are not yet safe elsewhere, in order, on disk.
//!
//! Every record has an identity that never changes: the random id of its *run* and a sequence that
//! starts at 1 and has no gaps. A record leaves when the receiver acknowledged it, or turns into a
//! [`Entry::Loss`] in its place when room is needed for something more important, so that the
//! receiver can always tell "nothing happened" from "something was lost".
//!
//! Commits reach the page cache, not the platter: they survive the death of the process, and a
//! power cut may take the last of them. Sequences that the receiver has seen must not be given to
//! other records then, which is why a new boot begins a new run; what the old run holds keeps its
//! identity until it is acknowledged.

mod overflow;
mod resume;
mod schema;
mod windows;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

pub use overflow::Appended;
pub use resume::Resume;

/// Bits of a row's key that hold the sequence; the rest holds the run's number.
const SEQUENCE_BITS: u32 = 40;

/// What a row costs beside its body: row header, index entry and page overhead.
const ROW_BYTES: u64 = 64;

/// Why the spool could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk, a quota or the file system's limit leaves no room.
    #[error("no space left for the spool {}", path.display())]
    DiskFull {
        /// File of the spool.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: rusqlite::Error,
    },
    /// Another process has the file open.
    #[error("the spool {} is in use by another process", path.display())]
    InUse {
        /// File of the spool.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: rusqlite::Error,
    },
    /// The file is not a spool, or is damaged.
    #[error("the spool {} is damaged", path.display())]
    Damaged {
        /// File of the spool.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: rusqlite::Error,
    },
    /// Anything else that reading or writing the file met.
    #[error("cannot use the spool {}", path.display())]
    Storage {
        /// File of the spool.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: rusqlite::Error,
    },
    /// The receiver acknowledged what was never written.
    #[error("sequence {sequence} of spool {spool} was acknowledged, but {last} is the last one written")]
    AckedBeyondEnd {
        /// Id of the run.
        spool: String,
        /// What was acknowledged.
        sequence: u64,
        /// The last sequence there is.
        last: u64,
    },
}

impl SpoolError {
    /// Whether waiting for space is what helps.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }
}

/// How to open a spool.
#[derive(Clone, Debug)]
pub struct SpoolConfig {
    /// The file; its folder must exist.
    pub path: PathBuf,
    /// Id of this boot of the machine.
    pub boot_id: String,
    /// How many bytes of records may wait, row overhead included.
    pub limit_bytes: u64,
}

/// A record to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// The record as it will be sent.
    pub body: Vec<u8>,
    /// How many matches it stands for.
    pub matches: u64,
    /// Importance: when room is needed, records of a lower rank are given up for it.
    pub rank: u8,
}

/// What stands at a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A record as it was appended.
    Body(Vec<u8>),
    /// Here was a record, or several that never got a place.
    Loss {
        /// Why, from a small fixed set.
        cause: String,
        /// How many matches were in them.
        matches: u64,
    },
}

/// A record with its sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Place in its run, from 1.
    pub sequence: u64,
    /// The record, or what became of it.
    pub entry: Entry,
}

/// Consecutive records of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Random id of the run.
    pub spool: String,
    /// In rising order of sequence, without gaps; empty when there is nothing to send.
    pub records: Vec<StoredRecord>,
    /// Where the next read goes on.
    pub next: Position,
}

/// A place between two records, to read on from. The default is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(i64);

/// How full the spool is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Records that wait, losses included.
    pub records: u64,
    /// Their bytes, as counted against the limit.
    pub bytes: u64,
}

/// A run: the records written between two boots.
#[derive(Clone, Debug)]
struct Run {
    number: i64,
    id: String,
    last: u64,
}

/// The spool. One process at a time has it open; one thread at a time uses it.
#[derive(Debug)]
pub struct Spool {
    connection: Connection,
    path: PathBuf,
    limit_bytes: u64,
    run: Run,
    usage: Usage,
    /// Highest key handed out by [`Spool::read`]: such a record may already be at the receiver, so
    /// it is not turned into a loss any more.
    handed_out: i64,
}

impl Spool {
    /// Opens the file, or makes it, and goes on where the last process stopped.
    pub fn open(config: &SpoolConfig) -> Result<Self, SpoolError> {
        let wrap = |source| classify(&config.path, source);
        let connection = schema::open(&config.path).map_err(wrap)?;
        let run = current_run(&connection, &config.boot_id).map_err(wrap)?;
        let usage = measure(&connection).map_err(wrap)?;
        Ok(Self {
            connection,
            path: config.path.clone(),
            limit_bytes: config.limit_bytes,
            run,
            usage,
            handed_out: 0,
        })
    }

    /// Id of the run that new records belong to.
    pub fn id(&self) -> &str {
        &self.run.id
    }

    /// The last sequence given out in this run; 0 before the first.
    pub fn last(&self) -> u64 {
        self.run.last
    }

    /// How full it is.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Reads on from `after`: records of one run, up to about `max_bytes` of bodies but at least
    /// one record.
    pub fn read(&mut self, after: Position, max_bytes: usize) -> Result<Batch, SpoolError> {
        let batch = self
            .read_rows(after, max_bytes)
            .map_err(|source| classify(&self.path, source))?;
        self.handed_out = self.handed_out.max(batch.next.0);
        Ok(batch)
    }

    fn read_rows(&self, after: Position, max_bytes: usize) -> rusqlite::Result<Batch> {
        let mut batch = Batch {
            next: after,
            ..Batch::default()
        };
        let mut statement = self
            .connection
            .prepare_cached("SELECT key, body, cause, matches FROM record WHERE key > ?1 ORDER BY key")?;
        let mut rows = statement.query([after.0])?;
        let mut number = None;
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let key: i64 = row.get(0)?;
            let (run, sequence) = split(key);
            if *number.get_or_insert(run) != run {
                break;
            }
            let entry = match row.get::<_, Option<Vec<u8>>>(1)? {
                Some(body) => Entry::Body(body),
                None => Entry::Loss {
                    cause: row.get(2)?,
                    matches: row.get::<_, i64>(3)?.unsigned_abs(),
                },
            };
            bytes += entry_bytes(&entry);
            if bytes > max_bytes && !batch.records.is_empty() {
                break;
            }
            batch.records.push(StoredRecord { sequence, entry });
            batch.next = Position(key);
        }
        if let Some(number) = number {
            batch.spool =
                self.connection
                    .query_row("SELECT id FROM run WHERE number = ?1", [number], |row| row.get(0))?;
        }
        Ok(batch)
    }

    /// Everything of the run `spool` up to and including `sequence` is safe with the receiver: it
    /// is forgotten here. Returns how many records that were. An unknown run is one that was
    /// forgotten already.
    pub fn acknowledge(&mut self, spool: &str, sequence: u64) -> Result<u64, SpoolError> {
        let path = self.path.clone();
        let wrap = |source| classify(&path, source);
        let known: Option<(i64, i64)> = self
            .connection
            .query_row("SELECT number, acked FROM run WHERE id = ?1", [spool], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .map_err(wrap)?;
        let Some((number, acked)) = known else {
            return Ok(0);
        };
        let last = if number == self.run.number {
            self.run.last
        } else {
            last_of(&self.connection, number, acked).map_err(wrap)?
        };
        if sequence > last {
            return Err(SpoolError::AckedBeyondEnd {
                spool: spool.to_owned(),
                sequence,
                last,
            });
        }
        let (removed, usage) = self.forget(number, sequence).map_err(wrap)?;
        self.usage = usage;
        Ok(removed)
    }

    fn forget(&mut self, number: i64, sequence: u64) -> rusqlite::Result<(u64, Usage)> {
        let transaction = self.connection.transaction()?;
        let (from, to) = (key(number, 0), key(number, sequence));
        let freed: (i64, i64) = transaction.query_row(
            "SELECT count(*), coalesce(sum(coalesce(length(body), 0)), 0) FROM record \
             WHERE key > ?1 AND key <= ?2",
            [from, to],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let (count, body_bytes) = (freed.0.unsigned_abs(), freed.1.unsigned_abs());
        transaction.execute("DELETE FROM record WHERE key > ?1 AND key <= ?2", [from, to])?;
        transaction.execute(
            "UPDATE run SET acked = max(acked, ?2) WHERE number = ?1",
            params![number, sequence.cast_signed()],
        )?;
        transaction.execute(
            "DELETE FROM run WHERE number < ?1 AND NOT EXISTS \
             (SELECT 1 FROM record WHERE key > run.number << ?2 AND key < (run.number + 1) << ?2)",
            params![self.run.number, SEQUENCE_BITS],
        )?;
        transaction.commit()?;
        let usage = Usage {
            records: self.usage.records.saturating_sub(count),
            bytes: self.usage.bytes.saturating_sub(body_bytes + count * ROW_BYTES),
        };
        Ok((count, usage))
    }
}

/// The run of this boot: the last one of the file if it began in this boot, otherwise a new one.
fn current_run(connection: &Connection, boot_id: &str) -> rusqlite::Result<Run> {
    let newest: Option<(i64, String, String, i64)> = connection
        .query_row(
            "SELECT number, id, boot, acked FROM run ORDER BY number DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .optional()?;
    if let Some((number, id, boot, acked)) = &newest
        && boot == boot_id
    {
        return Ok(Run {
            number: *number,
            id: id.clone(),
            last: last_of(connection, *number, *acked)?,
        });
    }
    let number = newest.map_or(1, |(number, ..)| number + 1);
    let id = connection.query_row(
        "INSERT INTO run (number, id, boot, acked) VALUES (?1, lower(hex(randomblob(16))), ?2, 0) \
         RETURNING id",
        params![number, boot_id],
        |row| row.get(0),
    )?;
    Ok(Run { number, id, last: 0 })
}

/// The last sequence of a run: of its newest record, or what was acknowledged when none is left.
fn last_of(connection: &Connection, number: i64, acked: i64) -> rusqlite::Result<u64> {
    let newest: Option<i64> = connection.query_row(
        "SELECT max(key) FROM record WHERE key > ?1 AND key < ?2",
        [key(number, 0), key(number + 1, 0)],
        |row| row.get(0),
    )?;
    let newest = newest.map_or(0, |key| split(key).1);
    Ok(newest.max(acked.unsigned_abs()))
}

fn measure(connection: &Connection) -> rusqlite::Result<Usage> {
    let (records, bodies): (i64, i64) = connection.query_row(
        "SELECT count(*), coalesce(sum(coalesce(length(body), 0)), 0) FROM record",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let records = records.unsigned_abs();
    Ok(Usage {
        records,
        bytes: bodies.unsigned_abs() + records * ROW_BYTES,
    })
}

fn key(number: i64, sequence: u64) -> i64 {
    (number << SEQUENCE_BITS) + sequence.cast_signed()
}

fn split(key: i64) -> (i64, u64) {
    let number = key >> SEQUENCE_BITS;
    (number, (key - (number << SEQUENCE_BITS)).unsigned_abs())
}

fn entry_bytes(entry: &Entry) -> usize {
    match entry {
        Entry::Body(body) => body.len(),
        Entry::Loss { cause, .. } => cause.len() + size_of::<u64>(),
    }
}

fn classify(path: &Path, source: rusqlite::Error) -> SpoolError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => SpoolError::DiskFull { path, source },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SpoolError::InUse { path, source },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => SpoolError::Damaged { path, source },
        _ => SpoolError::Storage { path, source },
    }
}

#[cfg(test)]
mod tests;
