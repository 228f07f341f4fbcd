//! Asking the API server, by kubectl.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::process::output;

/// kubectl for one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// kubectl with the kubeconfig that it is to use.
    pub(crate) fn new(program: PathBuf, kubeconfig: PathBuf) -> Self {
        Self { program, kubeconfig }
    }

    /// kubectl itself.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Runs kubectl to its end and returns what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        output(self.command().args(arguments))
    }

    /// Asks something that is answered at once, or not at all.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<String> {
        output(self.command().arg("--request-timeout=10s").args(arguments))
    }

    /// Applies objects given as text.
    pub(crate) fn apply(&self, text: &str) -> Result<()> {
        let mut child = self
            .command()
            .args(["apply", "--server-side", "--force-conflicts", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start kubectl")?;
        if let Some(mut input) = child.stdin.take() {
            input
                .write_all(text.as_bytes())
                .context("cannot hand the objects to kubectl")?;
        }
        let result = child.wait_with_output().context("cannot wait for kubectl")?;
        if !result.status.success() {
            bail!(
                "kubectl apply ended with {}: {}",
                result.status,
                String::from_utf8_lossy(&result.stderr).trim()
            );
        }
        Ok(())
    }

    /// kubectl with its cluster set and nothing else, for a caller that needs more than its output.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command
    }
}
