//! Everything that CI runs, in its order, each step with its duration.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::cache::Places;
use crate::process::{output, shown_live};
use crate::progress::{say, seconds};
use crate::{bpf, cluster, image, install, permissions, tidy};

/// What is built, once for all steps: packages selected differently would have their dependencies compiled again, with
/// other features.
const EVERYTHING: &[&str] = &["--workspace", "--bins", "--tests"];

/// What one step did.
struct Outcome {
    name: &'static str,
    took: Duration,
    error: Option<anyhow::Error>,
}

/// The steps so far.
struct Run<'a> {
    places: &'a Places,
    outcomes: Vec<Outcome>,
}

impl Run<'_> {
    /// Runs a step. A failed one is reported at once; the following ones run all the same, so that one run shows all
    /// that is wrong.
    fn step(&mut self, name: &'static str, work: impl FnOnce(&Places) -> Result<()>) -> Result<bool> {
        say(format!("\n=== {name}"))?;
        let started = Instant::now();
        let error = work(self.places).err();
        let took = started.elapsed();
        match &error {
            None => say(format!("=== {name}: passed ({})", seconds(took)))?,
            Some(error) => say(format!("=== {name}: failed ({}): {error:#}", seconds(took)))?,
        }
        let passed = error.is_none();
        self.outcomes.push(Outcome { name, took, error });
        Ok(passed)
    }
}

/// Runs all steps, or those that need no cluster; the last line says how many passed and failed. True
/// when none failed.
pub(crate) fn run(places: &Places, with_cluster: bool) -> Result<bool> {
    install::root("test")?;
    let mut run = Run {
        places,
        outcomes: Vec::new(),
    };
    run.step("tools", |places| {
        install::packages(install::BUILD)?;
        bpf::prepare(places)?;
        install::tool(places, &install::NEXTEST)?;
        install::tool(places, &install::DENY).map(drop)
    })?;
    run.step("format", |places| cargo(places, &["fmt", "--all", "--check"]))?;
    run.step("structure", tidy::run)?;
    run.step("licences and sources", |places| {
        let deny = install::tool(places, &install::DENY)?;
        shown_live(
            Command::new(deny)
                .current_dir(places.repository())
                .args(["--locked", "check", "bans", "licenses", "sources"]),
        )
    })?;
    run.step("clippy", |places| {
        cargo(
            places,
            &[
                "clippy",
                "--locked",
                "--workspace",
                "--all-targets",
                // One run shows all that is wrong.
                "--keep-going",
                "--",
                "-D",
                "warnings",
            ],
        )
    })?;
    run.step("build", |places| {
        let object = bpf::build(places, EVERYTHING)?;
        say(format!("kernel programs: {}", object.display()))
    })?;
    // These compare generated files as well.
    run.step("tests", |places| {
        nextest(places, &["-E", "not package(yagura-e2e)"])
    })?;
    run.step("documentation tests", |places| {
        cargo(places, &["test", "--locked", "--workspace", "--doc", "--quiet"])
    })?;
    run.step("content", content)?;
    run.step("chart", chart)?;
    run.step("kernel tests", |places| {
        nextest(places, &["--run-ignored", "only", "-E", "test(/_root$/)"])
    })?;
    if with_cluster {
        end_to_end(&mut run)?;
    }
    summary(&run.outcomes)
}

/// The tests against a cluster, which is taken down afterwards whatever happened.
fn end_to_end(run: &mut Run<'_>) -> Result<()> {
    let images = run.step("images", |places| image::pack(places, image::Profile::Dev))?;
    let up = images
        && run.step("cluster up", |places| {
            // What an earlier run or a person left in a cluster must not decide about a test.
            cluster::down(places)?;
            cluster::up(places)?;
            for archive in image::archives(places) {
                cluster::load_image(places, &archive)?;
            }
            Ok(())
        })?;
    if up {
        // Before the chart is there: these make and remove some of its objects themselves.
        run.step("API server tests", |places| {
            let only = ["--run-ignored", "only", "-E", "test(/_apiserver$/)"];
            shown_live(nextest_command(places, &only)?.env("KUBECONFIG", cluster::kubeconfig(places)))
        })?;
        run.step("end to end", |places| {
            let mut tests = nextest_command(places, &["--run-ignored", "all", "-E", "package(yagura-e2e)"])?;
            tests
                .env("KUBECONFIG", cluster::kubeconfig(places))
                .env("YAGURA_HELM", cluster::helm(places)?)
                .env("YAGURA_SIGNING_KEY", cluster::signing_key(places))
                .env(
                    "YAGURA_CTL",
                    image::target_folder(places)?.join("debug").join("yagura"),
                );
            shown_live(&mut tests)
        })?;
        run.step("permissions", permissions::check)?;
    }
    run.step("cluster down", cluster::down).map(drop)
}

fn content(places: &Places) -> Result<()> {
    let yagura = image::target_folder(places)?.join("debug").join("yagura");
    for verb in ["lint", "test"] {
        shown_live(
            Command::new(&yagura)
                .current_dir(places.repository())
                .args([verb, "content"]),
        )?;
    }
    Ok(())
}

fn chart(places: &Places) -> Result<()> {
    let helm = cluster::helm(places)?;
    let chart = places.repository().join("charts").join("yagura");
    let run = |arguments: &[&str]| {
        output(Command::new(&helm).args(arguments).arg(&chart))
            .with_context(|| format!("chart {}", chart.display()))
    };
    say(run(&["lint", "--strict"])?.trim_end())?;
    let rendered = run(&["template", "yagura", "--namespace", "yagura-system"])?;
    say(format!(
        "rendered {} objects",
        rendered.lines().filter(|line| line.starts_with("kind: ")).count()
    ))
}

fn cargo(places: &Places, arguments: &[&str]) -> Result<()> {
    shown_live(
        Command::new("cargo")
            .current_dir(places.repository())
            .args(arguments),
    )
}

fn nextest(places: &Places, arguments: &[&str]) -> Result<()> {
    shown_live(&mut nextest_command(places, arguments)?)
}

fn nextest_command(places: &Places, arguments: &[&str]) -> Result<Command> {
    let program = install::tool(places, &install::NEXTEST)?;
    let profile = if std::env::var_os("CI").is_some() {
        "ci"
    } else {
        "default"
    };
    let mut command = Command::new(program);
    command
        .current_dir(places.repository())
        .args([
            "nextest",
            "run",
            "--locked",
            "--workspace",
            "--no-tests",
            "pass",
            "--profile",
            profile,
        ])
        .args(arguments);
    Ok(command)
}

/// Prints what passed and failed; true when nothing failed.
fn summary(outcomes: &[Outcome]) -> Result<bool> {
    say("\n=== summary")?;
    for outcome in outcomes {
        let verdict = if outcome.error.is_none() {
            "passed"
        } else {
            "FAILED"
        };
        say(format!("{verdict} {:24} {}", outcome.name, seconds(outcome.took)))?;
    }
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    say(format!("{} passed, {failed} failed", outcomes.len() - failed))?;
    Ok(failed == 0)
}
