//! The formats, compared with what they were, and with what their schemas require.
//! `UPDATE=1` rewrites the files that they are compared with.

use std::path::Path;

use serde_json::{Value, json};
use yagura_crds::security_signal::{TriageReason, TriageState};
use yagura_store::signals::ChangeKind;

use super::super::{ocsf, otel};
use super::finding;

fn compare(name: &str, value: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/export/tests")
        .join(name);
    let text = serde_json::to_string_pretty(value).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name} differs; UPDATE=1 rewrites it");
}

/// The version of the program is the one thing that changes by itself.
fn ocsf_event(kind: ChangeKind) -> Value {
    let mut event = ocsf::event(&finding(kind));
    assert_eq!(event["metadata"]["product"]["version"], env!("CARGO_PKG_VERSION"));
    event["metadata"]["product"]["version"] = json!("x.y.z");
    event
}

#[test]
fn a_finding_as_ocsf() {
    compare("opened.ocsf.json", &ocsf_event(ChangeKind::Opened));
}

#[test]
fn a_finding_as_opentelemetry() {
    let finding = finding(ChangeKind::Opened);
    let text = otel::request(&[&finding], 1_795_521_601_000_000_000).to_string();
    let text = text.replace(&format!("\"{}\"", env!("CARGO_PKG_VERSION")), "\"x.y.z\"");
    compare("opened.otlp.json", &serde_json::from_str(&text).unwrap());
}

/// What the schema of OCSF 1.3.0 calls required, by where it stands.
const REQUIRED: [&str; 22] = [
    "/activity_id",
    "/category_uid",
    "/class_uid",
    "/finding_info",
    "/finding_info/title",
    "/finding_info/uid",
    "/finding_info/analytic/type_id",
    "/metadata",
    "/metadata/product",
    "/metadata/product/name",
    "/metadata/product/vendor_name",
    "/metadata/version",
    "/severity_id",
    "/time",
    "/type_uid",
    "/device/type_id",
    "/evidences/0/device/type_id",
    "/evidences/0/process/pid",
    "/evidences/0/process/file/name",
    "/evidences/0/process/file/type_id",
    "/evidences/0/process/container/image/uid",
    "/evidences/0/process/parent_process/pid",
];

#[test]
fn everything_that_ocsf_requires_is_there_in_each_activity() {
    for (kind, activity, type_uid) in [
        (ChangeKind::Opened, 1, 200_401),
        (ChangeKind::Raised, 2, 200_402),
        (ChangeKind::Acknowledged, 2, 200_402),
        (ChangeKind::Reopened, 2, 200_402),
        (ChangeKind::Archived, 3, 200_403),
        (ChangeKind::Resolved, 3, 200_403),
        (ChangeKind::Deleted, 3, 200_403),
    ] {
        let event = ocsf_event(kind);
        for path in REQUIRED {
            assert!(
                event.pointer(path).is_some_and(|value| !value.is_null()),
                "{kind:?}: {path}"
            );
        }
        assert_eq!(
            (&event["activity_id"], &event["type_uid"]),
            (&json!(activity), &json!(type_uid))
        );
        assert_eq!(
            (&event["class_uid"], &event["category_uid"]),
            (&json!(2004), &json!(2))
        );
        // Milliseconds, as a number.
        assert_eq!(event["time"], json!(1_795_521_600_250_i64));
    }
}

#[test]
fn the_status_says_how_far_people_are() {
    let status = |kind, state, reason| {
        let mut finding = finding(kind);
        finding.triage.state = state;
        finding.triage.reason = reason;
        ocsf::event(&finding)["status"].as_str().unwrap().to_owned()
    };
    let open = TriageState::Open;
    assert_eq!(status(ChangeKind::Opened, open, None), "New");
    assert_eq!(
        status(ChangeKind::Raised, TriageState::UnderReview, None),
        "In Progress"
    );
    assert_eq!(
        status(ChangeKind::Acknowledged, TriageState::UnderReview, None),
        "In Progress"
    );
    let archived = |reason| status(ChangeKind::Archived, TriageState::Archived, reason);
    assert_eq!(archived(Some(TriageReason::FalsePositive)), "Suppressed");
    assert_eq!(archived(Some(TriageReason::Remediated)), "Resolved");
    assert_eq!(archived(Some(TriageReason::Malicious)), "Archived");
    assert_eq!(archived(None), "Archived");
    assert_eq!(status(ChangeKind::Deleted, open, None), "Deleted");
}

#[test]
fn each_change_has_a_uid_that_tells_a_repetition() {
    let one = finding(ChangeKind::Opened);
    let mut other = finding(ChangeKind::Archived);
    other.revision = 8;
    let uid = |finding| ocsf::event(finding)["metadata"]["uid"].clone();
    assert_eq!(uid(&one), uid(&one));
    assert_ne!(uid(&one), uid(&other));
    assert_eq!(
        ocsf::event(&one)["finding_info"]["uid"],
        ocsf::event(&other)["finding_info"]["uid"]
    );
}
