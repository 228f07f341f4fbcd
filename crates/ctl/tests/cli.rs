//! What people see: the program's output and exit status, as a terminal of 80 columns gets them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are as blunt as tests")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn yagura(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yagura"));
    command
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"))
        .env_clear()
        .env("COLUMNS", "80");
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = yagura(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn lint_shows_every_mistake_with_its_place() {
    let (status, stdout, stderr) = run(&["lint", "mistakes.yaml"]);
    assert_eq!(
        stdout,
        r#"error[Y0040]: unknown field process.nmae
 --> mistakes.yaml:5:18
  |
5 | Shell {{process.nmae}}
  |         ^^^^^^^^^^^^
  = help: did you mean process.name?

warning[Y0100]: `unused` is not used
 --> mistakes.yaml:8:14
  |
8 | unused
  | ^^^^^^
  = help: remove it

error[Y0021]: unknown field process.nmae
  --> mistakes.yaml:11:7
   |
11 |   process.nmae == "sh" && process.pid == "1"
   |   ^^^^^^^^^^^^
   = help: did you mean process.name?

error[Y0027]: an int is never equal to a string
  --> mistakes.yaml:11:31
   |
11 |   process.nmae == "sh" && process.pid == "1"
   |                           ^^^^^^^^^^^^^^^^^^
   = help: write the number without quotes

error: spec.severity: "urgent" is none of info, low, medium, high, critical
  --> mistakes.yaml:16:28
   |
16 | spec: {title: t, severity: urgent, condition: "true"}
   |                            ^

error[Y0005]: unexpected character "="
  --> mistakes.yaml:25:31
   |
25 | resource.spec.hostPID = true
   |                       ^
   = help: `==` compares

warning: no PostureCheck not-here is among these files
  --> mistakes.yaml:36:54
   |
36 |       controls: [{id: a-1, title: t, checks: [{name: not-here}, {name: mistakes}]}]
   |                                                      ^
   = help: name its file or folder, too, or see that the cluster has it

3 objects in 1 file: 5 errors, 2 warnings
"#
    );
    assert_eq!((status, stderr.as_str()), (Some(1), ""));
}

#[test]
fn lint_holds_exceptions_against_the_rules_beside_them() {
    let (status, stdout, stderr) = run(&["lint", "exceptions.yaml"]);
    assert_eq!(
        stdout,
        r#"error: it cannot be for rule memfd: its spec.exceptable is cluster: only a ClusterException may hold back its matches
  --> exceptions.yaml:35:11
   |
35 |   rules: [team=shop]
   |           ^

error[Y0021]: unknown field process.nmae
  --> exceptions.yaml:36:14
   |
36 | process.nmae == "alice"
   | ^^^^^^^^^^^^
   = help: did you mean process.name?

warning: no DetectionRule other that compiles is among these files
  --> exceptions.yaml:43:11
   |
43 |   rules: [other]
   |           ^
   = help: name its file or folder, too, or see that the cluster has it

warning[Y0020]: unknown name theirs
  --> exceptions.yaml:44:14
   |
44 | theirs && process.pid
   | ^^^^^^
   = help: text stands in quotes: "theirs"; `yagura fields` lists the fields

5 objects in 1 file: 2 errors, 2 warnings
"#
    );
    assert_eq!((status, stderr.as_str()), (Some(1), ""));
}

#[test]
fn lint_gives_the_same_as_json_and_sarif() {
    let (status, stdout, _) = run(&["lint", "--output", "json", "mistakes.yaml"]);
    assert_eq!(status, Some(1));
    let findings: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(findings.len(), 7);
    assert_eq!(findings[2]["code"], "Y0021");
    assert_eq!(
        (&findings[2]["line"], &findings[2]["column"]),
        (&11.into(), &7.into())
    );
    assert_eq!(
        (&findings[2]["endLine"], &findings[2]["endColumn"]),
        (&11.into(), &19.into())
    );
    assert_eq!(findings[2]["object"]["name"], "mistakes");

    let (status, stdout, _) = run(&["lint", "--output", "sarif", "mistakes.yaml"]);
    assert_eq!(status, Some(1));
    let log: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let driver = &log["runs"][0]["tool"]["driver"];
    let known: Vec<&Value> = driver["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| &rule["id"])
        .collect();
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 7);
    for result in results {
        assert!(known.contains(&&result["ruleId"]), "{result}");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "mistakes.yaml");
        assert!(place["region"]["startLine"].as_u64() > Some(0));
    }
}

