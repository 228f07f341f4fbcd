//! The kernel side as the rest of the agent sees it: start it, get events, read its counters.
//!
//! This is the only module that touches the loader library. [`Sensor::start`] loads and attaches
//! the programs, seeds the process table from `/proc`, and starts one thread that takes records
//! from the rings, puts them in order, decodes and enriches them and hands each event to a
//! [`Consumer`]. The thread polls: hooks never wake it, so a process that executes a program does
//! not pay for a wake-up. An event reaches the consumer at most two polls and the reorder window
//! after it happened, about 15 ms.

pub mod btf;
mod counters;
mod load;
mod merge;
mod offsets;
mod reader;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use thiserror::Error;
use yagura_event::{Event, Host};

pub use counters::{CounterSnapshot, KindCounts};
pub use load::{DEFAULT_BTF, Hook, HookState, LoadConfig, LoadError, has_programs, resolve_manifest};
pub use offsets::Resolved;

use crate::enrich::{
    EnrichConfig, Enricher, Names,
    hierarchy::{Hierarchy, HierarchyError},
};

/// Takes events as they come, on the sensor's own thread. What takes long here fills the rings.
pub trait Consumer: Send + 'static {
    /// One event. Events come in the order in which they happened.
    fn event(&mut self, event: &Event);

    /// No event is waiting at this moment: a good time to flush. Called at least every 10 ms.
    fn idle(&mut self) {}
}

impl<F: FnMut(&Event) + Send + 'static> Consumer for F {
    fn event(&mut self, event: &Event) {
        self(event);
    }
}

/// How to start the sensor.
#[derive(Clone, Debug)]
pub struct SensorConfig {
    /// The kernel side.
    pub load: LoadConfig,
    /// Where the host's file system is: `/` on a host, a mount such as `/host` in a pod.
    pub host_root: PathBuf,
    /// Where the host's `/proc` is: `/proc` on a host and in a pod that shares its process ids.
    pub proc: PathBuf,
    /// The node, put on every event.
    pub host: Arc<Host>,
}

/// Why the sensor did not start.
#[derive(Debug, Error)]
pub enum SensorError {
    /// The kernel side.
    #[error("the kernel programs cannot run")]
    Load(#[from] LoadError),
    /// Which cgroup hierarchy names containers could not be found out.
    #[error("the cgroup hierarchy cannot be determined")]
    Hierarchy(#[from] HierarchyError),
    /// The reader's thread.
    #[error("the thread that reads the kernel's records cannot be started")]
    Thread(#[source] io::Error),
}

/// A running sensor. Dropping it stops it.
#[derive(Debug)]
pub struct Sensor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the reader's thread and the owner share.
struct Shared {
    stop: AtomicBool,
    reader: counters::ReaderCounts,
    loaded: Mutex<load::Loaded>,
    hooks: Vec<Hook>,
    missing: Resolved,
    processes: std::sync::atomic::AtomicUsize,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("hooks", &self.hooks)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn counters(&self) -> Result<CounterSnapshot, aya::maps::MapError> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        counters::snapshot(&loaded.counters, &self.reader, |kind| loaded.missed(kind))
    }

    /// Exits that gave no record: their processes would stay in the table.
    fn lost_lineage(&self) -> u64 {
        self.counters()
            .ok()
            .and_then(|counters| counters.kind("exit").map(KindCounts::lost))
            .unwrap_or(0)
    }
}

impl Sensor {
    /// Loads, attaches, seeds and starts reading. `names` may be filled from elsewhere while the
    /// sensor runs.
    pub fn start(
        config: &SensorConfig,
        names: Arc<Names>,
        consumer: impl Consumer,
    ) -> Result<Self, SensorError> {
        let hierarchy = Hierarchy::detect(&config.proc)?;
        // Attached before the processes are listed, so that none falls between.
        let (loaded, rings) = load::load(&config.load, &hierarchy)?;
        let mut enricher = Enricher::new(
            EnrichConfig {
                proc: config.proc.clone(),
                host_root: config.host_root.clone(),
                host: Arc::clone(&config.host),
                hierarchy,
                lost: loaded.resolved.missing.keys().copied().collect(),
            },
            names,
        );
        enricher.seed();
        release_memory();
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            reader: counters::ReaderCounts::default(),
            hooks: loaded.hooks.clone(),
            missing: loaded.resolved.clone(),
            loaded: Mutex::new(loaded),
            processes: std::sync::atomic::AtomicUsize::new(0),
        });
        let thread =
            reader::spawn(Arc::clone(&shared), rings, enricher, consumer).map_err(SensorError::Thread)?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Counters of the kernel side and of the reader, at this moment.
    pub fn counters(&self) -> Result<CounterSnapshot, aya::maps::MapError> {
        self.shared.counters()
    }

    /// How each kind of event is observed, or why it is not.
    pub fn hooks(&self) -> &[Hook] {
        &self.shared.hooks
    }

    /// Features that this kernel cannot give, and the members that it lacks.
    pub fn manifest(&self) -> &Resolved {
        &self.shared.missing
    }

    /// Live processes in the table.
    pub fn processes(&self) -> usize {
        self.shared.processes.load(Ordering::Relaxed)
    }

    /// Whether the reader's thread is alive. It ends only when the consumer panics.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Detaches the hooks, hands on what is still on the rings, and stops. The counters are final:
    /// nothing is on its way any more.
    pub fn stop(mut self) -> Result<CounterSnapshot, aya::maps::MapError> {
        self.join();
        self.shared.counters()
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let mut loaded = self.shared.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            loaded.detach();
            drop(loaded);
            self.shared.stop.store(true, Ordering::Relaxed);
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the sensor's thread had ended by a panic of its consumer");
            }
        }
    }
}

/// Gives back to the system what the start needed for a moment: the kernel's types, several times
/// what the agent needs afterwards.
fn release_memory() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "the C library offers it no other way")]
    // SAFETY: the function has no precondition and may run beside any other thread.
    let _released = unsafe { libc::malloc_trim(0) };
}

impl Drop for Sensor {
    fn drop(&mut self) {
        self.join();
    }
}
