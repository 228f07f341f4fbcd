//! What the agent costs: processor and memory under a steady load, and how much slower a storm of processes gets.

use std::time::Instant;

use anyhow::{Context as _, Result};

use super::Bench;
use super::report::Figure;
use super::stats::{Mean, percentile};
use crate::process::output;

/// Executions of the steady load, and how many a second.
const STEADY: u32 = 20_000;
const STEADY_RATE: u32 = 1_000;

/// Executions of one round of the storm. Rounds are short and many: on a machine that shares its processors with others,
/// two neighbouring rounds differ by as much when they are long.
const STORM: u32 = 300;

/// How often the agent is started for the storm; each time gives two pairs of rounds.
const VISITS: usize = 100;

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

/// Each visit of the agent gives two pairs of neighbouring rounds: one without and then with it, one with and then
/// without it, so that a drift of the machine falls on both sides.
fn storm(bench: &Bench<'_>, figures: &mut Vec<Figure>) -> Result<()> {
    let mut pairs = Vec::with_capacity(2 * VISITS);
    // The first round warms caches and is thrown away.
    round(bench)?;
    for _ in 0..VISITS {
        let before = round(bench)?;
        let agent = bench.agent(&[&bench.shipped], "storm")?;
        let first = round(bench)?;
        let last = round(bench)?;
        agent.stop()?;
        let after = round(bench)?;
        pairs.extend([(before, first), (after, last)]);
    }
    figures.push(slower("spawn-storm-slower", "all processes", &pairs, |round| {
        round.mean
    })?);
    figures.push(slower(
        "spawn-storm-slower-p25",
        "the quicker ones, which others on the machine disturb less",
        &pairs,
        |round| round.lower_quartile,
    )?);
    Ok(())
}

fn slower(name: &'static str, what: &str, pairs: &[(Round, Round)], of: fn(&Round) -> f64) -> Result<Figure> {
    let ratios: Vec<f64> = pairs
        .iter()
        .map(|(without, with)| (of(with) / of(without) - 1.0) * 100.0)
        .collect();
    let bare: Vec<f64> = pairs.iter().map(|(without, _)| of(without) * 1e6).collect();
    let mean = Mean::of(&ratios).context("too few rounds")?;
    let bare = Mean::of(&bare).context("too few rounds")?;
    let note = format!(
        "± {:.2} (95 %), {} pairs, bare {:.0} µs a process; {what}",
        mean.half_width,
        pairs.len(),
        bare.value
    );
    Ok(Figure::at_most(name, mean.value, "%", 3.0, note).resolved(mean.half_width))
}

/// Seconds that the processes of one round took.
struct Round {
    mean: f64,
    lower_quartile: f64,
}

fn round(bench: &Bench<'_>) -> Result<Round> {
    let printed = output(&mut bench.load(STORM, None, false)?)?;
    let seconds: Vec<f64> = printed
        .lines()
        .map(|line| line.parse().with_context(|| format!("the load printed {line:?}")))
        .collect::<Result<_>>()?;
    Ok(Round {
        mean: seconds.iter().sum::<f64>() / f64::from(STORM),
        lower_quartile: percentile(&seconds, 0.25).context("the load printed nothing")?,
    })
}
