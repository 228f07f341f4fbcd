//! The load: processes started one after the other from one pinned process.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::progress::say;

/// What an argument of a marked process starts with; the time before its start follows, in nanoseconds.
pub(crate) const MARK: &str = "yagura-bench-";

/// Processes to start. Bounded on purpose: this can only ever load the machine it runs on.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Load {
    /// How many processes, 100,000 at most.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// How many a second; as fast as possible when omitted.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    rate: Option<u32>,
    /// The processor to run on.
    #[arg(long)]
    cpu: usize,
    /// Whether each process carries a marked argument, so that a rule can find it.
    #[arg(long)]
    marked: bool,
    /// The program to start: a static one that ends at once.
    #[arg(long)]
    program: PathBuf,
}

/// Starts the processes and prints how many seconds each took from before its start to after its end, one line each.
pub(crate) fn run(load: &Load) -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(load.cpu);
    sched_setaffinity(None, &cpus).with_context(|| format!("cannot run on processor {}", load.cpu))?;
    let mut taken = Vec::new();
    let started = Instant::now();
    for n in 0..load.count {
        if let Some(rate) = load.rate {
            wait_for(started + Duration::from_secs(1) * n / rate);
        }
        let before = Instant::now();
        let mut command = Command::new(&load.program);
        command.arg("true").stdin(Stdio::null()).stdout(Stdio::null());
        if load.marked {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .context("the clock is before 1970")?;
            command.arg(format!("{MARK}{}", now.as_nanos()));
        }
        let status = command
            .status()
            .with_context(|| format!("cannot start {}", load.program.display()))?;
        ensure!(status.success(), "{} ended with {status}", load.program.display());
        taken.push(format!("{:.7}", before.elapsed().as_secs_f64()));
    }
    say(taken.join("\n"))
}

/// The load as a process of its own, so that it can be pinned apart from what is measured.
pub(crate) fn command(
    program: &std::path::Path,
    count: u32,
    rate: Option<u32>,
    marked: bool,
) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("cannot find this program's file")?);
    command
        .args(["bench-load", "--cpu", "0", "--count", &count.to_string()])
        .arg("--program")
        .arg(program);
    if let Some(rate) = rate {
        command.args(["--rate", &rate.to_string()]);
    }
    if marked {
        command.arg("--marked");
    }
    Ok(command)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a load has a schedule; nothing is awaited"
)]
fn wait_for(time: Instant) {
    std::thread::sleep(time.saturating_duration_since(Instant::now()));
}

/// The start time in a line that shows a marked argument, in nanoseconds since the Unix epoch.
pub(crate) fn marked_time(line: &str) -> Option<u128> {
    let rest = &line[line.find(MARK)? + MARK.len()..];
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::marked_time;

    #[test]
    fn the_mark_is_found_wherever_it_stands() {
        assert_eq!(
            marked_time(r#"{"args":["yagura-bench-1700000000000000001"]}"#),
            Some(1_700_000_000_000_000_001)
        );
        assert_eq!(marked_time("yagura-bench-"), None);
        assert_eq!(marked_time("nothing"), None);
    }
}
