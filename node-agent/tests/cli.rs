//! The command as people type it: exit codes, and errors that say what to do.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in what its tests share"
)]

use std::fs;
use std::process::{Command, Output};

fn agent(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_yagura-agent"))
        .args(args)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_has_examples_and_version_and_completion_work() {
    let help = agent(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(
        String::from_utf8(help.stdout)
            .unwrap()
            .contains("yagura-agent run --rules")
    );
    let version = agent(&["--version"]);
    assert!(version.stdout.starts_with(b"yagura-agent 0."));
    let script = agent(&["completion", "bash"]);
    assert_eq!(script.status.code(), Some(0));
    assert!(
        String::from_utf8(script.stdout)
            .unwrap()
            .contains("--only-signals")
    );
}

#[test]
fn wrong_usage_ends_with_2() {
    for args in [
        &["run", "--for", "soon"][..],
        &["run", "--operator", "http://operator:8443"],
        &["run", "--rules", "/nonexistent/rules.yaml"],
        &["run", "--log", "a=b=c"],
        &["walk"],
    ] {
        let output = agent(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("error: "), "{}", stderr(&output));
    }
}

#[test]
fn an_error_names_its_cause() {
    let output = agent(&["run", "--rules", "/nonexistent/rules.yaml"]);
    assert_eq!(
        stderr(&output),
        "error: cannot read /nonexistent/rules.yaml: No such file or directory (os error 2)\n"
    );
}

#[test]
fn rules_that_are_all_broken_are_named_with_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rule.yaml");
    fs::write(
        &path,
        "apiVersion: yagura.dev/v1alpha1\nkind: DetectionRule\nmetadata: {name: typo}\nspec:\n  \
         title: t\n  severity: low\n  condition: process.nmae == \"sh\"\n",
    )
    .unwrap();
    let output = agent(&["run", "--rules", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("rule.yaml:7:14"), "{text}");
    assert!(text.contains("did you mean process.name?"), "{text}");
    assert!(text.contains("error: none of the rules can run"), "{text}");
}

#[test]
fn a_rule_that_grows_without_bounds_is_refused_quickly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rule.yaml");
    let condition = "!".repeat(60_000);
    fs::write(
        &path,
        format!(
            "apiVersion: yagura.dev/v1alpha1\nkind: DetectionRule\nmetadata: {{name: long}}\nspec:\n  \
             title: t\n  severity: low\n  condition: '{condition}true'\n"
        ),
    )
    .unwrap();
    let output = agent(&["run", "--rules", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("rule.yaml:7:"), "{}", stderr(&output));
}
