//! `yagura-agent`: see `yagura-agent --help`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
use yagura_node_agent::args::{Cli, Command};
use yagura_node_agent::preflight::{self, Verdict};
use yagura_node_agent::{check, run};
use yagura_telemetry::{chain, logging};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = logging::init(cli.log_format, &cli.log) {
        return fail(&error, ExitCode::from(2));
    }
    match &cli.command {
        Command::Run(args) => match run::run(args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, error.exit_code()),
        },
        Command::Check(args) => {
            let report = preflight::check(&run::sensor_config(&args.kernel, &Arc::default()));
            let works = report.verdict() != Verdict::Blocking;
            match check::write(&report, args.output, &mut io::stdout().lock()) {
                Ok(()) if works => ExitCode::SUCCESS,
                Ok(()) => ExitCode::from(1),
                Err(error) => fail(&error, ExitCode::from(1)),
            }
        }
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "yagura-agent", &mut script);
            match io::stdout().lock().write_all(&script) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error, ExitCode::from(1)),
            }
        }
    }
}

/// Says what went wrong and why, cause by cause.
fn fail(error: &(dyn std::error::Error + 'static), code: ExitCode) -> ExitCode {
    match writeln!(io::stderr().lock(), "error: {}", chain(error)) {
        // Without standard error the exit code has to do.
        Ok(()) | Err(_) => code,
    }
}
