//! OCSF 1.3.0 Detection Finding: class 2004 of category 2, by the schema at schema.ocsf.io. Pure.

use serde_json::{Map, Value, json};
use yagura_crds::Attack;
use yagura_crds::security_signal::{SignalResource, SignalSample, TriageReason, TriageState};
use yagura_store::signals::ChangeKind;

use super::finding::Finding;

const VERSION: &str = "1.3.0";
const CLASS: u64 = 2004;
const CATEGORY: u64 = 2;

/// The finding as an OCSF event.
pub(super) fn event(finding: &Finding) -> Value {
    let status = &finding.status;
    let (activity, activity_name) = activity(finding.kind);
    let (severity, severity_name) = severity(status.severity_rank);
    let (state, state_name) = state(finding);
    let at = milliseconds(finding.at.0);
    let mut event = json!({
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": CATEGORY,
        "category_name": "Findings",
        "class_uid": CLASS,
        "class_name": "Detection Finding",
        "type_uid": CLASS * 100 + activity,
        "type_name": format!("Detection Finding: {activity_name}"),
        "time": at,
        "severity_id": severity,
        "severity": severity_name,
        "status_id": state,
        "status": state_name,
        "message": status.title,
        "count": status.count,
        "start_time": status.first_seen.0.as_millisecond(),
        "end_time": status.last_seen.0.as_millisecond(),
        "metadata": {
            "version": VERSION,
            "uid": finding.uid(),
            "product": {
                "name": "Yagura",
                "vendor_name": "Yagura",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "profiles": ["container", "host"],
        },
        "finding_info": info(finding, at),
        "resources": status.resources.iter().map(resource).collect::<Vec<_>>(),
        "evidences": status.samples.iter().map(|sample| evidence(sample, finding.node.as_deref())).collect::<Vec<_>>(),
        "unmapped": unmapped(finding),
    });
    if !status.remediation.is_empty() {
        event["remediation"] = json!({"desc": status.remediation});
    }
    if let Some(comment) = &finding.triage.comment {
        event["comment"] = json!(comment);
    }
    if let Some(node) = &finding.node {
        event["device"] = device(node);
    }
    event
}

fn activity(kind: ChangeKind) -> (u64, &'static str) {
    match kind {
        ChangeKind::Opened => (1, "Create"),
        ChangeKind::Raised | ChangeKind::Acknowledged | ChangeKind::Reopened => (2, "Update"),
        ChangeKind::Archived | ChangeKind::Resolved | ChangeKind::Deleted => (3, "Close"),
    }
}

fn severity(rank: u8) -> (u8, &'static str) {
    match rank {
        1 => (1, "Informational"),
        2 => (2, "Low"),
        3 => (3, "Medium"),
        4 => (4, "High"),
        5 => (5, "Critical"),
        _ => (0, "Unknown"),
    }
}

/// How far people are with it, at the time of the change.
fn state(finding: &Finding) -> (u8, &'static str) {
    match finding.kind {
        ChangeKind::Resolved => (4, "Resolved"),
        ChangeKind::Deleted => (6, "Deleted"),
        ChangeKind::Archived => match finding.triage.reason {
            Some(TriageReason::FalsePositive | TriageReason::Benign | TriageReason::Testing) => {
                (3, "Suppressed")
            }
            Some(TriageReason::Remediated) => (4, "Resolved"),
            Some(TriageReason::Malicious | TriageReason::Other) | None => (5, "Archived"),
        },
        ChangeKind::Acknowledged => (2, "In Progress"),
        ChangeKind::Opened | ChangeKind::Raised | ChangeKind::Reopened => match finding.triage.state {
            TriageState::UnderReview => (2, "In Progress"),
            TriageState::Open | TriageState::Archived => (1, "New"),
        },
    }
}

fn info(finding: &Finding, at: i64) -> Value {
    let (spec, status) = (&finding.spec, &finding.status);
    let mut info = json!({
        "uid": finding.name,
        "title": status.title,
        "created_time": spec.opened.0.as_millisecond(),
        "modified_time": at,
        "first_seen_time": status.first_seen.0.as_millisecond(),
        "last_seen_time": status.last_seen.0.as_millisecond(),
        "data_sources": [spec.source],
        "analytic": {
            "type_id": 1,
            "type": "Rule",
            "name": spec.rule.name,
            "uid": spec.rule.uid,
            "version": spec.rule.generation.to_string(),
            "category": spec.rule.kind,
        },
    });
    if !status.description.is_empty() {
        info["desc"] = json!(status.description);
    }
    if !status.attack.is_empty() {
        info["attacks"] = status.attack.iter().map(attack).collect();
    }
    info
}

/// `T1059.004` is a sub-technique of `T1059`.
fn attack(attack: &Attack) -> Value {
    let mut object = json!({"tactic": {"uid": attack.tactic}});
    if let Some(technique) = &attack.technique {
        let parent = technique.split('.').next().unwrap_or_default();
        object["technique"] = json!({"uid": parent});
        if parent.len() < technique.len() {
            object["sub_technique"] = json!({"uid": technique});
        }
    }
    object
}

fn device(node: &str) -> Value {
    json!({"type_id": 1, "type": "Server", "hostname": node, "name": node})
}

fn resource(resource: &SignalResource) -> Value {
    let mut object = json!({"type": resource.kind});
    let name = resource
        .name
        .as_ref()
        .or(resource.executable.as_ref())
        .or(resource.path.as_ref());
    for (key, value) in [
        ("name", name),
        ("uid", resource.uid.as_ref().or(resource.id.as_ref())),
        ("namespace", resource.namespace.as_ref()),
    ] {
        if let Some(value) = value {
            object[key] = json!(value);
        }
    }
    if !resource.labels.is_empty() {
        object["labels"] = resource
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
    }
    let mut data = Map::new();
    for (key, value) in [
        ("owner", &resource.owner),
        ("image", &resource.image),
        ("digest", &resource.digest),
        ("user", &resource.user),
    ] {
        if let Some(value) = value {
            data.insert(key.to_owned(), json!(value));
        }
    }
    for (key, values) in [("args", &resource.args), ("ancestors", &resource.ancestors)] {
        if !values.is_empty() {
            data.insert(key.to_owned(), json!(values));
        }
    }
    if !resource.evidence.is_empty() {
        data.insert("evidence".to_owned(), json!(resource.evidence));
    }
    if !data.is_empty() {
        object["data"] = Value::Object(data);
    }
    object
}

/// A sample as an artifact: the process with its container and parent, and the rest as it is.
fn evidence(sample: &SignalSample, node: Option<&str>) -> Value {
    let fields = serde_json::to_value(&sample.fields).unwrap_or_default();
    let mut evidence = json!({
        "data": {"time": sample.time.0.as_millisecond(), "fields": fields},
    });
    if let Some(node) = fields.pointer("/host/name").and_then(Value::as_str).or(node) {
        evidence["device"] = device(node);
    }
    if let Some(process) = fields.get("process") {
        let mut object = self::process(process);
        let container = container(&fields);
        if container != json!({}) {
            object["container"] = container;
        }
        if let Some(parent) = process.get("parent").filter(|parent| parent.is_object()) {
            object["parent_process"] = self::process(parent);
        }
        evidence["process"] = object;
    }
    evidence
}

fn process(fields: &Value) -> Value {
    let mut process = json!({});
    put(&mut process, "name", fields.get("name"));
    put(&mut process, "pid", fields.get("pid"));
    if let Some(path) = fields.get("executable").and_then(Value::as_str) {
        let name = path.rsplit('/').next().unwrap_or_default();
        process["file"] = json!({"type_id": 1, "type": "Regular File", "path": path, "name": name});
    }
    if let Some(args) = fields.get("args").and_then(Value::as_array) {
        let words = fields
            .get("name")
            .into_iter()
            .chain(args)
            .filter_map(Value::as_str);
        process["cmd_line"] = json!(words.collect::<Vec<_>>().join(" "));
    }
    let mut user = json!({});
    put(&mut user, "name", fields.pointer("/user/name"));
    if let Some(id) = fields.pointer("/user/id").and_then(Value::as_u64) {
        user["uid"] = json!(id.to_string());
    }
    if user != json!({}) {
        process["user"] = user;
    }
    process
}

fn container(fields: &Value) -> Value {
    let mut container = json!({});
    put(&mut container, "uid", fields.pointer("/container/id"));
    put(&mut container, "name", fields.pointer("/container/name"));
    put(&mut container, "runtime", fields.pointer("/container/runtime"));
    put(&mut container, "pod_uuid", fields.pointer("/k8s/pod/uid"));
    let image = fields.pointer("/container/image/name");
    let digest = fields.pointer("/container/image/digest");
    if let Some(uid) = digest.or(image).and_then(Value::as_str) {
        container["image"] = json!({"uid": uid});
        put(&mut container["image"], "name", image);
    }
    container
}

fn put(object: &mut Value, key: &str, value: Option<&Value>) {
    if let Some(value) = value.filter(|value| value.is_string() || value.is_number()) {
        object[key] = value.clone();
    }
}

/// What the schema has no place for.
fn unmapped(finding: &Finding) -> Value {
    let (spec, status) = (&finding.spec, &finding.status);
    let mut unmapped = json!({
        "signal": {"namespace": finding.namespace, "name": finding.name},
        "namespace": finding.origin(),
        "group": spec.group,
    });
    if !status.controls.is_empty() {
        unmapped["controls"] = json!(status.controls);
    }
    if !status.incomplete.is_empty() {
        unmapped["incomplete"] = json!(status.incomplete);
    }
    if let Some(previous) = &status.previous {
        unmapped["previous"] = json!(previous);
    }
    if let Some(assignee) = &finding.triage.assignee {
        unmapped["assignee"] = json!(assignee);
    }
    unmapped
}

fn milliseconds(nanoseconds: i64) -> i64 {
    nanoseconds / 1_000_000
}
