//! Posture checks and frameworks of tests.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::objects;
use crate::space::Space;

/// A check over containers of the test's namespace and a framework with only this check.
pub async fn framework(space: &Space, stem: &str, pass: &str) -> Result<String> {
    let name = space.named(stem);
    objects::apply_json(
        space,
        json!({
            "apiVersion": objects::API_VERSION,
            "kind": "PostureCheck",
            "metadata": {"name": name},
            "spec": {
                "title": format!("Test {stem}"),
                "description": "A check of an end-to-end test.",
                "remediation": "None: the test removes it.",
                "severity": "high",
                "resource": "k8s.container",
                "appliesWhen": format!("resource.pod.metadata.namespace == \"{}\"", space.name),
                "pass": pass,
                "evidence": ["resource.securityContext.privileged"],
                "mode": "automated",
            },
        }),
    )
    .await?;
    objects::apply_json(
        space,
        json!({
            "apiVersion": objects::API_VERSION,
            "kind": "PostureFramework",
            "metadata": {"name": name},
            "spec": {
                "title": format!("Framework of {stem}"),
                "version": "1",
                "requirements": [{
                    "id": "1",
                    "title": "Pods",
                    "controls": [{
                        "id": "1.1",
                        "title": "The one control",
                        "mode": "automated",
                        "checks": [{"name": name}],
                    }],
                }],
                "signals": {"minSeverity": "medium"},
            },
        }),
    )
    .await?;
    Ok(name)
}

/// How many controls of a framework have a result: pass, fail, manual, error or notApplicable.
pub async fn controls(space: &Space, framework: &str, result: &str) -> Result<u64> {
    let object = objects::get(&space.client, "PostureFramework", None, framework).await?;
    let status: &Value = &object["status"];
    status["controls"][result]
        .as_u64()
        .with_context(|| format!("no count of {result}: {status}"))
}
