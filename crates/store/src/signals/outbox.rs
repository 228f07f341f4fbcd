//! What waits to be written to the API server.

use rusqlite::{OptionalExtension, Row, params};
use yagura_event::Timestamp;

use super::delivery::Told;
use super::schema::unsigned;
use super::{SignalStore, StoreError, due};

/// A signal as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The store's own id.
    pub id: i64,
    /// Uid of the rule.
    pub rule: String,
    /// Name of the rule.
    pub rule_name: String,
    /// The full key of the group.
    pub key: Vec<u8>,
    /// Whether it counts what the limits kept from being opened.
    pub overflow: bool,
    /// Name of its object.
    pub name: String,
    /// Namespace of its object.
    pub namespace: String,
    /// The namespace it belongs to when that one did not take it.
    pub origin_namespace: Option<String>,
    /// The record that opened it: spool and sequence.
    pub anchor: (String, u64),
    /// Namespace and name of the group's signal before it.
    pub previous: Option<(String, String)>,
    /// When the match that opened it happened.
    pub opened: Timestamp,
    /// Time of the first match.
    pub first: Timestamp,
    /// Time of the last match.
    pub last: Timestamp,
    /// How many matches.
    pub count: u64,
    /// Whether the count was read back from the API server: a lower bound.
    pub restored: bool,
    /// Whether something unknown decided one of its matches.
    pub incomplete: bool,
    /// When everything passed again.
    pub resolved_at: Option<Timestamp>,
    /// How urgent it is: 1 for info to 5 for critical.
    pub severity: u8,
    /// Since when somebody looks at it.
    pub acknowledged_at: Option<Timestamp>,
    /// When it was archived, deleted or resolved; none while it is to be looked at.
    pub closed_at: Option<Timestamp>,
    /// What people wrote into `spec.triage`, as JSON; empty while they wrote nothing.
    pub triage: Vec<u8>,
    /// What it says.
    pub detail: Vec<u8>,
    /// The first matches.
    pub samples: Vec<Vec<u8>>,
    /// Who was told.
    pub told: Vec<Told>,
}

/// A write that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The newest state.
    pub signal: Stored,
    /// Whether its object was never written.
    pub opening: bool,
    /// To tell [`SignalStore::written`] which state was written.
    pub revision: i64,
    /// When the write became due.
    pub due: Timestamp,
}

/// What [`stored`] reads, of a signal `s` and the one before it, `p`.
pub(super) const COLUMNS: &str = "s.id, s.rule, s.rule_name, s.key, s.overflow, s.name, s.namespace,
    s.origin_namespace, s.anchor_spool, s.anchor_sequence, p.namespace, p.name, s.opened, s.first,
    s.last, s.count, s.restored, s.incomplete, s.resolved_at, s.detail, s.severity,
    s.acknowledged_at, s.closed_at, s.triage";

/// The index of the first column after them.
pub(super) const COLUMNS_END: usize = 24;

pub(super) fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let previous: Option<String> = row.get(10)?;
    Ok(Stored {
        id: row.get(0)?,
        rule: row.get(1)?,
        rule_name: row.get(2)?,
        key: row.get(3)?,
        overflow: row.get(4)?,
        name: row.get(5)?,
        namespace: row.get(6)?,
        origin_namespace: row.get(7)?,
        anchor: (row.get(8)?, unsigned(row.get(9)?)),
        previous: previous.zip(row.get(11)?),
        opened: Timestamp(row.get(12)?),
        first: Timestamp(row.get(13)?),
        last: Timestamp(row.get(14)?),
        count: unsigned(row.get(15)?),
        restored: row.get(16)?,
        incomplete: row.get(17)?,
        resolved_at: row.get::<_, Option<i64>>(18)?.map(Timestamp),
        detail: row.get(19)?,
        severity: row.get(20)?,
        acknowledged_at: row.get::<_, Option<i64>>(21)?.map(Timestamp),
        closed_at: row.get::<_, Option<i64>>(22)?.map(Timestamp),
        triage: row.get(23)?,
        samples: Vec::new(),
        told: Vec::new(),
    })
}

