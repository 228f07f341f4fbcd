//! What was measured, one JSON line each.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use serde_json::json;

/// Prints one figure of a run with so many agents.
pub(crate) fn print(agents: usize, name: &str, value: f64, unit: &str, note: &str) -> Result<()> {
    let line = json!({"agents": agents, "name": name, "value": value, "unit": unit, "note": note});
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("cannot write a figure")
}
