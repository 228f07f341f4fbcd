//! Checks of the repository's structure that no compiler makes: who depends on whom, and what may not be in the tree.

mod edges;
mod text;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::cache::Places;
use crate::process::output;
use crate::progress::say;

/// Runs all checks and lists everything that is wrong.
pub(crate) fn run(places: &Places) -> Result<()> {
    let root = places.repository();
    let metadata = output(Command::new("cargo").current_dir(root).args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--locked",
    ]))?;
    let mut findings = edges::check(&edges::packages(&metadata)?);
    for file in files(root)? {
        // A link, or a file that was deleted and not committed yet, has no text.
        let Ok(bytes) = std::fs::read(root.join(&file)) else {
            continue;
        };
        // What is not text is data.
        if let Ok(text) = String::from_utf8(bytes) {
            findings.extend(text::check(&file, &text));
        }
    }
    if findings.is_empty() {
        return say("The structure is as ARCHITECTURE.md describes it.");
    }
    findings.sort();
    for finding in &findings {
        say(finding)?;
    }
    bail!(
        "{} findings: ARCHITECTURE.md and CONTRIBUTING.md say what is expected and why",
        findings.len()
    )
}

/// All files that are, or would be, committed; paths are relative to the root.
fn files(root: &Path) -> Result<Vec<String>> {
    let listed = output(Command::new("git").current_dir(root).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ]))
    .context("tidy reads the list of files from git")?;
    Ok(listed
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect())
}
