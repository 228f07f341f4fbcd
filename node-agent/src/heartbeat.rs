//! A sign of life on disk, so that the next agent can say for how long nobody watched.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

/// How often the sign is given: a gap is known to within this time.
const EVERY: Duration = Duration::from_secs(10);

/// The file that is touched.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    path: PathBuf,
}

impl Heartbeat {
    /// A heartbeat in the folder for state.
    pub fn new(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join("heartbeat"),
        }
    }

    /// Time since the last sign of an earlier agent; `None` when there never was one. A clock that
    /// was set back gives no time.
    pub fn gap(&self, now: SystemTime) -> Option<Duration> {
        let last = fs::metadata(&self.path).ok()?.modified().ok()?;
        Some(now.duration_since(last).unwrap_or_default())
    }

    /// Gives a sign.
    pub fn beat(&self) -> io::Result<()> {
        // Written, not only touched, because a write sets the time on every file system.
        let mut file = File::create(&self.path)?;
        writeln!(file, "{}", std::process::id())
    }

    /// Gives signs until it is dropped.
    pub async fn run(self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = false;
        loop {
            ticks.tick().await;
            let heartbeat = self.clone();
            let error = match spawn_blocking(move || heartbeat.beat()).await {
                Ok(Ok(())) => {
                    failed = false;
                    continue;
                }
                Ok(Err(error)) => error,
                Err(error) => io::Error::other(error),
            };
            if !failed {
                tracing::warn!(path = %self.path.display(), %error, "no sign of life can be kept");
            }
            failed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::Heartbeat;

    #[test]
    fn the_gap_is_the_time_since_the_last_sign() {
        let folder = tempfile::tempdir().unwrap();
        let heartbeat = Heartbeat::new(folder.path());
        assert_eq!(heartbeat.gap(SystemTime::now()), None);
        heartbeat.beat().unwrap();
        let later = SystemTime::now() + Duration::from_mins(2);
        let gap = heartbeat.gap(later).unwrap();
        assert!(
            gap >= Duration::from_mins(2) && gap < Duration::from_mins(3),
            "{gap:?}"
        );
        let earlier = SystemTime::now() - Duration::from_hours(1);
        assert_eq!(heartbeat.gap(earlier), Some(Duration::ZERO));
    }
}
