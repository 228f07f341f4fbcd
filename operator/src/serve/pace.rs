//! How much of the operator one node may use: beyond it, its agent is read later and loses nothing.
//!
//! Nothing is dropped here. An agent that is read slowly keeps its records in its spool, which is bounded and counts
//! what it drops. What a node has used is remembered over its connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::metrics::Metrics;

/// Messages other than records: status, facts, acknowledgements, and the opening of a stream. An agent sends a few a
/// minute; each of them makes the operator think.
const NOTES_PER_SECOND: u32 = 10;
/// Seconds of its rate that a node may use at once after it was quiet.
const RECORDS_AT_ONCE: u32 = 2;
const NOTES_AT_ONCE: u32 = 10;
/// Nodes that are remembered although nothing of them is owed; there are no more than a cluster has.
const MAX_QUIET: usize = 1_024;

/// What a node may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    /// Records in a second.
    pub(super) records: u32,
    /// Bytes of messages in a second.
    pub(super) bytes: u32,
}

/// Something that refills by the second and may be overdrawn once.
#[derive(Debug)]
pub(super) struct Bucket {
    level: f64,
    rate: f64,
    full: f64,
    at: Instant,
}

impl Bucket {
    /// A full one, which refills with `rate` a second and holds as much as comes in `seconds`.
    pub(super) fn new(rate: u32, seconds: u32, now: Instant) -> Self {
        let full = f64::from(rate) * f64::from(seconds);
        Self {
            level: full,
            rate: f64::from(rate),
            full,
            at: now,
        }
    }

    /// Takes out; true when that is more than was in.
    fn spend(&mut self, amount: f64, now: Instant) -> bool {
        self.refill(now);
        self.level -= amount;
        self.level < 0.0
    }

    /// Takes one out if it is in.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let taken = self.level >= 1.0;
        if taken {
            self.level -= 1.0;
        }
        taken
    }

    /// Until nothing is owed.
    fn owed(&mut self, now: Instant) -> Duration {
        self.refill(now);
        Duration::from_secs_f64((-self.level).max(0.0) / self.rate)
    }

    /// Whether nobody would notice that it is forgotten.
    pub(super) fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.level >= self.full
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.rate).min(self.full);
        self.at = now;
    }
}

#[derive(Debug)]
struct Buckets {
    records: Bucket,
    bytes: Bucket,
    notes: Bucket,
}

/// The paces of all nodes.
#[derive(Debug)]
pub(super) struct Paces {
    rates: Rates,
    by_node: Mutex<HashMap<String, Arc<Mutex<Buckets>>>>,
}

impl Paces {
    pub(super) fn new(rates: Rates) -> Self {
        Self {
            rates,
            by_node: Mutex::default(),
        }
    }

    /// The pace of a node, for one more stream of it.
    pub(super) fn of(&self, node: &str, metrics: &Metrics) -> Pace {
        let now = Instant::now();
        let mut by_node = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        if by_node.len() >= MAX_QUIET && !by_node.contains_key(node) {
            by_node.retain(|_, buckets| {
                let idle = Arc::strong_count(buckets) == 1;
                !(idle && lock(buckets).is_full(now))
            });
        }
        let buckets = by_node.entry(node.to_owned()).or_insert_with(|| {
            let Rates { records, bytes } = self.rates;
            Arc::new(Mutex::new(Buckets {
                records: Bucket::new(records, RECORDS_AT_ONCE, now),
                bytes: Bucket::new(bytes, RECORDS_AT_ONCE, now),
                notes: Bucket::new(NOTES_PER_SECOND, NOTES_AT_ONCE, now),
            }))
        });
        Pace {
            buckets: Arc::clone(buckets),
            metrics: metrics.clone(),
        }
    }
}

impl Buckets {
    fn is_full(&mut self, now: Instant) -> bool {
        self.records.is_full(now) && self.bytes.is_full(now) && self.notes.is_full(now)
    }
}

/// The pace of one node; all its streams share it.
pub(super) struct Pace {
    buckets: Arc<Mutex<Buckets>>,
    metrics: Metrics,
}

