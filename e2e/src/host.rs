//! Processes on the node itself, outside of any container. The one-node cluster's node is the machine of the tests.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// Runs a command on the host and waits for its success.
pub async fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let status = Command::new(program)
        .args(arguments)
        .status()
        .await
        .with_context(|| format!("cannot run {program} on the host"))?;
    ensure!(status.success(), "{program} {arguments:?}: {status}");
    Ok(())
}

/// Sends SIGKILL to every process of a container.
pub async fn kill_container(id: &str) -> Result<()> {
    signal_container(id, "-KILL").await
}

/// Sends a signal, such as `-STOP`, to every process of a container.
pub async fn signal_container(id: &str, signal: &str) -> Result<()> {
    let processes = processes_of(id).await?;
    ensure!(
        !processes.is_empty(),
        "container {id} has no process on this machine: the tests must run on the node"
    );
    let mut arguments = vec![signal];
    arguments.extend(processes.iter().map(String::as_str));
    run("/bin/kill", &arguments).await
}

/// Reads a file as the processes of a container see it, without anybody's help.
pub async fn read_in_container(id: &str, path: &str) -> Result<String> {
    let processes = processes_of(id).await?;
    let process = processes
        .first()
        .with_context(|| format!("container {id} has no process on this machine"))?;
    let path = format!("/proc/{process}/root{path}");
    tokio::fs::read_to_string(&path)
        .await
        .with_context(|| format!("cannot read {path}"))
}

/// Ids of the processes whose cgroup is named after the container.
async fn processes_of(id: &str) -> Result<Vec<String>> {
    // A process may end between the listing and the reading.
    processes(|process| std::fs::read_to_string(process.join("cgroup")).is_ok_and(|text| text.contains(id)))
        .await
}

/// Ids of the processes of this machine whose folder below `/proc` is `wanted`.
pub(crate) async fn processes(wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut entries = tokio::fs::read_dir("/proc").await.context("cannot list /proc")?;
    while let Some(entry) = entries.next_entry().await.context("cannot list /proc")? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.bytes().all(|byte| byte.is_ascii_digit()) && wanted(&entry.path()) {
            found.push(name);
        }
    }
    Ok(found)
}
