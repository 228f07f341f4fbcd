//! What the agent counts. The names are its interface to who watches it.

use std::sync::{Arc, Mutex, PoisonError};

use crate::bpf::CounterSnapshot;
use crate::recorder::SHED_CAUSES;
use crate::redact::Kind;
use yagura_engine::Memory;
use yagura_engine::marks::Tally;
use yagura_telemetry::{Counter, CounterFamily, Gauge, Metric, Registry};

const EVENTS: Metric<1> = Metric {
    name: "yagura_agent_events_total",
    help: "Events that were decoded and evaluated, by whether a rule matched. Both together are what the sensor decoded.",
    labels: ["outcome"],
};
const MATCHES: Metric = Metric {
    name: "yagura_agent_matches_total",
    help: "Matches of a rule with an event. Once folds are flushed, the sum of spooled, suppressed, shed and left out, and of those that windows took and did not tell.",
    labels: [],
};
const SPOOLED: Metric = Metric {
    name: "yagura_agent_matches_spooled_total",
    help: "Matches that were written to the spool or, without an operator, to the output.",
    labels: [],
};
const SUPPRESSED: Metric<1> = Metric {
    name: "yagura_agent_matches_suppressed_total",
    help: "Matches that are counted and go no further, by cause: an exception of their rule holds, or the rule is silent and only marks.",
    labels: ["cause"],
};
const SHED: Metric<1> = Metric {
    name: "yagura_agent_matches_shed_total",
    help: "Matches that were given up before the spool, by cause.",
    labels: ["cause"],
};
const EVICTED: Metric = Metric {
    name: "yagura_agent_spool_evicted_matches_total",
    help: "Matches that had been spooled and gave way to more important ones when the spool was full.",
    labels: [],
};
const WINDOW_GROUPS: Metric = Metric {
    name: "yagura_agent_window_groups",
    help: "Groups of matches that rules with a threshold count on this node.",
    labels: [],
};
const WINDOW_TAKEN: Metric = Metric {
    name: "yagura_agent_window_matches_total",
    help: "Matches that were counted in the windows of rules with a threshold on this node.",
    labels: [],
};
const WINDOW_TOLD: Metric = Metric {
    name: "yagura_agent_window_told_matches_total",
    help: "Matches of those whose window came to hold: they went on to be spooled. The others wait, or their windows ended.",
    labels: [],
};
const WINDOW_LEFT_OUT: Metric = Metric {
    name: "yagura_agent_window_left_out_matches_total",
    help: "Matches that came later than the windows of their rule wait for, or lack the value that the rule tells apart.",
    labels: [],
};
const WINDOW_EVICTED: Metric = Metric {
    name: "yagura_agent_window_evicted_groups_total",
    help: "Groups that were forgotten before their windows ended, because their rule had more of them than are kept.",
    labels: [],
};
const WINDOW_EVICTED_VALUES: Metric = Metric {
    name: "yagura_agent_window_evicted_values_total",
    help: "Values that rules for new values forgot before their time, because their group had more of them than are kept.",
    labels: [],
};
const MARKED: Metric = Metric {
    name: "yagura_agent_marked",
    help: "Processes and containers of this node that bear marks.",
    labels: [],
};
const MARKS: Metric = Metric {
    name: "yagura_agent_marks_total",
    help: "Marks that matches of rules set, or set again.",
    labels: [],
};
const MARKS_EVICTED: Metric = Metric {
    name: "yagura_agent_marks_evicted_total",
    help: "Marks and values of marks that were forgotten before their time, because there were more than are kept.",
    labels: [],
};
const SPOOL_RECORDS: Metric = Metric {
    name: "yagura_agent_spool_records",
    help: "Records in the spool that wait for the operator's acknowledgement.",
    labels: [],
};
const SPOOL_BYTES: Metric = Metric {
    name: "yagura_agent_spool_bytes",
    help: "Bytes of those records, as counted against the spool's limit.",
    labels: [],
};
const SPOOL_FAILED: Metric = Metric {
    name: "yagura_agent_spool_failed",
    help: "1 while the spool cannot be written, for example because the disk is full.",
    labels: [],
};
const CONNECTED: Metric = Metric {
    name: "yagura_agent_operator_connected",
    help: "1 while the agent has a stream to the operator.",
    labels: [],
};
const SESSIONS_ENDED: Metric<1> = Metric {
    name: "yagura_agent_operator_sessions_ended_total",
    help: "Connections to the operator that failed or ended, by cause.",
    labels: ["cause"],
};
const RECORDS_SENT: Metric = Metric {
    name: "yagura_agent_records_sent_total",
    help: "Records sent to the operator; those sent again after a reconnect count again.",
    labels: [],
};
const RECORDS_ACKNOWLEDGED: Metric = Metric {
    name: "yagura_agent_records_acknowledged_total",
    help: "Records that the operator acknowledged as durable.",
    labels: [],
};
const GAP: Metric = Metric {
    name: "yagura_agent_gap_seconds",
    help: "How long no agent watched this node before this one started, to within ten seconds.",
    labels: [],
};
const RULES_ACTIVE: Metric = Metric {
    name: "yagura_agent_rules_active",
    help: "Rules that run.",
    labels: [],
};
const RULES_FAILED: Metric = Metric {
    name: "yagura_agent_rules_failed",
    help: "Rules of the policy that do not run on this node.",
    labels: [],
};
const LINES_DROPPED: Metric<1> = Metric {
    name: "yagura_agent_output_lines_dropped_total",
    help: "Lines that standard output took too slowly, by what they were about.",
    labels: ["kind"],
};
const REDACTED: Metric<1> = Metric {
    name: "yagura_agent_redacted_total",
    help: "Folds and printed events in which something was hidden before they left, by what it was.",
    labels: ["kind"],
};