impl Pace {
    /// A message with records was read.
    pub(super) fn records(&self, records: usize, bytes: usize) {
        let now = Instant::now();
        let mut buckets = lock(&self.buckets);
        if buckets.records.spend(number(records.max(1)), now) {
            self.metrics.throttled_messages.inc(["records"]);
        }
        if buckets.bytes.spend(number(bytes), now) {
            self.metrics.throttled_messages.inc(["bytes"]);
        }
    }

    /// Another message was read, or a stream opened.
    pub(super) fn note(&self, bytes: usize) {
        let now = Instant::now();
        let mut buckets = lock(&self.buckets);
        if buckets.notes.spend(1.0, now) {
            self.metrics.throttled_messages.inc(["notes"]);
        }
        if buckets.bytes.spend(number(bytes), now) {
            self.metrics.throttled_messages.inc(["bytes"]);
        }
    }

    /// Waits until the node may be read again. May be dropped and called again.
    pub(super) async fn ready(&self) {
        loop {
            let now = Instant::now();
            let owed = {
                let mut buckets = lock(&self.buckets);
                let owed = buckets.records.owed(now).max(buckets.bytes.owed(now));
                owed.max(buckets.notes.owed(now))
            };
            if owed.is_zero() {
                return;
            }
            sleep(owed).await;
        }
    }
}

fn lock(buckets: &Mutex<Buckets>) -> std::sync::MutexGuard<'_, Buckets> {
    buckets.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::cast_precision_loss, reason = "sizes of messages are far below 2^52")]
fn number(size: usize) -> f64 {
    size as f64
}

#[cfg(test)]
mod tests {
    use yagura_telemetry::Registry;

    use super::*;

    fn paces() -> (Paces, Metrics) {
        let rates = Rates {
            records: 100,
            bytes: 1_000,
        };
        (Paces::new(rates), Metrics::new(&mut Registry::default()))
    }

    #[tokio::test(start_paused = true)]
    async fn who_uses_more_than_its_rate_is_read_later_over_all_its_streams() {
        let (paces, metrics) = paces();
        let pace = paces.of("n", &metrics);
        let began = Instant::now();
        for _ in 0..30 {
            pace.ready().await;
            pace.records(100, 10);
        }
        // Two seconds' worth were there at first, and the last may be overdrawn.
        let took = began.elapsed();
        assert!(
            took >= Duration::from_secs(27) && took <= Duration::from_secs(29),
            "{took:?}"
        );
        assert_eq!(metrics.throttled_messages.get(["records"]), 28);
        drop(pace);
        let again = Instant::now();
        let pace = paces.of("n", &metrics);
        pace.ready().await;
        assert!(
            again.elapsed() >= Duration::from_millis(900),
            "a new connection forgives nothing"
        );
        let other = Instant::now();
        paces.of("m", &metrics).ready().await;
        assert!(other.elapsed().is_zero(), "another node does not wait");
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_and_notes_have_rates_of_their_own() {
        let (paces, metrics) = paces();
        let pace = paces.of("n", &metrics);
        pace.records(1, 4_000);
        let began = Instant::now();
        pace.ready().await;
        assert!(
            began.elapsed() >= Duration::from_millis(1_990),
            "{:?}",
            began.elapsed()
        );
        for _ in 0..110 {
            pace.note(0);
        }
        let began = Instant::now();
        pace.ready().await;
        assert!(
            began.elapsed() >= Duration::from_millis(900),
            "{:?}",
            began.elapsed()
        );
        assert!(metrics.throttled_messages.get(["notes"]) > 0);
        assert_eq!(metrics.throttled_messages.get(["bytes"]), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn quiet_nodes_are_forgotten_and_debtors_are_not() {
        let (paces, metrics) = paces();
        paces.of("debtor", &metrics).records(1_000, 0);
        for node in 0..5_000 {
            drop(paces.of(&node.to_string(), &metrics));
        }
        let by_node = paces.by_node.lock().unwrap();
        assert!(by_node.len() <= MAX_QUIET && by_node.contains_key("debtor"));
    }
}
