//! Processes on the node itself, outside of any container. The one-node cluster's node is the machine of the tests.

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

/// Ids of the processes whose cgroup is named after the container.
async fn processes_of(id: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut entries = tokio::fs::read_dir("/proc").await.context("cannot list /proc")?;
    while let Some(entry) = entries.next_entry().await.context("cannot list /proc")? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // A process may end between the listing and the reading.
        if let Ok(text) = tokio::fs::read_to_string(entry.path().join("cgroup")).await
            && text.contains(id)
        {
            found.push(name);
        }
    }
    Ok(found)
}
