//! What a user relies on, against a real Kubernetes. One module a behaviour; `skeleton` is there to be copied.
//!
//! All are ignored by default: `cargo xtask test` starts the cluster, installs the chart and runs them one after
//! another, since some disturb the installation that all share.

#![forbid(unsafe_code)]

mod count_over_time;
mod count_repeated_acts;
mod detect_host_process;
mod detect_shell_in_pod;
mod except_matches;
mod follow_over_time;
mod follow_rule_changes;
mod judge_posture;
mod keep_shipped_content;
mod keep_user_objects;
mod refuse_invalid_rules;
mod refuse_lies;
mod refuse_strangers;
mod rotate_certificates;
mod run_shipped_content;
mod skeleton;
mod sum_up_what_failed_before;
mod survive_hostile_acts;
mod survive_hostile_agent;
mod survive_kills;
mod survive_outage;
mod survive_store;
mod tell_by_marks;
mod tell_of_signals;
mod tell_silence;
mod triage_signals;
mod use_value_lists;
