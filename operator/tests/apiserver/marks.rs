//! What matches tell other rules, as the API server takes it.

use kube::Client;
use serde_json::{Value, json};

use super::{create, refusal, with};

pub(super) async fn marks(client: &Client) {
    let good = json!({"title": "t", "severity": "high", "condition": "true"});
    let mark = |changes: &Value| {
        let mark = with(
            json!({"name": "m", "scope": "processTree", "ttl": "10m"}),
            changes,
        );
        json!({"mark": mark})
    };
    let created = create(
        client,
        "DetectionRule",
        "marking",
        &with(good.clone(), &mark(&json!({}))),
    )
    .await;
    let made = &created.data["spec"];
    assert_eq!(
        (&made["mark"]["append"], &made["silent"]),
        (&json!(false), &json!(false))
    );
    let silent = json!({"silent": true});
    let counted = json!({"silent": true, "detect": {"threshold": {"count": 2, "within": "1m"}}});
    let cases = [
        (mark(&json!({"name": "M"})), "spec.mark.name"),
        (mark(&json!({"scope": "pod"})), "spec.mark.scope"),
        (mark(&json!({"ttl": "25h"})), "ttl is 1s to 24h"),
        (mark(&json!({"ttl": "0s"})), "ttl is 1s to 24h"),
        (mark(&json!({"append": true})), "name a field in value"),
        (silent, "this one has no mark"),
        (with(mark(&json!({})), &counted), "leave detect out"),
    ];
    for (change, expected) in cases {
        let message = refusal(client, "DetectionRule", "bad", &with(good.clone(), &change)).await;
        assert!(message.contains(expected), "{expected}: {message}");
    }
}
