//! The agent under measurement: a real process on this host, pinned to the processor that the load leaves free.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal};

use super::load;
use crate::process;

/// Lines held between the reader and the measurement; a bench reads at most this many matches in a run.
const LINES: usize = 65_536;

/// A marked line of the agent's output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// The mark: when the process was started, in nanoseconds since the Unix epoch.
    pub(crate) started: u128,
    /// When the line was read.
    pub(crate) read: u128,
}

impl Seen {
    /// Milliseconds from before the start to the line in our hands.
    pub(crate) fn milliseconds(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of seconds at most")]
        let nanoseconds = self.read.saturating_sub(self.started) as f64;
        nanoseconds / 1e6
    }
}

/// A running agent.
pub(crate) struct Agent {
    child: Child,
    seen: Receiver<Seen>,
    metrics: String,
    log: PathBuf,
}

/// What the agent says of its counters when it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Account {
    /// Records that the kernel's hooks ran for.
    pub(crate) seen: f64,
    /// Records that never became an event, by a named cause.
    pub(crate) lost: f64,
    /// Records that no counter explains.
    pub(crate) unexplained: f64,
}

impl Agent {
    /// Starts an agent with the rules of a folder and waits until it is ready.
    pub(crate) fn start(binary: &Path, rules: &[&Path], state: &Path) -> Result<Self> {
        let metrics = format!("127.0.0.1:{}", free_port()?);
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", "1"]).arg(binary).args([
            "--log-format",
            "json",
            "run",
            "--output",
            "json",
            "--only-signals",
        ]);
        for folder in rules {
            command.arg("--rules").arg(folder);
        }
        command
            .arg("--state-dir")
            .arg(state)
            .args(["--metrics-address", &metrics]);
        let log = state.join("agent.log");
        let errors = std::fs::File::create(&log).context("cannot create the agent's log")?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let output = child.stdout.take().context("the agent has no output")?;
        let (sender, seen) = sync_channel(LINES);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let read = now();
                if let Some(started) = load::marked_time(&line)
                    && sender.send(Seen { started, read }).is_err()
                {
                    return;
                }
            }
        });
        let agent = Self {
            child,
            seen,
            metrics,
            log,
        };
        let ready = process::wait_until(Duration::from_secs(30), || {
            Ok(process::ended(agent.pid()?) || agent.get("/readyz").is_ok())
        })?;
        if !ready || process::ended(agent.pid()?) {
            bail!(
                "the agent did not get ready; its log ends with:\n{}",
                process::tail(&agent.log, 20)
            );
        }
        Ok(agent)
    }

    /// The next `count` marked lines, or an error when they do not come in time.
    pub(crate) fn lines(&self, count: u32) -> Result<Vec<Seen>> {
        let deadline = Instant::now() + Duration::from_secs(20);
        (0..count)
            .map(|n| {
                match self
                    .seen
                    .recv_timeout(deadline.saturating_duration_since(Instant::now()))
                {
                    Ok(seen) => Ok(seen),
                    Err(RecvTimeoutError::Timeout) => {
                        bail!("the agent showed {n} of {count} marked processes")
                    }
                    Err(RecvTimeoutError::Disconnected) => {
                        bail!("the agent ended after {n} of {count} marked processes")
                    }
                }
            })
            .collect()
    }

    /// Processor time used so far, in seconds (`utime` + `stime` of `/proc/<pid>/stat`).
    pub(crate) fn processor_seconds(&self) -> Result<f64> {
        let stat = self.proc_file("stat")?;
        let (_, rest) = stat.rsplit_once(')').context("a stat line without a name")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |index: usize| -> Result<f64> {
            fields
                .get(index)
                .and_then(|field| field.parse().ok())
                .context("a stat line that ends early")
        };
        // Fields 14 and 15 of proc_pid_stat(5); the first of `fields` is field 3. A tick is 10 ms.
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }

    /// The highest resident memory so far, in MiB (`VmHWM`).
    pub(crate) fn peak_memory(&self) -> Result<f64> {
        let status = self.proc_file("status")?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .context("a status without VmHWM")?;
        let kibibytes: f64 = line
            .split_whitespace()
            .nth(1)
            .and_then(|n| n.parse().ok())
            .context("a VmHWM that is no number")?;
        Ok(kibibytes / 1024.0)
    }

    /// Ends the agent as `kubectl delete pod` would, waits for it, and returns its last account.
    pub(crate) fn stop(mut self) -> Result<Account> {
        process::signal(self.pid()?, Signal::TERM)?;
        let ended = process::wait_until(Duration::from_secs(10), || Ok(self.child.try_wait()?.is_some()))?;
        ensure!(ended, "the agent did not end within 10 s of being asked");
        let log = std::fs::read_to_string(&self.log).context("cannot read the agent's log")?;
        account(&log)
    }

    fn pid(&self) -> Result<Pid> {
        i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("the kernel gave an impossible pid")
    }

    fn proc_file(&self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.child.id());
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }

    fn get(&self, path: &str) -> Result<String> {
        super::http::get(&self.metrics, path)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // After `stop` there is nothing left to end, and an error here must not hide the first one.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn now() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos())
}

fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("cannot bind a port on loopback")?;
    Ok(listener
        .local_addr()
        .context("a listener without an address")?
        .port())
}

/// The account in a log of JSON lines: it is in the line that says that the agent ended.
fn account(log: &str) -> Result<Account> {
    let line = log
        .lines()
        .rev()
        .find(|line| line.contains("\"unexplained\""))
        .context("the agent gave no account")?;
    let line: serde_json::Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
    let number = |name: &str| {
        line[name]
            .as_f64()
            .with_context(|| format!("no {name} in {line}"))
    };
    Ok(Account {
        seen: number("seen")?,
        lost: number("lost")?,
        unexplained: number("unexplained")?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Account, account};

    #[test]
    fn the_account_is_read_from_the_last_line_that_has_one() {
        let log = "{\"message\":\"started\"}\n\
                   {\"message\":\"ended\",\"seen\":9,\"lost\":1,\"unexplained\":0}\n";
        assert_eq!(
            account(log).unwrap(),
            Account {
                seen: 9.0,
                lost: 1.0,
                unexplained: 0.0
            }
        );
        assert!(account("{}").is_err());
    }
}
