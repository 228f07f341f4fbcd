//! Benchmarks: what Yagura costs and how quick it is, measured on this machine in one run.

mod agent;
mod curves;
mod engine;
mod http;
mod latency;
pub(crate) mod load;
mod operator;
mod overhead;
mod report;
mod signals;
mod stats;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::cache::Places;
use crate::image::{self, Profile};
use crate::install;
use crate::progress::step;

/// What is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// The main job: from an execution to the agent's output and to a SecuritySignal, and what the agent costs.
    #[default]
    Main,
    /// The operator with 10, 100, 1,000 and 5,000 simulated agents; takes about forty minutes, and writes the curves of
    /// docs/performance.md.
    Operator,
    /// The engine alone: what rules and windows cost.
    Engine,
}

/// How many agents are simulated, one run each.
pub(crate) const AGENTS: [usize; 4] = [10, 100, 1_000, 5_000];

/// The rule that finds the marked processes of the load; one signal each.
const MARKED_RULE: &str = r#"apiVersion: yagura.dev/v1alpha1
kind: DetectionRule
metadata:
  name: bench-marked-process
spec:
  title: Marked process of a benchmark
  description: Finds the processes that a benchmark starts, so that their way to a signal can be timed.
  remediation: None is needed; the benchmark deletes its signals.
  severity: low
  source: workload
  where:
    target: any
  condition: event.kind == "process.exec" && process.args.exists(a, a.startsWith("yagura-bench-"))
  signal:
    title: Marked process
    groupBy: [process.command_line]
"#;

/// The name of [`MARKED_RULE`].
const MARKED_RULE_NAME: &str = "bench-marked-process";

/// What all measurements share.
struct Bench<'a> {
    places: &'a Places,
    /// The agent as it is shipped.
    agent: PathBuf,
    /// A static program that ends at once.
    program: PathBuf,
    /// The shipped rules.
    shipped: PathBuf,
    /// A folder with [`MARKED_RULE`].
    marked: PathBuf,
    /// Room for the agents' state.
    scratch: PathBuf,
}

impl Bench<'_> {
    fn agent(&self, rules: &[&Path], state: &str) -> Result<agent::Agent> {
        let state = self.scratch.join(state);
        std::fs::create_dir_all(&state).with_context(|| format!("cannot create {}", state.display()))?;
        agent::Agent::start(&self.agent, rules, &state)
    }

    fn load(&self, count: u32, rate: Option<u32>, marked: bool) -> Result<Command> {
        load::command(&self.program, count, rate, marked)
    }
}

/// Runs the benchmarks of a subject and shows the figures. A missed bar is shown, not an error.
/// `agents` are the numbers of simulated agents.
pub(crate) fn run(places: &Places, subject: Subject, agents: &[usize], json: bool) -> Result<()> {
    match subject {
        Subject::Main => main_job(places, json),
        Subject::Operator => operator::run(places, agents, json),
        Subject::Engine => engine::run(places, json),
    }
}

fn main_job(places: &Places, json: bool) -> Result<()> {
    install::root("bench")?;
    image::build(places, Profile::Release)?;

    let scratch = places.scratch("bench");
    let marked = scratch.join("rules");
    std::fs::create_dir_all(&marked).with_context(|| format!("cannot create {}", marked.display()))?;
    std::fs::write(marked.join("rule.yaml"), MARKED_RULE)
        .context("cannot write the rule of the benchmark")?;
    let bench = Bench {
        places,
        agent: image::target_folder(places)?.join("release").join("yagura-agent"),
        program: PathBuf::from("/bin/busybox"),
        shipped: places.repository().join("content").join("detections"),
        marked,
        scratch: scratch.clone(),
    };
    let mut figures = Vec::new();
    step("time the way from an execution to the agent's output", || {
        latency::measure(&bench, &mut figures)
    })?;
    step("measure what the agent costs", || {
        overhead::measure(&bench, &mut figures)
    })?;
    signals::measure(&bench, &mut figures)?;
    std::fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
    report::show(&figures, json)
}
