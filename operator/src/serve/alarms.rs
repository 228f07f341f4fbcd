//! Signals about agents that are not to be believed, folded: however fast an agent misbehaves, it costs the store one
//! change for each of its causes in a second, and every occurrence counts.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use yagura_telemetry::chain;

use crate::signals::{self, Ledger, OwnFinding, OwnRule};

/// Between two changes of one signal.
const FOLD: Duration = Duration::from_secs(1);

/// What is wrong, and with whom. Agents are authenticated, so there are as many as nodes times causes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Alarm {
    rule: OwnRule,
    node: String,
    cause: &'static str,
}

/// What waits to be counted. What waits is lost when the process is killed: at most a second's worth.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    waiting: Mutex<HashMap<Alarm, u64>>,
    wake: Notify,
}

impl Alarms {
    /// Counts `times` occurrences of a cause at a node.
    pub(super) fn raise(&self, rule: OwnRule, node: &str, cause: &'static str, times: u64) {
        let alarm = Alarm {
            rule,
            node: node.to_owned(),
            cause,
        };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entry(alarm).or_insert_with_key(|alarm| {
            warn!(
                node = alarm.node,
                cause,
                rule = alarm.rule.name(),
                "an agent is not believed"
            );
            0
        });
        *count = count.saturating_add(times);
        drop(waiting);
        self.wake.notify_one();
    }

    /// Takes what waits to the store until `stop`; then everything that still waits.
    pub(super) async fn run(&self, ledger: &Ledger, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = self.wake.notified() => self.flush(ledger).await,
                () = stop.cancelled() => return,
            }
            tokio::select! {
                () = sleep(FOLD) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Takes what waits to the store.
    pub(super) async fn flush(&self, ledger: &Ledger) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for (alarm, times) in waiting {
            if let Err(error) = ledger.own_incident(alarm.finding(times)).await {
                error!(
                    node = alarm.node,
                    error = %chain(&error),
                    "cannot store what is wrong with an agent; trying again"
                );
                self.raise(alarm.rule, &alarm.node, alarm.cause, times);
            }
        }
    }
}

impl Alarm {
    fn finding(&self, times: u64) -> OwnFinding {
        let mut found = OwnFinding::of_node(self.rule, &self.node, times, signals::now());
        found.group.push(("cause", self.cause.to_owned()));
        let reports = match self.cause {
            "foreign-pod" => "pods of another node",
            "unknown-exception" => "matches that an exception held back which it never got",
            "unknown-rule" => "matches of rules that it never got",
            "foreign-spool" => "from the spool of another node",
            "foreign-facts" => "facts of another node",
            // The rule's own title says it.
            _ => return found,
        };
        found.title = format!("The agent of {} reports {reports}", self.node);
        found
    }
}

#[cfg(test)]
mod tests {
    use yagura_store::signals::{Limits, SignalStore};
    use yagura_telemetry::Registry;

    use super::*;
    use crate::metrics::Metrics;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_counted_exactly_and_written_seldom() {
        let metrics = Metrics::new(&mut Registry::default());
        let store = SignalStore::in_memory(Limits::default()).unwrap();
        let ledger = Ledger::new(store, "sec", metrics.clone());
        let (alarms, stop) = (Alarms::default(), CancellationToken::new());
        let raise = async {
            for _ in 0..10_000 {
                alarms.raise(OwnRule::RefusedReports, "n1", "foreign-pod", 2);
                tokio::task::yield_now().await;
            }
            alarms.raise(OwnRule::RefusedReports, "n1", "unknown-rule", 1);
            stop.cancel();
        };
        tokio::join!(alarms.run(&ledger, &stop), raise);
        alarms.flush(&ledger).await;
        let rule = "Yagura/yagura-refused-reports".to_owned();
        assert_eq!(metrics.opened_signals.get(), 2, "one for each cause");
        assert_eq!(ledger.summary(rule).await.unwrap().open, 2);
        assert_eq!(alarms.waiting.lock().unwrap().len(), 0);
    }
}
