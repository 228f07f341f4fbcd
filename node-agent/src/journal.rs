//! The spool as the threads of the agent share it: one writes, one reads on and acknowledges.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};
use yagura_engine::Changed;
use yagura_store::spool::{
    Appended, Batch, NewRecord, Position, Resume, Spool, SpoolConfig, SpoolError, Usage,
};

/// Cause of the loss that stands for whatever a damaged spool held.
const DAMAGED: &str = "spool-damaged";

/// The spool could not be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// What the spool says.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// A damaged spool could not be moved out of the way.
    #[error("cannot move the damaged spool to {}", path.display())]
    SetAside {
        /// Where it was to go.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The thread that used the spool died.
    #[error("the spool's thread failed")]
    Thread(#[from] JoinError),
}

/// The shared spool. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    spool: Arc<Mutex<Spool>>,
    usage: watch::Sender<Usage>,
}

impl Journal {
    /// Opens the spool. A damaged one is set aside and a loss of unknown size takes its place.
    pub fn open(config: &SpoolConfig) -> Result<Self, JournalError> {
        let spool = match Spool::open(config) {
            Err(SpoolError::Damaged { source, .. }) => {
                let aside = set_aside(&config.path)?;
                tracing::error!(
                    path = %aside.display(),
                    error = %yagura_telemetry::chain(&source),
                    "the spool is damaged: its records are lost, the file is kept for inspection"
                );
                let mut fresh = Spool::open(config)?;
                fresh.append_with(&[], &BTreeMap::from([(DAMAGED.to_owned(), 0)]), &[])?;
                fresh
            }
            other => other?,
        };
        let usage = spool.usage();
        Ok(Self {
            spool: Arc::new(Mutex::new(spool)),
            usage: watch::Sender::new(usage),
        })
    }

    /// Writes records, losses and what was counted on the way to them in one commit.
    pub fn append(
        &self,
        records: &[NewRecord],
        losses: &BTreeMap<String, u64>,
        groups: &[Changed],
    ) -> Result<Appended, SpoolError> {
        let mut spool = self.lock();
        let appended = spool.append_with(records, losses, groups)?;
        self.usage.send_replace(spool.usage());
        Ok(appended)
    }

    /// What rules had counted when the last process ended.
    pub fn kept_groups(&self) -> Result<Vec<Changed>, SpoolError> {
        self.lock().kept_groups()
    }

    /// Forgets what was counted for rules that are gone.
    pub fn keep_states(&self, states: &[&str]) -> Result<(), SpoolError> {
        self.lock().keep_states(states)
    }

    /// Reads on from `after`.
    pub async fn read(&self, after: Position, max_bytes: usize) -> Result<Batch, JournalError> {
        let journal = self.clone();
        Ok(spawn_blocking(move || journal.lock().read(after, max_bytes)).await??)
    }

    /// Where to go on for a receiver that has nothing of the run `id` from `sequence` on.
    pub async fn resume(&self, id: String, sequence: u64) -> Result<Option<Resume>, JournalError> {
        let journal = self.clone();
        Ok(spawn_blocking(move || journal.lock().resume(&id, sequence)).await??)
    }

    /// Forgets what the receiver has.
    pub async fn acknowledge(&self, id: String, sequence: u64) -> Result<u64, JournalError> {
        let journal = self.clone();
        let acknowledge = move || {
            let mut spool = journal.lock();
            let removed = spool.acknowledge(&id, sequence)?;
            journal.usage.send_replace(spool.usage());
            Ok::<_, SpoolError>(removed)
        };
        Ok(spawn_blocking(acknowledge).await??)
    }

    /// How full the spool is, as it changes.
    pub fn usage(&self) -> watch::Receiver<Usage> {
        self.usage.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Spool> {
        // The database rolls a commit back that a panic interrupts.
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves the file and its log away. One damaged spool is kept, not a row of them.
fn set_aside(path: &Path) -> Result<PathBuf, JournalError> {
    let aside = path.with_extension("damaged");
    fs::rename(path, &aside).map_err(|source| JournalError::SetAside {
        path: aside.clone(),
        source,
    })?;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match fs::remove_file(&log) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(JournalError::SetAside {
            path: log.into(),
            source,
        }),
        _ => Ok(aside),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use yagura_store::spool::{Entry, NewRecord, Position, SpoolConfig};

    use super::Journal;

    fn config(folder: &tempfile::TempDir) -> SpoolConfig {
        SpoolConfig {
            path: folder.path().join("spool.db"),
            boot_id: "boot".to_owned(),
            limit_bytes: 1 << 20,
        }
    }

    #[tokio::test]
    async fn a_damaged_spool_is_set_aside_and_the_loss_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        fs::write(&config.path, "no database".repeat(200)).unwrap();
        let journal = Journal::open(&config).unwrap();
        let batch = journal.read(Position::default(), 1 << 20).await.unwrap();
        assert_eq!(
            batch.records[0].entry,
            Entry::Loss {
                cause: "spool-damaged".to_owned(),
                matches: 0
            }
        );
        assert!(folder.path().join("spool.damaged").exists());
    }

    #[tokio::test]
    async fn readers_hear_of_what_is_written_and_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&config(&folder)).unwrap();
        let mut usage = journal.usage();
        usage.mark_unchanged();
        let record = NewRecord {
            body: b"a".to_vec(),
            matches: 1,
            rank: 1,
        };
        journal.append(&[record], &BTreeMap::new(), &[]).unwrap();
        usage.changed().await.unwrap();
        assert_eq!(usage.borrow_and_update().records, 1);
        let batch = journal.read(Position::default(), 1 << 20).await.unwrap();
        journal.acknowledge(batch.spool, 1).await.unwrap();
        usage.changed().await.unwrap();
        assert_eq!(usage.borrow_and_update().records, 0);
    }
}
