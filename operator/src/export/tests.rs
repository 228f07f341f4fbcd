//! What leaves, and that it arrives.

mod delivery;
mod formats;

use serde_json::json;
use yagura_crds::security_signal::Triage;
use yagura_event::Timestamp;
use yagura_store::signals::ChangeKind;

use super::finding::Finding;

/// A shell in a container, seen twice.
fn finding(kind: ChangeKind) -> Finding {
    let spec = json!({
        "rule": {"kind": "DetectionRule", "name": "shell-in-container", "uid": "u-1", "generation": 3},
        "source": "workload",
        "group": {"container.id": "3f4e0c4d9a1b"},
        "opened": "2026-11-24T12:00:00Z",
    });
    let status = json!({
        "title": "Shell bash in cart-6f",
        "severity": "high",
        "severityRank": 4,
        "attack": [{"tactic": "TA0002", "technique": "T1059.004"}],
        "description": "Somebody works in a container.",
        "remediation": "Ask who it was.",
        "resource": "Pod/cart-6f",
        "resources": [
            {"kind": "Pod", "namespace": "shop", "name": "cart-6f", "uid": "p-1", "owner": "Deployment/cart",
             "labels": {"app": "cart"}},
            {"kind": "Container", "name": "cart", "id": "3f4e0c4d9a1b", "image": "registry.example/cart:1",
             "digest": "sha256:9f2c"},
            {"kind": "Node", "name": "node-3"},
            {"kind": "Process", "executable": "/bin/bash", "args": ["-i"], "user": "root", "ancestors": ["runc"]},
        ],
        "count": 2,
        "firstSeen": "2026-11-24T12:00:00Z",
        "lastSeen": "2026-11-24T12:00:05Z",
        "samples": [{
            "time": "2026-11-24T12:00:00Z",
            "fields": {
                "process": {
                    "pid": 4711, "name": "bash", "executable": "/bin/bash", "args": ["-i"],
                    "user": {"id": 0, "name": "root"},
                    "parent": {"pid": 812, "name": "runc", "executable": "/usr/bin/runc"},
                },
                "container": {"id": "3f4e0c4d9a1b", "name": "cart", "image": {"name": "registry.example/cart:1"}},
                "k8s": {"pod": {"uid": "p-1"}},
                "host": {"name": "node-3"},
            },
        }],
    });
    Finding {
        kind,
        at: Timestamp(1_795_521_600_250_000_000),
        revision: 7,
        name: "shell-in-container-9f2c1e7ab4d05c31".to_owned(),
        namespace: "shop".to_owned(),
        node: Some("node-3".to_owned()),
        spec: serde_json::from_value(spec).unwrap(),
        status: serde_json::from_value(status).unwrap(),
        triage: Triage::default(),
    }
}
