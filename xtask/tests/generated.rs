//! Generated pages. The table of decisions and their proofs: every decision that the design stands on names the tests
//! that would fail if it were broken, and these tests exist. The chart's values, from the comments above them.
//!
//! `UPDATE=1 cargo test -p xtask --test generated` rewrites it.

use std::path::{Path, PathBuf};

#[path = "generated/decisions.rs"]
mod decisions;
#[path = "generated/values.rs"]
mod values;

use decisions::{DECISIONS, Decision, Proof};

const PAGE: &str = "docs/decisions/proofs.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn proofs_are_fresh() {
    is_fresh(PAGE, &page());
}

#[test]
fn the_page_of_values_is_fresh() {
    let values = std::fs::read_to_string(root().join("charts/yagura/values.yaml")).unwrap();
    is_fresh("docs/reference/values.md", &values::page(&values));
}

#[track_caller]
fn is_fresh(page: &str, fresh: &str) {
    let path = root().join(page);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, fresh).expect("a page of the tree can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == fresh, "{page} is stale; run: cargo xtask gen");
}

#[test]
fn every_proof_is_a_test_that_exists() {
    for decision in DECISIONS {
        for proof in decision.proofs {
            let path = root().join(proof.file);
            let source = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("decision {}: {}: {error}", decision.number, proof.file));
            assert!(
                is_test(&source, proof.test),
                "decision {}: {} has no test {}",
                decision.number,
                proof.file,
                proof.test
            );
        }
    }
}

#[test]
fn decisions_are_numbered_and_either_proven_or_said_not_to_be() {
    for (index, decision) in DECISIONS.iter().enumerate() {
        assert_eq!(decision.number, index + 1);
        assert!(
            !decision.proofs.is_empty() || decision.open.is_some(),
            "decision {} has neither a proof nor a word about what is open",
            decision.number
        );
    }
}

/// Whether the source has a function of that name with a test's attribute closely above it.
fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let starts = [format!("fn {name}("), format!("async fn {name}(")];
    let named = |line: &str| starts.iter().any(|start| line.starts_with(start.as_str()));
    let marked = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    lines
        .iter()
        .enumerate()
        .any(|(at, line)| named(line) && lines[at.saturating_sub(8)..at].iter().any(marked))
}

fn page() -> String {
    let mut page = "# What proves the decisions\n\n\
         Generated from `xtask/tests/generated/decisions.rs`; `cargo xtask gen` rewrites it, and a test checks that every test \
         named here exists.\nThe decisions of the numbered files beside this page refine these.\n\n\
         | | decision | proven by |\n|---|---|---|\n"
        .to_owned();
    for Decision {
        number,
        says,
        proofs,
        open,
    } in DECISIONS
    {
        let mut cell: Vec<String> = proofs
            .iter()
            .map(|Proof { file, test }| format!("[`{test}`](../../{file})"))
            .collect();
        cell.extend(open.map(|open| format!("Open: {open}")));
        let row = format!("| {number} | {says} | {} |\n", cell.join("<br>"));
        page.push_str(&row);
    }
    page
}
