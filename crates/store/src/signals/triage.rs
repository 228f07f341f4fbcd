//! What people did to a signal, and what is asked about a rule's signals.

use rusqlite::{OptionalExtension, params};
use yagura_event::Timestamp;

use super::schema::{ARCHIVED, DELETED, OPEN, RESOLVED, unsigned};
use super::{SignalStore, StoreError};

/// What people did to a signal's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Triage {
    /// It is to be looked at (again).
    Open,
    /// Its `spec.triage.state` is `archived`.
    Archived,
    /// Its object was deleted, which counts as triage.
    Deleted,
}

/// The signals of one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSummary {
    /// How many are open.
    pub open: u64,
    /// When one of them matched last.
    pub last: Option<Timestamp>,
}

impl SignalStore {
    /// Follows what people did. After archiving or deletion the next match of the group opens a
    /// new signal; opening an archived one again has an effect only while the group has no other.
    pub fn triage(&mut self, namespace: &str, name: &str, to: Triage) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        let found: Option<(i64, i64)> = transaction
            .query_row(
                "SELECT id, state FROM signal WHERE namespace = ? AND name = ?",
                [namespace, name],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        match (found, to) {
            (Some((id, OPEN)), Triage::Archived) => {
                transaction.execute("UPDATE signal SET state = ? WHERE id = ?", [ARCHIVED, id])?;
            }
            (Some((id, OPEN | ARCHIVED | RESOLVED)), Triage::Deleted) => {
                transaction.execute("UPDATE signal SET state = ? WHERE id = ?", [DELETED, id])?;
                transaction.execute("DELETE FROM outbox WHERE signal = ?", [id])?;
            }
            (Some((id, ARCHIVED)), Triage::Open) => {
                transaction.execute("UPDATE OR IGNORE signal SET state = ? WHERE id = ?", [OPEN, id])?;
            }
            _ => {}
        }
        Ok(transaction.commit()?)
    }

    /// Names of the open signals' objects: namespace and name. What a watch does not list any
    /// more when it starts anew was deleted meanwhile.
    pub fn written_signals(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT namespace, name FROM signal WHERE state IN (?, ?, ?) AND writes > 0")?;
        let rows = statement.query_map(params![OPEN, ARCHIVED, RESOLVED], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What a rule's status says of its signals.
    pub fn summary(&self, rule: &str) -> Result<RuleSummary, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT count(*) FILTER (WHERE state = 0), max(last) FROM signal WHERE rule = ?")?
            .query_row([rule], |row| {
                Ok(RuleSummary {
                    open: unsigned(row.get(0)?),
                    last: row.get::<_, Option<i64>>(1)?.map(Timestamp),
                })
            })?)
    }
}
