//! What can be asked on the command line.

mod notify;
mod signals;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use notify::{NotifyCommand, NotifyTest};
pub use signals::{
    Archive, Assign, Filter, GetSignal, ListSignals, Reason, Reopen, SignalSeverity, SignalState,
    SignalsCommand, Target, TriageTarget, WatchSignals,
};

/// Checks and tests rules before they reach a cluster, and works with the signals that they raise there.
#[derive(Debug, Parser)]
#[command(
    name = "yagura",
    version,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  yagura lint rules/                  find every mistake in a folder of rules
  yagura test rules/shell.yaml        run the tests that a rule brings along
  yagura replay -r rule.yaml -- day.ndjson.gz
                                      what a rule would have found
  yagura fields                       list what conditions can ask about
  yagura signals list -A              what somebody has to look at
  source <(yagura completion bash)    complete commands in this shell

Exit status: 0 all is well, 1 something was found or failed, 2 wrong usage or
unreadable input."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compile every object in files and folders; show each mistake with its place.
    #[command(after_help = "\
Examples:
  yagura lint content/
  yagura lint --output sarif rules/ > yagura.sarif
  cat rule.yaml | yagura lint -")]
    Lint(Lint),
    /// Run the tests inside rules and checks.
    #[command(after_help = "\
Examples:
  yagura test content/
  yagura test --verbose rules/shell.yaml
  yagura test --output junit rules/ > junit.xml")]
    Test(Test),
    /// Run recorded events through rules, as an agent would have.
    #[command(after_help = "\
Events are JSON objects, one a line: fields as in a rule's tests, and a time
(RFC 3339, or nanoseconds since 1970). Without one, an event is a second after
the one before. What `yagura-agent run --output json` prints can be replayed.

Examples:
  yagura replay --rules content/detections -- events.ndjson
  yagura replay --rules rule.yaml -- monday.ndjson.gz tuesday.ndjson.gz
  yagura-agent run --output json --for 1m | yagura replay --rules rule.yaml -- -")]
    Replay(Replay),
    /// Show which parts of a rule's condition hold on an event, and which do not.
    #[command(after_help = "\
Examples:
  yagura explain rule.yaml --event event.yaml
  sed -n 7p day.ndjson | yagura explain rule.yaml --event -

An event is YAML or JSON in the form that tests of rules have.")]
    Explain(Explain),
    /// Show which tactics and techniques of MITRE ATT&CK rules are about.
    #[command(after_help = "\
Examples:
  yagura coverage content/
  yagura coverage --output json rules/ | jq -r .technique
  yagura coverage --output navigator rules/ > layer.json

A layer opens in ATT&CK Navigator (layer format 4.5).")]
    Coverage(Coverage),
    /// List the fields that conditions can ask about.
    #[command(after_help = "\
Examples:
  yagura fields
  yagura fields workload
  yagura fields --output json | jq -r .path")]
    Fields(Fields),
    /// List the functions of the rule language.
    #[command(after_help = "\
Examples:
  yagura functions
  yagura functions --output json")]
    Functions(Functions),
    /// Look at signals in a cluster and say what becomes of them.
    #[command(after_help = "\
Examples:
  yagura signals list -A
  yagura signals archive shop/shell-in-container-9f2c1e7ab4d05c31 --reason benign
  kubectl yagura signals list -A      the same, with this program on the PATH
                                      as kubectl-yagura")]
    Signals {
        /// What to do.
        #[command(subcommand)]
        command: SignalsCommand,
    },
    /// Try notification routes in a cluster.
    #[command(after_help = "\
Examples:
  yagura notify test oncall")]
    Notify {
        /// What to do.
        #[command(subcommand)]
        command: NotifyCommand,
    },
    /// Print a script that completes commands in a shell.
    #[command(after_help = "\
Examples:
  source <(yagura completion bash)
  yagura completion fish > ~/.config/fish/completions/yagura.fish")]
    Completion {
        /// The shell.
        shell: Shell,
    },
}

/// Arguments of `lint`.
#[derive(Debug, Args)]
pub struct Lint {
    /// Files and folders with YAML; `-` reads standard input.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How mistakes are shown.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: LintOutput,
}

/// How `lint` shows mistakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LintOutput {
    /// With the line they are in.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
    /// SARIF 2.1.0, for editors and code hosts.
    Sarif,
}

/// Arguments of `test`.
#[derive(Debug, Args)]
pub struct Test {
    /// Files and folders with YAML; `-` reads standard input.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How results are shown.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: TestOutput,
    /// Show tests that passed as well.
    #[arg(long, short)]
    pub verbose: bool,
}

/// How `test` shows results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TestOutput {
    /// What failed, and a summary.
    #[default]
    Human,
    /// One JSON object a line, for each test.
    Json,
    /// `JUnit` XML, for build servers.
    Junit,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// Files and folders with rules and the lists that they name.
    #[arg(long, short, required = true, num_args = 1.., value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// What the events come from.
    #[arg(long, default_value = "workload")]
    pub source: String,
    /// Files with events, also compressed with gzip; `-` reads standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// End with status 2 when a line is no event, instead of passing it over.
    #[arg(long)]
    pub strict: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// A file with the rule; also the lists and exceptions that it needs.
    #[arg(value_name = "RULE_FILE")]
    pub rule: PathBuf,
    /// A file with one event; `-` reads standard input.
    #[arg(long, short, value_name = "FILE")]
    pub event: PathBuf,
    /// How it is shown.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: ListOutput,
}

/// Arguments of `coverage`.
#[derive(Debug, Args)]
pub struct Coverage {
    /// Files and folders with YAML; `-` reads standard input.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How it is shown.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: CoverageOutput,
}

/// How `coverage` is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CoverageOutput {
    /// For people.
    #[default]
    Table,
    /// One JSON object a line, for each technique.
    Json,
    /// A layer of ATT&CK Navigator.
    Navigator,
}

/// Arguments of `fields`.
#[derive(Debug, Args)]
pub struct Fields {
    /// Only the fields of this source of events, or of `posture` checks.
    pub source: Option<String>,
    /// How they are shown.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: ListOutput,
}

/// Arguments of `functions`.
#[derive(Debug, Args)]
pub struct Functions {
    /// How they are shown.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: ListOutput,
}

/// How lists are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ListOutput {
    /// For people.
    #[default]
    Table,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_fits_into_eighty_columns() {
        let mut cli = Cli::command().term_width(80);
        let mut commands = vec![cli.render_long_help().to_string()];
        for command in cli.get_subcommands_mut() {
            commands.push(command.clone().term_width(80).render_long_help().to_string());
            for command in command.get_subcommands_mut() {
                commands.push(command.clone().term_width(80).render_long_help().to_string());
            }
        }
        for line in commands.iter().flat_map(|help| help.lines()) {
            assert!(line.chars().count() <= 80, "too long: {line}");
        }
    }
}
