//! `yagura replay`: recorded events through the engine that runs in production, by the events' own time.

pub(crate) mod events;
mod signals;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use yagura_crds::convert::lifetime;
use yagura_crds::source::{self, Object};
use yagura_engine::RuleSet;
use yagura_event::{Registry, Severity};

use crate::args::Replay;
use crate::compile::{Program, compile, lists_of};
use crate::files::{self, ReadError};
use crate::finding::{Finding, count};
use crate::lint;
use crate::terminal::{Style, Terminal};
use events::{Lines, OpenError};
use signals::{Played, Player};

/// Bad lines that are shown.
const SHOWN: u64 = 10;

/// Events cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Rules cannot be read.
    #[error("no event was replayed")]
    Rules(#[source] ReadError),
    /// Rules have mistakes, which were shown.
    #[error("no event was replayed: {0} in the rules; `yagura lint` shows the same")]
    Mistakes(String),
    /// There is nothing to run.
    #[error("the files named by --rules hold no detection rule that is enabled")]
    NoRules,
    /// Events of that source are not known.
    #[error("no source of events is called {0:?}; use workload")]
    Source(String),
    /// Events cannot be read.
    #[error(transparent)]
    Events(#[from] OpenError),
    /// A file ended in the middle.
    #[error("cannot read on in {file} after line {line}")]
    Read {
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
    let rules = rules(args, terminal)?;
    let set = RuleSet::new(rules.iter().map(|played| Arc::clone(&played.rule)));
    let mut player = Player::new(&set, rules);
    let mut summary = Summary::default();
    let begun = Instant::now();
    let mut stdin = Some(stdin);
    for file in &args.files {
        let mut lines = Lines::open(file, &mut stdin)?;
        while let Some(event) = lines.next().map_err(|source| lines.failed(source))? {
            // Recorded events and lines count alike, so that an index leads back to its line.
            let index = summary.events + summary.bad;
            match event {
                Ok(event) => {
                    summary.events += 1;
                    summary.matched += u64::from(player.play(&event, index));
                }
                Err(why) => {
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
fn rules(args: &Replay, terminal: Terminal) -> Result<Vec<Played>, ReplayError> {
    let sources = files::read(&args.rules, io::empty()).map_err(ReplayError::Rules)?;
    let read: Vec<_> = sources
        .iter()
        .map(|source| (source, source::read(&source.name, &source.text)))
        .collect();
    let lists = lists_of(read.iter().flat_map(|(_, file)| &file.documents));
    let mut findings: Vec<Finding> = Vec::new();
    let mut rules = BTreeMap::new();
    for (source, file) in read {
        let faults = file.faults.into_iter();
        findings.extend(faults.map(|fault| lint::of_fault(fault, source)));
        for document in &file.documents {
            let Object::DetectionRule(rule) = &document.object else {
                continue;
            };
            let compiled = compile(source, document, &lists);
            findings.extend(compiled.findings.into_iter().filter(Finding::is_error));
            if let (Some(Program::Rule(runnable)), true) = (compiled.program, rule.spec.enabled) {
                let played = Played {
                    rule: runnable.effective,
                    severity: Severity::from(rule.spec.severity_in_effect()),
                    lifetime: lifetime(&rule.spec.signal),
                };
                rules.insert(document.object.name().to_owned(), played);
            }
        }
    }
    if !findings.is_empty() {
        lint::sort(&mut findings);
        for finding in &findings {
            note(&lint::painted(finding, terminal));
        }
        return Err(ReplayError::Mistakes(count(findings.len(), "mistake")));
    }
    if rules.is_empty() {
        return Err(ReplayError::NoRules);
    }
    Ok(rules.into_values().collect())
}

/// Says something beside the result.
fn note(text: &str) {
    // Nobody is left to be told that standard error is closed.
    writeln!(io::stderr().lock(), "{text}").ok();
}

fn tell(summary: &Summary, player: &Player<'_>, signals: usize, seconds: f64) {
    let Summary { events, bad, matched } = summary;
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
        let rate = (*events + *bad) as f64 / seconds;
        note(&format!("time     {seconds:.3} s, {rate:.0} events/s"));
    }
}
