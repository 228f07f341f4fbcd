//! When the first signal of each rule shows in a watch, as a person or a console sees it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::TryStreamExt as _;
use kube::Client;
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::task::JoinHandle;
use yagura_e2e::{objects, signals};

/// A watch of signals.
pub(crate) struct Watch {
    first: Arc<Mutex<HashMap<String, Instant>>>,
    task: JoinHandle<()>,
}

impl Watch {
    pub(crate) fn start(client: &Client) -> Result<Self> {
        let api = objects::api(client, "SecuritySignal", None)?;
        let first: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
        let seen = Arc::clone(&first);
        let task = tokio::spawn(async move {
            let mut changes = std::pin::pin!(watcher(api, watcher::Config::default()).applied_objects());
            loop {
                match changes.try_next().await {
                    Ok(Some(signal)) => {
                        let labels = signal.metadata.labels.unwrap_or_default();
                        if let Some(rule) = labels.get(signals::RULE_LABEL) {
                            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                            seen.entry(rule.clone()).or_insert_with(Instant::now);
                        }
                    }
                    // The watcher itself comes back after an error.
                    Err(_) => {}
                    Ok(None) => return,
                }
            }
        });
        Ok(Self { first, task })
    }

    /// When the first signal of each of these rules was there; an error when one is not in time.
    pub(crate) async fn first(
        &self,
        rules: &[String],
        patience: Duration,
    ) -> Result<HashMap<String, Instant>> {
        let from = Instant::now();
        loop {
            let seen = self.first.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let missing: Vec<&String> = rules.iter().filter(|rule| !seen.contains_key(*rule)).collect();
            if missing.is_empty() {
                return Ok(seen);
            }
            ensure!(
                from.elapsed() < patience,
                "{} rules have no signal after {patience:?}",
                missing.len()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
