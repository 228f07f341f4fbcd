//! OpenTelemetry logs: an `ExportLogsServiceRequest` in JSON, as OTLP over HTTP takes it. Pure.
//!
//! Attributes are named as the semantic conventions name them where they have a name.

use serde_json::{Value, json};
use yagura_store::signals::ChangeKind;

use super::finding::Finding;

/// The request with one record for each finding. `now` is when they were observed, in nanoseconds.
pub(super) fn request(findings: &[&Finding], now: i64) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    json!({
        "resourceLogs": [{
            "resource": {"attributes": [
                text("service.name", "yagura"),
                text("service.version", version),
            ]},
            "scopeLogs": [{
                "scope": {"name": "yagura.signals", "version": version},
                "logRecords": findings.iter().map(|finding| record(finding, now)).collect::<Vec<_>>(),
            }],
        }],
    })
}

fn record(finding: &Finding, now: i64) -> Value {
    let (number, name) = severity(finding.status.severity_rank);
    json!({
        "timeUnixNano": finding.at.0.to_string(),
        "observedTimeUnixNano": now.to_string(),
        "severityNumber": number,
        "severityText": name,
        "eventName": format!("yagura.signal.{}", kind(finding.kind)),
        "body": {"stringValue": finding.status.title},
        "attributes": attributes(finding),
    })
}

/// By the log data model: INFO is 9 to 12, WARN 13 to 16, ERROR 17 to 20, FATAL from 21.
fn severity(rank: u8) -> (u8, &'static str) {
    match rank {
        2 => (10, "low"),
        3 => (13, "medium"),
        4 => (17, "high"),
        5 => (21, "critical"),
        _ => (9, "info"),
    }
}

fn kind(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Opened => "opened",
        ChangeKind::Raised => "raised",
        ChangeKind::Acknowledged => "acknowledged",
        ChangeKind::Archived => "archived",
        ChangeKind::Reopened => "reopened",
        ChangeKind::Resolved => "resolved",
        ChangeKind::Deleted => "deleted",
    }
}

fn attributes(finding: &Finding) -> Vec<Value> {
    let (spec, status) = (&finding.spec, &finding.status);
    let mut attributes = vec![
        text("log.record.uid", &finding.uid()),
        text("yagura.signal.name", &finding.name),
        text("yagura.signal.namespace", &finding.namespace),
        text("yagura.signal.source", &spec.source),
        json!({"key": "yagura.signal.count", "value": {"intValue": status.count.to_string()}}),
        text("yagura.signal.first_seen", &status.first_seen.0.to_string()),
        text("yagura.signal.last_seen", &status.last_seen.0.to_string()),
        text("security_rule.name", &spec.rule.name),
        text("security_rule.uuid", &spec.rule.uid),
        text("security_rule.category", &spec.rule.kind),
        text("k8s.namespace.name", finding.origin()),
    ];
    let lists = [
        ("yagura.signal.controls", &status.controls),
        ("yagura.signal.incomplete", &status.incomplete),
    ];
    attributes.extend(
        lists
            .into_iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(key, values)| list(key, values)),
    );
    attributes.extend(
        spec.group
            .iter()
            .map(|(field, value)| text(&format!("yagura.signal.group.{field}"), &value.0)),
    );
    if let Some(node) = &finding.node {
        attributes.push(text("k8s.node.name", node));
    }
    if let Some(assignee) = &finding.triage.assignee {
        attributes.push(text("yagura.signal.assignee", assignee));
    }
    // Of each kind the first: an attribute has one value.
    let first = |kind: &str| status.resources.iter().find(|resource| resource.kind == kind);
    let (pod, container, process) = (first("Pod"), first("Container"), first("Process"));
    let known = [
        ("k8s.pod.name", pod.and_then(|pod| pod.name.as_ref())),
        ("k8s.pod.uid", pod.and_then(|pod| pod.uid.as_ref())),
        (
            "container.id",
            container.and_then(|container| container.id.as_ref()),
        ),
        (
            "container.name",
            container.and_then(|container| container.name.as_ref()),
        ),
        (
            "container.image.name",
            container.and_then(|container| container.image.as_ref()),
        ),
        (
            "process.executable.path",
            process.and_then(|process| process.executable.as_ref()),
        ),
        ("process.owner", process.and_then(|process| process.user.as_ref())),
    ];
    attributes.extend(
        known
            .into_iter()
            .filter_map(|(key, value)| Some(text(key, value?))),
    );
    if let Some(process) = process.filter(|process| !process.args.is_empty()) {
        attributes.push(list("process.command_args", &process.args));
    }
    attributes
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn list(key: &str, values: &[String]) -> Value {
    let values: Vec<Value> = values.iter().map(|value| json!({"stringValue": value})).collect();
    json!({"key": key, "value": {"arrayValue": {"values": values}}})
}
