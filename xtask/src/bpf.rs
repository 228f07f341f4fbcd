//! The toolchain for kernel programs: a compiler with the source of `core`, and bpf-linker.
//!
//! The programs themselves are built by the agent's build script, which leaves them out when the toolchain is missing.
//! Whoever needs an agent that runs calls [`prepare`] first, and [`build`] to be sure.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::cache::Places;
use crate::install::{self, BPF_LINKER, KERNEL_COMPILER, KERNEL_LINKER};
use crate::process::{output, output_beside_progress};

/// The file that the build script writes into its output folder.
const OBJECT: &str = "yagura-node-agent-ebpf";

/// Installs what is missing.
pub(crate) fn prepare(places: &Places) -> Result<()> {
    if !nightly_has_source() {
        install::packages(KERNEL_COMPILER).context(
            "kernel programs need a Rust compiler with the source of core; \
             `rustup toolchain install nightly --component rust-src` is one too",
        )?;
    }
    install::packages(KERNEL_LINKER)?;
    install::tool(places, &BPF_LINKER).map(drop)
}

/// Builds what `selected` names to cargo, the agent among it, and fails when its kernel programs were left out; returns
/// the path of their object.
pub(crate) fn build(places: &Places, selected: &[&str]) -> Result<PathBuf> {
    let messages = output_beside_progress(
        Command::new("cargo")
            .current_dir(places.repository())
            .args(["build", "--locked", "--message-format", "json-render-diagnostics"])
            .args(selected),
    )?;
    let folder =
        output_folder(&messages).context("cargo did not say where the agent's build script wrote")?;
    let object = folder.join(OBJECT);
    let size = std::fs::metadata(&object)
        .with_context(|| format!("cannot find {}", object.display()))?
        .len();
    if size == 0 {
        let said = std::fs::read_to_string(folder.with_file_name("output")).unwrap_or_default();
        let reasons: Vec<&str> = said
            .lines()
            .filter_map(|line| line.strip_prefix("cargo::warning="))
            .collect();
        bail!("the kernel programs were left out: {}", reasons.join("; "));
    }
    Ok(object)
}

/// The output folder of the agent's build script in cargo's messages, one JSON object a line.
fn output_folder(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| {
            let ours = message["reason"] == "build-script-executed"
                && message["package_id"]
                    .as_str()
                    .is_some_and(|id| id.contains("yagura-node-agent@") || id.contains("/node-agent#"));
            ours.then(|| message["out_dir"].as_str().map(PathBuf::from))
                .flatten()
        })
}

fn nightly_has_source() -> bool {
    let mut rustc = Command::new("rustup");
    rustc
        .args(["run", "nightly", "rustc", "--print", "sysroot"])
        .env_remove("RUSTUP_TOOLCHAIN");
    output(&mut rustc).is_ok_and(|root| {
        Path::new(root.trim())
            .join("lib/rustlib/src/rust/library/core/Cargo.toml")
            .exists()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_own_build_script_is_meant() {
        let messages = concat!(
            r#"{"reason":"build-script-executed","package_id":"registry+x#libc@0.2.1","out_dir":"/t/libc/out"}"#,
            "\n",
            "not JSON\n",
            r#"{"reason":"build-script-executed","package_id":"path+file:///r/node-agent#yagura-node-agent@0.1.0","out_dir":"/t/agent/out"}"#,
            "\n",
        );
        assert_eq!(output_folder(messages), Some(PathBuf::from("/t/agent/out")));
        assert_eq!(output_folder(""), None);
    }
}
