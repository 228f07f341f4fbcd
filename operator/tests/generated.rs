//! The reference of the operator's metrics says what is registered, and the operator brings all of
//! the shipped content along.
//!
//! `UPDATE=1 cargo test -p yagura-operator --test generated` rewrites both.

#![expect(clippy::unwrap_used, reason = "helpers of tests are as blunt as tests")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use yagura_operator::content::FILES_SOURCE;
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
    is_fresh(&root().join("docs/reference/metrics-operator.md"), &fresh);
}

#[test]
fn all_shipped_content_is_embedded() {
    let mut fresh = String::from(
        "//! The shipped files. Generated from the folder `content`; `cargo xtask gen` rewrites it.\n\n\
         /// Paths from the root of the repository, and what stands in the files.\n\
         #[rustfmt::skip]\n\
         pub(super) const FILES: &[(&str, &str)] = &[\n",
    );
    let mut files = Vec::new();
    collect(&root().join("content"), &mut files);
    files.sort();
    for file in files {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap();
        writeln!(fresh, "    (\"{path}\", include_str!(\"../../../{path}\")),").unwrap();
    }
    fresh.push_str("];\n");
    is_fresh(&root().join(FILES_SOURCE), &fresh);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            files.push(path);
        }
    }
}

fn is_fresh(path: &Path, fresh: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, fresh).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
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
