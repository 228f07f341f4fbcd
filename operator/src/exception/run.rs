//! Writes what became of exceptions and what they held back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::core::DeserializeGuard;
use tokio::time::{MissedTickBehavior, interval};
use yagura_crds::{ClusterException, Exception, ExceptionStatus};
use yagura_event::Timestamp;
use yagura_store::signals::Excepted;
use yagura_telemetry::chain;

use super::known::Judged;
use super::status::{compute, decides_otherwise};
use crate::context::Context;
use crate::signals::{LedgerError, now};
use crate::status::{StatusError, write, write_in};

/// How often it is looked at what became of exceptions.
const TICK: Duration = Duration::from_secs(1);
/// How often the store is asked what they held back.
const COUNT: i64 = 5_000_000_000;
/// Nanoseconds before a count is written: the first, the second, all further ones.
const PACE: [i64; 3] = [0, 10_000_000_000, 60_000_000_000];
/// Counts that are written before decisions are looked at again.
const COUNTS: usize = 20;

/// An exception's status could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// The store.
    #[error("cannot count what exceptions held back")]
    Count(#[from] LedgerError),
    /// The API server.
    #[error(transparent)]
    Status(#[from] StatusError),
}

impl TellError {
    /// For logs and metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Count(_) => "exception_count",
            Self::Status(error) => error.category(),
        }
    }
}

/// What an exception's status says.
struct Told {
    status: ExceptionStatus,
    /// When a count was written last, and how often one was.
    counted: Option<Timestamp>,
    counts: usize,
}

impl Told {
    /// What an operator before this one wrote, if anything.
    fn before(status: &ExceptionStatus) -> Self {
        Self {
            status: status.clone(),
            counted: None,
            counts: 0,
        }
    }

    /// Whether another count may be written.
    fn may_count(&self, time: Timestamp) -> bool {
        let pause = PACE[self.counts.min(PACE.len() - 1)];
        self.counted.is_none_or(|counted| time.since(counted) >= pause)
    }

    fn count(&mut self, time: Timestamp) {
        self.counted = Some(time);
        self.counts += 1;
    }
}

/// Runs until the operator ends.
pub async fn run(context: Context) {
    let mut teller = Teller {
        context: context.clone(),
        told: BTreeMap::new(),
        held: BTreeMap::new(),
        began: false,
        counted: None,
    };
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return,
            _ = tick.tick() => {
                if let Err(error) = teller.turn(now()).await {
                    context.metrics.controller_errors.inc([error.category()]);
                    tracing::warn!(category = error.category(), error = %chain(&error), "exceptions are not told what became of them");
                }
            }
        }
    }
}

struct Teller {
    context: Context,
    told: BTreeMap<String, Told>,
    /// What each held back, by uid.
    held: BTreeMap<String, Excepted>,
    /// Whether the store knows which exceptions there are.
    began: bool,
    /// When the store was asked.
    counted: Option<Timestamp>,
}

impl Teller {
    async fn turn(&mut self, time: Timestamp) -> Result<(), TellError> {
        let judged: Vec<(String, Arc<Judged>)> = {
            let index = self.context.index.read();
            if !index.exceptions.settled {
                return Ok(());
            }
            let judged = index.exceptions.judged.iter();
            judged
                .map(|(uid, judged)| (uid.clone(), Arc::clone(judged)))
                .collect()
        };
        self.begin(&judged).await?;
        self.forget(&judged).await?;
        if self.counted.is_none_or(|counted| time.since(counted) >= COUNT) {
            let held = self.context.signals.with(|store| store.excepted()).await?;
            self.held = held
                .into_iter()
                .map(|held| (held.exception.clone(), held))
                .collect();
            self.counted = Some(time);
        }
        let mut counts = Vec::new();
        let mut failed = None;
        for (uid, judged) in &judged {
            let told = self
                .told
                .entry(uid.clone())
                .or_insert_with(|| Told::before(&judged.object.told));
            let next = compute(&told.status, judged, self.held.get(uid), time);
            if decides_otherwise(&told.status, &next) {
                if let Err(error) = tell(&self.context, judged, told, next).await {
                    failed = Some(error);
                }
            } else if next != told.status && told.may_count(time) {
                counts.push((uid, judged, next));
            }
        }
        for (uid, judged, next) in counts.into_iter().take(COUNTS) {
            self.context.writes.spare().await;
            if let Some(told) = self.told.get_mut(uid) {
                told.count(time);
                if let Err(error) = tell(&self.context, judged, told, next).await {
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Once: counts go on from what the objects tell where the store was lost, and those of objects that went away meanwhile
    /// are forgotten.
    async fn begin(&mut self, judged: &[(String, Arc<Judged>)]) -> Result<(), TellError> {
        if self.began {
            return Ok(());
        }
        let told = judged.iter().map(|(uid, judged)| {
            let status = &judged.object.told;
            let last = status.last_matched.as_ref().map_or(0, |at| at.0.as_second());
            Excepted {
                exception: uid.clone(),
                count: u64::try_from(status.matched).unwrap_or_default(),
                last: Timestamp(last.saturating_mul(1_000_000_000)),
            }
        });
        let told: Vec<Excepted> = told.collect();
        self.context
            .signals
            .with(move |store| store.keep_excepted(&told))
            .await?;
        self.began = true;
        Ok(())
    }

    /// Forgets exceptions that are gone.
    async fn forget(&mut self, judged: &[(String, Arc<Judged>)]) -> Result<(), TellError> {
        let gone: Vec<String> = self
            .told
            .keys()
            .filter(|uid| judged.binary_search_by(|(known, _)| known.cmp(uid)).is_err())
            .cloned()
            .collect();
        for uid in gone {
            let gone = uid.clone();
            self.context
                .signals
                .with(move |store| store.forget_excepted(&gone))
                .await?;
            self.told.remove(&uid);
        }
        Ok(())
    }
}

/// Writes a status.
async fn tell(
    context: &Context,
    judged: &Judged,
    told: &mut Told,
    next: ExceptionStatus,
) -> Result<(), StatusError> {
    let name = &judged.object.name;
    let written = match &judged.object.namespace {
        Some(namespace) => write_in::<DeserializeGuard<Exception>>(context, namespace, name, &next).await,
        None => write::<DeserializeGuard<ClusterException>>(context, name, &next).await,
    };
    match written {
        Ok(()) => {}
        // Its deletion is on the way through the watch.
        Err(error) if error.is_gone() => {}
        Err(error) => return Err(error),
    }
    told.status = next;
    Ok(())
}

#[cfg(test)]
mod tests {
    use yagura_crds::ExceptionStatus;
    use yagura_event::Timestamp;

    use super::Told;

    #[test]
    fn counts_are_written_further_and_further_apart() {
        let mut told = Told::before(&ExceptionStatus::default());
        let mut written = Vec::new();
        for second in 0..=200 {
            let time = Timestamp(second * 1_000_000_000);
            if told.may_count(time) {
                told.count(time);
                written.push(second);
            }
        }
        assert_eq!(written, [0, 10, 70, 130, 190]);
    }
}
