//! Signals: what agents report and posture checks find, counted once, written to the cluster.
//!
//! What a report means is computed by pure modules (`place`, `posture`, `object`); the store's
//! transaction makes it durable; the writer is the only one that writes the objects.

mod annotations;
mod changes;
mod detail;
mod history;
mod key;
mod object;
mod own;
mod place;
mod posture;
mod resources;
mod retention;
mod seed;
mod subject;
mod text;
mod triage;
mod writer;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use yagura_event::Timestamp;
use yagura_store::StoreError;
use yagura_store::signals::{Applied, Incoming, Observed, RuleSummary, SignalStore};

use crate::metrics::Metrics;

pub use history::{History, HistoryError};
pub(crate) use object::{UnreadableDetail, parts};
pub use own::{OWN_KIND, OwnFinding, OwnRule};
pub use place::{Placement, Refused, place};
pub use posture::{CHECK_KIND, PostureChange, Scope};
pub use retention::run as retain;
pub use seed::{SeedError, seed};
pub use subject::subject;
pub use triage::watch as watch_triage;
pub use writer::run as write;

/// A ledger call failed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store refused it.
    #[error("the signal store failed")]
    Store(#[from] StoreError),
    /// The blocking task ended abnormally.
    #[error("a task of the signal store ended abnormally")]
    Task(#[from] tokio::task::JoinError),
}

impl LedgerError {
    /// Whether a spool of another node caused it.
    pub fn is_foreign_spool(&self) -> bool {
        matches!(self, Self::Store(StoreError::ForeignSpool { .. }))
    }
}

/// The signals of the cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    store: Arc<Mutex<SignalStore>>,
    /// Wakes the writer when something may be due.
    due: Arc<Notify>,
    metrics: Metrics,
    home: Arc<str>,
    had_a_past: bool,
}

impl Ledger {
    /// A ledger over a store; `home` is the operator's own namespace.
    pub fn new(store: SignalStore, home: &str, metrics: Metrics) -> Self {
        // One that cannot be read fails at its first use.
        let had_a_past = store.is_empty().is_ok_and(|empty| !empty);
        Self {
            had_a_past,
            store: Arc::new(Mutex::new(store)),
            due: Arc::default(),
            metrics,
            home: Arc::from(home),
        }
    }

    /// The operator's own namespace, where signals go that belong to no other.
    pub fn home(&self) -> &str {
        &self.home
    }

    /// Whether the store held something when this process opened it: then whatever agents sent before should be there.
    pub fn had_a_past(&self) -> bool {
        self.had_a_past
    }

    /// Makes a batch of a node's spool durable.
    pub async fn apply(
        &self,
        spool: String,
        node: String,
        records: Vec<Incoming>,
    ) -> Result<Applied, LedgerError> {
        let applied = self
            .with(move |store| store.apply(&spool, &node, records, now()))
            .await?;
        self.metrics.stored_records.add(applied.fresh);
        self.metrics.repeated_records.add(applied.repeated);
        self.metrics.stored_matches.add(applied.matches);
        self.metrics.opened_signals.add(applied.opened);
        self.metrics.window_late.add(applied.late);
        self.metrics.window_evicted.add(applied.evicted.groups);
        self.metrics.window_evicted_values.add(applied.evicted.values);
        if applied.gap.is_some() {
            self.metrics.sequence_gaps.inc();
        }
        if applied.fresh > 0 {
            self.due.notify_one();
        }
        Ok(applied)
    }

    /// Opens, changes or resolves the signal of a posture check in one scope.
    pub async fn posture(&self, change: PostureChange) -> Result<Observed, LedgerError> {
        let observation = change.observation(&self.home);
        let observed = self.with(move |store| store.observe(&observation, now())).await?;
        Ok(self.noticed(observed))
    }

    /// Counts something about Yagura itself that happens again and again.
    pub async fn own_incident(&self, found: OwnFinding) -> Result<Observed, LedgerError> {
        let entry = found.incident(&self.home);
        let observed = self.with(move |store| store.incident(&entry, now())).await?;
        Ok(self.noticed(observed))
    }

    /// Opens, changes or resolves a signal about a state of Yagura itself.
    pub async fn own_state(&self, found: OwnFinding) -> Result<Observed, LedgerError> {
        let observation = found.observation(&self.home);
        let observed = self.with(move |store| store.observe(&observation, now())).await?;
        Ok(self.noticed(observed))
    }

    /// Counts what became of something, and wakes the writer when there is something to write.
    fn noticed(&self, observed: Observed) -> Observed {
        if observed == Observed::Opened {
            self.metrics.opened_signals.inc();
        }
        if observed != Observed::Unchanged {
            self.due.notify_one();
        }
        observed
    }

    /// What a rule's status says of its signals.
    pub async fn summary(&self, rule: String) -> Result<RuleSummary, LedgerError> {
        self.with(move |store| store.summary(&rule)).await
    }

    /// Something that a signal's object shows changed in the store.
    pub(crate) fn wake(&self) {
        self.due.notify_one();
    }

    /// Runs a store call where it may block.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut SignalStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let store = Arc::clone(&self.store);
        let result = spawn_blocking(move || {
            // A panic inside a call rolled its transaction back: the store itself is sound.
            call(&mut store.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await?;
        Ok(result?)
    }
}

/// The present, as the store keeps it.
pub fn now() -> Timestamp {
    let nanoseconds = jiff::Timestamp::now().as_nanosecond();
    Timestamp(i64::try_from(nanoseconds).unwrap_or(i64::MAX))
}
