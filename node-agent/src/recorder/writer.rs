//! Writing to the spool, with bounded patience while it cannot be written.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use yagura_engine::Changed;
use yagura_store::spool::{NewRecord, SpoolError};
use yagura_telemetry::chain;

use crate::journal::Journal;
use crate::metrics::Metrics;

/// Bytes of records that wait in memory while the disk is full.
const BACKLOG_BYTES: usize = 4 << 20;

/// Bytes of records in one commit.
const STEP_BYTES: usize = 256 << 10;

/// How often a spool that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Why matches were shed although there was time to write them.
pub(super) const DISK_FULL: &str = "disk-full";
pub(super) const SPOOL_ERROR: &str = "spool-error";

/// Cause of what the spool itself had no room for, as the spool reports it.
pub(super) const SPOOL_FULL: &str = "spool-full";

/// Writes records, and keeps them for a while when that fails.
pub(super) struct Writer {
    journal: Journal,
    metrics: Metrics,
    backlog: Vec<NewRecord>,
    backlog_bytes: usize,
    /// Matches that are lost and not told yet, by cause.
    losses: BTreeMap<String, u64>,
    /// What was counted on the way to the records, as it is now.
    groups: HashMap<GroupOf, Option<Vec<u8>>>,
    failure: Option<Failure>,
}

/// State and key of a group.
type GroupOf = (String, Box<[u8]>);

struct Failure {
    cause: &'static str,
    since: Instant,
    next_try: Instant,
}

impl Writer {
    pub(super) fn new(journal: Journal, metrics: Metrics) -> Self {
        Self {
            journal,
            metrics,
            backlog: Vec::new(),
            backlog_bytes: 0,
            losses: BTreeMap::new(),
            groups: HashMap::new(),
            failure: None,
        }
    }

    /// Whether something waits to be written.
    pub(super) fn has_work(&self) -> bool {
        !self.backlog.is_empty() || !self.losses.is_empty() || !self.groups.is_empty()
    }

    /// Counts matches that never became records, or events that no rule has seen, to be told as a loss.
    pub(super) fn lose(&mut self, cause: &str, matches: u64) {
        if matches > 0 {
            *self.losses.entry(cause.to_owned()).or_default() += matches;
        }
    }

    /// Writes records and what was counted on the way to them, after those that wait from before.
    pub(super) fn write(&mut self, records: Vec<NewRecord>, groups: Vec<Changed>, now: Instant) {
        let waits = self
            .failure
            .as_ref()
            .is_some_and(|failure| now < failure.next_try);
        self.keep(records);
        for Changed { state, key, group } in groups {
            self.groups.insert((state, key), group);
        }
        if !waits && self.has_work() {
            self.try_write(now);
        }
    }

    /// Writes what waits, whatever failed before. What still cannot be written is shed.
    pub(super) fn finish(&mut self, now: Instant) {
        self.try_write(now);
        let left: u64 = self.backlog.drain(..).map(|record| record.matches).sum();
        if let Some(failure) = &self.failure {
            self.metrics.shed.add([failure.cause], left);
            tracing::error!(
                matches = left + self.losses.values().sum::<u64>(),
                cause = failure.cause,
                "the agent ends and the spool still cannot be written: these matches are lost"
            );
        }
    }

    fn keep(&mut self, records: Vec<NewRecord>) {
        for record in records {
            let bytes = self.backlog_bytes + record.body.len();
            match &self.failure {
                Some(failure) if bytes > BACKLOG_BYTES => {
                    let cause = failure.cause;
                    self.metrics.shed.add([cause], record.matches);
                    self.lose(cause, record.matches);
                }
                _ => {
                    self.backlog_bytes = bytes;
                    self.backlog.push(record);
                }
            }
        }
    }

    /// Writes in steps, so that a disk with little room takes what it can.
    fn try_write(&mut self, now: Instant) {
        let groups: Vec<Changed> = std::mem::take(&mut self.groups)
            .into_iter()
            .map(|((state, key), group)| Changed { state, key, group })
            .collect();
        let mut left = groups.as_slice();
        loop {
            let step = self.step();
            let appended = match self.journal.append(&self.backlog[..step], &self.losses, left) {
                Ok(appended) => appended,
                Err(error) => {
                    for Changed { state, key, group } in left {
                        self.groups.insert((state.clone(), key.clone()), group.clone());
                    }
                    return self.fail(&error, now);
                }
            };
            left = &[];
            self.metrics.spooled.add(appended.placed);
            self.metrics.evicted.add(appended.evicted);
            if appended.unplaced > 0 {
                self.metrics.shed.add([SPOOL_FULL], appended.unplaced);
            }
            self.losses.clear();
            let written: usize = self.backlog.drain(..step).map(|record| record.body.len()).sum();
            self.backlog_bytes -= written;
            if self.backlog.is_empty() {
                break;
            }
        }
        self.metrics.spool_failed.set(0);
        if let Some(failure) = self.failure.take() {
            tracing::info!(
                seconds = now.duration_since(failure.since).as_secs(),
                "the spool can be written again"
            );
        }
    }

    /// How many of the records that wait go into one commit.
    fn step(&self) -> usize {
        let mut bytes = 0;
        let fits = self.backlog.iter().take_while(|record| {
            bytes += record.body.len();
            bytes <= STEP_BYTES
        });
        fits.count().max(1).min(self.backlog.len())
    }

    fn fail(&mut self, error: &SpoolError, now: Instant) {
        let cause = if error.is_full() { DISK_FULL } else { SPOOL_ERROR };
        let since = self.failure.as_ref().map_or(now, |failure| failure.since);
        if self.failure.is_none() {
            self.metrics.spool_failed.set(1);
            tracing::error!(
                error = %chain(error),
                "matches cannot be spooled; {} MiB of them are kept in memory until there is space, the rest is counted as lost",
                BACKLOG_BYTES >> 20
            );
        }
        self.failure = Some(Failure {
            cause,
            since,
            next_try: now + RETRY,
        });
    }
}
