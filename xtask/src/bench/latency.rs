//! From an execution to a line of the agent's output.

use anyhow::{Context as _, Result};

use super::report::Figure;
use super::stats::percentile;
use super::{Bench, agent};
use crate::process::output;

/// Marked processes at a rate that leaves the machine idle between two, as most nodes are most of the time.
const COUNT: u32 = 500;
const RATE: u32 = 50;

pub(super) fn measure(bench: &Bench<'_>, figures: &mut Vec<Figure>) -> Result<()> {
    let agent = bench.agent(&[&bench.shipped, &bench.marked], "latency")?;
    output(&mut bench.load(COUNT, Some(RATE), true)?)?;
    let milliseconds: Vec<f64> = agent
        .lines(COUNT)?
        .iter()
        .map(agent::Seen::milliseconds)
        .collect();
    agent.stop()?;
    let at = |share| percentile(&milliseconds, share).context("no execution was seen");
    figures.push(Figure::at_most(
        "exec-to-output-p99",
        at(0.99)?,
        "ms",
        20.0,
        format!("p50 {:.1} ms, {COUNT} executions at {RATE}/s", at(0.5)?),
    ));
    Ok(())
}
