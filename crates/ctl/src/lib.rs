//! The `yagura` command line: what people run before a rule or check reaches a cluster, and what they do with the
//! signals that come of it.
//!
//! It compiles and evaluates with the same crates as operator and agent. Only `signals` and `notify` talk to a
//! cluster.

#![forbid(unsafe_code)]

pub mod args;
pub mod compile;
pub mod coverage;
pub mod explain;
pub mod files;
pub mod finding;
pub mod lint;
pub mod notify;
pub mod reference;
pub mod registry;
pub mod replay;
pub mod rules;
pub mod signals;
pub mod terminal;
pub mod test;

use std::io::{self, Read, Write};
use std::process::ExitCode;

use clap::CommandFactory as _;

use args::{Cli, Command};
use terminal::Terminal;

/// Something was found, or failed: exit status 1.
const FOUND: u8 = 1;

/// Why a command could not be carried out: exit status 2.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was named cannot be read.
    #[error("nothing was checked")]
    Read(#[source] files::ReadError),
    /// There is no such source of fields.
    #[error(transparent)]
    Source(registry::UnknownSource),
    /// What was asked about signals cannot be done.
    #[error(transparent)]
    Signals(signals::SignalsError),
    /// Recorded events cannot be replayed.
    #[error(transparent)]
    Replay(replay::ReplayError),
    /// A rule cannot be explained.
    #[error(transparent)]
    Explain(explain::ExplainError),
    /// A route cannot be tried.
    #[error(transparent)]
    Notify(notify::NotifyError),
    /// The result cannot be written.
    #[error("cannot write the result")]
    Write(#[source] io::Error),
}

/// Carries out a command; what is asked for goes to `out`.
pub fn run(cli: &Cli, terminal: Terminal, stdin: impl Read, out: &mut impl Write) -> Result<ExitCode, Error> {
    match carry_out(cli, terminal, stdin, out) {
        // Whoever reads has seen enough, as `head` does.
        Err(Error::Write(error) | Error::Signals(signals::SignalsError::Write(error)))
            if error.kind() == io::ErrorKind::BrokenPipe =>
        {
            Ok(ExitCode::SUCCESS)
        }
        Err(
            Error::Replay(replay::ReplayError::Write(error))
            | Error::Explain(explain::ExplainError::Write(error)),
        ) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        other => other,
    }
}

fn carry_out(
    cli: &Cli,
    terminal: Terminal,
    stdin: impl Read,
    out: &mut impl Write,
) -> Result<ExitCode, Error> {
    let mut good = true;
    match &cli.command {
        Command::Lint(args) => {
            let sources = files::read(&args.paths, stdin).map_err(Error::Read)?;
            let report = lint::check(&sources);
            good = !report.findings.iter().any(finding::Finding::is_error);
            lint::write(&report, args.output, terminal, out).map_err(Error::Write)?;
        }
        Command::Test(args) => {
            let sources = files::read(&args.paths, stdin).map_err(Error::Read)?;
            let report = test::run(&sources);
            good = report.passed();
            test::write(&report, args.output, args.verbose, terminal, out).map_err(Error::Write)?;
        }
        Command::Replay(args) => {
            good = replay::run(args, terminal, stdin, out).map_err(Error::Replay)?;
        }
        Command::Explain(args) => {
            explain::run(args, terminal, stdin, out).map_err(Error::Explain)?;
        }
        Command::Coverage(args) => {
            let sources = files::read(&args.paths, stdin).map_err(Error::Read)?;
            let covered = coverage::of(&sources);
            let mut told = io::stderr().lock();
            for finding in &covered.findings {
                writeln!(told, "{}", finding.rendered).map_err(Error::Write)?;
            }
            good = covered.findings.is_empty();
            coverage::write(&covered, args.output, terminal, out).map_err(Error::Write)?;
        }
        Command::Fields(args) => {
            let registries = registry::select(args.source.as_deref()).map_err(Error::Source)?;
            registry::write_fields(&registries, args.output, terminal, out).map_err(Error::Write)?;
        }
        Command::Functions(args) => {
            registry::write_functions(args.output, terminal, out).map_err(Error::Write)?;
        }
        Command::Signals { command } => {
            good = signals::run(command, terminal, out).map_err(Error::Signals)?;
        }
        Command::Notify { command } => {
            good = notify::run(command, out).map_err(Error::Notify)?;
        }
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "yagura", &mut script);
            out.write_all(&script).map_err(Error::Write)?;
        }
    }
    out.flush().map_err(Error::Write)?;
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FOUND)
    })
}
