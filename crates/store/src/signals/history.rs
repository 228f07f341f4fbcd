//! Signals that are done: when they leave the cluster, how long the store keeps them, and pages of
//! them for people.

use rusqlite::{OptionalExtension, params};
use yagura_event::Timestamp;

use super::outbox::{COLUMNS, COLUMNS_END, stored};
use super::schema::{ARCHIVED, DELETED, LAPSED, RESOLVED, unsigned};
use super::{SignalStore, StoreError, Stored};

/// Signals that one call removes at most, so that matches do not wait for it.
const MAX_STEP: u32 = 500;

/// Signals that one page looks at.
const WINDOW: i64 = 2_000;

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It takes matches.
    Open,
    /// It is to be looked at and takes no more matches.
    Lapsed,
    /// Somebody archived it.
    Archived,
    /// Somebody deleted its object before anybody archived it.
    Deleted,
    /// Everything passes again.
    Resolved,
}

impl State {
    fn of_code(code: i64) -> Self {
        match code {
            LAPSED => Self::Lapsed,
            ARCHIVED => Self::Archived,
            DELETED => Self::Deleted,
            RESOLVED => Self::Resolved,
            _ => Self::Open,
        }
    }

    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Lapsed => "lapsed",
            Self::Archived => "archived",
            Self::Deleted => "deleted",
            Self::Resolved => "resolved",
        }
    }
}

/// A signal that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The signal.
    pub signal: Stored,
    /// What became of it.
    pub state: State,
    /// Whether its object is still in the cluster.
    pub in_cluster: bool,
}

/// A page of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryPage {
    /// The newest first; a page may be empty and yet not the last.
    pub signals: Vec<Past>,
    /// What to give as [`HistoryQuery::before`] for the next page; none after the last.
    pub next: Option<i64>,
}

/// Which signals of the history are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Only of this namespace, be it the one that it went to or the one that it belongs to.
    pub namespace: Option<String>,
    /// Only of the rule of this name.
    pub rule: Option<String>,
    /// Only at or above this severity, 1 to 5.
    pub min_severity: u8,
    /// Only the one of this name.
    pub name: Option<String>,
    /// Only those before this id: [`HistoryPage::next`] of the page before.
    pub before: Option<i64>,
}

/// How much is kept of signals that left the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Nanoseconds since they were closed.
    pub age: i64,
    /// Bytes of the whole store.
    pub bytes: u64,
}

/// What a call of [`SignalStore::prune`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Signals older than the age.
    pub by_age: u64,
    /// Signals that had to go for the size, the oldest first.
    pub by_size: u64,
    /// Whether the store is still larger than it may be.
    pub too_large: bool,
}

