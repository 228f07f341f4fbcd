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
    /// Matches that exceptions held back.
    pub excepted_matches: Counter,
    /// Matches that agents say they lost.
    pub lost_matches: Counter,
    /// Events that agents say they lost before any rule saw them.
    pub lost_events: Counter,
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
    /// Messages of agents after which their node is read later, by what it used up.
    pub throttled_messages: CounterFamily,
    /// Connections to the webhook's port that have shaken hands.
    pub webhook_connections: Gauge,
    /// Connections to the webhook's port that the operator ended, by cause.
    pub webhook_dropped_connections: CounterFamily,
    /// Steps of replacing certificates.
    pub certificate_steps: CounterFamily,
    /// When the authority that signs ends.
    pub authority_expiry: Gauge,
    /// When the server's certificate ends.
    pub certificate_expiry: Gauge,
    /// Signals opened.
    pub opened_signals: Counter,
    /// Matches that came too late for their window.
    pub window_late: Counter,
    /// Groups of windows that made room for others.
    pub window_evicted: Counter,
    /// Values that made room for others.
    pub window_evicted_values: Counter,
    /// Writes of signals by what the API server made of them.
    pub signal_writes: CounterFamily,
    /// Signals that the API server refuses.
    pub refused_signals: Gauge,
    /// Signals taken out of the cluster after their retention.
    pub left_signals: Counter,
    /// Signals removed from the store, by cause.
    pub removed_history: CounterFamily,
    /// Signals in the store that left the cluster.
    pub history_signals: Gauge,
    /// Bytes that the store's contents take.
    pub store_bytes: Gauge,
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
    /// Writes of shipped content by result.
    pub content_writes: CounterFamily,
    /// Shipped names that objects of users have.
    pub content_taken_names: Gauge,
    /// Changes of signals by sink and what became of them.
    pub exported: CounterFamily<2>,
    /// Attempts to export that failed and are repeated.
    pub export_failures: CounterFamily,
    /// Messages that receivers took, by kind of receiver.
    pub sent_notifications: CounterFamily,
    /// Messages that they did not take, by kind of receiver and cause.
    pub failed_notifications: CounterFamily<2>,
    /// Notifications that are not sent any more, by cause.
    pub notification_drops: CounterFamily,
    /// Notifications that wait.
    pub waiting_notifications: Gauge,
}

