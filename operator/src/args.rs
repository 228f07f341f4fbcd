//! What the operator is told when it starts: flags, each also as an environment variable.

mod amount;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use jiff::SignedDuration;
use yagura_telemetry::LogFormat;

use crate::content::Packs;
use crate::export::args::ExportArgs;
use crate::tls::Lifetimes;

pub use amount::{AmountError, Length, Size};

/// Nanoseconds of a day.
const DAY: i64 = 86_400_000_000_000;

/// Watches a cluster: serves policy to the node agents, turns what they report and what the
/// posture checks find into SecuritySignals.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "yagura-operator",
    version,
    after_help = "Example, outside a cluster with the current kubeconfig:\n  \
        yagura-operator --namespace yagura-system --pod-name dev --store none"
)]
pub struct Args {
    /// Namespace the operator runs in; signals of nodes and of the cluster go there.
    #[arg(long, env = "YAGURA_NAMESPACE")]
    pub namespace: String,

    /// Name of the operator's own pod; identifies the holder of the lease and of the store.
    #[arg(long, env = "YAGURA_POD_NAME")]
    pub pod_name: String,

    /// File of the embedded store, or `none` to count in memory only (counts are then lower
    /// bounds after a restart).
    #[arg(long, env = "YAGURA_STORE", default_value = "none", value_parser = parse_store)]
    pub store: StoreLocation,

    /// Address on which agents connect (gRPC over TLS).
    #[arg(long, env = "YAGURA_LISTEN", default_value = "[::]:8443")]
    pub listen: SocketAddr,

    /// Address on which the API server calls the admission webhook (HTTPS).
    #[arg(long, env = "YAGURA_WEBHOOK_LISTEN", default_value = "[::]:9443")]
    pub webhook_listen: SocketAddr,

    /// Address of /healthz, /readyz and /metrics (plain HTTP).
    #[arg(long, env = "YAGURA_ADMIN_LISTEN", default_value = "[::]:8080")]
    pub admin_listen: SocketAddr,

    /// Loopback address on which the history of signals is shown; `yagura signals list --history`
    /// reaches it by port forwarding.
    #[arg(long, env = "YAGURA_HISTORY_LISTEN", default_value = "127.0.0.1:8081")]
    pub history_listen: SocketAddr,

    /// Loopback address on which the operator's use of the processor is shown, such as 127.0.0.1:6060; `kubectl port-forward`
    /// reaches it. Without it there is none.
    #[arg(long, env = "YAGURA_PROFILE_LISTEN")]
    pub profile_listen: Option<SocketAddr>,

    /// How long archived and resolved signals stay in the cluster, as 30d, 12h, 5m or 10s.
    #[arg(long, env = "YAGURA_RETENTION", default_value_t = Length(30 * DAY))]
    pub retention: Length,

    /// How long the store keeps signals that left the cluster.
    #[arg(long, env = "YAGURA_HISTORY_AGE", default_value_t = Length(456 * DAY))]
    pub history_age: Length,

    /// How large the store may be before it gives up its oldest closed signals, as 1Gi or 512Mi.
    #[arg(long, env = "YAGURA_HISTORY_BYTES", default_value_t = Size(1 << 30))]
    pub history_bytes: Size,

    /// Audience that agents' ServiceAccount tokens are made for.
    #[arg(long, env = "YAGURA_AUDIENCE", default_value = "yagura-operator")]
    pub audience: String,

    /// ServiceAccount of the agents, in the operator's namespace.
    #[arg(long, env = "YAGURA_AGENT_SERVICE_ACCOUNT", default_value = "yagura-agent")]
    pub agent_service_account: String,

    /// DaemonSet of the agents, in the operator's namespace.
    #[arg(long, env = "YAGURA_AGENT_DAEMON_SET", default_value = "yagura-agent")]
    pub agent_daemon_set: String,

    /// Service through which agents and the API server reach the operator; names its certificate.
    #[arg(long, env = "YAGURA_SERVICE", default_value = "yagura-operator")]
    pub service: String,

    /// Further DNS names or addresses for the operator's certificate, separated by commas.
    #[arg(long, env = "YAGURA_TLS_NAMES", value_delimiter = ',')]
    pub tls_names: Vec<String>,

