//! What `yagura coverage` prints.

#![expect(clippy::unwrap_used, reason = "helpers of tests are as blunt as tests")]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

fn coverage(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_yagura"))
        .arg("coverage")
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"))
        .env_clear()
        .env("COLUMNS", "80")
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_table_in_the_order_of_the_matrix() {
    let (status, stdout) = coverage(&["coverage.yaml"]);
    assert_eq!(
        stdout,
        "\
TA0002  execution
  T1059.004  many-reads, shell
TA0005  defense-evasion
  -          shell
2 rules: 2 tactics, 1 technique
"
    );
    assert_eq!(status, Some(0));
    let (_, stdout) = coverage(&["lists.yaml"]);
    assert!(stdout.starts_with("without ATT&CK ids\n"), "{stdout}");
    let (status, _) = coverage(&["mistakes.yaml"]);
    assert_eq!(status, Some(1), "what has mistakes is not covered");
}

#[test]
fn json_has_a_line_a_technique_and_navigator_a_layer() {
    let (_, stdout) = coverage(&["--output", "json", "coverage.yaml"]);
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            json!({
                "tactic": "TA0002", "tacticName": "execution", "technique": "T1059.004",
                "rules": ["many-reads", "shell"],
            }),
            json!({
                "tactic": "TA0005", "tacticName": "defense-evasion", "technique": null, "rules": ["shell"],
            }),
        ]
    );
    let (_, stdout) = coverage(&["--output", "navigator", "coverage.yaml"]);
    let layer: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(layer["versions"]["layer"], "4.5");
    assert_eq!(layer["domain"], "enterprise-attack");
    assert_eq!(
        layer["techniques"],
        json!([{
            "techniqueID": "T1059.004", "tactic": "execution", "score": 2, "comment": "many-reads, shell",
            "enabled": true, "showSubtechniques": true,
        }])
    );
}
