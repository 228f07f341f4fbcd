//! The operator's metrics: every name in one place, documented in docs/reference.

use yagura_telemetry::{Counter, CounterFamily, Gauge, Histogram, Metric, Registry};

/// Handles of every metric. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Streams refused before a message was read, by cause.
    pub refused_streams: CounterFamily,
    /// Records not believed, by cause.
    pub refused_records: CounterFamily,
    /// Records that became durable.
    pub stored_records: Counter,
    /// Records that were there already.
    pub repeated_records: Counter,
    /// Matches in the records that became durable.
    pub stored_matches: Counter,
    /// Matches that agents say they lost.
    pub lost_matches: Counter,
    /// Batches refused because sequences before them are missing.
    pub sequence_gaps: Counter,
    /// Streams of agents that are open.
    pub open_streams: Gauge,
    /// Streams ended because the node opened a newer one.
    pub replaced_streams: Counter,
    /// Connections that are open, authenticated or not.
    pub open_connections: Gauge,
    /// Connections ended before a call was authenticated, by cause.
    pub dropped_connections: CounterFamily,
    /// Signals opened.
    pub opened_signals: Counter,
    /// Writes of signals by what the API server made of them.
    pub signal_writes: CounterFamily,
    /// Signals that wait to be written.
    pub waiting_writes: Gauge,
    /// From the record's arrival to the first write of its signal.
    pub signal_delay: Histogram,
    /// Lists that were sent to agents.
    pub sent_lists: Counter,
    /// Lists that agents acknowledged.
    pub acknowledged_lists: Counter,
    /// Writes of status subresources by result.
    pub status_writes: CounterFamily,
    /// What controllers could not do, by category.
    pub controller_errors: CounterFamily,
    /// Answers of the webhook.
    pub reviews: CounterFamily,
    /// Evaluations of posture.
    pub posture_evaluations: Counter,
}

/// Why a stream is refused: label values of `yagura_operator_refused_streams_total`.
pub const REFUSED_STREAMS: &Metric<1> = &Metric {
    name: "yagura_operator_refused_streams_total",
    help: "Calls of agents refused before a message was read, by cause.",
    labels: ["cause"],
};

impl Metrics {
    /// Registers every metric.
    pub fn new(registry: &mut Registry) -> Self {
        Self {
            refused_streams: registry.counters(REFUSED_STREAMS),
            refused_records: registry.counters(&Metric {
                name: "yagura_operator_refused_records_total",
                help: "Records of agents that were not believed, by cause; each still moves its spool's watermark.",
                labels: ["cause"],
            }),
            stored_records: registry.counter(&Metric {
                name: "yagura_operator_stored_records_total",
                help: "Records of agents that became durable.",
                labels: [],
            }),
            repeated_records: registry.counter(&Metric {
                name: "yagura_operator_repeated_records_total",
                help: "Records that had become durable before and were acknowledged again.",
                labels: [],
            }),
            stored_matches: registry.counter(&Metric {
                name: "yagura_operator_stored_matches_total",
                help: "Matches of rules in the records that became durable.",
                labels: [],
            }),
            lost_matches: registry.counter(&Metric {
                name: "yagura_operator_lost_matches_total",
                help: "Matches that agents report as lost.",
                labels: [],
            }),
            sequence_gaps: registry.counter(&Metric {
                name: "yagura_operator_sequence_gaps_total",
                help: "Batches refused because records before them are missing.",
                labels: [],
            }),
            open_streams: registry.gauge(&Metric {
                name: "yagura_operator_open_streams",
                help: "Streams of agents that are open.",
                labels: [],
            }),
            replaced_streams: registry.counter(&Metric {
                name: "yagura_operator_replaced_streams_total",
                help: "Streams ended because the same node opened a newer one.",
                labels: [],
            }),
            open_connections: registry.gauge(&Metric {
                name: "yagura_operator_open_connections",
                help: "Connections to the agents' port that are open.",
                labels: [],
            }),
            dropped_connections: registry.counters(&Metric {
                name: "yagura_operator_dropped_connections_total",
                help: "Connections to the agents' port ended before a call was authenticated, by cause.",
                labels: ["cause"],
            }),
            opened_signals: registry.counter(&Metric {
                name: "yagura_operator_opened_signals_total",
                help: "Signals opened.",
                labels: [],
            }),
            signal_writes: registry.counters(&Metric {
                name: "yagura_operator_signal_writes_total",
                help: "Writes of SecuritySignals by result.",
                labels: ["result"],
            }),
            waiting_writes: registry.gauge(&Metric {
                name: "yagura_operator_waiting_writes",
                help: "Signals whose newest state is not written to the API server yet.",
                labels: [],
            }),
            signal_delay: registry.histogram(
                &Metric {
                    name: "yagura_operator_signal_delay_seconds",
                    help: "From the opening of a signal in the store to its first write to the API server.",
                    labels: [],
                },
                &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0],
            ),
            sent_lists: registry.counter(&Metric {
                name: "yagura_operator_sent_lists_total",
                help: "Rule lists sent to agents.",
                labels: [],
            }),
            acknowledged_lists: registry.counter(&Metric {
                name: "yagura_operator_acknowledged_lists_total",
                help: "Rule lists that agents acknowledged.",
                labels: [],
            }),
            status_writes: registry.counters(&Metric {
                name: "yagura_operator_status_writes_total",
                help: "Writes of status subresources by result.",
                labels: ["result"],
            }),
            controller_errors: registry.counters(&Metric {
                name: "yagura_operator_controller_errors_total",
                help: "What controllers could not do and try again, by category.",
                labels: ["category"],
            }),
            reviews: registry.counters(&Metric {
                name: "yagura_operator_reviews_total",
                help: "Answers of the admission webhook.",
                labels: ["answer"],
            }),
            posture_evaluations: registry.counter(&Metric {
                name: "yagura_operator_posture_evaluations_total",
                help: "Evaluations of posture after changes.",
                labels: [],
            }),
        }
    }
}
