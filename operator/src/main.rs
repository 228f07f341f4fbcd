//! The operator's entry point.

use std::process::ExitCode;

use clap::Parser;
use yagura_operator::args::{Args, Command};
use yagura_telemetry::{chain, logging};

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = logging::init(args.log_format, &args.log) {
        return fail(&error);
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let ended = runtime.block_on(async {
        match args.command.clone() {
            None => yagura_operator::run(args).await,
            Some(Command::Uninstall(what)) => yagura_operator::uninstall(&args, &what).await,
        }
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Logging may be what failed, so this goes to standard error as it is.
#[expect(clippy::print_stderr, reason = "the last words of a process that ends")]
fn fail(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    eprintln!("error: {}", chain(error));
    ExitCode::FAILURE
}