/// Where the object of a signal that is to leave the cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// The store's id.
    pub id: i64,
    /// Namespace of the object.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl SignalStore {
    /// The signals that were closed before `before` and are still in the cluster, the longest
    /// closed first. None of which a write waits: what is in the cluster is complete.
    pub fn to_leave(&self, before: Timestamp, limit: u32) -> Result<Vec<Leaving>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, namespace, name FROM signal
             WHERE closed_at IS NOT NULL AND closed_at < ? AND gone = 0 AND state IN (1, 3)
                 AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.signal = signal.id)
             ORDER BY closed_at LIMIT ?",
        )?;
        let rows = statement.query_map(params![before.0, limit], |row| {
            Ok(Leaving {
                id: row.get(0)?,
                namespace: row.get(1)?,
                name: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes that the operator deletes a signal's object: the deletion that follows is nobody's
    /// triage. False when it was opened again meanwhile, and must stay.
    pub fn leave(&mut self, id: i64) -> Result<bool, StoreError> {
        let marked = self.connection.execute(
            "UPDATE signal SET leaving = 1 WHERE id = ? AND gone = 0 AND state IN (1, 3)",
            [id],
        )?;
        Ok(marked > 0)
    }

    /// A signal's object could not be deleted: it stays for another try.
    pub fn stay(&mut self, id: i64) -> Result<(), StoreError> {
        self.connection
            .execute("UPDATE signal SET leaving = 0 WHERE id = ?", [id])?;
        Ok(())
    }

    /// Removes signals from the history that are past its limits: those that left the cluster, the
    /// longest closed first, a bounded number in one call.
    pub fn prune(&mut self, limits: HistoryLimits, now: Timestamp) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned {
            by_age: self.remove("closed_at < ?", now.0.saturating_sub(limits.age), MAX_STEP)?,
            ..Pruned::default()
        };
        // A few at a time: what a signal takes is known only when it is gone.
        while self.bytes()? > limits.bytes && pruned.by_size < u64::from(MAX_STEP) {
            let removed = self.remove("closed_at <= ?", i64::MAX, 20)?;
            if removed == 0 {
                break;
            }
            pruned.by_size += removed;
        }
        pruned.too_large = self.bytes()? > limits.bytes;
        Ok(pruned)
    }

    /// Bytes that the store's contents take; the file may be larger where contents were removed,
    /// and is filled again before it grows.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        let pragma = |name: &str| -> Result<i64, StoreError> {
            Ok(self.connection.pragma_query_value(None, name, |row| row.get(0))?)
        };
        let pages = pragma("page_count")? - pragma("freelist_count")?;
        Ok(unsigned(pages.saturating_mul(pragma("page_size")?)))
    }

    /// How many signals are in the history and not in the cluster any more.
    pub fn history_len(&self) -> Result<u64, StoreError> {
        Ok(unsigned(self.connection.query_row(
            "SELECT count(*) FROM signal WHERE gone = 1",
            [],
            |row| row.get(0),
        )?))
    }

    /// A page of what is done, the newest first. It looks at a bounded number of signals, so that
    /// matches do not wait for a question about something rare.
    pub fn history(&self, query: &HistoryQuery, limit: u32) -> Result<HistoryPage, StoreError> {
        let before = query.before.unwrap_or(i64::MAX);
        let mut oldest: Option<i64> = None;
        if query.name.is_none() {
            oldest = self
                .connection
                .prepare_cached("SELECT id FROM signal WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ?")?
                .query_row([before, WINDOW], |row| row.get(0))
                .optional()?;
        }
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS}, s.state, s.gone FROM signal s LEFT JOIN signal p ON p.id = s.previous
             WHERE s.closed_at IS NOT NULL AND s.id < ?1 AND s.id > ?2
                 AND (?3 IS NULL OR s.namespace = ?3 OR s.origin_namespace = ?3)
                 AND (?4 IS NULL OR s.rule_name = ?4)
                 AND s.severity >= ?5 {}
             ORDER BY s.id DESC LIMIT ?7",
            if query.name.is_some() {
                "AND s.name = ?6"
            } else {
                "AND ?6 IS NULL"
            }
        ))?;
        let rows = statement.query_map(
            params![
                before,
                oldest.unwrap_or(i64::MIN),
                query.namespace,
                query.rule,
                query.min_severity,
                query.name,
                limit,
            ],
            |row| {
                Ok(Past {
                    signal: stored(row)?,
                    state: State::of_code(row.get(COLUMNS_END)?),
                    in_cluster: !row.get::<_, bool>(COLUMNS_END + 1)?,
                })
            },
        )?;
        let mut signals = rows.collect::<Result<Vec<_>, _>>()?;
        for past in &mut signals {
            self.complete(&mut past.signal)?;
        }
        let is_full = u32::try_from(signals.len()).is_ok_and(|found| found >= limit);
        let next = if is_full {
            signals.last().map(|past| past.signal.id)
        } else {
            oldest.map(|oldest| oldest + 1)
        };
        Ok(HistoryPage { signals, next })
    }

    /// Removes what left the cluster and fits, the longest closed first.
    fn remove(&mut self, fits: &str, bound: i64, limit: u32) -> Result<u64, StoreError> {
        let transaction = self.connection.transaction()?;
        let ids: Vec<i64> = transaction
            .prepare_cached(&format!(
                "SELECT id FROM signal WHERE closed_at IS NOT NULL AND {fits} AND gone = 1
                 ORDER BY closed_at LIMIT ?"
            ))?
            .query_map(params![bound, limit], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for id in &ids {
            for table in ["sample", "outbox", "delivery"] {
                transaction
                    .prepare_cached(&format!("DELETE FROM {table} WHERE signal = ?"))?
                    .execute([id])?;
            }
            transaction
                .prepare_cached("DELETE FROM signal WHERE id = ?")?
                .execute([id])?;
        }
        transaction.commit()?;
        Ok(ids.len() as u64)
    }
}
