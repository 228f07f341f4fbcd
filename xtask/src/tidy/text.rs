//! What may not be in a file.

use std::path::Path;

/// Longest source file; split by concept before.
const LINES: usize = 700;

/// Crates that may contain unsafe code; all others forbid it.
const UNSAFE: &[&str] = &["node-agent-ebpf", "crates/node-agent-ebpf-common", "node-agent"];

/// Marks of unfinished work. The words are put together here so that this file does not contain them.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("unimple", "mented!"),
    concat!("to", "do!("),
];

/// Places that exist on one machine only.
const MACHINE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/tmp", "/w/"),
    concat!("arti", "factory"),
];

/// Everything wrong with one file; `path` is relative to the repository's root.
pub(super) fn check(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let source =
        Path::new(path).extension().is_some_and(|ending| ending == "rs") && !path.contains("/generated/");
    for (number, line) in text.lines().enumerate() {
        let at = || format!("{path}:{}", number + 1);
        if let Some(word) = MACHINE.iter().find(|word| line.contains(**word)) {
            findings.push(format!("{}: names {word}, which is a place on one machine", at()));
        }
        if let Some(word) = UNFINISHED.iter().find(|word| source && line.contains(**word)) {
            findings.push(format!("{}: {word} marks unfinished work", at()));
        }
    }
    if path.ends_with("Cargo.toml") && path != "Cargo.toml" && !inherits_lints(text) {
        findings.push(format!("{path}: does not inherit the workspace's lints"));
    }
    if path == "Cargo.toml" && !text.contains("missing_docs = \"deny\"") {
        findings.push(format!(
            "{path}: the lint missing_docs must be denied, so that public items are documented"
        ));
    }
    if source {
        findings.extend(check_source(path, text));
    }
    findings
}

fn check_source(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if path.ends_with("/mod.rs") {
        findings.push(format!("{path}: a module is `name.rs` beside its folder `name/`"));
    }
    let lines = text.lines().count();
    if lines > LINES {
        findings.push(format!(
            "{path}: {lines} lines, more than {LINES}: split it by concept"
        ));
    }
    let first = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    if !first.starts_with("//!") && !first.starts_with("#!") {
        findings.push(format!("{path}: does not start with `//!` and its purpose"));
    }
    let crate_root = path.strip_suffix("/src/lib.rs");
    if crate_root.is_some_and(|folder| !UNSAFE.contains(&folder)) && !text.contains("#![forbid(unsafe_code)]")
    {
        findings.push(format!("{path}: must forbid unsafe code"));
    }
    let pure = ["crates/event/", "crates/rules/", "crates/engine/"]
        .iter()
        .any(|folder| path.starts_with(folder));
    if pure && (text.contains("allow(missing_docs") || text.contains("expect(missing_docs")) {
        findings.push(format!("{path}: public items of a pure crate are documented"));
    }
    findings
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim);
    lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: [&str; 0] = [];

    #[test]
    fn a_good_file_passes() {
        assert_eq!(
            check("crates/rules/src/lib.rs", "//! Rules.\n#![forbid(unsafe_code)]\n"),
            NOTHING
        );
        assert_eq!(
            check(
                "crates/rules/Cargo.toml",
                "[package]\n\n[lints]\nworkspace = true\n"
            ),
            NOTHING
        );
    }

    #[test]
    fn places_on_a_machine_are_found_in_any_file() {
        let line = format!("see {}x", MACHINE[0]);
        assert_eq!(
            check("docs/a.md", &format!("ok\n{line}\n")),
            [format!(
                "docs/a.md:2: names {}, which is a place on one machine",
                MACHINE[0]
            )]
        );
    }

    #[test]
    fn unfinished_work_is_found_in_sources() {
        let text = format!("//! A.\n// {} later\n", UNFINISHED[0]);
        assert_eq!(
            check("crates/rules/src/a.rs", &text),
            [format!(
                "crates/rules/src/a.rs:2: {} marks unfinished work",
                UNFINISHED[0]
            )]
        );
        assert_eq!(check("proto/src/generated/a.rs", &text), NOTHING);
    }

    #[test]
    fn structure_of_sources() {
        assert_eq!(check("operator/src/serve/mod.rs", "//! A.\n").len(), 1);
        assert_eq!(check("operator/src/a.rs", "fn a() {}\n").len(), 1);
        assert_eq!(
            check("operator/src/a.rs", &format!("//! A.\n{}", "\n".repeat(LINES))).len(),
            1
        );
        assert_eq!(
            check("operator/src/lib.rs", "//! A.\n"),
            ["operator/src/lib.rs: must forbid unsafe code"]
        );
        assert_eq!(check("node-agent/src/lib.rs", "//! A.\n"), NOTHING);
        assert_eq!(
            check("crates/event/src/a.rs", "//! A.\n#![expect(missing_docs)]\n").len(),
            1
        );
    }

    #[test]
    fn lints_must_be_inherited_and_documentation_denied() {
        assert_eq!(
            check("operator/Cargo.toml", "[lints]\nrust.unsafe_code = \"allow\"\n").len(),
            1
        );
        assert_eq!(check("Cargo.toml", "[workspace]\n").len(), 1);
    }
}
