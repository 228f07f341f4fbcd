//! The API server going away. The one-node cluster's runs on the machine of the tests.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{cluster, host};

/// The name of its program.
const PROGRAM: &[u8] = b"kube-apiserver";

/// Stops the API server's process for as long as `meanwhile` takes: connections are accepted and nothing answers, which
/// is worse to its clients than a server that refuses them.
pub async fn stopped<T>(meanwhile: impl Future<Output = Result<T>>) -> Result<T> {
    let process = process().await?;
    host::run("/bin/kill", &["-STOP", &process]).await?;
    // Dropped when a panic passes, too: without the server no other test could run.
    let stopped = Stopped(process);
    let outcome = meanwhile.await;
    drop(stopped);
    outcome
}

struct Stopped(String);

impl Drop for Stopped {
    fn drop(&mut self) {
        // Where it fails, the next call to the server says so.
        Command::new("/bin/kill").args(["-CONT", &self.0]).status().ok();
    }
}

/// Id of the process that listens on the address of `KUBECONFIG`.
async fn process() -> Result<String> {
    let host = cluster::server().await?;
    let listens = format!("--bind-address={host}");
    let found = host::processes(|process| {
        let command = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let mut arguments = command.split(|byte| *byte == 0);
        arguments.next().is_some_and(|name| name.ends_with(PROGRAM))
            && arguments.any(|argument| argument == listens.as_bytes())
    })
    .await?;
    ensure!(
        found.len() == 1,
        "the API server at {host} should be one process of this machine: {found:?}"
    );
    found.into_iter().next().context("there is one")
}
