//! The `yagura` command as a person runs it.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::cluster::INSTALLATION;
use crate::tool;

/// Runs the command, which must succeed, and returns what it printed.
pub async fn yagura(arguments: &[&str]) -> Result<String> {
    tool::run("yagura", "YAGURA_CTL", arguments).await
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
