//! Programs that tests run as a person would, against the cluster of the tests.

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::cluster::kubeconfig;

/// Runs a program, which must succeed, and returns what it printed. The variable names its path; without one it is
/// looked for on the path of the system.
pub(crate) async fn run(name: &str, variable: &str, arguments: &[&str]) -> Result<String> {
    let program = std::env::var_os(variable).unwrap_or_else(|| name.into());
    let output = Command::new(&program)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig()?)
        .output()
        .await
        .with_context(|| format!("cannot run {}: set {variable} to its path", program.display()))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{name} {}: {errors}",
        arguments.join(" ")
    );
    String::from_utf8(output.stdout).with_context(|| format!("{name} wrote something that is not UTF-8"))
}
