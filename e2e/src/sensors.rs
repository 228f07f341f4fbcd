//! What runs on nodes, as `kubectl get nodesensors -o json` shows it.

use anyhow::{Context as _, Result, ensure};
use kube::Client;
use serde_json::Value;

use crate::{eventually, objects};

/// All sensors, one a node.
pub async fn all(client: &Client) -> Result<Vec<Value>> {
    objects::list(client, "NodeSensor", None, "").await
}

/// Waits until every sensor is ready and runs the policy that it should, and returns the active revisions.
pub async fn settled(client: &Client) -> Result<Vec<String>> {
    eventually("every sensor runs the wanted policy", || async {
        revisions(client).await
    })
    .await
}

/// Waits until every sensor runs the policy that it should, and that is another one than `before`.
pub async fn changed(client: &Client, before: &[String]) -> Result<Vec<String>> {
    eventually("every sensor runs another policy", || async {
        let now = revisions(client).await?;
        ensure!(now != before, "still {now:?}");
        Ok(now)
    })
    .await
}

/// Waits until no sensor is ready, for this reason.
pub async fn not_ready(client: &Client, reason: &str) -> Result<()> {
    eventually(&format!("sensors are not ready: {reason}"), || {
        are_not_ready(client, reason)
    })
    .await
}

/// Whether no sensor is ready now, for this reason.
pub async fn are_not_ready(client: &Client, reason: &str) -> Result<()> {
    let sensors = all(client).await?;
    ensure!(!sensors.is_empty(), "there is no NodeSensor");
    sensors.iter().try_for_each(|sensor| is_not_ready(sensor, reason))
}

/// Whether the sensor of this node is not ready now, for this reason.
pub async fn one_is_not_ready(client: &Client, node: &str, reason: &str) -> Result<()> {
    is_not_ready(&objects::get(client, "NodeSensor", None, node).await?, reason)
}

fn is_not_ready(sensor: &Value, reason: &str) -> Result<()> {
    let ready = condition(sensor)?;
    ensure!(ready["status"] == "False" && ready["reason"] == reason, "{ready}");
    Ok(())
}

/// The active revisions of the sensors, when each is ready and runs the policy that it should.
async fn revisions(client: &Client) -> Result<Vec<String>> {
    let sensors = all(client).await?;
    ensure!(!sensors.is_empty(), "there is no NodeSensor");
    sensors.iter().map(active_revision).collect()
}

fn active_revision(sensor: &Value) -> Result<String> {
    let ready = condition(sensor)?;
    ensure!(ready["status"] == "True", "not ready: {ready}");
    let policy = &sensor["status"]["policy"];
    ensure!(
        policy["active"].is_string() && policy["active"] == policy["wanted"],
        "policy: {policy}"
    );
    Ok(policy["active"].as_str().unwrap_or_default().to_owned())
}

fn condition(sensor: &Value) -> Result<&Value> {
    sensor["status"]["conditions"]
        .as_array()
        .context("no conditions yet")?
        .iter()
        .find(|condition| condition["type"] == "Ready")
        .context("no condition Ready yet")
}
