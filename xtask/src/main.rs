//! Every developer command of this repository: `cargo xtask --help` lists them.

mod bench;
mod bpf;
mod cache;
mod cluster;
mod demo;
mod fuzz;
mod generate;
mod image;
mod install;
mod oci;
mod permissions;
mod process;
mod progress;
mod test;
mod tidy;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use cache::Places;

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo --keep                     see everything at work, and look around
  cargo xtask test                            what CI runs
  cargo xtask cluster up                      a Kubernetes for development
  cargo xtask image --profile dev             images of what is in the checkout
  cargo xtask cluster load-image FILE         run them: FILE is what `image` printed

Everything that is built or downloaded goes to $YAGURA_CACHE, or to ~/.cache/yagura.";

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    version,
    about = "Developer commands of Yagura",
    propagate_version = true,
    after_help = EXAMPLES
)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// See Yagura at work: start a cluster, install the chart, attack a pod, show the signals.
    Demo {
        /// Leave everything running to look around.
        #[arg(long)]
        keep: bool,
        /// Use an existing cluster that can pull the images, instead of starting one.
        #[arg(long)]
        kubeconfig: Option<PathBuf>,
    },
    /// Run a real one-node Kubernetes on this machine.
    #[command(subcommand)]
    Cluster(ClusterTask),
    /// Build the container images of the operator and the agent.
    Image {
        /// How the programs are compiled.
        #[arg(long, value_enum, default_value_t = image::Profile::Release)]
        profile: image::Profile,
    },
    /// Measure what Yagura costs and how quick it is.
    Bench {
        /// What is measured.
        #[arg(value_enum, default_value_t)]
        subject: bench::Subject,
        /// Numbers of simulated agents, for the operator.
        #[arg(long, value_delimiter = ',', default_values_t = bench::AGENTS)]
        agents: Vec<usize>,
        /// Print one JSON line a figure.
        #[arg(long)]
        json: bool,
    },
    /// Feed made-up conditions, files and events to what reads them; fails when one makes it fail.
    Fuzz {
        /// How long each subject is fuzzed.
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        seconds: u32,
        /// Only this one.
        #[arg(long, value_enum)]
        only: Option<fuzz::Subject>,
        /// Run this input alone, once.
        #[arg(long, value_name = "FILE", requires = "only")]
        input: Option<PathBuf>,
    },
    /// The load of a benchmark: start processes, one after the other.
    #[command(hide = true)]
    BenchLoad(bench::load::Load),
    /// Rewrite generated files from their sources.
    Gen {
        /// Only say whether they are fresh.
        #[arg(long)]
        check: bool,
    },
    /// Check the repository's structure.
    Tidy,
    /// Everything that CI runs, in the same order.
    Test {
        /// Leave out what needs a cluster, and do not touch the one that runs.
        #[arg(long)]
        no_cluster: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ClusterTask {
    /// Start it, building what is missing; does nothing when it runs already.
    Up,
    /// Stop it and remove everything that it made.
    Down,
    /// Show what runs; fails when the cluster is not usable.
    Status,
    /// Import an image archive, as `cargo xtask image` writes it.
    LoadImage {
        /// The archive.
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        // Said already, by lines of its own.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // When standard error is closed, the exit code still tells.
            writeln!(std::io::stderr().lock(), "error: {error:#}").unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}

/// False when the command ran and what it looked at is not as it should be.
fn run(arguments: Arguments) -> Result<bool> {
    let places = Places::find()?;
    match arguments.command {
        Task::Demo { keep, kubeconfig } => demo::run(&places, keep, kubeconfig)?,
        Task::Image { profile } => image::run(&places, profile)?,
        Task::Gen { check } => generate::run(&places, check)?,
        Task::Bench {
            subject,
            agents,
            json,
        } => bench::run(&places, subject, &agents, json)?,
        Task::Fuzz { seconds, only, input } => return fuzz::run(&places, only, seconds, input.as_deref()),
        Task::BenchLoad(load) => bench::load::run(&load)?,
        Task::Tidy => {
            tidy::run(&places)?;
            generate::run(&places, true)?;
        }
        Task::Test { no_cluster } => return test::run(&places, !no_cluster),
        Task::Cluster(ClusterTask::Up) => cluster::up(&places).map(drop)?,
        Task::Cluster(ClusterTask::Down) => cluster::down(&places)?,
        Task::Cluster(ClusterTask::Status) => cluster::status(&places)?,
        Task::Cluster(ClusterTask::LoadImage { file }) => cluster::load_image(&places, &file)?,
    }
    Ok(true)
}
