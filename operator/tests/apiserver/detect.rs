//! How matches become detections, as the API server takes it.

use kube::Client;
use serde_json::{Value, json};

use super::{create, refusal, with};

/// What a rule says to count five matches within five minutes, with changes.
fn threshold(changes: &Value) -> Value {
    let threshold = with(json!({"count": 5, "within": "5m"}), changes);
    json!({"detect": {"threshold": threshold}})
}

pub(super) async fn thresholds(client: &Client) {
    let good = json!({"title": "t", "severity": "high", "condition": "true"});
    let counted = with(good.clone(), &threshold(&json!({"groupBy": ["host.name"]})));
    let created = create(client, "DetectionRule", "counted", &counted).await;
    assert_eq!(created.data["spec"]["detect"]["threshold"]["window"], "sliding");
    let cases = [
        (
            json!({"detect": {}}),
            "exactly one of threshold, newValue, sequence, correlation, anomaly and contentAnomaly",
        ),
        (
            threshold(&json!({"window": "hopping"})),
            "spec.detect.threshold.window",
        ),
        (threshold(&json!({"count": 0})), "spec.detect.threshold.count"),
        (
            threshold(&json!({"within": "25h"})),
            "within is more than nothing and at most 24h",
        ),
        (threshold(&json!({"gap": "1m"})), "gap belongs to window: session"),
        (
            threshold(&json!({"window": "session"})),
            "gap belongs to window: session",
        ),
        (
            threshold(&json!({"window": "session", "gap": "6m"})),
            "gap must not be longer than within",
        ),
        (
            threshold(&json!({"distinct": "process.name", "count": 1_025})),
            "at most 1024 different values",
        ),
        (
            with(threshold(&json!({})), &json!({"signal": {"keepOpen": "1m"}})),
            "signal.keepOpen must be at least as long as detect's within",
        ),
        (
            with(
                threshold(&json!({})),
                &json!({"signal": {"groupBy": ["host.name"]}}),
            ),
            "leave signal.groupBy out",
        ),
    ];
    for (change, expected) in cases {
        let message = refusal(client, "DetectionRule", "bad", &with(good.clone(), &change)).await;
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

pub(super) async fn new_values_and_sequences(client: &Client) {
    let good = json!({"title": "t", "severity": "high", "condition": "true"});
    let new = |changes: &Value| {
        let new = with(json!({"fields": ["process.executable"]}), changes);
        json!({"detect": {"newValue": new}})
    };
    let steps = json!([{"condition": "process.pid == 1"}, {"condition": "process.pid == 2", "count": 3}]);
    let sequence = |changes: &Value| {
        let sequence = with(json!({"within": "5m", "steps": steps}), changes);
        json!({"detect": {"sequence": sequence}})
    };
    let created = create(
        client,
        "DetectionRule",
        "new",
        &with(good.clone(), &new(&json!({}))),
    )
    .await;
    let made = &created.data["spec"]["detect"]["newValue"];
    assert_eq!(
        (&made["learnFor"], &made["forgetAfter"], &made["learnMatches"]),
        (&json!("168h"), &json!("672h"), &json!(0))
    );
    let created = create(
        client,
        "DetectionRule",
        "ordered",
        &with(good.clone(), &sequence(&json!({}))),
    )
    .await;
    assert_eq!(created.data["spec"]["detect"]["sequence"]["steps"][0]["count"], 1);

    let mut both = new(&json!({}));
    both["detect"]["sequence"] = sequence(&json!({}))["detect"]["sequence"].clone();
    let cases = [
        (
            both,
            "exactly one of threshold, newValue, sequence, correlation, anomaly and contentAnomaly",
        ),
        (new(&json!({"fields": []})), "spec.detect.newValue.fields"),
        (
            new(&json!({"learnFor": "2161h", "forgetAfter": "2161h"})),
            "at most 2160h",
        ),
        (new(&json!({"forgetAfter": "1h"})), "at least as long as learnFor"),
        (
            new(&json!({"learnMatches": 1_000_001})),
            "spec.detect.newValue.learnMatches",
        ),
        (
            sequence(&json!({"within": "25h"})),
            "within is more than nothing and at most 24h",
        ),
        (sequence(&json!({"steps": []})), "spec.detect.sequence.steps"),
        (
            sequence(&json!({"steps": [{"condition": "true"}]})),
            "one match is no sequence",
        ),
        (
            sequence(&json!({"steps": [{"condition": "true", "count": 65}]})),
            "spec.detect.sequence.steps[0].count",
        ),
        (
            with(sequence(&json!({})), &json!({"signal": {"keepOpen": "1m"}})),
            "signal.keepOpen must be at least as long as detect's within",
        ),
    ];
    for (change, expected) in cases {
        let message = refusal(client, "DetectionRule", "bad", &with(good.clone(), &change)).await;
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

pub(super) async fn correlations(client: &Client) {
    let good = json!({"title": "t", "severity": "high", "condition": "true"});
    let query = json!({"name": "failed", "condition": "process.pid == 1"});
    let case = json!({"when": "failed > 5", "severity": "critical"});
    let correlation = |changes: &Value| {
        let all = json!({"within": "5m", "queries": [query.clone()], "cases": [case.clone()]});
        json!({"detect": {"correlation": with(all, changes)}})
    };
    create(
        client,
        "DetectionRule",
        "cases",
        &with(good.clone(), &correlation(&json!({}))),
    )
    .await;
    let cases = [
        (
            correlation(&json!({"queries": []})),
            "spec.detect.correlation.queries",
        ),
        (
            correlation(&json!({"queries": [query.clone(), query.clone()]})),
            "Duplicate value",
        ),
        (
            correlation(&json!({"queries": [with(query.clone(), &json!({"name": "a b"}))]})),
            "spec.detect.correlation.queries[0].name",
        ),
        (
            correlation(&json!({
                "queries": [with(query.clone(), &json!({"sum": "process.pid", "max": "process.pid"}))]
            })),
            "at most one of distinct, sum and max",
        ),
        (
            correlation(&json!({"cases": []})),
            "spec.detect.correlation.cases",
        ),
        (
            correlation(&json!({"within": "0s"})),
            "within is more than nothing and at most 24h",
        ),
        (
            with(correlation(&json!({})), &json!({"signal": {"keepOpen": "1m"}})),
            "signal.keepOpen must be at least as long as detect's within",
        ),
    ];
    for (change, expected) in cases {
        let message = refusal(client, "DetectionRule", "bad", &with(good.clone(), &change)).await;
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

pub(super) async fn anomalies(client: &Client) {
    let good = json!({"title": "t", "severity": "high", "condition": "true"});
    let anomaly = |changes: &Value| json!({"detect": {"anomaly": with(json!({}), changes)}});
    let content = |changes: &Value| {
        let content = with(json!({"field": "process.command_line"}), changes);
        json!({"detect": {"contentAnomaly": content}})
    };
    let created = create(
        client,
        "DetectionRule",
        "spikes",
        &with(good.clone(), &anomaly(&json!({}))),
    )
    .await;
    assert_eq!(
        created.data["spec"]["detect"]["anomaly"],
        json!({"bucket": "15m", "history": "336h", "learnFor": "24h", "tolerance": 2, "minCount": 10})
    );
    let created = create(
        client,
        "DetectionRule",
        "texts",
        &with(good.clone(), &content(&json!({}))),
    )
    .await;
    assert_eq!(created.data["spec"]["detect"]["contentAnomaly"]["similarity"], 70);
    let cases = [
        (anomaly(&json!({"bucket": "7h"})), "bucket is between 1m and 6h"),
        (
            anomaly(&json!({"history": "1h", "learnFor": "1h"})),
            "history is between 24h and 672h",
        ),
        (
            anomaly(&json!({"learnFor": "1m"})),
            "learnFor is at least as long as bucket",
        ),
        (anomaly(&json!({"minCount": 1})), "spec.detect.anomaly.minCount"),
        (content(&json!({"field": ""})), "spec.detect.contentAnomaly.field"),
        (
            content(&json!({"similarity": 101})),
            "spec.detect.contentAnomaly.similarity",
        ),
        (
            content(&json!({"forgetAfter": "1h"})),
            "at least as long as learnFor",
        ),
    ];
    for (change, expected) in cases {
        let message = refusal(client, "DetectionRule", "bad", &with(good.clone(), &change)).await;
        assert!(message.contains(expected), "{expected}: {message}");
    }
}
