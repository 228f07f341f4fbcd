//! Which crate of ours may depend on which.

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Crate, and the crates of ours that it may use. Arrows point inward: thin shells around a pure core.
const ALLOWED: &[(&str, &[&str])] = &[
    ("yagura-node-agent-ebpf-common", &[]),
    ("yagura-event", &[]),
    ("yagura-rules", &["yagura-event"]),
    ("yagura-engine", &["yagura-event", "yagura-rules"]),
    ("yagura-store", &["yagura-engine", "yagura-event", "yagura-rules"]),
    ("yagura-telemetry", &[]),
    ("yagura-crds", &["yagura-event", "yagura-rules", "yagura-engine"]),
    ("yagura-proto", &["yagura-event", "yagura-rules"]),
    (
        "yagura-ctl",
        &["yagura-crds", "yagura-event", "yagura-rules", "yagura-engine"],
    ),
    ("yagura-node-agent-ebpf", &["yagura-node-agent-ebpf-common"]),
    (
        "yagura-node-agent",
        &[
            "yagura-node-agent-ebpf-common",
            "yagura-event",
            "yagura-rules",
            "yagura-engine",
            "yagura-store",
            "yagura-proto",
            "yagura-telemetry",
            "yagura-crds",
        ],
    ),
    (
        "yagura-operator",
        &[
            "yagura-crds",
            "yagura-proto",
            "yagura-event",
            "yagura-rules",
            "yagura-engine",
            "yagura-store",
            "yagura-telemetry",
        ],
    ),
    ("yagura-e2e", &["yagura-crds", "yagura-proto"]),
    // The first thing that anybody builds: it stays small.
    ("xtask", &[]),
];

/// Crates whose results depend on their arguments alone, and what they must therefore not use.
const PURE: &[&str] = &["yagura-event", "yagura-rules", "yagura-engine"];
const IMPURE: &[&str] = &[
    "serde",
    "serde_json",
    "kube",
    "k8s-openapi",
    "aya",
    "prost",
    "tonic",
    "tokio",
    "futures",
    "rusqlite",
    "tracing",
];

/// What cargo says about one crate of the workspace.
#[derive(Debug, Deserialize)]
pub(super) struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `dev` or `build`; nothing for a normal dependency.
    kind: Option<String>,
    /// Set for a crate of the workspace.
    path: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// Reads the output of `cargo metadata`.
pub(super) fn packages(metadata: &str) -> Result<Vec<Package>> {
    let metadata: Metadata =
        serde_json::from_str(metadata).context("cannot read the output of cargo metadata")?;
    Ok(metadata.packages)
}

/// Every edge that is not allowed.
pub(super) fn check(packages: &[Package]) -> Vec<String> {
    let mut findings = Vec::new();
    for package in packages {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name) else {
            findings.push(format!(
                "{}: not in the table of xtask/src/tidy/edges.rs",
                package.name
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            // Tests may use a crate's own library under another feature set.
            if dependency.path.is_some() && name != package.name && !allowed.contains(&name) {
                findings.push(format!("{}: must not depend on {name}", package.name));
            }
            let tests_only = dependency.kind.as_deref() == Some("dev");
            if PURE.contains(&package.name.as_str()) && !tests_only && IMPURE.contains(&name) {
                findings.push(format!(
                    "{}: a pure crate must not depend on {name}",
                    package.name
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, dependencies: &str) -> Vec<String> {
        let text = format!(r#"{{"packages": [{{"name": "{name}", "dependencies": [{dependencies}]}}]}}"#);
        check(&packages(&text).unwrap())
    }

    #[test]
    fn an_allowed_edge_passes() {
        let edge = r#"{"name": "yagura-event", "kind": null, "path": "/r/crates/event"}"#;
        assert_eq!(findings("yagura-rules", edge), Vec::<String>::new());
    }

    #[test]
    fn an_edge_outwards_is_found() {
        let edge = r#"{"name": "yagura-operator", "kind": "dev", "path": "/r/operator"}"#;
        assert_eq!(
            findings("yagura-e2e", edge),
            ["yagura-e2e: must not depend on yagura-operator"]
        );
    }

    #[test]
    fn a_pure_crate_may_use_serde_in_tests_only() {
        let normal = r#"{"name": "serde", "kind": null, "path": null}"#;
        assert_eq!(
            findings("yagura-engine", normal),
            ["yagura-engine: a pure crate must not depend on serde"]
        );
        let tests = r#"{"name": "serde_json", "kind": "dev", "path": null}"#;
        assert_eq!(findings("yagura-engine", tests), Vec::<String>::new());
    }

    #[test]
    fn a_new_crate_must_be_entered() {
        assert_eq!(
            findings("yagura-new", ""),
            ["yagura-new: not in the table of xtask/src/tidy/edges.rs"]
        );
    }
}
