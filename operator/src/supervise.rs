//! Tasks whose end is never overlooked.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use yagura_telemetry::chain;

/// What tasks have to finish their work when the process ends. Kubernetes kills after 30 s.
const GRACE: Duration = Duration::from_secs(15);

/// A task failed.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// It returned an error.
    #[error("task {name} failed")]
    Failed {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It panicked or was aborted.
    #[error("a task ended abnormally")]
    Abnormal(#[from] tokio::task::JoinError),
}

/// The tasks of the process.
pub(crate) struct Supervisor {
    tasks: JoinSet<Result<&'static str, TaskError>>,
    stop: CancellationToken,
}

impl Supervisor {
    /// A supervisor that cancels `stop` when the first task ends.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self {
            tasks: JoinSet::new(),
            stop,
        }
    }

    /// Starts a task. It should end when the process is to stop, and only then.
    pub(crate) fn spawn<E: Error + Send + Sync + 'static>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.tasks.spawn(async move {
            match task.await {
                Ok(()) => Ok(name),
                Err(source) => Err(TaskError::Failed {
                    name,
                    source: Box::new(source),
                }),
            }
        });
    }

    /// Waits for the first task to end, then ends the others: they have a time of grace.
    pub(crate) async fn first_end(&mut self) -> Result<(), TaskError> {
        let first = flatten(self.tasks.join_next().await);
        self.stop.cancel();
        let rest = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = flatten(Some(ended)) {
                    error!(error = %chain(&error), "a task failed while ending");
                }
            }
        };
        if timeout(GRACE, rest).await.is_err() {
            warn!(left = self.tasks.len(), "tasks did not end in time");
            self.tasks.abort_all();
        }
        first
    }
}

fn flatten(
    ended: Option<Result<Result<&'static str, TaskError>, tokio::task::JoinError>>,
) -> Result<(), TaskError> {
    match ended {
        Some(result) => {
            let name = result??;
            info!(task = name, "ended");
            Ok(())
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::{Supervisor, TaskError};

    #[tokio::test]
    async fn the_first_failure_stops_the_others_and_is_what_is_returned() {
        let stop = CancellationToken::new();
        let mut tasks = Supervisor::new(stop.clone());
        let (ended, other) = tokio::sync::oneshot::channel();
        let wait = stop.clone();
        tasks.spawn("waits", async move {
            wait.cancelled().await;
            ended.send(()).unwrap();
            Ok::<(), std::io::Error>(())
        });
        tasks.spawn("fails", async { Err(std::io::Error::other("broken")) });
        let error = tasks.first_end().await.unwrap_err();
        assert!(matches!(error, TaskError::Failed { name: "fails", .. }));
        other.await.unwrap();
    }
}
