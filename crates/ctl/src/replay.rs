//! `yagura replay`: recorded events through the engine that runs in production, by the events' own time.

pub(crate) mod events;
mod signals;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use yagura_engine::Strata;
use yagura_event::Registry;

use crate::args::Replay;
use crate::files::{self, ReadError};
use crate::rules::{self, RulesError};
use crate::terminal::{Style, Terminal};
use events::{Line, Lines, OpenError};
use signals::{Played, Player};

/// Bad lines that are shown.
const SHOWN: u64 = 10;

/// Events cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Rules cannot be read.
    #[error("no event was replayed")]
    Read(#[source] ReadError),
    /// Rules cannot be run.
    #[error("no event was replayed")]
    Rules(#[source] RulesError),
    /// There is nothing to run.
    #[error("every rule in the files is switched off: `enabled` is false")]
    NoRules,
    /// Rules wait for each other's marks.
    #[error("no event was replayed: rule {rule} cannot run: {why}")]
    Unordered {
        /// One of them.
        rule: String,
        /// Which, and by which marks.
        why: String,
    },
    /// Events of that source are not known.
    #[error("no source of events is called {0:?}; use workload")]
    Source(String),
    /// Events cannot be read.
    #[error(transparent)]
    Events(#[from] OpenError),
    /// A file ended in the middle.
    #[error("cannot read on in {file} after line {line}")]
    Cut {
        /// The file.
        file: String,
        /// The last line that was read.
        line: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line is no event, and none may be.
    #[error("{0}; leave --strict out to pass such lines over")]
    Line(String),
    /// The result cannot be written.
    #[error("cannot write the result")]
    Write(#[source] io::Error),
}

/// What was read and found.
#[derive(Debug, Default)]
struct Summary {
    lines: u64,
    events: u64,
    bad: u64,
    matched: u64,
}

/// Replays events and shows the signals that come of them. True when there is none.
pub fn run(
    args: &Replay,
    terminal: Terminal,
    stdin: impl Read,
    out: &mut impl Write,
) -> Result<bool, ReplayError> {
    if args.source != Registry::workload().name() {
        return Err(ReplayError::Source(args.source.clone()));
    }
    let rules = rules(args)?;
    let strata = Strata::new(rules.iter().map(|played| Arc::clone(&played.rule)));
    if let Some((place, why)) = strata.unordered().first() {
        let rule = strata.rule(*place).map(|rule| rule.name.clone());
        let (rule, why) = (rule.unwrap_or_default(), why.to_string());
        return Err(ReplayError::Unordered { rule, why });
    }
    let mut player = Player::new(&strata, rules);
    let mut summary = Summary::default();
    let begun = Instant::now();
    let mut stdin = Some(stdin);
    for file in &args.files {
        let mut lines = Lines::open(file, &mut stdin)?;
        while let Some(event) = lines.next().map_err(|source| lines.failed(source))? {
            // Lines of all files count, so that an index leads back to one.
            let index = summary.lines;
            summary.lines += 1;
            let why = match event {
                Line::Event(event) => {
                    summary.events += 1;
                    summary.matched += u64::from(player.play(&event, index));
                    continue;
                }
                Line::Other => continue,
                Line::Bad(why) => why,
            };
            summary.bad += 1;
            let place = format!("{}:{}: {why}", lines.name(), lines.line());
            if args.strict {
                return Err(ReplayError::Line(place));
            }
            if summary.bad <= SHOWN {
                note(&terminal.paint(Style::Doubtful, &place));
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let signals = player.finish();
    for signal in &signals {
        writeln!(out, "{signal}").map_err(ReplayError::Write)?;
    }
    tell(&summary, &player, signals.len(), seconds);
    Ok(signals.is_empty())
}

/// The rules that run, as they would in a cluster.
fn rules(args: &Replay) -> Result<Vec<Played>, ReplayError> {
    let sources = files::read(&args.rules, io::empty()).map_err(ReplayError::Read)?;
    let loaded = rules::load(&sources).map_err(ReplayError::Rules)?;
    let enabled: Vec<Played> = loaded
        .into_iter()
        .filter(|loaded| loaded.enabled)
        .map(|loaded| Played {
            rule: loaded.rule,
            lifetime: loaded.lifetime,
        })
        .collect();
    if enabled.is_empty() {
        return Err(ReplayError::NoRules);
    }
    Ok(enabled)
}

/// Says something beside the result.
fn note(text: &str) {
    // Nobody is left to be told that standard error is closed.
    writeln!(io::stderr().lock(), "{text}").ok();
}

fn tell(summary: &Summary, player: &Player<'_>, signals: usize, seconds: f64) {
    let Summary {
        lines,
        events,
        bad,
        matched,
    } = summary;
    note(&format!("events   {events}"));
    if *bad > 0 {
        let more = bad.saturating_sub(SHOWN);
        let shown = if more > 0 {
            format!(", {more} of them not shown")
        } else {
            String::new()
        };
        note(&format!("no event {bad} lines{shown}"));
    }
    note(&format!("matched  {matched}"));
    note(&format!("signals  {signals}"));
    for (rule, matches, signals) in player.by_rule() {
        note(&format!("  {rule}: {matches} matches, {signals} signals"));
    }
    // Below a millisecond a rate says nothing.
    if seconds > 0.001 {
        #[expect(clippy::cast_precision_loss, reason = "a rate is shown to the whole number")]
        let rate = *lines as f64 / seconds;
        note(&format!("time     {seconds:.3} s, {rate:.0} lines/s"));
    }
}
