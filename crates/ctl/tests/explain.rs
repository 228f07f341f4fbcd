//! What `yagura explain` prints.

#![expect(clippy::unwrap_used, reason = "helpers of tests are as blunt as tests")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

fn explain(event: &str) -> (Option<i32>, String, String) {
    explain_with(&["explain.yaml"], event)
}

fn explain_with(args: &[&str], event: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_yagura"))
        .args(["explain", "--event", "-"])
        .args(args)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(event.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn each_part_has_its_value_and_its_fields() {
    let (status, stdout, stderr) = explain(
        "kind: process.exec\nprocess: {name: sh, executable: {$unknown: true}}\ncontainer: {id: c1}\n",
    );
    assert_eq!(
        stdout,
        r#"odd-shell: a match, incomplete: something unknown decides
  unknown  event.kind == "process.exec" && is_shell && !(process.user.name == "root" || process.tty != null)
    true     event.kind == "process.exec"
               event.kind is "process.exec"
    unknown  process.name in ["bash"] || process.executable == "/bin/sh"
      false    process.name in ["bash"]
                 process.name is "sh"
      unknown  process.executable == "/bin/sh"
                 process.executable is unknown
    true     !(process.user.name == "root" || process.tty != null)
      false    process.user.name == "root" || process.tty != null
        false    process.user.name == "root"
                   process.user.name is absent
        false    process.tty != null
                   process.tty is absent
  exception builds
    false    container.id == "build"
               container.id is "c1"
  could run in the kernel: partial
    process.exec: more than matches
      process.name == "bash" && process.tty == null
      || process.tty == null && process.executable == "/bin/sh"
"#
    );
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
}

#[test]
fn what_holds_a_match_back_is_named() {
    let first = |event: &str| {
        let (status, stdout, stderr) = explain(event);
        assert_eq!(status, Some(0), "{stderr}");
        stdout
    };
    let held = first(r#"{"kind": "process.exec", "process.name": "bash", "container": {"id": "build"}}"#);
    assert!(
        held.starts_with("odd-shell: a match, held back by exception builds\n"),
        "{held}"
    );
    let host = first("{kind: process.exec, process: {name: bash}}");
    assert!(
        host.starts_with("odd-shell: no match: the condition holds, but `where` does not\n"),
        "{host}"
    );
    assert!(
        host.contains("\n  where.target is container: not here\n"),
        "{host}"
    );
    let other = first("{kind: process.exit, process: {name: bash}}");
    assert!(
        other.starts_with("odd-shell: no match: the condition does not hold\n"),
        "{other}"
    );
}

#[test]
fn what_is_no_event_is_an_error() {
    for (event, expected) in [
        (
            "{kind: process.exec, process: {nmae: x}}",
            "unknown field process.nmae",
        ),
        ("[]", "<stdin> holds no event"),
        ("type: loss", "<stdin> holds no event"),
        ("", "<stdin> holds no event"),
    ] {
        let (status, _, stderr) = explain(event);
        assert_eq!(status, Some(2), "{event}: {stderr}");
        assert!(stderr.contains(expected), "{event}: {stderr}");
    }
}

#[test]
fn the_filters_of_several_rules_are_shown_together() {
    let (status, stdout, stderr) =
        explain_with(&["kernel.yaml"], "{kind: process.exec, process: {name: nc}}");
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    let kernel: Vec<&str> = stdout
        .lines()
        .filter(|line| {
            line.contains("kernel") || line.starts_with("    process") || line.starts_with("      ")
        })
        .filter(|line| !line.contains(" is "))
        .collect();
    assert_eq!(
        kernel,
        [
            "  could run in the kernel: full",
            "    process.exec: no more than matches",
            "      process.name in [\"nc\", \"ncat\"] && process.user.id == 0",
            "  could run in the kernel: none",
            "    process.exit: everything",
            "  could run in the kernel: partial",
            "    process.exec: more than matches",
            "      process.executable.startsWith(\"/tmp/\")",
            "all rules together could let pass in the kernel:",
            "    process.exec: more than matches",
            "      process.name in [\"nc\", \"ncat\"] && process.user.id == 0",
            "      || process.executable.startsWith(\"/tmp/\")",
            "    process.exit: everything",
        ]
    );
}

#[test]
fn json_has_every_part_and_the_atoms() {
    let (status, stdout, stderr) = explain_with(
        &["kernel.yaml", "--output", "json"],
        "{kind: process.exec, process: {name: nc, executable: {$unknown: true}}}",
    );
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [first, second, third, together] = lines.as_slice() else {
        panic!("{stdout}");
    };
    assert_eq!(first["rule"], "netcat-as-root");
    assert_eq!(first["matches"], true);
    assert_eq!(first["condition"][0]["value"], true);
    assert_eq!(first["kernel"]["extent"], "full");
    assert_eq!(
        first["kernel"]["hooks"][0]["groups"],
        json!([[
            {
                "field": "process.name", "base": false, "negated": false, "exact": true, "test": "texts",
                "of": [{"shape": "whole", "text": "nc"}, {"shape": "whole", "text": "ncat"}],
                "condition": "process.name in [\"nc\", \"ncat\"]",
            },
            {
                "field": "process.user.id", "base": false, "negated": false, "exact": true, "test": "numbers",
                "of": [[0, 0]], "condition": "process.user.id == 0",
            },
        ]])
    );
    assert_eq!(second["kernel"]["hooks"][0]["open"], true);
    assert_eq!(third["incomplete"], true);
    let field = &third["condition"][2]["fields"][0];
    assert_eq!(
        field,
        &json!({"path": "process.executable", "unknown": true, "value": null})
    );
    assert_eq!(together["type"], "kernel");
    assert_eq!(together["kernel"]["hooks"][1]["openedBy"], json!([1]));
}
