//! The decisions in one sentence each, and their proofs.

/// A decision that the design stands on.
pub(crate) struct Decision {
    pub(crate) number: usize,
    pub(crate) says: &'static str,
    pub(crate) proofs: &'static [Proof],
    /// What no test proves yet.
    pub(crate) open: Option<&'static str>,
}

/// A test that would fail if the decision were broken.
pub(crate) struct Proof {
    pub(crate) file: &'static str,
    pub(crate) test: &'static str,
}

const fn proof(file: &'static str, test: &'static str) -> Proof {
    Proof { file, test }
}

pub(crate) const DECISIONS: &[Decision] = &[
    Decision {
        number: 1,
        says: "Agents need no access to the API server and no inbound port.",
        proofs: &[
            proof(
                "e2e/tests/chart.rs",
                "an_agent_has_nothing_to_ask_the_api_server_for",
            ),
            proof(
                "e2e/tests/chart.rs",
                "the_network_reaches_an_agent_only_when_its_metrics_are_asked_for",
            ),
            proof(
                "operator/src/serve/tests/policy.rs",
                "an_agent_gets_what_it_lacks_its_pods_and_then_what_changes",
            ),
        ],
        open: None,
    },
    Decision {
        number: 2,
        says: "An agent proves which node it is; its stream ends with its token, its pod or a newer stream.",
        proofs: &[
            proof(
                "operator/tests/apiserver/identity.rs",
                "only_a_token_bound_to_the_agents_pod_on_its_node_is_taken_apiserver",
            ),
            proof(
                "operator/src/serve/tests/policy.rs",
                "a_stream_ends_when_its_token_expires_or_its_pod_is_gone",
            ),
            proof(
                "operator/src/serve/tests/policy.rs",
                "a_second_stream_of_a_node_ends_the_first",
            ),
            proof(
                "operator/src/serve/tests/strangers.rs",
                "every_stranger_is_refused_by_cause",
            ),
            proof(
                "operator/src/serve/tests/strangers.rs",
                "one_review_lets_both_streams_of_an_agent_in_and_a_pod_that_is_gone_out",
            ),
            proof(
                "e2e/tests/cluster/refuse_strangers.rs",
                "other_identities_are_refused_and_counted",
            ),
            proof(
                "operator/src/serve/tests/rivals.rs",
                "another_process_beside_a_living_one_is_a_signal_about_the_node",
            ),
            proof(
                "operator/src/serve/tests/rivals.rs",
                "an_agent_that_comes_back_is_no_second_one",
            ),
            proof(
                "e2e/tests/cluster/refuse_lies.rs",
                "a_second_agent_beside_a_living_one_is_a_signal",
            ),
            proof(
                "e2e/tests/cluster/refuse_lies.rs",
                "a_token_ends_with_its_time_and_with_its_pod",
            ),
        ],
        open: None,
    },
    Decision {
        number: 3,
        says: "An agent's content is not believed beyond its node.",
        proofs: &[
            proof(
                "operator/src/serve/tests/records.rs",
                "what_a_node_may_not_report_is_acknowledged_refused_and_counted",
            ),
            proof(
                "operator/src/serve/tests/records.rs",
                "facts_are_taken_of_the_own_node_only",
            ),
            proof(
                "crates/store/src/signals/tests.rs",
                "a_spool_belongs_to_the_node_that_sent_it_first",
            ),
            proof(
                "operator/src/serve/tests/records.rs",
                "a_flood_of_foreign_reports_is_one_signal_with_the_exact_count",
            ),
            proof(
                "operator/src/serve/tests/records.rs",
                "a_node_that_floods_waits_and_another_does_not",
            ),
            proof(
                "e2e/tests/cluster/refuse_lies.rs",
                "reports_about_others_are_refused_counted_and_a_signal",
            ),
            proof(
                "e2e/tests/cluster/survive_hostile_agent.rs",
                "a_hostile_agent_holds_up_no_other",
            ),
        ],
        open: None,
    },
    Decision {
        number: 4,
        says: "The operator alone writes what is observed, people write triage; enforcement is armed on the node only.",
        proofs: &[
            proof("operator/tests/apiserver/schemas.rs", "schemas_hold_apiserver"),
            proof("e2e/tests/chart.rs", "nobody_else_is_given_anything"),
        ],
        open: Some("there is no enforcement yet, so nothing can arm it"),
    },
    Decision {
        number: 5,
        says: "The operator fills and rotates its certificates; agents reread the trust bundle.",
        proofs: &[
            proof(
                "operator/tests/apiserver/certificates.rs",
                "the_authority_is_made_once_and_published_apiserver",
            ),
            proof("e2e/tests/chart.rs", "what_the_operator_fills_in_is_left_to_it"),
            proof(
                "operator/src/serve/tests/rotation.rs",
                "an_authority_is_replaced_while_every_bundle_in_use_is_trusted",
            ),
            proof(
                "operator/src/serve/tests/rotation.rs",
                "a_change_goes_on_after_a_restart_and_waits_for_every_agent",
            ),
            proof(
                "e2e/tests/cluster/rotate_certificates.rs",
                "no_stream_is_lost_and_nothing_uncounted",
            ),
        ],
        open: None,
    },
    Decision {
        number: 6,
        says: "Secrets stay where they are: what leaves an agent passes one redactor.",
        proofs: &[
            proof(
                "node-agent/src/facts/kubelet.rs",
                "values_that_are_secrets_are_not_collected",
            ),
            proof(
                "node-agent/src/redact/tests/corpus.rs",
                "every_known_shape_is_hidden_and_what_stands_around_it_is_not",
            ),
            proof(
                "node-agent/tests/pipeline.rs",
                "a_secret_in_an_exec_reaches_neither_the_disk_nor_the_wire",
            ),
            proof(
                "node-agent/tests/uplink/process.rs",
                "a_secret_of_a_real_process_leaves_the_agent_nowhere_root",
            ),
        ],
        open: None,
    },
    Decision {
        number: 7,
        says: "A tenant cannot switch detection off; the reconciler checks all that the webhook checks.",
        proofs: &[
            proof(
                "e2e/tests/cluster/refuse_invalid_rules.rs",
                "without_the_webhook_the_status_says_the_same_and_other_rules_run",
            ),
            proof(
                "e2e/tests/cluster/except_matches.rs",
                "an_exception_reaches_its_namespace_counts_and_ends_with_its_object",
            ),
            proof(
                "e2e/tests/cluster/except_matches.rs",
                "what_a_rule_forbids_is_refused_with_and_without_the_webhook",
            ),
            proof(
                "crates/engine/tests/detection.rs",
                "an_exception_object_reaches_its_namespace_only_and_comes_after_the_rules_own",
            ),
            proof(
                "operator/src/exception/tests.rs",
                "a_rule_carries_what_names_it_and_what_it_allows",
            ),
            proof(
                "operator/src/exception/tests.rs",
                "a_namespace_has_its_share_and_takes_nothing_from_others",
            ),
            proof(
                "crates/rules/tests/diagnostics.rs",
                "exception_objects_are_limited_one_by_one_and_together_they_fit",
            ),
            proof(
                "crates/ctl/tests/content.rs",
                "no_namespace_can_hold_back_what_is_urgent",
            ),
        ],
        open: None,
    },
    Decision {
        number: 8,
        says: "Every match is counted exactly once.",
        proofs: &[
            proof(
                "crates/store/src/signals/tests/exact.rs",
                "every_record_counts_once",
            ),
            proof(
                "operator/src/serve/tests/records.rs",
                "counts_are_exact_over_resends_and_restarts",
            ),
            proof(
                "e2e/tests/cluster/survive_kills.rs",
                "counts_are_exact_when_the_operator_is_killed_during_an_attack",
            ),
            proof(
                "e2e/tests/cluster/survive_kills.rs",
                "counts_are_exact_when_an_agent_is_killed_with_matches_in_its_spool",
            ),
            proof(
                "e2e/tests/cluster/survive_kills.rs",
                "counts_are_exact_over_random_kills_of_operator_and_agent",
            ),
            proof(
                "operator/src/serve/tests/records.rs",
                "a_store_that_was_set_back_goes_on_and_what_is_gone_is_a_loss",
            ),
            proof(
                "operator/src/serve/tests/records.rs",
                "a_node_that_was_without_an_agent_gets_a_signal_unless_something_explains_it",
            ),
        ],
        open: None,
    },
    Decision {
        number: 9,
        says: "A signal's identity is stored, not derived.",
        proofs: &[
            proof(
                "crates/store/src/signals/tests.rs",
                "a_match_after_archiving_or_deletion_opens_a_signal_that_links_to_the_old",
            ),
            proof(
                "crates/store/src/signals/tests/life.rs",
                "each_match_counts_once_in_the_signal_that_the_rule_says",
            ),
            proof(
                "crates/store/src/signals/tests/life.rs",
                "a_silent_or_old_signal_takes_no_more_and_the_next_links_to_it",
            ),
            proof(
                "e2e/tests/cluster/triage_signals.rs",
                "an_archived_signal_is_followed_by_another_that_names_it",
            ),
        ],
        open: None,
    },
    Decision {
        number: 10,
        says: "One writer, one store; losing the API server stops writes, not ingest.",
        proofs: &[
            proof(
                "crates/store/src/signals/tests.rs",
                "a_second_opener_is_told_who_has_the_store",
            ),
            proof(
                "e2e/tests/cluster/survive_store.rs",
                "an_operator_whose_store_another_has_says_who_and_waits",
            ),
            proof(
                "e2e/tests/cluster/survive_store.rs",
                "a_lost_store_is_filled_from_the_clusters_signals",
            ),
            proof(
                "operator/tests/apiserver/leader.rs",
                "the_lease_passes_on_and_its_loss_ends_the_holder_apiserver",
            ),
            proof(
                "crates/store/src/signals/tests.rs",
                "a_seeded_store_counts_on_and_says_that_the_count_is_restored",
            ),
            proof(
                "operator/tests/apiserver/outage.rs",
                "while_the_api_server_is_away_reports_are_counted_and_writes_wait_apiserver",
            ),
            proof(
                "e2e/tests/cluster/survive_outage.rs",
                "counts_are_exact_when_the_api_server_was_away_during_an_attack",
            ),
        ],
        open: None,
    },
    Decision {
        number: 11,
        says: "A signal always finds a place, and nothing holds up the outbox.",
        proofs: &[
            proof(
                "operator/src/serve/tests/records.rs",
                "a_signal_that_its_namespace_refuses_goes_to_the_operators",
            ),
            proof(
                "operator/tests/apiserver/written.rs",
                "a_signal_whose_namespace_is_gone_goes_to_the_operators_apiserver",
            ),
            proof(
                "operator/src/signals/writer/tests.rs",
                "one_signal_that_is_always_refused_holds_up_no_other",
            ),
            proof(
                "operator/src/signals/writer/tests.rs",
                "a_signal_that_is_refused_for_its_size_is_cut_once_and_written",
            ),
            proof(
                "e2e/tests/cluster/triage_signals.rs",
                "a_namespace_that_may_have_no_signals_has_them_in_the_operators",
            ),
            proof(
                "e2e/tests/cluster/triage_signals.rs",
                "a_namespace_that_ends_has_its_signals_in_the_operators",
            ),
        ],
        open: None,
    },
    Decision {
        number: 12,
        says: "A node that falls silent is reported, once for a cause, and not while that is meant to be.",
        proofs: &[
            proof(
                "operator/src/node_sensor/silence/tests.rs",
                "silence_is_not_ready_after_thirty_seconds_and_a_signal_after_two_more_minutes",
            ),
            proof(
                "operator/src/node_sensor/silence/tests.rs",
                "many_silent_nodes_are_one_signal_for_each_cause",
            ),
            proof(
                "operator/src/node_sensor/excuse.rs",
                "what_kubernetes_knows_explains_silence",
            ),
            proof(
                "e2e/tests/cluster/tell_silence.rs",
                "a_stopped_agent_is_told_and_one_that_is_replaced_or_removed_is_not",
            ),
        ],
        open: None,
    },
    Decision {
        number: 13,
        says: "Every queue is bounded, every drop counted by cause, and the counters reconcile.",
        proofs: &[
            proof(
                "node-agent/src/bpf/counters.rs",
                "differences_name_what_does_not_add_up",
            ),
            proof(
                "node-agent/tests/pipeline.rs",
                "every_match_is_spooled_excepted_or_shed",
            ),
            proof(
                "node-agent/tests/pipeline.rs",
                "a_full_disk_loses_what_memory_cannot_hold_and_says_how_much_root",
            ),
            proof(
                "operator/src/serve/report/told.rs",
                "a_loss_is_counted_by_node_and_cause_and_never_as_nothing",
            ),
        ],
        open: None,
    },
    Decision {
        number: 14,
        says: "Nothing is silent: a rule says where it does not run; what cannot be known is unknown.",
        proofs: &[
            proof(
                "crates/event/src/value.rs",
                "absent_equals_nothing_and_unknown_leaves_it_open",
            ),
            proof(
                "crates/engine/tests/detection.rs",
                "unknown_is_a_match_that_says_so",
            ),
            proof(
                "e2e/tests/cluster/follow_rule_changes.rs",
                "a_disabled_or_deleted_rule_stops_and_its_status_says_so",
            ),
            proof(
                "operator/src/index/tests.rs",
                "a_rule_that_is_taken_away_runs_until_the_agents_acknowledge_that",
            ),
        ],
        open: None,
    },
    Decision {
        number: 15,
        says: "One language, one compiler, for webhook, operator, agent and command line.",
        proofs: &[
            proof(
                "operator/src/admission/tests.rs",
                "a_rule_that_does_not_compile_is_refused_with_line_and_column",
            ),
            proof(
                "e2e/tests/cluster/refuse_invalid_rules.rs",
                "the_webhook_refuses_with_line_and_column",
            ),
            proof(
                "operator/src/serve/tests/policy.rs",
                "an_agent_of_another_protocol_or_node_is_told_and_the_stream_ends",
            ),
        ],
        open: None,
    },
    Decision {
        number: 16,
        says: "Windows run where their keys live.",
        proofs: &[
            proof(
                "crates/rules/tests/detects.rs",
                "windows_are_on_nodes_when_what_they_group_by_is",
            ),
            proof(
                "crates/engine/tests/thresholds.rs",
                "a_node_counts_what_is_its_own_and_passes_on_what_is_not",
            ),
            proof(
                "operator/src/serve/tests/windows.rs",
                "what_nodes_report_of_a_rule_across_nodes_is_counted_together",
            ),
            proof(
                "e2e/tests/cluster/count_over_time.rs",
                "a_node_counts_what_is_its_own_also_when_its_agent_is_killed",
            ),
            proof(
                "e2e/tests/cluster/follow_over_time.rs",
                "a_sequence_across_nodes_goes_on_when_the_operator_is_killed_between_its_steps",
            ),
            proof(
                "e2e/tests/cluster/count_over_time.rs",
                "what_happens_on_several_nodes_is_counted_together_also_when_the_operator_is_killed",
            ),
        ],
        open: None,
    },
    Decision {
        number: 17,
        says: "Policy is addressed by its content and acknowledged.",
        proofs: &[
            proof("proto/src/content.rs", "a_sealed_body_shows_any_change"),
            proof(
                "proto/src/content.rs",
                "a_revision_depends_on_content_and_not_on_order",
            ),
            proof(
                "operator/src/serve/tests/policy.rs",
                "an_agent_gets_what_it_lacks_its_pods_and_then_what_changes",
            ),
            proof(
                "operator/src/index/tests.rs",
                "nodes_of_one_class_share_one_list_and_others_are_not_woken",
            ),
        ],
        open: None,
    },
    Decision {
        number: 18,
        says: "Shipped content is applied by the operator; the user's part of it stays.",
        proofs: &[
            proof(
                "operator/tests/apiserver/content.rs",
                "the_users_part_of_shipped_content_stays_and_other_edits_are_taken_back_apiserver",
            ),
            proof(
                "operator/tests/apiserver/content.rs",
                "upgrade_and_downgrade_change_what_ships_and_nothing_else_apiserver",
            ),
            proof(
                "e2e/tests/cluster/keep_shipped_content.rs",
                "a_shipped_rule_keeps_the_users_part_and_takes_back_other_edits",
            ),
            proof(
                "e2e/tests/cluster/keep_shipped_content.rs",
                "packs_come_and_go_by_value_and_a_users_name_stays_the_users",
            ),
            proof(
                "operator/src/content/tests.rs",
                "an_object_without_the_label_is_never_touched",
            ),
        ],
        open: None,
    },
    Decision {
        number: 19,
        says: "Rules are data with proofs: one whose own tests fail is refused.",
        proofs: &[proof(
            "e2e/tests/cluster/refuse_invalid_rules.rs",
            "a_rule_whose_own_test_fails_is_refused",
        )],
        open: None,
    },
    Decision {
        number: 20,
        says: "Facts first, verdicts later: the agent reads, the operator judges.",
        proofs: &[
            proof("node-agent/src/facts/tests.rs", "a_kubeadm_node_is_described"),
            proof("proto/src/convert/tests.rs", "facts_survive_the_wire"),
        ],
        open: None,
    },
    Decision {
        number: 21,
        says: "The kernel is asked as little as possible.",
        proofs: &[proof(
            "node-agent/tests/sensor/lineage.rs",
            "no_more_is_attached_than_the_process_tree_needs_root",
        )],
        open: Some("kernel filters are not there: programs report every event of a process"),
    },
    Decision {
        number: 22,
        says: "The first match goes at once, then one fold a second.",
        proofs: &[
            proof(
                "crates/engine/src/fold.rs",
                "the_first_goes_at_once_and_the_rest_once_a_second",
            ),
            proof(
                "crates/store/src/spool/tests.rs",
                "repeats_give_way_before_firsts_and_low_severity_before_high",
            ),
        ],
        open: None,
    },
    Decision {
        number: 23,
        says: "The API server is not a log sink: one bucket for all writes, openings first, changes paced.",
        proofs: &[
            proof(
                "crates/store/src/signals/tests.rs",
                "writes_keep_their_pace_and_the_newest_state_is_what_is_written",
            ),
            proof(
                "crates/store/src/signals/tests.rs",
                "signals_never_written_come_first",
            ),
            proof(
                "operator/src/budget.rs",
                "writes_that_can_wait_leave_half_of_the_bucket_to_others",
            ),
            proof(
                "operator/src/node_sensor/pace.rs",
                "what_people_see_is_news_and_counters_are_not",
            ),
            proof(
                "operator/src/detection_rule/tests.rs",
                "a_status_is_prompt_after_a_change_and_patient_later",
            ),
            proof(
                "operator/src/detection_rule/tests.rs",
                "a_status_that_an_earlier_operator_wrote_waits_for_the_agents_to_come_back",
            ),
        ],
        open: None,
    },
    Decision {
        number: 24,
        says: "An event has three shapes, with fallible conversions between them.",
        proofs: &[
            proof("node-agent/src/decode/tests.rs", "arbitrary_bytes_never_panic"),
            proof("proto/src/convert/tests.rs", "any_bytes_are_a_value_or_an_error"),
            proof("proto/src/convert/tests.rs", "a_fold_survives_the_wire"),
        ],
        open: None,
    },
];
