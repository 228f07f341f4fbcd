//! What can be asked about signals.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ListOutput;

/// What to do with signals.
#[derive(Debug, Subcommand)]
pub enum SignalsCommand {
    /// List signals that somebody has to look at, the most urgent first.
    #[command(after_help = "\
Examples:
  yagura signals list -A
  yagura signals list -A --severity high --rule shell-in-container
  yagura signals list -n shop --state archived --output json
  yagura signals list -A --history")]
    List(ListSignals),
    /// Show all that one signal says.
    #[command(after_help = "\
Examples:
  yagura signals get shop/shell-in-container-9f2c1e7ab4d05c31
  yagura signals get -n shop shell-in-container-9f2c1e7ab4d05c31 --history")]
    Get(GetSignal),
    /// Show signals and then each change, until it is stopped.
    #[command(after_help = "\
Examples:
  yagura signals watch -A --severity high
  yagura signals watch -A --output json | jq -r .status.title")]
    Watch(WatchSignals),
    /// Say that signals are done, and why.
    #[command(after_help = "\
Examples:
  yagura signals archive shop/shell-in-container-9f2c1e7ab4d05c31 \\
    --reason testing --comment \"agreed with the team\"")]
    Archive(Archive),
    /// Say that archived signals are to be looked at again.
    #[command(after_help = "\
Examples:
  yagura signals reopen shop/shell-in-container-9f2c1e7ab4d05c31")]
    Reopen(Reopen),
    /// Say who looks at signals.
    #[command(after_help = "\
Examples:
  yagura signals assign shop/shell-in-container-9f2c1e7ab4d05c31 \\
    --to alice@example.com --under-review
  yagura signals assign shop/shell-in-container-9f2c1e7ab4d05c31 --nobody")]
    Assign(Assign),
}

/// Which cluster, and where in it.
#[derive(Clone, Debug, Args)]
pub struct Target {
    /// Namespace of the signals; that of the kubeconfig's context when left out.
    #[arg(long, short, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Kubeconfig file; what KUBECONFIG names, or ~/.kube/config, when left out.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace of the operator, whose store has the history.
    #[arg(long, value_name = "NAMESPACE", default_value = "yagura-system")]
    pub operator_namespace: String,
}

/// Which signals.
#[derive(Clone, Debug, Default, Args)]
pub struct Filter {
    /// In all namespaces.
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// At or above this severity.
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub severity: Option<SignalSeverity>,
    /// Of this rule or check.
    #[arg(long, value_name = "NAME", value_parser = label)]
    pub rule: Option<String>,
    /// In these states, separated by commas; open and underReview when left out.
    #[arg(long, value_enum, value_name = "STATE", value_delimiter = ',')]
    pub state: Vec<SignalState>,
    /// Of this node.
    #[arg(long, value_name = "NAME", value_parser = label)]
    pub node: Option<String>,
}

/// A name that can stand in a label selector.
fn label(text: &str) -> Result<String, &'static str> {
    let is_label = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    if (1..=63).contains(&text.len()) && text.bytes().all(is_label) {
        Ok(text.to_owned())
    } else {
        Err("a name has letters, digits, hyphens and dots, 63 at the most")
    }
}

/// How urgent signals are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SignalSeverity {
    /// Worth knowing.
    Info,
    /// Look when there is time.
    Low,
    /// Look soon.
    Medium,
    /// Look today.
    High,
    /// Look now.
    Critical,
}

impl SignalSeverity {
    /// 1 for info to 5 for critical, as `status.severityRank` has it.
    pub fn rank(self) -> i64 {
        match self {
            Self::Info => 1,
            Self::Low => 2,
            Self::Medium => 3,
            Self::High => 4,
            Self::Critical => 5,
        }
    }
}

/// Where a signal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "camelCase")]
pub enum SignalState {
    /// Nobody looked.
    Open,
    /// Somebody is looking.
    UnderReview,
    /// Done.
    Archived,
    /// The check passes again.
    Resolved,
    /// Deleted before it was archived; only in the history.
    Deleted,
}

impl SignalState {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::UnderReview => "underReview",
            Self::Archived => "archived",
            Self::Resolved => "resolved",
            Self::Deleted => "deleted",
        }
    }
}

/// Arguments of `signals list`.
#[derive(Debug, Args)]
pub struct ListSignals {
    /// The cluster.
    #[command(flatten)]
    pub target: Target,
    /// Which ones.
    #[command(flatten)]
    pub filter: Filter,
    /// Those that are done, from the operator's store, also when they left the cluster.
    #[arg(long)]
    pub history: bool,
    /// How they are shown.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: ListOutput,
}

/// Arguments of `signals get`.
#[derive(Debug, Args)]
pub struct GetSignal {
    /// Name of the signal, or its namespace and name.
    #[arg(value_name = "[NAMESPACE/]NAME")]
    pub name: String,
    /// The cluster.
    #[command(flatten)]
    pub target: Target,
    /// Look into the operator's store when it left the cluster.
    #[arg(long)]
    pub history: bool,
    /// How it is shown.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: ListOutput,
}

/// Arguments of `signals watch`.
#[derive(Debug, Args)]
pub struct WatchSignals {
    /// The cluster.
    #[command(flatten)]
    pub target: Target,
    /// Which ones.
    #[command(flatten)]
    pub filter: Filter,
    /// How they are shown.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: ListOutput,
}

/// Which signals triage is about.
#[derive(Debug, Args)]
pub struct TriageTarget {
    /// Names of the signals, or their namespaces and names.
    #[arg(required = true, value_name = "[NAMESPACE/]NAME")]
    pub names: Vec<String>,
    /// The cluster.
    #[command(flatten)]
    pub target: Target,
}

/// Arguments of `signals archive`.
#[derive(Debug, Args)]
pub struct Archive {
    /// Which ones.
    #[command(flatten)]
    pub of: TriageTarget,
    /// Why they are done.
    #[arg(long, value_enum)]
    pub reason: Reason,
    /// Anything worth knowing.
    #[arg(long)]
    pub comment: Option<String>,
}

/// Why a signal is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "camelCase")]
pub enum Reason {
    /// The rule should not have matched.
    FalsePositive,
    /// Somebody tested.
    Testing,
    /// It was put right.
    Remediated,
    /// It was meant to happen.
    Benign,
    /// It was an attack.
    Malicious,
    /// See the comment.
    Other,
}

impl Reason {
    /// As `spec.triage.reason` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FalsePositive => "falsePositive",
            Self::Testing => "testing",
            Self::Remediated => "remediated",
            Self::Benign => "benign",
            Self::Malicious => "malicious",
            Self::Other => "other",
        }
    }
}

/// Arguments of `signals reopen`.
#[derive(Debug, Args)]
pub struct Reopen {
    /// Which ones.
    #[command(flatten)]
    pub of: TriageTarget,
}

/// Arguments of `signals assign`.
#[derive(Debug, Args)]
pub struct Assign {
    /// Which ones.
    #[command(flatten)]
    pub of: TriageTarget,
    /// Who looks.
    #[arg(long, value_name = "PERSON", required_unless_present = "nobody")]
    pub to: Option<String>,
    /// Nobody looks any more.
    #[arg(long, conflicts_with = "to")]
    pub nobody: bool,
    /// Say as well that it is being looked at.
    #[arg(long, requires = "to")]
    pub under_review: bool,
}
