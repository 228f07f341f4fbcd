//! What the agent costs: processor and memory under a steady load, and how much slower a storm of processes gets.

use std::time::Instant;

use anyhow::{Context as _, Result};

use super::report::Figure;
use super::stats::Mean;
use super::{Bench, agent};
use crate::process::output;

/// Executions of the steady load, and how many a second.
const STEADY: u32 = 20_000;
const STEADY_RATE: u32 = 1_000;

/// Executions of one round of the storm, and pairs of rounds: one without and one with the agent.
const STORM: u32 = 4_000;
const PAIRS: usize = 12;

pub(super) fn measure(bench: &Bench<'_>, figures: &mut Vec<Figure>) -> Result<()> {
    steady(bench, figures)?;
    storm(bench, figures)
}

fn steady(bench: &Bench<'_>, figures: &mut Vec<Figure>) -> Result<()> {
    let agent = bench.agent(&[&bench.shipped], "steady")?;
    let (before, started) = (agent.processor_seconds()?, Instant::now());
    output(&mut bench.load(STEADY, Some(STEADY_RATE), false)?)?;
    let elapsed = started.elapsed().as_secs_f64();
    let share = (agent.processor_seconds()? - before) / elapsed * 100.0;
    let real_rate = f64::from(STEADY) / elapsed;
    figures.push(Figure::at_most(
        "agent-processor",
        share,
        "% of a core",
        5.0,
        format!("{real_rate:.0} executions/s (fork, exec, exit each), none matching"),
    ));
    figures.push(Figure::at_most(
        "agent-memory",
        agent.peak_memory()?,
        "MiB",
        64.0,
        "highest resident memory after that load".to_owned(),
    ));
    let account = agent.stop()?;
    figures.push(Figure::at_most(
        "counter-differences",
        account.unexplained,
        "events",
        0.0,
        format!(
            "{} records seen by the hooks, {} lost by a named cause",
            account.seen, account.lost
        ),
    ));
    Ok(())
}

/// Pairs in alternating order, so that a drift of the machine falls on both sides.
fn storm(bench: &Bench<'_>, figures: &mut Vec<Figure>) -> Result<()> {
    let mut slower = Vec::with_capacity(PAIRS);
    let mut bare = Vec::with_capacity(PAIRS);
    // The first round warms caches and is thrown away.
    round(bench, false)?;
    for pair in 0..PAIRS {
        let first = round(bench, pair % 2 == 0)?;
        let second = round(bench, pair % 2 != 0)?;
        let (with, without) = if pair % 2 == 0 {
            (first, second)
        } else {
            (second, first)
        };
        slower.push((with / without - 1.0) * 100.0);
        bare.push(without / f64::from(STORM) * 1e6);
    }
    let mean = Mean::of(&slower).context("too few rounds")?;
    let bare = Mean::of(&bare).context("too few rounds")?;
    figures.push(
        Figure::at_most(
            "spawn-storm-slower",
            mean.value,
            "%",
            3.0,
            format!(
                "± {:.2} (95 %), {PAIRS} pairs, bare {:.0} µs a process",
                mean.half_width, bare.value
            ),
        )
        .resolved(mean.half_width),
    );
    Ok(())
}

/// Seconds of one storm.
fn round(bench: &Bench<'_>, with_agent: bool) -> Result<f64> {
    let agent = with_agent
        .then(|| bench.agent(&[&bench.shipped], "storm"))
        .transpose()?;
    let seconds = output(&mut bench.load(STORM, None, false)?)?;
    agent.map(agent::Agent::stop).transpose()?;
    seconds
        .trim()
        .parse()
        .with_context(|| format!("the load printed {seconds:?}"))
}
