//! What happened to signals, in order, for whoever tells others about it.
//!
//! Every change that a person may want to hear of is noted in the transaction that makes it. A
//! consumer reads on from its own position and moves it in the transaction that stores what follows
//! from what it read, so that a change leads to its consequences exactly once.

use rusqlite::{Connection, OptionalExtension, params};
use yagura_event::Timestamp;

use super::delivery::{Delivery, put};
use super::outbox::{COLUMNS, COLUMNS_END, stored};
use super::{SignalStore, StoreError, Stored};

/// Changes kept; a consumer that is further behind misses the oldest and is told so.
const MAX_CHANGES: i64 = 100_000;

/// What happened to a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It was opened; its `previous` tells whether the group had one before.
    Opened,
    /// Its severity rose.
    Raised,
    /// Somebody looks at it: its triage state became `underReview`.
    Acknowledged,
    /// Somebody archived it.
    Archived,
    /// Somebody opened it again, or who looked at it does no more.
    Reopened,
    /// Everything passes again.
    Resolved,
    /// Somebody deleted its object before it was archived, which counts as triage.
    Deleted,
}

const KINDS: [ChangeKind; 7] = [
    ChangeKind::Opened,
    ChangeKind::Raised,
    ChangeKind::Acknowledged,
    ChangeKind::Archived,
    ChangeKind::Reopened,
    ChangeKind::Resolved,
    ChangeKind::Deleted,
];

impl ChangeKind {
    /// What the table holds; never renumbered.
    fn code(self) -> i64 {
        match self {
            Self::Opened => 0,
            Self::Raised => 1,
            Self::Acknowledged => 2,
            Self::Archived => 3,
            Self::Reopened => 4,
            Self::Resolved => 5,
            Self::Deleted => 6,
        }
    }

    fn of_code(code: i64) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.code() == code)
    }
}

/// A change of a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its place in the order of all changes.
    pub revision: i64,
    /// What happened.
    pub kind: ChangeKind,
    /// When.
    pub at: Timestamp,
    /// The signal as it stands now, which may be later than the change.
    pub signal: Stored,
}

/// A page of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In order. Changes of signals that left the history are left out.
    pub changes: Vec<Change>,
    /// Where to read on.
    pub through: i64,
    /// Changes that were dropped before they were read.
    pub missed: u64,
}

/// Notes a change in the transaction that makes it.
pub(super) fn note(
    connection: &Connection,
    signal: i64,
    kind: ChangeKind,
    at: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO change (signal, kind, at) VALUES (?, ?, ?)")?
        .execute(params![signal, kind.code(), at.0])?;
    connection
        .prepare_cached("DELETE FROM change WHERE revision <= ?")?
        .execute([connection.last_insert_rowid().saturating_sub(MAX_CHANGES)])?;
    Ok(())
}

impl SignalStore {
    /// The latest change; 0 when there never was one.
    pub fn latest_change(&self) -> Result<i64, StoreError> {
        let latest: Option<i64> = self
            .connection
            .prepare_cached("SELECT max(revision) FROM change")?
            .query_row([], |row| row.get(0))?;
        Ok(latest.unwrap_or(0))
    }

    /// The changes after `revision`, `limit` at most.
    pub fn changes_since(&self, revision: i64, limit: u32) -> Result<Changes, StoreError> {
        let oldest: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(revision) FROM change")?
            .query_row([], |row| row.get(0))?;
        let missed = oldest.map_or(0, |oldest| oldest.saturating_sub(revision.saturating_add(1)));
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS}, c.revision, c.kind, c.at
             FROM (SELECT * FROM change WHERE revision > ? ORDER BY revision LIMIT ?) c
             LEFT JOIN signal s ON s.id = c.signal LEFT JOIN signal p ON p.id = s.previous
             ORDER BY c.revision"
        ))?;
        let mut rows = statement.query(params![revision, limit])?;
        let mut read = Changes {
            through: revision,
            missed: u64::try_from(missed).unwrap_or(0),
            ..Changes::default()
        };
        while let Some(row) = rows.next()? {
            read.through = row.get(COLUMNS_END)?;
            let kind = ChangeKind::of_code(row.get(COLUMNS_END + 1)?);
            let is_there: Option<i64> = row.get(0)?;
            if let Some(kind) = kind
                && is_there.is_some()
            {
                read.changes.push(Change {
                    revision: read.through,
                    kind,
                    at: Timestamp(row.get(COLUMNS_END + 2)?),
                    signal: stored(row)?,
                });
            }
        }
        drop(rows);
        for change in &mut read.changes {
            self.complete(&mut change.signal)?;
        }
        Ok(read)
    }

    /// How far a consumer has read; none for one that never did.
    pub fn position(&self, consumer: &str) -> Result<Option<i64>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT revision FROM consumer WHERE name = ?")?
            .query_row([consumer], |row| row.get(0))
            .optional()?)
    }

    /// Moves a consumer's position and stores what follows from what it read, in one transaction.
    pub fn advance(
        &mut self,
        consumer: &str,
        through: i64,
        deliveries: &[Delivery],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT INTO consumer (name, revision) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET revision = ?2",
            params![consumer, through],
        )?;
        for delivery in deliveries {
            put(&transaction, &self.limits, delivery, now)?;
        }
        #[cfg(test)]
        if self.dies_before_commit {
            return Err(StoreError::TooLarge("the patience of this test"));
        }
        Ok(transaction.commit()?)
    }
}
