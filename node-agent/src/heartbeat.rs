//! A sign of life on disk, so that the next agent can say for how long nobody watched.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

/// How often the sign is given: a gap is known to within this time.
const EVERY: Duration = Duration::from_secs(10);

/// Bytes of the file that are read, and of a reason.
const MAX_FILE: usize = 4_096;
const MAX_REASON: usize = 64;

/// What explains a gap when the machine was started again meanwhile.
const REBOOTED: &str = "Rebooted";

/// The file that is written.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    path: PathBuf,
    boot_id: String,
}

/// A time without an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last sign of the agent before.
    pub since: SystemTime,
    /// How long ago that is. A clock that was set back gives no time.
    pub time: Duration,
    /// What explains it, as one CamelCase word: that the machine was started again, or how the agent before said that
    /// it ended.
    pub explanation: Option<String>,
}

impl Heartbeat {
    /// A heartbeat in the folder for state, in this boot of the machine.
    pub fn new(state_dir: &Path, boot_id: &str) -> Self {
        Self {
            path: state_dir.join("heartbeat"),
            boot_id: boot_id.to_owned(),
        }
    }

    /// Time since the last sign of an earlier agent; `None` when there never was one.
    pub fn gap(&self, now: SystemTime) -> Option<Gap> {
        let since = fs::metadata(&self.path).ok()?.modified().ok()?;
        // The file may have been cut off by the death of whoever wrote it: then nothing explains the gap.
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        Some(Gap {
            since,
            time: now.duration_since(since).unwrap_or_default(),
            explanation: self.explanation(text.get(..MAX_FILE).unwrap_or(&text)),
        })
    }

    fn explanation(&self, text: &str) -> Option<String> {
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        };
        if value("boot").is_some_and(|boot| boot != self.boot_id) {
            return Some(REBOOTED.to_owned());
        }
        value("ended")
            .filter(|reason| !reason.is_empty() && reason.len() <= MAX_REASON)
            .filter(|reason| reason.bytes().all(|byte| byte.is_ascii_alphanumeric()))
            .map(str::to_owned)
    }

    /// Gives a sign.
    pub fn beat(&self) -> io::Result<()> {
        self.write("")
    }

    /// Gives the last sign of an agent that ends in order.
    pub fn end(&self, reason: &str) -> io::Result<()> {
        self.write(&format!("ended={reason}\n"))
    }

    /// Written, not only touched, because a write sets the time on every file system.
    fn write(&self, ended: &str) -> io::Result<()> {
        let mut file = File::create(&self.path)?;
        file.write_all(format!("boot={}\npid={}\n{ended}", self.boot_id, std::process::id()).as_bytes())
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
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::{Gap, Heartbeat};

    fn gap(heartbeat: &Heartbeat, after: Duration) -> Gap {
        heartbeat.gap(SystemTime::now() + after).unwrap()
    }

    #[test]
    fn the_gap_is_the_time_since_the_last_sign() {
        let folder = tempfile::tempdir().unwrap();
        let heartbeat = Heartbeat::new(folder.path(), "boot-1");
        assert_eq!(heartbeat.gap(SystemTime::now()), None);
        heartbeat.beat().unwrap();
        let found = gap(&heartbeat, Duration::from_mins(2));
        assert!(
            found.time >= Duration::from_mins(2) && found.time < Duration::from_mins(3),
            "{found:?}"
        );
        assert_eq!(found.explanation, None);
        let earlier = SystemTime::now() - Duration::from_hours(1);
        assert_eq!(heartbeat.gap(earlier).unwrap().time, Duration::ZERO);
    }

    #[test]
    fn another_boot_or_an_end_in_order_explains_it() {
        let folder = tempfile::tempdir().unwrap();
        let heartbeat = Heartbeat::new(folder.path(), "boot-1");
        heartbeat.end("Terminated").unwrap();
        let minute = Duration::from_mins(1);
        assert_eq!(gap(&heartbeat, minute).explanation.as_deref(), Some("Terminated"));
        let rebooted = Heartbeat::new(folder.path(), "boot-2");
        assert_eq!(gap(&rebooted, minute).explanation.as_deref(), Some("Rebooted"));
        // The next agent is killed.
        heartbeat.beat().unwrap();
        assert_eq!(gap(&heartbeat, minute).explanation, None);
    }

    #[test]
    fn what_is_no_reason_explains_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let heartbeat = Heartbeat::new(folder.path(), "boot-1");
        // Of an older agent, cut off, and damaged.
        for text in [
            "4711\n",
            "",
            "boot=boot-1\nended=\n",
            "boot=boot-1\nended=a b\x1b\n",
            "\u{fffd}",
        ] {
            fs::write(folder.path().join("heartbeat"), text).unwrap();
            assert_eq!(gap(&heartbeat, Duration::ZERO).explanation, None, "{text:?}");
        }
        fs::write(folder.path().join("heartbeat"), vec![0xff; 100_000]).unwrap();
        assert_eq!(gap(&heartbeat, Duration::ZERO).explanation, None);
    }
}
