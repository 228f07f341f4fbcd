//! A signal as routes and messages see it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use yagura_crds::security_signal::{NODE_LABEL, RULE_LABEL, SEVERITY_LABEL, SOURCE_LABEL, SignalResource};
use yagura_crds::{Attack, SecuritySignalSpec, SecuritySignalStatus};
use yagura_event::Severity;

/// What a receiver is told of a signal, in the order of a signal's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Somebody should look.
    Open,
    /// Somebody looks: it is under review or has an assignee.
    Acknowledged,
    /// It is archived, resolved or deleted.
    Closed,
}

impl Stage {
    /// For messages that machines read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Closed => "closed",
        }
    }
}

/// What is known of a signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Name of its object; no two signals of a cluster ever share one.
    pub name: String,
    /// Namespace of its object.
    pub namespace: String,
    /// The namespace it belongs to.
    pub origin: String,
    /// Name of the rule or check.
    pub rule: String,
    /// How urgent it is.
    pub severity: Severity,
    /// Where its events came from.
    pub source: String,
    /// What happened.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// What to do.
    pub remediation: String,
    /// What is affected most closely.
    pub resource: String,
    /// The node it happened on.
    pub node: Option<String>,
    /// Everything that is affected.
    pub resources: Vec<SignalResource>,
    /// What of MITRE ATT&CK it shows.
    pub attack: Vec<Attack>,
    /// Controls that its check proves.
    pub controls: Vec<String>,
    /// How often it matched.
    pub count: u64,
    /// Time of the first match.
    pub first: jiff::Timestamp,
    /// Time of the last match.
    pub last: jiff::Timestamp,
    /// Labels that selectors ask for: the affected pod's and the signal's own.
    pub labels: BTreeMap<String, String>,
}

impl Subject {
    /// From the parts of its object.
    pub fn new(
        name: &str,
        namespace: &str,
        node: Option<&str>,
        spec: SecuritySignalSpec,
        status: SecuritySignalStatus,
    ) -> Self {
        let severity: Severity = status.severity.into();
        let pod = status.resources.iter().find(|resource| resource.kind == "Pod");
        let mut labels = pod.map(|pod| pod.labels.clone()).unwrap_or_default();
        // What a pod says of itself must not pass for what the signal says.
        labels.retain(|key, _| !key.starts_with("yagura.dev/"));
        let own = [
            (RULE_LABEL, Some(spec.rule.name.as_str())),
            (SEVERITY_LABEL, Some(severity.as_str())),
            (SOURCE_LABEL, Some(spec.source.as_str())),
            (NODE_LABEL, node),
        ];
        labels.extend(
            own.into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))),
        );
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            origin: status.origin_namespace.unwrap_or_else(|| namespace.to_owned()),
            rule: spec.rule.name,
            severity,
            source: spec.source,
            title: status.title,
            description: status.description,
            remediation: status.remediation,
            resource: status.resource,
            node: node.map(str::to_owned),
            resources: status.resources,
            attack: status.attack,
            controls: status.controls,
            count: u64::try_from(status.count).unwrap_or(0),
            first: status.first_seen.0,
            last: status.last_seen.0,
            labels,
        }
    }

    /// What tells a repeated delivery of the same signal from another signal.
    pub fn dedup_key(&self) -> String {
        format!("yagura-{}", self.name)
    }

    /// The command that shows it.
    pub fn command(&self) -> String {
        format!("kubectl get sig -n {} {} -o yaml", self.namespace, self.name)
    }

    /// Everything, for machines.
    pub fn json(&self, stage: Stage) -> Value {
        json!({
            "dedupKey": self.dedup_key(),
            "state": stage.as_str(),
            "name": self.name,
            "namespace": self.namespace,
            "originNamespace": self.origin,
            "rule": self.rule,
            "severity": self.severity.as_str(),
            "severityRank": self.severity.rank(),
            "source": self.source,
            "title": self.title,
            "description": self.description,
            "remediation": self.remediation,
            "resource": self.resource,
            "node": self.node,
            "resources": self.resources,
            "attack": self.attack,
            "controls": self.controls,
            "count": self.count,
            "firstSeen": self.first.to_string(),
            "lastSeen": self.last.to_string(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use yagura_crds::security_signal::SignalResource;
    use yagura_event::Severity;

    use super::Subject;

    /// A signal with this name about a shell in the namespace `shop`.
    pub(crate) fn subject(name: &str, severity: Severity) -> Subject {
        let at = jiff::Timestamp::from_second(1_700_000_000).unwrap();
        Subject {
            name: name.to_owned(),
            namespace: "shop".to_owned(),
            origin: "shop".to_owned(),
            rule: "shell-in-container".to_owned(),
            severity,
            source: "workload".to_owned(),
            title: "Shell bash in cart".to_owned(),
            description: "Somebody works in a container.".to_owned(),
            remediation: "Ask who it was.".to_owned(),
            resource: "Pod/cart".to_owned(),
            node: Some("node-1".to_owned()),
            resources: vec![SignalResource {
                kind: "Pod".to_owned(),
                namespace: Some("shop".to_owned()),
                name: Some("cart".to_owned()),
                ..SignalResource::default()
            }],
            attack: Vec::new(),
            controls: Vec::new(),
            count: 3,
            first: at,
            last: at,
            labels: [("team".to_owned(), "payments".to_owned())].into(),
        }
    }

    #[test]
    fn a_pod_cannot_claim_the_signals_own_labels() {
        let spec = serde_json::json!({
            "rule": {"kind": "DetectionRule", "name": "r", "uid": "u", "generation": 1},
            "source": "workload", "group": {}, "opened": "2026-01-01T00:00:00Z",
        });
        let status = serde_json::json!({
            "severity": "high", "severityRank": 4, "count": 1,
            "firstSeen": "2026-01-01T00:00:00Z", "lastSeen": "2026-01-01T00:00:00Z",
            "resources": [{"kind": "Pod", "labels": {"team": "a", "yagura.dev/severity": "info", "yagura.dev/x": "y"}}],
        });
        let subject = Subject::new(
            "r-1",
            "shop",
            None,
            serde_json::from_value(spec).unwrap(),
            serde_json::from_value(status).unwrap(),
        );
        assert_eq!(subject.labels["yagura.dev/severity"], "high");
        assert_eq!(subject.labels["team"], "a");
        assert!(!subject.labels.contains_key("yagura.dev/x"));
    }
}
