//! Running commands, and starting, finding and ending the processes of the cluster.
//!
//! A daemon carries two environment variables, [`OWNER`] and [`PART`]. Whoever looks for our processes reads them
//! from `/proc/<pid>/environ`: nothing is lost when xtask is killed between a start and a note about it, a process
//! that daemonizes itself is still found, and a process of somebody else never is.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Environment variable with the state folder of the cluster that a process belongs to.
pub(crate) const OWNER: &str = "YAGURA_CLUSTER_STATE";

/// Environment variable with the part of the cluster that a process is, such as `etcd`.
pub(crate) const PART: &str = "YAGURA_CLUSTER_PART";

/// Runs a command to its end and returns its standard output; a failure carries both outputs.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let result = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `{shown}`"))?;
    let stdout = String::from_utf8_lossy(&result.stdout).into_owned();
    if result.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&result.stderr);
    bail!(
        "`{shown}` ended with {}: {} {}",
        result.status,
        stderr.trim(),
        stdout.trim()
    )
}

/// Runs a command to its end with its errors and progress on our own standard error, and returns its output.
pub(crate) fn output_beside_progress(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let result = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if result.status.success() {
        return Ok(String::from_utf8_lossy(&result.stdout).into_owned());
    }
    bail!("`{shown}` ended with {}", result.status)
}

/// Runs a command to its end with its output in a log file; a failure carries the log's last lines.
pub(crate) fn logged(command: &mut Command, log: &Path) -> Result<()> {
    let shown = shown(command);
    let file = create_log(log)?;
    let errors = file.try_clone().context("cannot share the log file")?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .status()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if status.success() {
        return Ok(());
    }
    bail!(
        "`{shown}` ended with {status}; the last lines of {}:\n{}",
        log.display(),
        tail(log, 25)
    )
}

/// Runs a command to its end with its output on our own outputs.
pub(crate) fn shown_live(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if status.success() {
        return Ok(());
    }
    bail!("`{shown}` ended with {status}")
}

/// Starts a process that outlives us, in a process group of its own, with its output appended to a log file.
pub(crate) fn daemon(command: &mut Command, owner: &Path, part: &str, log: &Path) -> Result<Pid> {
    let shown = shown(command);
    let file = create_log(log)?;
    let errors = file.try_clone().context("cannot share the log file")?;
    let child = command
        .env(OWNER, owner)
        .env(PART, part)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .context("the kernel gave an impossible pid")?;
    // The child counts as started a moment before the kernel has laid out its environment.
    let environment = format!("/proc/{}/environ", pid.as_raw_nonzero());
    wait_until(Duration::from_secs(5), || {
        Ok(ended(pid) || std::fs::read(&environment).is_ok_and(|bytes| !bytes.is_empty()))
    })?;
    Ok(pid)
}

/// A running process that belongs to a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owned {
    /// Its process id.
    pub(crate) pid: Pid,
    /// The part of the cluster it is, or was started by.
    pub(crate) part: String,
}

/// All running processes that carry `owner` in their environment, lowest pid first.
pub(crate) fn owned(owner: &Path) -> Result<Vec<Owned>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("cannot list /proc")? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw)
        else {
            continue;
        };
        // A process that ended meanwhile, or a zombie, has no environment.
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else {
            continue;
        };
        if let Some(part) = part_of(&environment, owner) {
            found.push(Owned { pid, part });
        }
    }
    found.sort_by_key(|process| process.pid.as_raw_nonzero());
    Ok(found)
}

fn part_of(environment: &[u8], owner: &Path) -> Option<String> {
    let value = |name: &str| {
        environment.split(|byte| *byte == 0).find_map(|entry| {
            let entry = std::str::from_utf8(entry).ok()?;
            entry.strip_prefix(name)?.strip_prefix('=')
        })
    };
    (Path::new(value(OWNER)?) == owner).then(|| value(PART).unwrap_or("unknown").to_owned())
}

