//! What can be asked about notifications.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do about notifications.
#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// Have the operator send a labelled test to every receiver of a route.
    ///
    /// The operator sends it as it sends everything else, with its own Secrets
    /// and from its own network. Selectors, grouping and quiet hours do not
    /// apply. Exit status 1 when a receiver did not take it.
    #[command(after_help = "\
Examples:
  yagura notify test oncall
  yagura notify test oncall --timeout 120
  kubectl get nroute oncall -o yaml       the answer stays in status.test")]
    Test(NotifyTest),
}

/// Arguments of `notify test`.
#[derive(Debug, Args)]
pub struct NotifyTest {
    /// Name of the NotificationRoute.
    pub route: String,
    /// Seconds to wait for the operator's answer.
    #[arg(long, default_value_t = 90, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
    /// Context of the kubeconfig.
    #[arg(long)]
    pub context: Option<String>,
    /// Kubeconfig instead of KUBECONFIG or ~/.kube/config.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}
