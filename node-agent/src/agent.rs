//! The agent as its connection to the operator sees it: rules to activate, pods to name, status
//! and facts to tell.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use yagura_event::Host;
use yagura_proto::convert::facts_to_message;
use yagura_proto::v1::{AgentStatus, NodeFacts, PodUpdate, RuleFailure};
use yagura_telemetry::{Gate, chain};

use crate::facts::{self, HostRoot};
use crate::metrics::Metrics;
use crate::pods::Pods;
use crate::policy::{Policy, snapshot};
use crate::redact::Redactor;
use crate::rules::{self, Rules};
use crate::sight::Sight;
use crate::status;
use crate::uplink::Node;

/// How often facts are collected; they are sent when they changed.
const FACTS_EVERY: Duration = Duration::from_mins(1);

/// Everything of the agent that the operator asks for or changes.
pub struct Agent {
    /// This node.
    pub host: Arc<Host>,
    /// The rules that run.
    pub rules: Rules,
    /// Names of pods.
    pub pods: Pods,
    /// What of this node can be seen.
    pub sight: Sight,
    /// What hides secrets in facts.
    pub redactor: Arc<Redactor>,
    /// What is counted.
    pub metrics: Metrics,
    /// Where the active policy is kept.
    pub policy_file: PathBuf,
    /// Open while there is a policy.
    pub has_policy: Gate,
    changes: watch::Sender<u64>,
    facts: watch::Sender<Option<Arc<NodeFacts>>>,
}

impl Agent {
    /// Puts the parts together.
    #[expect(
        clippy::too_many_arguments,
        reason = "each part is given once, by the one who starts the agent"
    )]
    pub fn new(
        host: Arc<Host>,
        rules: Rules,
        pods: Pods,
        sight: Sight,
        redactor: Arc<Redactor>,
        metrics: Metrics,
        policy_file: PathBuf,
        has_policy: Gate,
    ) -> Self {
        Self {
            host,
            rules,
            pods,
            sight,
            redactor,
            metrics,
            policy_file,
            has_policy,
            changes: watch::Sender::new(0),
            facts: watch::Sender::new(None),
        }
    }

    /// Collects facts again and again.
    pub async fn collect_facts(self: Arc<Self>, root: Arc<HostRoot>) {
        let mut ticks = interval(FACTS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let (root, agent) = (Arc::clone(&root), Arc::clone(&self));
            let collected = spawn_blocking(move || {
                let facts = facts::collect(&root, &agent.host.name);
                facts_to_message(agent.redactor.facts(facts).get())
            });
            match collected.await {
                Ok(collected) => {
                    self.facts.send_if_modified(|facts| {
                        let changed = facts.as_deref() != Some(&collected);
                        if changed {
                            *facts = Some(Arc::new(collected));
                        }
                        changed
                    });
                }
                Err(error) => tracing::error!(%error, "collecting facts of this node failed"),
            }
        }
    }

    /// The status should be sent before the next heartbeat.
    pub fn status_changed(&self) {
        self.changes.send_modify(|change| *change += 1);
    }
}

impl Node for Agent {
    fn activate(&self, policy: &Policy) -> Vec<RuleFailure> {
        let (active, failures) = rules::compile_policy(policy, &self.sight.blind());
        tracing::info!(
            revision = %policy.list.revision,
            rules = active.rules.len(),
            failed = failures.len(),
            "policy activated"
        );
        for failure in &failures {
            tracing::warn!(
                rule = %failure.uid.escape_debug(),
                reason = failure.reason,
                message = %failure.message.escape_debug(),
                "a rule of the policy does not run on this node"
            );
        }
        self.metrics
            .rules_active
            .set(active.rules.len().try_into().unwrap_or(i64::MAX));
        self.metrics
            .rules_failed
            .set(failures.len().try_into().unwrap_or(i64::MAX));
        self.rules.swap(active);
        self.has_policy.open();
        if let Err(error) = snapshot::save(&self.policy_file, policy) {
            tracing::warn!(
                error = %chain(&error),
                "the policy is active, but it could not be kept for the next start"
            );
        }
        self.status_changed();
        failures
    }

    fn pods(&self, update: PodUpdate) {
        self.pods.update(&update);
    }

    fn status(&self) -> AgentStatus {
        status::describe(&self.host, &self.rules.active(), &self.sight, &self.metrics)
    }

    fn status_changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn facts(&self) -> watch::Receiver<Option<Arc<NodeFacts>>> {
        self.facts.subscribe()
    }
}