const SENSOR: Metric<2> = Metric {
    name: "yagura_agent_sensor_records_total",
    help: "What became of each hit of a kernel hook, by kind. `seen` is the sum of filtered, throttled, scratch-busy, ring-full, oversized and submitted; `submitted` is received, and `received` is decoded and undecodable together.",
    labels: ["kind", "outcome"],
};

/// Handles to everything that the agent counts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Events by outcome: `matched` or `unmatched`.
    pub events: CounterFamily,
    /// Matches.
    pub matches: Counter,
    /// Matches that found their place.
    pub spooled: Counter,
    /// Matches that go no further by design.
    pub suppressed: CounterFamily,
    /// Matches given up.
    pub shed: CounterFamily,
    /// Matches that gave way in the spool.
    pub evicted: Counter,
    /// Groups that are counted in windows.
    pub window_groups: Gauge,
    /// Matches that windows took.
    pub window_taken: Counter,
    /// Matches of those whose window held.
    pub window_told: Counter,
    /// Matches that windows did not take.
    pub window_left_out: Counter,
    /// Groups that made room for others.
    pub window_evicted: Counter,
    /// Values that made room for others.
    pub window_evicted_values: Counter,
    /// What bears marks.
    pub marked: Gauge,
    /// Marks that were set.
    pub marks: Counter,
    /// Marks that made room for others.
    pub marks_evicted: Counter,
    /// Records that wait.
    pub spool_records: Gauge,
    /// Their bytes.
    pub spool_bytes: Gauge,
    /// Whether the spool cannot be written.
    pub spool_failed: Gauge,
    /// Whether there is a stream to the operator.
    pub connected: Gauge,
    /// Ended connections.
    pub sessions_ended: CounterFamily,
    /// Records sent.
    pub records_sent: Counter,
    /// Records acknowledged.
    pub records_acknowledged: Counter,
    /// Seconds without an agent before this one.
    pub gap: Gauge,
    /// Rules that run.
    pub rules_active: Gauge,
    /// Rules that do not.
    pub rules_failed: Gauge,
    /// What the sensor counts.
    pub sensor: SensorCounters,
    /// Lines not printed.
    pub lines_dropped: CounterFamily,
    /// Things with something hidden in them.
    pub redacted: CounterFamily,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        Self {
            events: registry.counters(&EVENTS),
            matches: registry.counter(&MATCHES),
            spooled: registry.counter(&SPOOLED),
            suppressed: registry.counters(&SUPPRESSED),
            shed: registry.counters(&SHED),
            evicted: registry.counter(&EVICTED),
            window_groups: registry.gauge(&WINDOW_GROUPS),
            window_taken: registry.counter(&WINDOW_TAKEN),
            window_told: registry.counter(&WINDOW_TOLD),
            window_left_out: registry.counter(&WINDOW_LEFT_OUT),
            window_evicted: registry.counter(&WINDOW_EVICTED),
            window_evicted_values: registry.counter(&WINDOW_EVICTED_VALUES),
            marked: registry.gauge(&MARKED),
            marks: registry.counter(&MARKS),
            marks_evicted: registry.counter(&MARKS_EVICTED),
            spool_records: registry.gauge(&SPOOL_RECORDS),
            spool_bytes: registry.gauge(&SPOOL_BYTES),
            spool_failed: registry.gauge(&SPOOL_FAILED),
            connected: registry.gauge(&CONNECTED),
            sessions_ended: registry.counters(&SESSIONS_ENDED),
            records_sent: registry.counter(&RECORDS_SENT),
            records_acknowledged: registry.counter(&RECORDS_ACKNOWLEDGED),
            gap: registry.gauge(&GAP),
            rules_active: registry.gauge(&RULES_ACTIVE),
            rules_failed: registry.gauge(&RULES_FAILED),
            sensor: SensorCounters {
                family: registry.counters(&SENSOR),
                last: Arc::default(),
            },
            lines_dropped: registry.counters(&LINES_DROPPED),
            redacted: registry.counters(&REDACTED),
        }
    }

    /// Counts what was hidden in one thing that leaves.
    pub fn count_redacted(&self, kinds: &[Kind]) {
        for kind in kinds {
            self.redacted.inc([kind]);
        }
    }

    /// Counts what rules marked since this was done last.
    pub fn count_marks(&self, memory: &mut Memory) {
        let bearers = i64::try_from(memory.bearers()).unwrap_or(i64::MAX);
        if bearers != self.marked.get() {
            self.marked.set(bearers);
        }
        let Tally { set, evicted } = memory.take_tally();
        if set > 0 || evicted > 0 {
            self.marks.add(set);
            self.marks_evicted.add(evicted);
        }
    }

    /// Matches given up before the spool, for whatever cause.
    pub fn shed_in_all(&self) -> u64 {
        SHED_CAUSES.iter().map(|cause| self.shed.get([cause])).sum()
    }
}

/// The sensor's own counters, copied into metrics.
#[derive(Clone, Debug)]
pub struct SensorCounters {
    family: CounterFamily<2>,
    last: Arc<Mutex<CounterSnapshot>>,
}

impl SensorCounters {
    /// Adds what was counted since the last time.
    pub fn update(&self, now: CounterSnapshot) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        for counts in &now.kinds {
            let before = last.kind(counts.kind).copied().unwrap_or_default();
            for (outcome, count, before) in [
                ("missed", counts.missed, before.missed),
                ("seen", counts.seen, before.seen),
                ("filtered", counts.filtered, before.filtered),
                ("throttled", counts.throttled, before.throttled),
                ("scratch-busy", counts.scratch_busy, before.scratch_busy),
                ("ring-full", counts.ring_full, before.ring_full),
                ("oversized", counts.oversized, before.oversized),
                ("submitted", counts.submitted, before.submitted),
                ("received", counts.received, before.received),
                ("decoded", counts.decoded, before.decoded),
                ("undecodable", counts.undecodable, before.undecodable),
            ] {
                self.family
                    .add([counts.kind, outcome], count.saturating_sub(before));
            }
        }
        *last = now;
    }
}
