//! `yagura replay`: what rules would have found in recorded events.

#![expect(clippy::unwrap_used, reason = "helpers of tests are as blunt as tests")]

mod hostile;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

const RULES: &str = r#"
apiVersion: yagura.dev/v1alpha1
kind: DetectionRule
metadata: {name: shell}
spec:
  title: Shell
  severity: high
  condition: process.name == "sh"
  overrides: {severity: critical}
  signal: {title: "Shell {{process.name}}", groupBy: [container.id], keepOpen: 1m}
---
apiVersion: yagura.dev/v1alpha1
kind: DetectionRule
metadata: {name: often}
spec:
  title: Often
  severity: medium
  condition: process.name == "su"
  detect: {threshold: {count: 3, within: 10s, groupBy: [process.user.name]}}
---
apiVersion: yagura.dev/v1alpha1
kind: DetectionRule
metadata: {name: asleep}
spec: {title: Asleep, severity: low, enabled: false, condition: process.pid > 0}
"#;

struct Answer {
    status: Option<i32>,
    signals: Vec<Value>,
    errors: String,
}

fn replay(folder: &Path, arguments: &[&str], input: &[u8]) -> Answer {
    std::fs::write(folder.join("rules.yaml"), RULES).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_yagura"))
        .args(["replay", "--rules", "rules.yaml"])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that ends early does not read it.
    child.stdin.take().unwrap().write_all(input).ok();
    let output = child.wait_with_output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    Answer {
        status: output.status.code(),
        signals: lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

fn exec(time: &str, name: &str, user: &str, container: &str) -> String {
    let time = if time.is_empty() {
        String::new()
    } else {
        format!(r#""time":{time},"#)
    };
    format!(
        r#"{{{time}"kind":"process.exec","process":{{"name":"{name}","pid":7,"user":{{"name":"{user}"}}}},"container":{{"id":"{container}"}}}}"#
    )
}

#[test]
fn matches_of_a_group_are_one_signal_while_it_is_open_by_the_events_own_time() {
    let folder = tempfile::tempdir().unwrap();
    let events = [
        exec(r#""2026-01-01T00:00:00Z""#, "sh", "a", "c1"),
        exec(r#""2026-01-01T00:00:10Z""#, "sh", "a", "c2"),
        exec(r#""2026-01-01T00:00:50.5Z""#, "sh", "a", "c1"),
        // Silent for longer than a minute.
        exec("1767225720000000000", "sh", "a", "c1"),
        String::new(),
        exec("", "cat", "a", "c1"),
    ];
    let answer = replay(folder.path(), &["--", "-"], events.join("\n").as_bytes());
    assert_eq!(answer.status, Some(1), "{}", answer.errors);
    let shown: Vec<_> = answer
        .signals
        .iter()
        .map(|signal| {
            (
                signal["group"]["container.id"].as_str().unwrap(),
                signal["events"].to_string(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("c1", "[0,2]".to_owned()),
            ("c2", "[1]".to_owned()),
            ("c1", "[3]".to_owned())
        ]
    );
    let first = &answer.signals[0];
    assert_eq!(
        (first["rule"].as_str(), first["severity"].as_str()),
        (Some("shell"), Some("critical"))
    );
    assert_eq!(first["title"], "Shell sh");
    assert_eq!(first["count"], 2);
    assert_eq!(first["first"], "2026-01-01T00:00:00Z");
    assert_eq!(first["last"], "2026-01-01T00:00:50.5Z");
    for line in [
        "events   5",
        "matched  4",
        "signals  3",
        "shell: 4 matches, 3 signals",
    ] {
        assert!(answer.errors.contains(line), "{}", answer.errors);
    }
}

#[test]
fn nodes_are_told_apart_and_exceptions_beside_the_rules_hold_back() {
    let folder = tempfile::tempdir().unwrap();
    let exception = r#"
apiVersion: yagura.dev/v1alpha1
kind: ClusterException
metadata: {name: agreed}
spec:
  reason: agreed
  rules: [shell]
  condition: process.user.name == "backup"
"#;
    std::fs::write(folder.path().join("exception.yaml"), exception).unwrap();
    let on = |node: &str, user: &str| {
        exec("", "sh", user, "c").replacen('{', &format!(r#"{{"host":{{"name":"{node}"}},"#), 1)
    };
    let input = [on("n1", "a"), on("n2", "a"), on("n1", "backup"), on("n1", "a")].join("\n");
    let answer = replay(folder.path(), &["exception.yaml", "--", "-"], input.as_bytes());
    let events: Vec<_> = answer
        .signals
        .iter()
        .map(|signal| signal["events"].to_string())
        .collect();
    assert_eq!(events, ["[0,3]", "[1]"], "{}", answer.errors);
}

#[test]
fn a_threshold_names_the_events_that_made_it_hold() {
    let folder = tempfile::tempdir().unwrap();
    // One second apart; the fifth of bob's is a window of its own.
    let users = ["alice", "bob", "alice", "bob", "bob", "bob"];
    let events: Vec<String> = users.iter().map(|user| exec("", "su", user, "c")).collect();
    let path = folder.path().join("events.ndjson.gz");
    let mut gzip = GzEncoder::new(std::fs::File::create(&path).unwrap(), Compression::fast());
    gzip.write_all(events.join("\n").as_bytes()).unwrap();
    gzip.finish().unwrap();
    let answer = replay(folder.path(), &["--", "events.ndjson.gz"], b"");
    assert_eq!(answer.status, Some(1), "{}", answer.errors);
    assert_eq!(answer.signals.len(), 1);
    let signal = &answer.signals[0];
    assert_eq!(signal["group"]["process.user.name"], "bob");
    assert_eq!(signal["events"].to_string(), "[1,3,4,5]");
    assert_eq!(signal["count"], 4);
}

#[test]
fn a_match_that_no_window_took_is_no_event_of_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let rule = r#"
apiVersion: yagura.dev/v1alpha1
kind: DetectionRule
metadata: {name: kinds}
spec:
  title: Kinds
  severity: low
  condition: process.name == "id"
  detect: {threshold: {count: 2, within: 1m, distinct: process.executable}}
"#;
    std::fs::write(folder.path().join("kinds.yaml"), rule).unwrap();
    let run = |path: &str| exec("", "id", "a", "c").replace(r#""pid":7"#, &format!(r#""pid":7{path}"#));
    let input = [
        run(r#","executable":"/a""#),
        run(""),
        run(r#","executable":"/b""#),
    ];
    let answer = replay(
        folder.path(),
        &["kinds.yaml", "--", "-"],
        input.join("\n").as_bytes(),
    );
    assert_eq!(answer.signals.len(), 1, "{}", answer.errors);
    assert_eq!(answer.signals[0]["events"].to_string(), "[0,2]");
    assert_eq!(answer.signals[0]["count"], 2);
}

#[test]
fn lines_that_are_no_events_are_named_and_end_a_strict_run() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!(r#"{{"kind":"{}"}}"#, "x".repeat(2 << 20));
    let events = [
        "no json".to_owned(),
        r#"{"kind":"process.nothing"}"#.to_owned(),
        r#"{"type":"signal","rule":"r"}"#.to_owned(),
        r#"{"type":"rumour"}"#.to_owned(),
        r#"{"kind":"process.exec","time":"yesterday"}"#.to_owned(),
        long,
        r#"{"type":"event","event":{"kind":"process.exec"},"process":{"name":"sh","args_count":3}}"#
            .to_owned(),
    ];
    let input = events.join("\n");
    let answer = replay(folder.path(), &["--", "-"], input.as_bytes());
    assert_eq!(answer.status, Some(1), "{}", answer.errors);
    assert_eq!(
        answer.signals[0]["events"].to_string(),
        "[6]",
        "an index leads back to its line"
    );
    for line in [
        "-:1: expected ident",
        "-:2: unknown event kind",
        "-:4: its type is none of event",
        "-:5: time \"yesterday\" is neither",
        "-:6: the line is longer than 1048576 bytes",
        "no event 5 lines",
    ] {
        assert!(answer.errors.contains(line), "{line}: {}", answer.errors);
    }
    let strict = replay(folder.path(), &["--strict", "--", "-"], input.as_bytes());
    assert_eq!((strict.status, strict.signals.len()), (Some(2), 0));
    assert!(strict.errors.contains("leave --strict out"), "{}", strict.errors);
}

#[test]
fn what_cannot_be_replayed_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let missing = replay(folder.path(), &["--", "no-such-file"], b"");
    assert_eq!(missing.status, Some(2));
    assert!(
        missing.errors.contains("cannot read events from no-such-file"),
        "{}",
        missing.errors
    );
    let source = replay(folder.path(), &["--source", "okta", "--", "-"], b"");
    assert!(
        source.errors.contains("no source of events is called \"okta\""),
        "{}",
        source.errors
    );
    std::fs::write(
        folder.path().join("broken.yaml"),
        RULES.replace("process.name", "process.nmae"),
    )
    .unwrap();
    let broken = replay(folder.path(), &["broken.yaml", "--", "-"], b"");
    assert_eq!(broken.status, Some(2));
    assert!(
        broken.errors.contains("unknown field process.nmae"),
        "{}",
        broken.errors
    );
    let nothing = replay(folder.path(), &["--", "-"], b"");
    assert_eq!(
        (nothing.status, nothing.signals.len()),
        (Some(0), 0),
        "{}",
        nothing.errors
    );
}

#[test]
fn sequences_new_values_and_cases_name_the_events_that_made_them() {
    let folder = tempfile::tempdir().unwrap();
    let rules = r#"
apiVersion: yagura.dev/v1alpha1
kind: DetectionRule
metadata: {name: steps}
spec:
  title: Steps
  severity: low
  condition: event.kind == "process.exec"
  detect:
    sequence:
      within: 1m
      steps: [{condition: process.name == "curl"}, {condition: process.name == "x"}]
      until: process.name == "apt"
---
apiVersion: yagura.dev/v1alpha1
kind: DetectionRule
metadata: {name: news}
spec:
  title: News
  severity: low
  condition: process.name != "sh"
  detect: {newValue: {fields: [process.name], learnFor: 0s, learnMatches: 3}}
---
apiVersion: yagura.dev/v1alpha1
kind: DetectionRule
metadata: {name: cases}
spec:
  title: Cases
  severity: low
  condition: process.name in ["curl", "x"]
  detect:
    correlation:
      within: 1m
      queries: [{name: n, condition: "true"}, {name: names, condition: "true", distinct: process.name}]
      cases: [{when: names > 1, severity: critical, title: Several}, {when: n > 1}]
"#;
    std::fs::write(folder.path().join("more.yaml"), rules).unwrap();
    let names = ["curl", "apt", "curl", "apt", "x", "curl", "x"];
    let input: Vec<String> = names.iter().map(|name| exec("", name, "a", "c")).collect();
    let answer = replay(
        folder.path(),
        &["more.yaml", "--", "-"],
        input.join("\n").as_bytes(),
    );
    let found: Vec<String> = answer
        .signals
        .iter()
        .map(|signal| {
            let part = |name: &str| signal[name].to_string().replace('"', "");
            let parts = ["rule", "severity", "title", "events"].map(part);
            parts.join(" ")
        })
        .collect();
    assert_eq!(
        found,
        [
            "cases critical Several [0,2,4,5,6]",
            "news low News [4]",
            "steps low Steps [5,6]"
        ],
        "{}",
        answer.errors
    );
}
