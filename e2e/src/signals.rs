//! Security signals as `kubectl get -o json` shows them.

use std::ops::Deref;

use anyhow::{Context as _, Result, ensure};
use kube::Client;
use serde_json::Value;

use crate::cluster::INSTALLATION;
use crate::rules::Rule;
use crate::space::Space;
use crate::{eventually, objects};

/// The label with the name of the rule.
pub const RULE_LABEL: &str = "yagura.dev/rule";

/// A signal; dereferences to its JSON.
#[derive(Clone, Debug)]
pub struct Signal(Value);

impl Deref for Signal {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Signal {
    /// How many times it was seen.
    pub fn count(&self) -> u64 {
        self.0["status"]["count"].as_u64().unwrap_or(0)
    }

    /// Name of the object.
    pub fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The affected resource of a kind: Pod, Container, Node or Process.
    pub fn resource(&self, kind: &str) -> Result<&Value> {
        let all = self.0["status"]["resources"]
            .as_array()
            .context("the signal has no resources")?;
        all.iter()
            .find(|resource| resource["kind"] == kind)
            .with_context(|| format!("no {kind} in {all:?}"))
    }
}

/// All signals of a rule in a namespace.
pub async fn of(client: &Client, namespace: &str, rule: &str) -> Result<Vec<Signal>> {
    let found = objects::list(
        client,
        "SecuritySignal",
        Some(namespace),
        &format!("{RULE_LABEL}={rule}"),
    )
    .await?;
    Ok(found.into_iter().map(Signal).collect())
}

/// Signals of one of the operator's own rules about a node.
pub async fn of_node(client: &Client, rule: &str, node: &str) -> Result<Vec<Signal>> {
    let found = of(client, INSTALLATION, rule).await?;
    let labelled = |signal: &Signal| signal["metadata"]["labels"]["yagura.dev/node"] == node;
    Ok(found.into_iter().filter(labelled).collect())
}

/// Waits for the only signal of a rule in the test's namespace.
pub async fn only(space: &Space, rule: &Rule) -> Result<Signal> {
    only_in(space, &space.name, &rule.name).await
}

/// Waits for the only signal of a rule in another namespace.
pub async fn only_in(space: &Space, namespace: &str, rule: &str) -> Result<Signal> {
    eventually(&format!("one signal of {rule} in {namespace}"), || async {
        let signal = one(&space.client, namespace, rule).await?;
        ensure!(signal.count() > 0, "status is not written yet: {:?}", signal.0);
        Ok(signal)
    })
    .await
}

/// The only signal of a rule in a namespace, as it is now.
pub async fn one(client: &Client, namespace: &str, rule: &str) -> Result<Signal> {
    let mut found = of(client, namespace, rule).await?;
    ensure!(found.len() == 1, "{} signals: {found:?}", found.len());
    Ok(found.remove(0))
}

/// Waits until the one signal of a rule in the test's namespace counts `expected`. More than that is an error: a count
/// never shrinks.
pub async fn counted(space: &Space, rule: &Rule, expected: u64) -> Result<Signal> {
    let signal = eventually(&format!("{} is counted {expected} times", rule.name), || async {
        let signal = one(&space.client, &space.name, &rule.name).await?;
        ensure!(signal.count() >= expected, "counted {} times", signal.count());
        Ok(signal)
    })
    .await?;
    ensure!(
        signal.count() == expected,
        "counted {} times instead of {expected}: {:?}",
        signal.count(),
        signal.0
    );
    Ok(signal)
}

/// How often a rule was counted in the test's namespace so far, in all its signals.
pub async fn total(space: &Space, rule: &Rule) -> Result<u64> {
    Ok(of(&space.client, &space.name, &rule.name)
        .await?
        .iter()
        .map(Signal::count)
        .sum())
}