    /// Secret, created empty by the chart, that keeps the certificate authority's key.
    #[arg(long, env = "YAGURA_CA_SECRET", default_value = "yagura-ca")]
    pub ca_secret: String,

    /// ConfigMap, created empty by the chart, that carries the trust bundle for the agents.
    #[arg(long, env = "YAGURA_TRUST_BUNDLE", default_value = "yagura-trust-bundle")]
    pub trust_bundle: String,

    /// ValidatingWebhookConfiguration whose caBundle the operator fills; empty for none.
    #[arg(long, env = "YAGURA_WEBHOOK_CONFIGURATION", default_value = "")]
    pub webhook_configuration: String,

    /// Lets the webhook refuse a DetectionRule that has no tests, or whose tests fail by what is in lists now. Rules
    /// that are there already run on.
    #[arg(long, env = "YAGURA_REQUIRE_RULE_TESTS")]
    pub require_rule_tests: bool,

    /// How long a certificate authority lasts, such as 730d or 12h.
    #[arg(long, env = "YAGURA_CA_LIFETIME", default_value = "730d")]
    pub ca_lifetime: Length,

    /// How long before the end of the authority the next one is made and published beside it. With
    /// a time longer than what is left, it is replaced now.
    #[arg(long, env = "YAGURA_CA_RENEW_BEFORE", default_value = "90d")]
    pub ca_renew_before: Length,

    /// How long the operator waits for connected agents to show that they trust the next authority,
    /// and how long the former one stays in the trust bundle.
    #[arg(long, env = "YAGURA_CA_PATIENCE", default_value = "24h")]
    pub ca_patience: Length,

    /// How long a server certificate lasts; it is renewed when a third of it is left.
    #[arg(long, env = "YAGURA_CERTIFICATE_LIFETIME", default_value = "30d")]
    pub certificate_lifetime: Length,

    /// Records that one node may report in a second; beyond, its agent is read later.
    #[arg(long, env = "YAGURA_NODE_RECORDS_PER_SECOND", default_value_t = 5_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub node_records_per_second: u32,

    /// Bytes that one node may report in a second; beyond, its agent is read later.
    #[arg(long, env = "YAGURA_NODE_BYTES_PER_SECOND", default_value_t = 4 * 1_024 * 1_024,
          value_parser = clap::value_parser!(u32).range(1_024..))]
    pub node_bytes_per_second: u32,

    /// Open signals that one node may have; beyond, the overflow signals of its rules count on.
    #[arg(long, env = "YAGURA_NODE_OPEN_SIGNALS", default_value_t = 500,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub node_open_signals: u32,

    /// Lease that elects the one operator that writes.
    #[arg(long, env = "YAGURA_LEASE", default_value = "yagura-operator")]
    pub lease: String,

    /// Name of this cluster, which messages carry; empty for none.
    #[arg(long, env = "YAGURA_CLUSTER_NAME", default_value = "")]
    pub cluster_name: String,

    /// Folder of the Secrets that notification routes refer to: a folder each, a file each key.
    #[arg(
        long,
        env = "YAGURA_NOTIFICATION_SECRETS",
        default_value = "/etc/yagura/notifications"
    )]
    pub notification_secrets: PathBuf,

    /// Writes to the API server per second, all together.
    #[arg(long, env = "YAGURA_API_WRITES_PER_SECOND", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub api_writes_per_second: u32,

    /// Packs of shipped rules and checks to apply: workload, posture, separated by a comma, or none.
    /// What was applied of others is removed.
    #[arg(long, env = "YAGURA_CONTENT_PACKS", default_value = "workload,posture")]
    pub content_packs: Packs,

    /// Seconds without a stream after which a node's agent is not ready.
    #[arg(long, env = "YAGURA_SILENT_AFTER_SECONDS", value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub silent_after_seconds: u32,

    /// Seconds after that until a signal says that the node is silent.
    #[arg(long, env = "YAGURA_SILENCE_SIGNAL_AFTER_SECONDS", value_name = "SECONDS", default_value_t = 120,
          value_parser = clap::value_parser!(u32).range(1..=86400))]
    pub silence_signal_after_seconds: u32,

    /// Seconds without an agent on a node after which a signal says so, unless a restart of the machine or an end in
    /// order explains them.
    #[arg(long, env = "YAGURA_GAP_SIGNAL_AFTER_SECONDS", value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(1..=86400))]
    pub gap_signal_after_seconds: u32,

    /// Where signals are exported to.
    #[command(flatten)]
    pub export: ExportArgs,

    /// Log lines as text or json.
    #[arg(long, env = "YAGURA_LOG_FORMAT", default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Log level, or a list of target=level.
    #[arg(long, env = "YAGURA_LOG", default_value = "info")]
    pub log: String,

    /// What to do instead of running.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program does instead of running the operator.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Removes from the cluster what the operator made and nobody needs without it: shipped content,
    /// node sensors and the lease. Stops the operator first. Rules, signals and the volume stay.
    Uninstall(UninstallArgs),
}

