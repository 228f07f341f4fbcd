//! The command line of `yagura-agent`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use yagura_telemetry::LogFormat;

/// Watches what runs on this node and says what is wrong.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "yagura-agent",
    version,
    after_help = "\
Examples:
  Detect on this machine, without Kubernetes, until interrupted:
    yagura-agent run --rules content/detections
  The same for half a minute, signals only, as JSON Lines:
    yagura-agent run --rules rule.yaml --only-signals --output json --for 30s
  Say what works on this machine:
    yagura-agent check
  As the agent of a Kubernetes node:
    yagura-agent run --operator https://yagura-operator.yagura-system:8443 \\
      --ca /etc/yagura/trust --token-file /var/run/yagura/token --state-dir /var/lib/yagura

Exit codes: 0 success, 1 something does not work on this machine, 2 wrong usage or unreadable input."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Which log lines to write to standard error: a level, or target=level,…
    #[arg(
        long,
        global = true,
        env = "YAGURA_LOG",
        default_value = "warn,yagura_node_agent=info"
    )]
    pub log: String,
    /// How log lines look.
    #[arg(long, global = true, env = "YAGURA_LOG_FORMAT", default_value_t)]
    pub log_format: LogFormat,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Detect: alone with rules from files, or as the agent of a node with rules from the operator.
    Run(Box<RunArgs>),
    /// Say what would run on this machine and what would not, and why. Tries the hooks.
    Check(CheckArgs),
    /// Print the completion script of a shell.
    Completion {
        /// The shell.
        shell: Shell,
    },
}

/// How to reach the kernel and the host.
#[derive(Clone, Debug, Args)]
pub struct KernelArgs {
    /// The kernel's type information, where it is not in /sys/kernel/btf/vmlinux.
    #[arg(long, value_name = "PATH")]
    pub btf: Option<PathBuf>,
    /// Where the host's root folder is, when the agent runs in a container.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub host_root: PathBuf,
}

/// Arguments of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// How to reach the kernel and the host.
    #[command(flatten)]
    pub kernel: KernelArgs,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    pub output: OutputFormat,
}

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Files or folders with rules to run. Not together with --operator, which sends the
    /// rules.
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "operator")]
    pub rules: Vec<PathBuf>,
    /// Take rules from this operator and report to it.
    #[arg(long, value_name = "URL", env = "YAGURA_OPERATOR")]
    pub operator: Option<String>,
    /// How to print signals and executions. Without it an agent with an operator prints none, and
    /// any other a table.
    #[arg(long, value_enum)]
    pub output: Option<OutputFormat>,
    /// End after this time, such as 30s, 5m or 1h.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub time: Option<Duration>,
    /// Print signals, not every execution.
    #[arg(long)]
    pub only_signals: bool,
    /// How to reach the kernel.
    #[command(flatten)]
    pub kernel: KernelArgs,
    /// Where to keep the last policy, what is not reported yet, and the sign of life that tells the next agent for how
    /// long nobody watched. An agent without an operator keeps that sign where the folder exists, and nothing else.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/yagura")]
    pub state_dir: PathBuf,
    /// How many MiB of records may wait for the operator.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub spool_limit: u64,
    /// Name of this node; the host's name where it is not given.
    #[arg(long, value_name = "NAME", env = "YAGURA_NODE_NAME")]
    pub node_name: Option<String>,
    /// Certificates to trust the operator by: a file, or a folder of *.crt and *.pem.
    #[arg(long, value_name = "DIR/FILE", requires = "operator")]
    pub ca: Option<PathBuf>,
    /// File with the token that proves this agent's identity. It is read anew at each connect.
    #[arg(long, value_name = "FILE", requires = "operator")]
    pub token_file: Option<PathBuf>,
    /// Name to expect in the operator's certificate, where it is not the URL's.
    #[arg(long, value_name = "NAME", requires = "operator")]
    pub tls_server_name: Option<String>,
    /// Hide what this regular expression matches, or its first group, wherever it would be shown or
    /// sent; beside the secrets that are known by their shape. Can be given several times.
    #[arg(long, value_name = "PATTERN")]
    pub redact: Vec<String>,
    /// The same, one expression a line; lines that begin with # are comments.
    #[arg(long, value_name = "FILE")]
    pub redact_file: Option<PathBuf>,
    /// Serve /healthz, /readyz and /metrics on this address.
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_address: Option<SocketAddr>,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Lines for people, 80 columns wide or as wide as the terminal.
    #[default]
    Table,
    /// One JSON object a line.
    Json,
}

/// Parses `30s`, `5m`, `1h` or `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("use a number and a unit: ms, s, m or h".to_owned()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(milliseconds))
        .map(Duration::from_millis)
        .ok_or_else(|| "use a whole number before the unit".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{CommandFactory, Parser};

    use super::{Cli, Command, duration};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2h"), Ok(Duration::from_hours(2)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "30", "s", "-1s", "1.5s", "99999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rules_come_from_files_or_from_the_operator() {
        let parse = |args: &[&str]| Cli::try_parse_from([&["yagura-agent", "run"], args].concat());
        assert!(parse(&["--rules", "a", "b"]).is_ok());
        assert!(parse(&["--rules", "a", "--operator", "https://x"]).is_err());
        assert!(parse(&["--token-file", "t"]).is_err());
        let Command::Run(args) = parse(&["--operator", "https://x", "--ca", "/c"]).unwrap().command else {
            panic!("run was given");
        };
        assert_eq!(args.spool_limit, 64);
    }
}
