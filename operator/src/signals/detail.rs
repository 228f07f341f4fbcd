//! What a signal says beside its counters, as the store keeps it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};
use yagura_crds::Attack;
use yagura_crds::security_signal::{
    GroupValue, RuleReference, SecuritySignalSpec, SecuritySignalStatus, Triage,
};
use yagura_event::{GroupKey, Severity, Timestamp};

use super::text::{cut, line};
use crate::index::policy::RuleMeta;

/// Bytes of a title, of prose, and of a group value in an object.
const MAX_TITLE: usize = 1_024;
const MAX_PROSE: usize = 4_096;
const MAX_GROUP_VALUE: usize = 512;

/// Everything about a signal that its counters do not tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Detail {
    /// Identity; the time of opening is the store's.
    pub(super) spec: SecuritySignalSpec,
    /// What was observed; counters and times are the store's.
    pub(super) status: SecuritySignalStatus,
    /// Node it happened on.
    pub(super) node: Option<String>,
}

/// A detail that says what its rule does; the caller adds whom it is about.
pub(super) fn of_rule(meta: &RuleMeta, title: String, node: Option<&str>) -> Detail {
    Detail {
        spec: SecuritySignalSpec {
            rule: RuleReference {
                kind: meta.kind.to_owned(),
                name: meta.name.clone(),
                uid: meta.uid.clone(),
                generation: meta.generation,
            },
            source: meta.source.clone(),
            group: BTreeMap::new(),
            opened: time(Timestamp(0)),
            triage: Triage::default(),
        },
        status: SecuritySignalStatus {
            title: cut(title, MAX_TITLE),
            severity: meta.severity.into(),
            severity_rank: meta.severity.rank(),
            attack: meta
                .attack
                .iter()
                .map(|(tactic, technique)| Attack {
                    tactic: tactic.clone(),
                    technique: technique.clone(),
                })
                .collect(),
            description: cut(meta.description.clone(), MAX_PROSE),
            remediation: cut(meta.remediation.clone(), MAX_PROSE),
            first_seen: time(Timestamp(0)),
            last_seen: time(Timestamp(0)),
            resource: String::new(),
            resources: Vec::new(),
            controls: Vec::new(),
            count: 0,
            samples: Vec::new(),
            incomplete: Vec::new(),
            previous: None,
            origin_namespace: None,
            resolved_at: None,
            notifications: Vec::new(),
        },
        node: node.map(str::to_owned),
    }
}

impl Detail {
    /// The same, as urgent as a case of the rule.
    pub(super) fn with_severity(mut self, severity: Severity) -> Self {
        self.status.severity = severity.into();
        self.status.severity_rank = severity.rank();
        self
    }

    /// Adds the group's values as text.
    pub(super) fn with_group(mut self, group: &GroupKey) -> Self {
        self.spec.group = group
            .0
            .iter()
            .map(|(field, value)| (field.clone(), GroupValue(line(value, MAX_GROUP_VALUE))))
            .collect();
        self
    }

    /// For the store.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("maps with string keys and finite numbers are valid JSON")
    }
}

/// A stored time as objects write it; one out of range is the epoch.
pub(super) fn time(time: Timestamp) -> Time {
    Time(jiff::Timestamp::from_microsecond(time.0 / 1_000).unwrap_or_default())
}