/// What to remove.
#[derive(Clone, Debug, Parser)]
pub struct UninstallArgs {
    /// Deployment of the operator, in its namespace.
    #[arg(long, default_value = "yagura-operator")]
    pub deployment: String,

    /// Labels that select the operator's pods.
    #[arg(long, default_value = "app.kubernetes.io/component=operator")]
    pub pods: String,

    /// Seconds to wait for the operator's pods to end, before going on without.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=600))]
    pub wait_seconds: u64,

    /// Removes the definitions of all kinds as well, and with them every rule, check and signal.
    #[arg(long)]
    pub purge: bool,

    /// Claim of the volume that a purge removes, in the operator's namespace.
    #[arg(long, requires = "purge")]
    pub purge_claim: Option<String>,
}

impl Args {
    /// The username that an agent's token must belong to.
    pub fn agent_username(&self) -> String {
        format!(
            "system:serviceaccount:{}:{}",
            self.namespace, self.agent_service_account
        )
    }

    /// How long certificates last.
    pub fn lifetimes(&self) -> Lifetimes {
        let time = |length: Length| SignedDuration::from_nanos(length.0);
        Lifetimes {
            authority: time(self.ca_lifetime),
            renew_before: time(self.ca_renew_before),
            leaf: time(self.certificate_lifetime),
            patience: time(self.ca_patience),
        }
    }
}

/// Where the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreLocation {
    /// In memory: lost when the operator ends.
    None,
    /// An SQLite file.
    File(PathBuf),
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of clap's value parsers")]
fn parse_store(text: &str) -> Result<StoreLocation, std::convert::Infallible> {
    Ok(match text {
        "none" => StoreLocation::None,
        path => StoreLocation::File(PathBuf::from(path)),
    })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Args, Command, StoreLocation};
    use crate::content::Pack;

    #[test]
    fn flags_are_consistent_and_have_working_defaults() {
        Args::command().debug_assert();
        let args = Args::parse_from(["x", "--namespace", "sec", "--pod-name", "p"]);
        assert_eq!(args.store, StoreLocation::None);
        assert_eq!(args.agent_username(), "system:serviceaccount:sec:yagura-agent");
        assert_eq!(args.content_packs, Pack::ALL.into_iter().collect());
        assert!(args.command.is_none());
    }

    #[test]
    fn an_uninstall_knows_whose_it_is_and_removes_a_claim_only_when_it_purges() {
        let parse = |more: &[&str]| {
            let flags = ["x", "--namespace", "sec", "--pod-name", "p", "uninstall"];
            Args::try_parse_from(flags.iter().chain(more))
        };
        let Some(Command::Uninstall(uninstall)) = parse(&["--purge", "--purge-claim", "c"]).unwrap().command
        else {
            panic!("it was asked for")
        };
        assert_eq!(
            (uninstall.purge, uninstall.purge_claim.as_deref()),
            (true, Some("c"))
        );
        assert!(parse(&["--purge-claim", "c"]).is_err());
    }

    #[test]
    fn the_write_budget_is_bounded() {
        let flags = [
            "x",
            "--namespace",
            "s",
            "--pod-name",
            "p",
            "--api-writes-per-second",
            "0",
        ];
        assert!(Args::try_parse_from(flags).is_err());
    }
}
