//! Marks on the command line: what rules of files say together.

#![expect(clippy::unwrap_used, reason = "helpers of tests are as blunt as tests")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// Exit status, standard output and standard error.
fn yagura(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_yagura"))
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"))
        .env_clear()
        .env("COLUMNS", "80")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that ends early does not read it.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn lint_names_circles_and_marks_that_nobody_sets() {
    let (status, stdout, _) = yagura(&["lint", "circle.yaml"], "");
    assert_eq!(
        stdout,
        r#"error[Y0053]: rules wait for each other's marks: one sets process.marks["a"] for two sets process.marks["b"] for one
 --> circle.yaml:8:16
  |
8 | a
  | ^
  = help: let one of them do without the other's mark

warning[Y0110]: no rule among these files sets container.marks["a"]
  --> circle.yaml:18:39
   |
18 | process.name == "sh" && has(process.marks["a"]) && has(container.marks["a"])
   |                                                        ^^^^^^^^^^^^^^^^^^^^
   = help: check the name and what bears the mark, or name the file of the rule that sets it, too

error[Y0053]: rules wait for each other's marks: two sets process.marks["b"] for one sets process.marks["a"] for two
  --> circle.yaml:19:16
   |
19 | b
   | ^
   = help: let one of them do without the other's mark

3 objects in 1 file: 2 errors, 1 warning
"#
    );
    assert_eq!(status, Some(1));
    let (status, stdout, _) = yagura(&["lint", "marks.yaml"], "");
    assert_eq!(
        (status, stdout.as_str()),
        (Some(0), "2 objects in 1 file: 0 errors, 0 warnings\n")
    );
}

/// An event of a process on a node.
fn event(node: &str, second: u8, kind: &str, pid: u32, parent: u32, name: &str) -> String {
    let event = json!({
        "time": format!("2026-11-01T00:00:{second:02}Z"),
        "kind": kind,
        "host": {"name": node},
        "process": {"pid": pid, "name": name, "ancestors": [{"pid": parent}]},
    });
    format!("{event}\n")
}

#[test]
fn replay_keeps_marks_from_one_event_to_the_next_for_each_node() {
    let events = [
        event("n1", 0, "process.exec", 10, 1, "curl"),
        event("n1", 1, "process.fork", 11, 10, "curl"),
        event("n2", 1, "process.fork", 11, 10, "sh"),
        event("n1", 2, "process.exec", 11, 10, "sh"),
        event("n2", 2, "process.exec", 11, 10, "sh"),
        event("n1", 3, "process.exec", 12, 1, "sh"),
    ];
    let (status, stdout, stderr) = yagura(&["replay", "--rules", "marks.yaml", "--", "-"], &events.concat());
    let signals: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(status, Some(1), "{stderr}");
    assert_eq!(signals.len(), 1, "{stdout}");
    assert_eq!(signals[0]["rule"], "after-download");
    assert_eq!(
        (&signals[0]["count"], &signals[0]["events"]),
        (&json!(1), &json!([3]))
    );
    assert!(stderr.contains("download: 1 matches, 0 signals"), "{stderr}");

    let (status, _, stderr) = yagura(&["replay", "--rules", "circle.yaml", "--", "-"], "");
    assert_eq!(status, Some(2));
    assert!(stderr.contains("rule one cannot run: rules wait for"), "{stderr}");
}

#[test]
fn explain_shows_what_an_event_is_marked_with() {
    let event = r#"{"kind": "process.exec", "process": {"name": "sh", "marks": {"download": "wget"}}}"#;
    let (status, stdout, stderr) = yagura(&["explain", "marks.yaml", "--event", "-"], event);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stdout.contains("after-download: no match"), "{stdout}");
    assert!(
        stdout.contains("process.marks is {\"download\":\"wget\"}"),
        "{stdout}"
    );
}