impl SignalStore {
    /// The writes that are due, signals never written first, `limit` at most.
    pub fn pending(&self, now: Timestamp, limit: u32) -> Result<Vec<Pending>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS}, o.opening, s.revision, o.due FROM outbox o
             JOIN signal s ON s.id = o.signal LEFT JOIN signal p ON p.id = s.previous
             WHERE o.due <= ? ORDER BY o.opening DESC, o.due LIMIT ?"
        ))?;
        let rows = statement.query_map(params![now.0, limit], |row| {
            Ok(Pending {
                signal: stored(row)?,
                opening: row.get(COLUMNS_END)?,
                revision: row.get(COLUMNS_END + 1)?,
                due: Timestamp(row.get(COLUMNS_END + 2)?),
            })
        })?;
        let mut pending = rows.collect::<Result<Vec<_>, _>>()?;
        for write in &mut pending {
            self.complete(&mut write.signal)?;
        }
        Ok(pending)
    }

    /// When the next write is due.
    pub fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let due: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(due) FROM outbox")?
            .query_row([], |row| row.get(0))?;
        Ok(due.map(Timestamp))
    }

    /// How many signals wait to be written.
    pub fn waiting(&self) -> Result<u64, StoreError> {
        Ok(unsigned(self.connection.query_row(
            "SELECT count(*) FROM outbox",
            [],
            |row| row.get(0),
        )?))
    }

    /// A state was written. When a newer one came meanwhile, its write is due after the pace.
    pub fn written(&mut self, id: i64, revision: i64, now: Timestamp) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "UPDATE signal SET writes = writes + 1, written_at = ? WHERE id = ?",
            params![now.0, id],
        )?;
        let current: Option<(i64, i64)> = transaction
            .query_row("SELECT revision, writes FROM signal WHERE id = ?", [id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        match current {
            Some((newest, writes)) if newest != revision => transaction.execute(
                "UPDATE outbox SET opening = 0, due = ? WHERE signal = ?",
                params![due(&self.limits, writes, now.0, now), id],
            )?,
            _ => transaction.execute("DELETE FROM outbox WHERE signal = ?", [id])?,
        };
        Ok(transaction.commit()?)
    }

    /// A write failed and is due again later.
    pub fn postpone(&mut self, id: i64, until: Timestamp) -> Result<(), StoreError> {
        self.connection
            .execute("UPDATE outbox SET due = ? WHERE signal = ?", params![until.0, id])?;
        Ok(())
    }

    /// The namespace of a signal does not take it: it goes to `namespace` and says where it
    /// belongs.
    pub fn relocate(&mut self, id: i64, namespace: &str) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE signal SET origin_namespace = coalesce(origin_namespace, namespace),
                 namespace = ?, revision = revision + 1 WHERE id = ?",
            params![namespace, id],
        )?;
        Ok(())
    }

    /// The signal whose object has this name.
    pub fn find(&self, namespace: &str, name: &str) -> Result<Option<Stored>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM signal s LEFT JOIN signal p ON p.id = s.previous
             WHERE s.namespace = ? AND s.name = ?"
        ))?;
        let found = statement.query_row([namespace, name], stored).optional()?;
        found
            .map(|mut signal| {
                self.complete(&mut signal)?;
                Ok(signal)
            })
            .transpose()
    }

    /// The signal with this id.
    pub fn signal(&self, id: i64) -> Result<Option<Stored>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM signal s LEFT JOIN signal p ON p.id = s.previous WHERE s.id = ?"
        ))?;
        let mut found = statement.query_row([id], stored).optional()?;
        if let Some(signal) = &mut found {
            self.complete(signal)?;
        }
        Ok(found)
    }

    /// Adds what other tables have of a signal.
    pub(super) fn complete(&self, signal: &mut Stored) -> Result<(), StoreError> {
        signal.samples = self.samples(signal.id)?;
        signal.told = self.told(signal.id)?;
        Ok(())
    }

    fn samples(&self, id: i64) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT body FROM sample WHERE signal = ? ORDER BY n")?;
        let rows = statement.query_map([id], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
