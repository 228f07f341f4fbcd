//! The `yagura` command.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use yagura_ctl::args::Cli;
use yagura_ctl::run;
use yagura_ctl::terminal::Terminal;

/// Wrong usage, or unreadable input.
const REFUSED: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let stdout = io::stdout();
    let terminal = Terminal::detect(stdout.is_terminal(), |name| std::env::var(name).ok());
    let mut out = io::BufWriter::new(stdout.lock());
    match run(&cli, terminal, io::stdin().lock(), &mut out) {
        Ok(code) => code,
        Err(error) => {
            let mut message = format!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                write!(message, "\n  caused by: {cause}").expect("a string takes everything");
                source = cause.source();
            }
            // With standard error closed there is nobody left to tell; the status still says it.
            let _told = writeln!(io::stderr().lock(), "{message}").is_ok();
            ExitCode::from(REFUSED)
        }
    }
}
