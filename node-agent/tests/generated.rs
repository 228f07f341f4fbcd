//! The reference of the agent's metrics says what is registered.
//!
//! `UPDATE=1 cargo test -p yagura-node-agent --test generated` rewrites it.

use std::path::Path;

use yagura_node_agent::metrics::Metrics;
use yagura_telemetry::Registry;

#[test]
fn metrics_reference_is_fresh() {
    let mut registry = Registry::default();
    Metrics::register(&mut registry);
    let fresh = format!(
        "# Metrics of the node agent\n\nGenerated from the source; `cargo xtask gen` rewrites it. \
         The agent offers them at `/metrics` on `--metrics-address`.\n\n{}",
        registry.reference()
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/metrics-agent.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == fresh,
        "{} is stale; run: cargo xtask gen",
        path.display()
    );
}

#[test]
fn every_metric_is_named_for_the_agent() {
    let mut registry = Registry::default();
    Metrics::register(&mut registry);
    for line in registry.reference().lines().skip(2) {
        assert!(line.starts_with("| `yagura_agent_"), "{line}");
        assert_eq!(line.contains("_total`"), line.contains("| counter |"), "{line}");
    }
}
