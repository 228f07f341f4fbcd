//! Regenerating committed files.
//!
//! Each crate that commits generated files has a test `tests/generated.rs` which compares them with what its sources
//! say, and rewrites them when the environment variable `UPDATE` is set. So `cargo test` alone notices a stale file.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::cache::Places;
use crate::process::{output, shown_live};
use crate::progress::say;

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Rewrites generated files, or with `check` only compares them.
pub(crate) fn run(places: &Places, check: bool) -> Result<()> {
    let metadata = output(Command::new("cargo").current_dir(places.repository()).args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--locked",
    ]))?;
    let crates = generating(&metadata)?;
    for name in &crates {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(places.repository()).args([
            "test",
            "--quiet",
            "--locked",
            "--package",
            name,
            "--test",
            "generated",
        ]);
        if check {
            cargo.env_remove("UPDATE");
        } else {
            cargo.env("UPDATE", "1");
        }
        shown_live(&mut cargo).with_context(|| {
            format!("{name} has stale generated files: run `cargo xtask gen` and commit the result")
        })?;
    }
    say(format!("Generated files are fresh in {}.", crates.join(", ")))
}

/// Crates that commit generated files.
fn generating(metadata: &str) -> Result<Vec<String>> {
    let metadata: Metadata =
        serde_json::from_str(metadata).context("cannot read the output of cargo metadata")?;
    let generates = |package: &Package| {
        package
            .targets
            .iter()
            .any(|target| target.name == "generated" && target.kind.iter().any(|kind| kind == "test"))
    };
    Ok(metadata
        .packages
        .into_iter()
        .filter(generates)
        .map(|package| package.name)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_generates_when_it_has_the_test() {
        let metadata = r#"{"packages": [
            {"name": "a", "targets": [{"name": "generated", "kind": ["test"]}]},
            {"name": "b", "targets": [{"name": "generated", "kind": ["bench"]}, {"name": "b", "kind": ["lib"]}]}
        ]}"#;
        assert_eq!(generating(metadata).unwrap(), ["a"]);
    }
}
