//! Detection rules of tests.

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::eventually::{DEADLINE, within};
use crate::objects;
use crate::space::Space;

/// A rule for one test. It looks at the test's namespace only, unless it is for the host.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The name, unique in the cluster.
    pub name: String,
    /// The whole object, to be changed at will before it is applied.
    pub object: Value,
}

/// A rule for containers of the test's namespace.
pub fn rule(space: &Space, stem: &str, condition: &str) -> Rule {
    let name = space.named(stem);
    let object = json!({
        "apiVersion": objects::API_VERSION,
        "kind": "DetectionRule",
        "metadata": {"name": name},
        "spec": {
            "title": format!("Test {stem}"),
            "description": "A rule of an end-to-end test.",
            "remediation": "None: the test removes it.",
            "severity": "medium",
            "source": "workload",
            "enabled": true,
            "where": {
                "target": "container",
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.name}},
            },
            "condition": condition,
            "signal": {
                "title": "{{process.name}} in {{k8s.pod.name}}",
                "groupBy": ["container.id"],
            },
        },
    });
    Rule { name, object }
}

/// A condition that holds when a program is executed with `marker` as an argument.
pub fn executed_with(marker: &str) -> String {
    format!(r#"event.kind == "process.exec" && "{marker}" in process.args"#)
}

impl Rule {
    /// The same rule for processes outside of containers.
    #[must_use]
    pub fn on_host(mut self) -> Self {
        self.object["spec"]["where"] = json!({"target": "host"});
        self.object["spec"]["signal"] =
            json!({"title": "{{process.name}} on the host", "groupBy": ["process.name"]});
        self
    }

    /// The same rule with another field of `spec`.
    #[must_use]
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.object["spec"][field] = value;
        self
    }

    /// Applies it and returns its generation.
    pub async fn apply(&self, space: &Space) -> Result<i64> {
        let applied = objects::apply_json(space, self.object.clone()).await?;
        applied
            .metadata
            .generation
            .with_context(|| format!("{} has no generation", applied.name_any()))
    }

    /// Applies it and waits until every node runs this generation of it.
    pub async fn run(&self, space: &Space) -> Result<()> {
        self.apply(space).await?;
        self.programmed(space).await.map(drop)
    }

    /// Waits until every node runs the newest generation, and returns the object.
    pub async fn programmed(&self, space: &Space) -> Result<Value> {
        // Half a minute after a rule changed, its status follows nodes that come and go once a minute.
        within(
            2 * DEADLINE,
            &format!("{} runs on every node", self.name),
            || async {
                let object = self.get(space).await?;
                let accepted = objects::condition(&object, "Accepted")?;
                ensure!(accepted["status"] == "True", "{accepted}");
                let programmed = objects::condition(&object, "Programmed")?;
                ensure!(programmed["status"] == "True", "{programmed}");
                let nodes = &object["status"]["nodes"];
                ensure!(nodes["desired"].as_u64() > Some(0), "nodes: {nodes}");
                ensure!(nodes["active"] == nodes["desired"], "nodes: {nodes}");
                Ok(object)
            },
        )
        .await
    }

    /// The object as the API server has it.
    pub async fn get(&self, space: &Space) -> Result<Value> {
        objects::get(&space.client, "DetectionRule", None, &self.name).await
    }

    /// Deletes it.
    pub async fn delete(&self, space: &Space) -> Result<()> {
        objects::delete(&space.client, "DetectionRule", None, &self.name).await
    }
}