#[test]
fn lint_of_the_same_name_twice_is_a_mistake() {
    let rule = "apiVersion: yagura.dev/v1alpha1\nkind: DetectionRule\nmetadata: {name: a}\n\
                spec: {title: t, severity: low, condition: process.pid == 1}\n";
    let (status, stdout) = piped(&["lint", "-"], &format!("{rule}---\n{rule}"));
    assert!(
        stdout.contains("error: DetectionRule a is at <stdin>:3:18 already\n --> <stdin>:8:18\n"),
        "{stdout}"
    );
    assert_eq!(status, Some(1));
}

fn piped(arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = yagura(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn test_shows_what_failed_and_why() {
    let (status, stdout, stderr) = run(&["test", "failures.yaml"]);
    assert_eq!(
        stdout,
        "FAIL  shell: does not fire <although> it should
      failures.yaml:12:7
      expected 1 signal, got 0; no event matched
FAIL  shell: counts what came late
      failures.yaml:15:7
      expected 1 signal, got 1 that differ; events[0], events[1] matched
      securitySignals[0].count: expected 3, got 2
      securitySignals[0].title:
        expected \"Somebody started a shell where nobody expects one\"
        got \"Shell\"
FAIL  shell: has an event that cannot be
      failures.yaml:21:7
      events[0]: unknown field process.nmae; `yagura fields` lists them
FAIL  pid: is not known
      failures.yaml:37:7
      expected Pass, got Error: not known: resource.spec
none  untested has no tests
6 tests of 3 objects: 2 passed, 4 failed
"
    );
    assert_eq!((status, stderr.as_str()), (Some(1), ""));
    let (_, verbose, _) = run(&["test", "--verbose", "failures.yaml"]);
    assert!(verbose.starts_with("pass  shell: fires\n"), "{verbose}");
}

#[test]
fn test_gives_the_same_as_json_and_junit() {
    let (status, stdout, _) = run(&["test", "--output", "json", "failures.yaml"]);
    assert_eq!(status, Some(1));
    let results: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |result: &str| results.iter().filter(|line| line["result"] == result).count();
    assert_eq!((of("passed"), of("failed"), of("error")), (2, 4, 0));

    let (status, stdout, _) = run(&["test", "--output", "junit", "failures.yaml"]);
    assert_eq!(status, Some(1));
    assert!(
        stdout.contains(r#"<testsuites name="yagura" tests="6" failures="4" errors="0">"#),
        "{stdout}"
    );
    assert!(
        stdout.contains(
            r#"    <testcase classname="shell" name="does not fire &lt;although&gt; it should">
      <failure message="expected 1 signal, got 0; no event matched">failures.yaml:12:7</failure>"#
        ),
        "{stdout}"
    );
}

#[test]
fn what_cannot_be_compiled_cannot_be_tested_and_that_is_a_failure() {
    let (status, stdout, _) = run(&["test", "mistakes.yaml"]);
    assert!(
        stdout
            .ends_with("0 tests of 0 objects: 0 passed, 0 failed; 5 errors kept objects from being tested\n")
    );
    assert_eq!(status, Some(1));
}

#[test]
fn what_is_not_there_is_told_with_its_cause() {
    let (status, stdout, stderr) = run(&["lint", "nowhere.yaml"]);
    assert_eq!(
        stderr,
        "error: nothing was checked\n  caused by: cannot read nowhere.yaml\n  \
         caused by: No such file or directory (os error 2)\n"
    );
    assert_eq!((status, stdout.as_str()), (Some(2), ""));
    let (status, _, stderr) = run(&["fields", "cloud"]);
    assert_eq!(
        stderr,
        "error: there is no source \"cloud\"; use one of workload, posture\n"
    );
    assert_eq!(status, Some(2));
    let (status, _, stderr) = run(&["lnit"]);
    assert!(stderr.contains("lint"), "{stderr}");
    assert_eq!(status, Some(2));
    assert_eq!(run(&["lint"]).0, Some(2));
}

#[test]
fn fields_and_functions_fit_into_the_terminal() {
    for arguments in [&["fields"][..], &["fields", "workload"], &["functions"]] {
        let (status, stdout, stderr) = run(arguments);
        assert_eq!((status, stderr.as_str()), (Some(0), ""));
        for line in stdout.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let mut json = arguments.to_vec();
        json.extend(["--output", "json"]);
        let (_, stdout, _) = run(&json);
        assert!(stdout.lines().count() > 10);
        for line in stdout.lines() {
            let entry: Value = serde_json::from_str(line).unwrap();
            assert!(entry["meaning"].as_str().unwrap().ends_with('.'), "{entry}");
        }
    }
    let (_, stdout, _) = run(&["fields", "workload"]);
    assert!(
        stdout.starts_with(
            "event.kind  string\n    What happened. Example: process.exec In the kernel: hook; everywhere.\n"
        ),
        "{stdout}"
    );
}

#[test]
fn completion_knows_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let (status, stdout, _) = run(&["completion", shell]);
        assert_eq!(status, Some(0));
        assert!(stdout.contains("lint") && stdout.contains("functions"), "{shell}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = yagura(&["fields"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn without_a_cluster_signals_say_what_is_missing() {
    let (status, stdout, stderr) = run(&["signals", "list", "--kubeconfig", "not-here"]);
    assert_eq!((status, stdout.as_str()), (Some(2), ""));
    assert!(
        stderr.starts_with("error: cannot find a cluster; give --kubeconfig") && stderr.contains("not-here"),
        "{stderr}"
    );
    let (status, _, stderr) = run(&["signals", "list"]);
    assert_eq!(status, Some(2));
    assert!(stderr.contains("or set KUBECONFIG\n  caused by: "), "{stderr}");
}

#[test]
fn archiving_without_a_reason_is_wrong_usage() {
    let (status, _, stderr) = run(&["signals", "archive", "shop/shell-0123456789abcdef"]);
    assert_eq!(status, Some(2));
    assert!(stderr.contains("--reason"), "{stderr}");
}

#[test]
fn lists_are_held_against_what_names_them() {
    let (status, stdout, stderr) = run(&["lint", "lists.yaml"]);
    assert_eq!(
        stdout,
        r#"error[Y0033]: the list "pools" cannot be used: values[1]: bits behind the first 24 are set: write 192.0.2.0/24, or leave the length out for the one address (and 1 more)
  --> lists.yaml:30:36
   |
30 | process.name in lists["pools"]
   |                       ^^^^^^^

error: spec.values[1]: bits behind the first 24 are set: write 192.0.2.0/24, or leave the length out for the one address
  --> lists.yaml:39:7
   |
39 |     - 192.0.2.1/24
   |       ^

error: spec.values[2]: it is no network and no address: write one such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32
  --> lists.yaml:40:7
   |
40 |     - pool.example
   |       ^

error[Y0033]: unknown list "tool"
  --> lists.yaml:48:36
   |
48 | process.name in lists["tool"]
   |                       ^^^^^^
   = help: did you mean tools?

5 objects in 1 file: 4 errors, 0 warnings
"#
    );
    assert_eq!((status, stderr.as_str()), (Some(1), ""));

    // The tests of a rule run with the lists beside it.
    let (_, stdout, _) = run(&["test", "--verbose", "lists.yaml"]);
    assert!(
        stdout.contains("pass  tool: one of the list\npass  tool: another\n"),
        "{stdout}"
    );
}
