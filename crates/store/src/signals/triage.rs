//! What people did to a signal, and what is asked about a rule's signals.

use rusqlite::{Connection, OptionalExtension, params};
use yagura_event::Timestamp;

use super::changes::{ChangeKind, note};
use super::schema::{ARCHIVED, DELETED, LAPSED, OPEN, RESOLVED, unsigned};
use super::{SignalStore, StoreError};

/// What people did to a signal's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Triage {
    /// It is to be looked at (again).
    Open,
    /// Somebody looks at it.
    UnderReview,
    /// Its `spec.triage.state` is `archived`.
    Archived,
    /// Its object was deleted, which counts as triage.
    Deleted,
}

/// A signal's object as a watch shows it.
#[derive(Clone, Debug)]
pub struct Triaged {
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// What people did.
    pub to: Triage,
    /// The whole of `spec.triage` as JSON, kept for the history.
    pub says: Vec<u8>,
}

/// The signals of one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSummary {
    /// How many are to be looked at.
    pub open: u64,
    /// When one of them matched last.
    pub last: Option<Timestamp>,
}

/// A signal as far as triage changes it.
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
struct Before {
    id: i64,
    state: i64,
    acknowledged: bool,
    resolved: bool,
    leaving: bool,
    gone: bool,
}

impl SignalStore {
    /// Follows what people did, and tells what that changed. After archiving or deletion the next
    /// match of the group opens a new signal. An archived one that is opened again takes matches
    /// again, unless the group has another that does: then it is to be looked at, no more.
    pub fn triage(&mut self, seen: &Triaged, now: Timestamp) -> Result<Option<ChangeKind>, StoreError> {
        let transaction = self.connection.transaction()?;
        let Some(before) = find(&transaction, seen)? else {
            return Ok(None);
        };
        let id = before.id;
        if seen.to == Triage::Deleted {
            let change = deleted(&transaction, &before, now)?;
            transaction.commit()?;
            return Ok(change);
        }
        if before.gone {
            return Ok(None);
        }
        transaction.execute(
            "UPDATE signal SET triage = ?2 WHERE id = ?1 AND triage <> ?2",
            params![id, seen.says],
        )?;
        let is_open = matches!(before.state, OPEN | LAPSED);
        let change = match seen.to {
            Triage::Archived if before.state != ARCHIVED => {
                transaction.execute(
                    "UPDATE signal SET state = ?, closed_at = ? WHERE id = ?",
                    [ARCHIVED, now.0, id],
                )?;
                Some(ChangeKind::Archived)
            }
            Triage::Open | Triage::UnderReview if before.state == ARCHIVED => reopen(&transaction, &before)?,
            Triage::UnderReview if is_open && !before.acknowledged => Some(ChangeKind::Acknowledged),
            Triage::Open if is_open && before.acknowledged => Some(ChangeKind::Reopened),
            _ => None,
        };
        match seen.to {
            Triage::UnderReview if !before.acknowledged => {
                transaction.execute("UPDATE signal SET acknowledged_at = ? WHERE id = ?", [now.0, id])?;
            }
            Triage::Open if before.acknowledged => {
                transaction.execute("UPDATE signal SET acknowledged_at = NULL WHERE id = ?", [id])?;
            }
            _ => {}
        }
        if let Some(kind) = change {
            note(&transaction, id, kind, now)?;
        }
        transaction.commit()?;
        Ok(change)
    }

    /// Namespaces and names of the objects that should be in the cluster. What a watch does not
    /// list any more when it starts anew was deleted meanwhile.
    pub fn written_signals(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT namespace, name FROM signal WHERE gone = 0 AND writes > 0")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What a rule's status says of its signals.
    pub fn summary(&self, rule: &str) -> Result<RuleSummary, StoreError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT count(*) FILTER (WHERE state IN (0, 4)), max(last) FROM signal WHERE rule = ?",
            )?
            .query_row([rule], |row| {
                Ok(RuleSummary {
                    open: unsigned(row.get(0)?),
                    last: row.get::<_, Option<i64>>(1)?.map(Timestamp),
                })
            })?)
    }
}

fn find(connection: &Connection, seen: &Triaged) -> Result<Option<Before>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT id, state, acknowledged_at IS NOT NULL, resolved_at IS NOT NULL, leaving, gone
             FROM signal WHERE namespace = ? AND name = ?",
        )?
        .query_row([&seen.namespace, &seen.name], |row| {
            Ok(Before {
                id: row.get(0)?,
                state: row.get(1)?,
                acknowledged: row.get(2)?,
                resolved: row.get(3)?,
                leaving: row.get(4)?,
                gone: row.get(5)?,
            })
        })
        .optional()?)
}

/// The object is not there any more. One that was to be looked at counts as done; what became of
/// any other was decided before.
fn deleted(
    connection: &Connection,
    before: &Before,
    now: Timestamp,
) -> Result<Option<ChangeKind>, StoreError> {
    if before.gone {
        return Ok(None);
    }
    connection.execute(
        "UPDATE signal SET gone = 1, leaving = 0, closed_at = coalesce(closed_at, ?) WHERE id = ?",
        [now.0, before.id],
    )?;
    connection.execute("DELETE FROM outbox WHERE signal = ?", [before.id])?;
    if before.leaving || !matches!(before.state, OPEN | LAPSED) {
        return Ok(None);
    }
    connection.execute("UPDATE signal SET state = ? WHERE id = ?", [DELETED, before.id])?;
    note(connection, before.id, ChangeKind::Deleted, now)?;
    Ok(Some(ChangeKind::Deleted))
}

fn reopen(connection: &Connection, before: &Before) -> Result<Option<ChangeKind>, StoreError> {
    let id = before.id;
    if before.resolved {
        // Everything passes: there is nothing to look at until it fails again.
        connection.execute(
            "UPDATE signal SET state = ?, leaving = 0 WHERE id = ?",
            [RESOLVED, id],
        )?;
        return Ok(None);
    }
    let alone = connection.execute("UPDATE OR IGNORE signal SET state = ? WHERE id = ?", [OPEN, id])?;
    if alone == 0 {
        connection.execute("UPDATE signal SET state = ? WHERE id = ?", [LAPSED, id])?;
    }
    connection.execute(
        "UPDATE signal SET closed_at = NULL, leaving = 0 WHERE id = ?",
        [id],
    )?;
    Ok(Some(ChangeKind::Reopened))
}
