//! The `yagura` command as a person runs it.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::cluster::{INSTALLATION, kubeconfig};

/// Runs the command, which must succeed, and returns what it printed.
pub async fn yagura(arguments: &[&str]) -> Result<String> {
    let program = std::env::var_os("YAGURA_CTL").unwrap_or_else(|| "yagura".into());
    let output = Command::new(&program)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig()?)
        .output()
        .await
        .with_context(|| {
            format!(
                "cannot run {}: set YAGURA_CTL to the path of the command",
                program.display()
            )
        })?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "yagura {}: {errors}",
        arguments.join(" ")
    );
    String::from_utf8(output.stdout).context("yagura wrote something that is not UTF-8")
}

/// The signals of a rule that `yagura signals list` shows, with more options.
pub async fn signals(namespace: &str, rule: &str, options: &[&str]) -> Result<Vec<Value>> {
    let mut arguments = vec!["signals", "list", "--namespace", namespace, "--rule", rule];
    arguments.extend(["--output", "json", "--operator-namespace", INSTALLATION]);
    arguments.extend(options);
    let lines = yagura(&arguments).await?;
    lines
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}")))
        .collect()
}
