//! The reference of the operator's metrics says what is registered.
//!
//! `UPDATE=1 cargo test -p yagura-operator --test generated` rewrites it.

use std::path::Path;

use yagura_operator::metrics::Metrics;
use yagura_telemetry::Registry;

#[test]
fn metrics_reference_is_fresh() {
    let mut registry = Registry::default();
    Metrics::new(&mut registry);
    let fresh = format!(
        "# Metrics of the operator\n\nGenerated from the source; `cargo xtask gen` rewrites it. \
         The operator offers them at `/metrics` on its admin port.\n\n{}",
        registry.reference()
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/metrics-operator.md");
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
fn every_metric_is_named_for_the_operator() {
    let mut registry = Registry::default();
    Metrics::new(&mut registry);
    for line in registry.reference().lines().skip(2) {
        assert!(line.starts_with("| `yagura_operator_"), "{line}");
        assert_eq!(line.contains("_total`"), line.contains("| counter |"), "{line}");
    }
}
