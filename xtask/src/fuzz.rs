//! Fuzzing: made-up inputs for what reads text of people, steered by the code that they reach.
//!
//! The programs in `fuzz/` are built for libFuzzer with the flags of cargo-fuzz, but for a sanitizer: that needs another
//! compiler than the one that Yagura is built with, and would find what safe Rust cannot have. They run on a stack of 512 KiB.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::cache::Places;
use crate::image::target_folder;
use crate::install;
use crate::process::shown_live;
use crate::progress::{say, step};

/// What lets libFuzzer see which code an input reaches.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// What is fuzzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// Conditions: the lexer, the parser, the compiler, and how mistakes are shown.
    Condition,
    /// YAML files: reading them, and running the tests in them.
    File,
    /// Events: what the engine says of one, compared with evaluation part by part.
    Evaluate,
}

impl Subject {
    fn name(self) -> &'static str {
        match self {
            Self::Condition => "condition",
            Self::File => "file",
            Self::Evaluate => "evaluate",
        }
    }
}

/// Fuzzes one subject or all, each for so many seconds, or runs one input. False when something was found.
pub(crate) fn run(
    places: &Places,
    only: Option<Subject>,
    seconds: u32,
    input: Option<&Path>,
) -> Result<bool> {
    let programs = build(places)?;
    let mut clean = true;
    for subject in Subject::value_variants() {
        if only.is_none_or(|only| only == *subject) {
            clean &= fuzz(places, &programs, *subject, seconds, input)?;
        }
    }
    Ok(clean)
}

/// Builds the programs; gives their folder.
fn build(places: &Places) -> Result<PathBuf> {
    install::packages(install::BUILD)?;
    let manifest = places.repository().join("fuzz").join("Cargo.toml");
    let target = target_folder(places)?.join("fuzz");
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    step("fuzz programs", || {
        shown_live(
            Command::new("cargo")
                .current_dir(places.repository())
                .args(["build", "--quiet", "--release", "--locked", "--target", &host])
                .arg("--manifest-path")
                .arg(&manifest)
                .arg("--target-dir")
                .arg(&target)
                .env("RUSTFLAGS", FLAGS),
        )
    })?;
    Ok(target.join(host).join("release"))
}

fn fuzz(
    places: &Places,
    programs: &Path,
    subject: Subject,
    seconds: u32,
    input: Option<&Path>,
) -> Result<bool> {
    let name = subject.name();
    let grown = places.fuzz(name).join("corpus");
    let failures = places.fuzz(name).join("failures");
    for folder in [&grown, &failures] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let own = places.repository().join("fuzz");
    // A shell sets the stack's limit, which a program inherits.
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -s 512 && exec \"$0\" \"$@\""])
        .arg(programs.join(name))
        .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/", failures.display()))
        .arg(format!("-dict={}", own.join("dictionary.txt").display()));
    match input {
        Some(input) => command.arg(input),
        None => command
            .arg(format!("-max_total_time={seconds}"))
            .args(["-max_len=16384", "-verbosity=1"])
            // New inputs go into the first folder.
            .arg(&grown)
            .arg(own.join("corpus").join(name)),
    };
    say(format!("\n=== {name}"))?;
    let Err(error) = shown_live(&mut command) else {
        return Ok(true);
    };
    say(format!(
        "=== {name}: {error:#}\nInputs that fail are in {}; see one again with\n  \
         cargo xtask fuzz --only {name} --input FILE",
        failures.display()
    ))?;
    Ok(false)
}
