//! How the agent is doing, as the operator shows it.

use std::collections::BTreeMap;

use yagura_event::Host;
use yagura_proto::v1::{AgentStatus, HookStatus};

use crate::bpf::CounterSnapshot;
use crate::metrics::Metrics;
use crate::rules::Active;
use crate::sight::{Sight, Watched};

/// Puts the status together.
pub fn describe(host: &Host, active: &Active, sight: &Sight, metrics: &Metrics) -> AgentStatus {
    AgentStatus {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel_release: host.kernel.to_string(),
        revision: active.revision.clone(),
        rules_active: u32::try_from(active.rules.len()).unwrap_or(u32::MAX),
        hooks: sight.watched().iter().map(hook).collect(),
        counters: counters(sight.counters().as_ref(), metrics),
        // The connection knows what it trusts.
        trusted: Vec::new(),
    }
}

fn hook(watched: &Watched) -> HookStatus {
    let (backend, reason) = match &watched.hook {
        Ok(hook) => ("tracepoint", hook),
        Err(reason) => ("unavailable", reason),
    };
    HookStatus {
        kind: watched.kind.to_string(),
        backend: backend.to_owned(),
        reason: reason.clone(),
    }
}

fn counters(sensor: Option<&CounterSnapshot>, metrics: &Metrics) -> BTreeMap<String, u64> {
    let mut counters = BTreeMap::new();
    let mut put = |name: &str, value: u64| {
        *counters.entry(name.to_owned()).or_default() += value;
    };
    if let Some(sensor) = sensor {
        for kind in &sensor.kinds {
            put("sensor.seen", kind.seen);
            put("sensor.filtered", kind.filtered);
            put("sensor.delivered", kind.decoded);
            put("sensor.dropped.missed", kind.missed);
            put("sensor.dropped.throttled", kind.throttled);
            put("sensor.dropped.scratch_busy", kind.scratch_busy);
            put("sensor.dropped.ring_full", kind.ring_full);
            put("sensor.dropped.oversized", kind.oversized);
            put("sensor.dropped.undecodable", kind.undecodable);
        }
        put("sensor.dropped.undecodable", sensor.foreign);
    }
    put("events.matched", metrics.events.get(["matched"]));
    put("events.unmatched", metrics.events.get(["unmatched"]));
    put("matches.total", metrics.matches.get());
    put("matches.spooled", metrics.spooled.get());
    put(
        "matches.suppressed",
        metrics.suppressed.get([crate::judge::EXCEPTION]),
    );
    for cause in crate::recorder::SHED_CAUSES {
        put(&format!("matches.dropped.{cause}"), metrics.shed.get([cause]));
    }
    put("matches.dropped.evicted", metrics.evicted.get());
    put("spool.failed", metrics.spool_failed.get().unsigned_abs());
    put("agent.gap_seconds", metrics.gap.get().unsigned_abs());
    counters
}
