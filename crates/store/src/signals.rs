//! The operator's signals: counters, identities and what waits to be written to the API server.
//!
//! One transaction applies a batch of an agent's spool: it moves the spool's watermark, the
//! counters and the outbox together, so a record counts exactly once however often it is sent and
//! whenever the process dies. What a signal says is opaque bytes here; who may open one where, and
//! how fast writes follow each other, are the caller's [`Limits`]; how long a signal takes matches
//! is its rule's [`Lifetime`]. Every change that somebody may want to hear of is noted in the same
//! transaction: [`SignalStore::changes_since`].

mod apply;
mod changes;
mod count;
mod delivery;
mod excepted;
mod history;
mod lock;
mod outbox;
mod schema;
mod seed;
mod triage;
mod windows;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use yagura_engine::window::MAX_GROUPS;
use yagura_event::Timestamp;
pub use yagura_event::lifetime::Lifetime;

pub use apply::{Applied, Entry, Incoming, Match, Observation, Observed};
pub use changes::{Change, ChangeKind, Changes};
pub use delivery::{Delivery, Told};
pub use excepted::Excepted;
pub use history::{HistoryLimits, HistoryPage, HistoryQuery, Leaving, Past, Pruned, State};
pub use outbox::{Pending, Stored};
pub use seed::Seed;
pub use triage::{RuleSummary, Triage, Triaged};
pub use windows::{CaseSays, Evicted, Window};

use lock::StoreLock;

/// What the caller decided about numbers and pace.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Signals of one rule in one namespace that are to be looked at; beyond, the rule's overflow
    /// signal counts on.
    pub open_per_rule_and_namespace: u32,
    /// Signals that the records of one node opened and that are to be looked at; beyond, the overflow
    /// signals of their rules count on.
    pub open_per_node: u32,
    /// Signals to be looked at in all; beyond, every rule's overflow signal counts on.
    pub open: u32,
    /// Groups that a rule counts over time across nodes; beyond, the one without a match for longest is forgotten.
    pub window_groups: usize,
    /// Nanoseconds between writes of one signal: after the first, the second, all further ones.
    pub pace: [i64; 3],
}

impl Default for Limits {
    fn default() -> Self {
        const SECOND: i64 = 1_000_000_000;
        Self {
            open_per_rule_and_namespace: 100,
            open_per_node: 500,
            open: 10_000,
            window_groups: MAX_GROUPS,
            pace: [SECOND, 10 * SECOND, 60 * SECOND],
        }
    }
}

/// The store failed; nothing of the transaction happened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file.
    #[error("store {path} is in use by {holder}; end that process first: two writers would count twice")]
    Locked {
        /// The store's file.
        path: PathBuf,
        /// What the holder wrote about itself.
        holder: String,
    },
    /// The lock beside the file cannot be taken.
    #[error("cannot lock store {path}; is its folder writable?")]
    Lock {
        /// The store's file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file cannot be opened as a database.
    #[error("cannot open store {path}")]
    Open {
        /// The store's file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// The file is of a later build.
    #[error(
        "store {path} has schema {found}, this build reads up to {known}; run the newer build or move the file away"
    )]
    Newer {
        /// The store's file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The latest that this build knows.
        known: i64,
    },
    /// A statement failed.
    #[error("the store does not take the change")]
    Sqlite(#[from] rusqlite::Error),
    /// A number is beyond what a column holds.
    #[error("{0} is beyond 2^63")]
    TooLarge(&'static str),
    /// A spool belongs to another node.
    #[error("spool {spool} belongs to node {owner}, not to {node}")]
    ForeignSpool {
        /// The spool.
        spool: String,
        /// The node that sent it first.
        owner: String,
        /// The node that sends it now.
        node: String,
    },
}

/// Signals in an embedded database.
#[derive(Debug)]
pub struct SignalStore {
    connection: Connection,
    limits: Limits,
    // Held for as long as the store is open.
    _lock: Option<StoreLock>,
    #[cfg(test)]
    dies_before_commit: bool,
}

impl SignalStore {
    /// Makes the next transactions end as a process does that is killed before the commit.
    #[cfg(test)]
    fn die_before_commit(&mut self, dies: bool) {
        self.dies_before_commit = dies;
    }

    /// Opens or creates the store at `path`. `holder` is what another process is told that finds
    /// it locked.
    pub fn open(path: &Path, holder: &str, limits: Limits) -> Result<Self, StoreError> {
        let lock = StoreLock::take(path, holder)?;
        let open_error = |source| StoreError::Open {
            path: path.to_owned(),
            source,
        };
        let mut connection = Connection::open(path).map_err(open_error)?;
        // An acknowledged record must survive power loss: every commit is synced. With exclusive
        // locking the write-ahead log needs no shared memory file, so it works on any volume.
        for (name, value) in [
            ("locking_mode", "EXCLUSIVE"),
            ("journal_mode", "WAL"),
            ("synchronous", "FULL"),
        ] {
            connection.pragma_update(None, name, value).map_err(open_error)?;
        }
        schema::migrate(&mut connection, path)?;
        Ok(Self {
            connection,
            limits,
            _lock: Some(lock),
            #[cfg(test)]
            dies_before_commit: false,
        })
    }

    /// A store in memory: forgets everything when it is dropped.
    pub fn in_memory(limits: Limits) -> Result<Self, StoreError> {
        let mut connection = Connection::open_in_memory()?;
        schema::migrate(&mut connection, Path::new(":memory:"))?;
        Ok(Self {
            connection,
            limits,
            _lock: None,
            #[cfg(test)]
            dies_before_commit: false,
        })
    }

    /// Whether no signal was ever stored and no spool was ever seen.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        let empty = "SELECT NOT EXISTS (SELECT 1 FROM signal) AND NOT EXISTS (SELECT 1 FROM spool)";
        Ok(self.connection.query_row(empty, [], |row| row.get(0))?)
    }

    /// The highest sequence of a spool that is durable; none for a spool never seen.
    pub fn watermark(&self, spool: &str) -> Result<Option<u64>, StoreError> {
        use rusqlite::OptionalExtension;
        let watermark: Option<i64> = self
            .connection
            .query_row("SELECT watermark FROM spool WHERE id = ?", [spool], |row| {
                row.get(0)
            })
            .optional()?;
        Ok(watermark.map(schema::unsigned))
    }
}

/// When a further write of a signal is due that was written `writes` times, last at `written_at`.
fn due(limits: &Limits, writes: i64, written_at: i64, now: Timestamp) -> i64 {
    let Ok(before) = usize::try_from(writes - 1) else {
        return now.0;
    };
    let pace = limits.pace[before.min(limits.pace.len() - 1)];
    written_at.saturating_add(pace).max(now.0)
}

#[cfg(test)]
mod tests;