/// Asks processes to end, and kills those that have not ended by the deadline.
pub(crate) fn stop(pids: &[Pid], patience: Duration) -> Result<()> {
    for pid in pids {
        signal(*pid, Signal::TERM)?;
    }
    if wait_until(patience, || Ok(pids.iter().all(|pid| ended(*pid))))? {
        return Ok(());
    }
    for pid in pids.iter().filter(|pid| !ended(**pid)) {
        signal(*pid, Signal::KILL)?;
    }
    if wait_until(Duration::from_secs(10), || Ok(pids.iter().all(|pid| ended(*pid))))? {
        return Ok(());
    }
    bail!("processes {pids:?} did not end although they were killed")
}

/// Sends a signal; a process that is no longer there is no error.
pub(crate) fn signal(pid: Pid, signal: Signal) -> Result<()> {
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot signal process {}", pid.as_raw_nonzero())),
    }
}

/// Whether a process has ended; one that only waits for its parent to notice has.
pub(crate) fn ended(pid: Pid) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) else {
        return true;
    };
    // The state follows the command name, which is in parentheses and may itself contain any character.
    stat.rsplit_once(')')
        .is_none_or(|(_, rest)| matches!(rest.trim_start().chars().next(), Some('Z' | 'X') | None))
}

/// Asks again and again until the condition holds; false when it does not within `patience`.
pub(crate) fn wait_until(patience: Duration, mut condition: impl FnMut() -> Result<bool>) -> Result<bool> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        if condition()? {
            return Ok(true);
        }
        if started.elapsed() >= patience {
            return Ok(false);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where this program waits, for a condition"
        )]
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

/// The last lines of a file, for an error message.
pub(crate) fn tail(file: &Path, lines: usize) -> String {
    let text = std::fs::read(file)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn create_log(log: &Path) -> Result<File> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot open the log file {}", log.display()))
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    let line = words.join(" ");
    match line.char_indices().nth(200) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_daemon_is_found_by_its_owner_only_and_stopped() {
        let owner = folder("owner");
        let log = owner.join("sleep.log");
        daemon(Command::new("sleep").arg("600"), &owner, "sleeper", &log).unwrap();
        let found = owned(&owner).unwrap();
        assert_eq!(
            found
                .iter()
                .map(|process| process.part.as_str())
                .collect::<Vec<_>>(),
            ["sleeper"]
        );
        assert!(owned(&owner.join("other")).unwrap().is_empty());
        stop(&[found[0].pid], Duration::from_secs(5)).unwrap();
        assert!(owned(&owner).unwrap().is_empty());
        std::fs::remove_dir_all(owner).unwrap();
    }

    #[test]
    fn a_process_that_ignores_the_request_is_killed() {
        let owner = folder("stubborn");
        let log = owner.join("sh.log");
        let mut stubborn = Command::new("sh");
        stubborn.args(["-c", "trap '' TERM; echo ready; while :; do sleep 1; done"]);
        let pid = daemon(&mut stubborn, &owner, "stubborn", &log).unwrap();
        assert!(wait_until(Duration::from_secs(5), || Ok(tail(&log, 1) == "ready")).unwrap());
        stop(&[pid], Duration::from_millis(100)).unwrap();
        assert!(ended(pid));
        let left: Vec<Pid> = owned(&owner)
            .unwrap()
            .into_iter()
            .map(|process| process.pid)
            .collect();
        stop(&left, Duration::from_secs(5)).unwrap();
        std::fs::remove_dir_all(owner).unwrap();
    }

    #[test]
    fn owner_must_match_whole() {
        let environment = b"A=1\0YAGURA_CLUSTER_STATE=/a/b\0YAGURA_CLUSTER_PART=etcd\0";
        assert_eq!(part_of(environment, Path::new("/a/b")).as_deref(), Some("etcd"));
        assert_eq!(part_of(environment, Path::new("/a")), None);
        assert_eq!(part_of(b"\xff\xfe\0", Path::new("/a")), None);
    }

    #[test]
    fn failures_carry_what_the_command_said() {
        let error = output(Command::new("sh").args(["-c", "echo broken >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
    }
}