impl Metrics {
    /// Registers every metric.
    #[expect(
        clippy::too_many_lines,
        reason = "one declaration for each metric, in one place"
    )]
    pub fn new(registry: &mut Registry) -> Self {
        Self {
            refused_streams: counters(
                registry,
                "yagura_operator_refused_streams_total",
                "Calls of agents refused before a message was read, by cause.",
                ["cause"],
            ),
            refused_records: counters(
                registry,
                "yagura_operator_refused_records_total",
                "Records of agents that were not believed, by cause; each still moves its spool's watermark.",
                ["cause"],
            ),
            stored_records: counter(
                registry,
                "yagura_operator_stored_records_total",
                "Records of agents that became durable.",
            ),
            repeated_records: counter(
                registry,
                "yagura_operator_repeated_records_total",
                "Records that had become durable before and were acknowledged again.",
            ),
            stored_matches: counter(
                registry,
                "yagura_operator_stored_matches_total",
                "Matches of rules in the records that became durable.",
            ),
            excepted_matches: counter(
                registry,
                "yagura_operator_excepted_matches_total",
                "Matches that an Exception or ClusterException held back, as agents report them.",
            ),
            lost_matches: counter(
                registry,
                "yagura_operator_lost_matches_total",
                "Matches that agents report as lost.",
            ),
            lost_events: counter(
                registry,
                "yagura_operator_lost_events_total",
                "Events that agents report as lost before any rule saw them.",
            ),
            sequence_gaps: counter(
                registry,
                "yagura_operator_sequence_gaps_total",
                "Batches refused because records before them are missing.",
            ),
            open_streams: gauge(
                registry,
                "yagura_operator_open_streams",
                "Streams of agents that are open.",
            ),
            replaced_streams: counter(
                registry,
                "yagura_operator_replaced_streams_total",
                "Streams ended because the same node opened a newer one.",
            ),
            open_connections: gauge(
                registry,
                "yagura_operator_open_connections",
                "Connections to the agents' port that are open.",
            ),
            dropped_connections: counters(
                registry,
                "yagura_operator_dropped_connections_total",
                "Connections to the agents' port ended before a call was authenticated, by cause.",
                ["cause"],
            ),
            throttled_messages: counters(
                registry,
                "yagura_operator_throttled_messages_total",
                "Messages of agents after which the operator reads their node later, by what was used up: records, bytes, notes (all other messages). Nothing of them is lost.",
                ["cause"],
            ),
            webhook_connections: gauge(
                registry,
                "yagura_operator_webhook_connections",
                "Connections to the webhook's port that are open after their handshake.",
            ),
            webhook_dropped_connections: counters(
                registry,
                "yagura_operator_webhook_dropped_connections_total",
                "Connections to the webhook's port that the operator ended, by cause.",
                ["cause"],
            ),
            certificate_steps: counters(
                registry,
                "yagura_operator_certificate_steps_total",
                "Steps of replacing certificates: renew (the server's), prepare, switch and retire (an authority).",
                ["step"],
            ),
            authority_expiry: gauge(
                registry,
                "yagura_operator_ca_expiry_timestamp_seconds",
                "When the certificate authority that signs ends, in seconds since the Unix epoch.",
            ),
            certificate_expiry: gauge(
                registry,
                "yagura_operator_certificate_expiry_timestamp_seconds",
                "When the server's certificate ends, in seconds since the Unix epoch.",
            ),
            opened_signals: counter(
                registry,
                "yagura_operator_opened_signals_total",
                "Signals opened.",
            ),
            window_late: counter(
                registry,
                "yagura_operator_window_late_matches_total",
                "Matches that came later than windows across nodes wait for, and were not counted in them.",
            ),
            window_evicted: counter(
                registry,
                "yagura_operator_window_evicted_groups_total",
                "Groups of matches that were forgotten before their windows ended, because their rule had more than are kept.",
            ),
            window_evicted_values: counter(
                registry,
                "yagura_operator_window_evicted_values_total",
                "Values that rules for new values forgot before their time, because their group had more than are kept.",
            ),
            signal_writes: counters(
                registry,
                "yagura_operator_signal_writes_total",
                "Writes of SecuritySignals by result.",
                ["result"],
            ),
            refused_signals: gauge(
                registry,
                "yagura_operator_refused_signals",
                "Signals that the API server refuses; the store alone has them, and they are tried again.",
            ),
            left_signals: counter(
                registry,
                "yagura_operator_left_signals_total",
                "Archived and resolved signals taken out of the cluster after their retention.",
            ),
            removed_history: counters(
                registry,
                "yagura_operator_removed_history_total",
                "Signals removed from the store, by cause: age or size.",
                ["cause"],
            ),
            history_signals: gauge(
                registry,
                "yagura_operator_history_signals",
                "Signals that left the cluster and are in the store.",
            ),
            store_bytes: gauge(
                registry,
                "yagura_operator_store_bytes",
                "Bytes that the contents of the signal store take.",
            ),
            waiting_writes: gauge(
                registry,
                "yagura_operator_waiting_writes",
                "Signals whose newest state is not written to the API server yet.",
            ),
            signal_delay: registry.histogram(
                &Metric {
                    name: "yagura_operator_signal_delay_seconds",
                    help: "From the opening of a signal in the store to its first write to the API server.",
                    labels: [],
                },
                &[
                    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
                ],
            ),
            sent_lists: counter(
                registry,
                "yagura_operator_sent_lists_total",
                "Rule lists sent to agents.",
            ),
            acknowledged_lists: counter(
                registry,
                "yagura_operator_acknowledged_lists_total",
                "Rule lists that agents acknowledged.",
            ),
            status_writes: counters(
                registry,
                "yagura_operator_status_writes_total",
                "Writes of status subresources by result.",
                ["result"],
            ),
            controller_errors: counters(
                registry,
                "yagura_operator_controller_errors_total",
                "What controllers could not do and try again, by category.",
                ["category"],
            ),
            reviews: counters(
                registry,
                "yagura_operator_reviews_total",
                "Answers of the admission webhook.",
                ["answer"],
            ),
            posture_evaluations: counter(
                registry,
                "yagura_operator_posture_evaluations_total",
                "Evaluations of posture after changes.",
            ),
            content_writes: counters(
                registry,
                "yagura_operator_content_writes_total",
                "Writes of shipped content by result: created, updated, reverted, removed, gone, failed.",
                ["result"],
            ),
            content_taken_names: gauge(
                registry,
                "yagura_operator_content_taken_names",
                "Shipped names that objects of users have, so that the shipped ones are not applied.",
            ),
            exported: counters(
                registry,
                "yagura_operator_exported_changes_total",
                "Changes of signals by the sink they were exported to and what became of them: delivered, refused by it, missed because it was away for too long, or unreadable.",
                ["sink", "result"],
            ),
            export_failures: counters(
                registry,
                "yagura_operator_export_failures_total",
                "Attempts to export that failed and are repeated, by sink.",
                ["sink"],
            ),
            sent_notifications: counters(
                registry,
                "yagura_operator_sent_notifications_total",
                "Messages that receivers of notification routes took, by kind of receiver.",
                ["receiver"],
            ),
            failed_notifications: counters(
                registry,
                "yagura_operator_failed_notifications_total",
                "Messages that receivers of notification routes did not take, by kind of receiver and cause; most are tried again.",
                ["receiver", "cause"],
            ),
            notification_drops: counters(
                registry,
                "yagura_operator_dropped_notifications_total",
                "Notifications that are not sent any more, by cause.",
                ["cause"],
            ),
            waiting_notifications: gauge(
                registry,
                "yagura_operator_waiting_notifications",
                "Notifications that wait: for their group, for quiet hours to end, for a receiver.",
            ),
        }
    }
}

fn counter(registry: &mut Registry, name: &'static str, help: &'static str) -> Counter {
    registry.counter(&Metric {
        name,
        help,
        labels: [],
    })
}

fn counters<const N: usize>(
    registry: &mut Registry,
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
) -> CounterFamily<N> {
    registry.counters(&Metric { name, help, labels })
}

fn gauge(registry: &mut Registry, name: &'static str, help: &'static str) -> Gauge {
    registry.gauge(&Metric {
        name,
        help,
        labels: [],
    })
}
