//! The driver: watches rules, hands them out, writes their status.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use kube::core::DeserializeGuard;
use kube::{Api, Resource as _, ResourceExt as _};
use tokio::time::{MissedTickBehavior, interval};
use yagura_crds::{DetectionRule, DetectionRuleStatus};
use yagura_event::Timestamp;
use yagura_telemetry::{Gate, chain};

use super::status::{Outcome, Pace};
use super::validate::{Invalid, validate};
use super::{apply, build, fetch, status};
use crate::content::Pack;
use crate::context::Context;
use crate::signals::{LedgerError, now};
use crate::status::{StatusError, write};
use crate::watch::{Change, changes};

/// How often statuses are looked at: acknowledgements and counts come from elsewhere.
const TICK: Duration = Duration::from_secs(1);

/// A rule's status could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The store.
    #[error("cannot count the signals of rule {name}")]
    Count {
        /// Name of the rule.
        name: String,
        /// Why.
        #[source]
        source: LedgerError,
    },
    /// The API server.
    #[error(transparent)]
    Status(#[from] StatusError),
}

impl RuleError {
    /// For logs and metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Count { .. } => "rule_count",
            Self::Status(error) => error.category(),
        }
    }
}

/// A rule that was seen.
#[derive(Debug)]
struct Entry {
    name: String,
    generation: Option<i64>,
    /// The pack whose rule is not applied because this one has its name.
    takes_name: Option<Pack>,
    enabled: bool,
    verdict: Result<Vec<String>, Invalid>,
    status: DetectionRuleStatus,
    pace: Pace,
}

/// Runs until the operator ends; `gate` opens when every rule that was there has been handed out.
pub async fn run(context: Context, gate: Gate) {
    let api: Api<DeserializeGuard<DetectionRule>> = Api::all(context.client.clone());
    let mut rules = pin!(changes(api));
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return,
            Some(change) = rules.next() => match change {
                Change::Apply(rule) => take(&context, &mut entries, &rule),
                Change::Delete(gone) => {
                    entries.remove(&gone.uid);
                    context.index.write().policy.delete_rule(&gone.uid);
                }
                Change::Synced => gate.open(),
            },
            _ = tick.tick() => {
                for (uid, entry) in &mut entries {
                    if let Err(error) = report(&context, uid, entry).await {
                        context.metrics.controller_errors.inc([error.category()]);
                        tracing::warn!(rule = entry.name, category = error.category(), error = %chain(&error), "status of a rule not written");
                    }
                }
            }
        }
    }
}

/// validate → build → apply: what a new or changed rule means for the nodes. No client.
fn take(context: &Context, entries: &mut BTreeMap<String, Entry>, guard: &DeserializeGuard<DetectionRule>) {
    let (uid, name, generation) = (
        guard.uid().unwrap_or_default(),
        guard.name_any(),
        guard.meta().generation,
    );
    let takes_name = context
        .index
        .read()
        .shipped
        .taken_by("DetectionRule", guard.meta());
    let before = entries.remove(&uid);
    let mut next = match before {
        Some(mut entry) if entry.generation == generation => {
            entry.takes_name = takes_name;
            // Only its status or labels changed, by this operator most often.
            entries.insert(uid, entry);
            return;
        }
        before => Entry {
            name,
            generation,
            takes_name,
            enabled: true,
            verdict: Ok(Vec::new()),
            status: before.map(|entry| entry.status).unwrap_or_default(),
            pace: Pace::default(),
        },
    };
    let served = match &guard.0 {
        Err(error) => {
            next.verdict = Err(Invalid::Object(format!(
                "the object cannot be read: {}",
                error.error
            )));
            None
        }
        Ok(rule) => {
            next.enabled = rule.spec.enabled;
            if let Some(status) = &rule.status {
                next.status = status.clone();
            }
            match validate(rule) {
                Err(invalid) => {
                    next.verdict = Err(invalid);
                    None
                }
                Ok(valid) => {
                    next.verdict = Ok(valid.warnings.clone());
                    build::build(rule, &valid)
                }
            }
        }
    };
    next.pace = Pace::of(&next.status, generation, now());
    apply::apply(&mut context.index.write(), &uid, served);
    entries.insert(uid, next);
}

/// fetch → status: writes what became of a rule when that changed and a write is due.
async fn report(context: &Context, uid: &str, entry: &mut Entry) -> Result<(), RuleError> {
    let time: Timestamp = now();
    if !entry.pace.is_due(time) {
        return Ok(());
    }
    entry.pace.looked = Some(time);
    let signals = fetch::fetch(&context.signals, uid)
        .await
        .map_err(|source| RuleError::Count {
            name: entry.name.clone(),
            source,
        })?;
    let applied = apply::applied(&context.index.read(), uid);
    let outcome = Outcome {
        verdict: entry.verdict.as_deref(),
        enabled: entry.enabled,
        takes_name: entry.takes_name,
        applied: &applied,
        signals: &signals,
    };
    let next = status::compute(&entry.status, entry.generation, &outcome, time);
    if next == entry.status {
        return Ok(());
    }
    match write::<DeserializeGuard<DetectionRule>>(context, &entry.name, &next).await {
        Ok(()) => {}
        // Its deletion is on the way through the watch.
        Err(error) if error.is_gone() => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    entry.status = next;
    entry.pace.written = Some(time);
    Ok(())
}
