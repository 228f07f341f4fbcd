//! Requests as the API server sends them.

use serde_json::{Value, json};

use super::review::answer;

fn rule(condition: &str) -> Value {
    json!({
        "apiVersion": "yagura.dev/v1alpha1", "kind": "DetectionRule", "metadata": {"name": "r"},
        "spec": {"title": "t", "severity": "high", "condition": condition},
    })
}

fn ask(kind: &str, object: &Value, old: &Value) -> Value {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "kind": {"group": "yagura.dev", "version": "v1alpha1", "kind": kind},
            "resource": {"group": "yagura.dev", "version": "v1alpha1", "resource": "x"},
            "name": "r", "operation": "CREATE", "userInfo": {}, "dryRun": false, "options": null,
            "object": object, "oldObject": old,
        },
    });
    let answer: Value = serde_json::from_slice(&answer(&serde_json::to_vec(&review).unwrap()).json).unwrap();
    assert_eq!(answer["response"]["uid"], "u-1");
    answer["response"].clone()
}

fn refusal(kind: &str, object: &Value) -> String {
    let response = ask(kind, object, &Value::Null);
    assert_eq!(response["allowed"], false, "{response}");
    response["status"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_rule_that_does_not_compile_is_refused_with_line_and_column() {
    let message = refusal(
        "DetectionRule",
        &rule("event.kind == \"process.exec\" &&\n  process.nmae == \"sh\""),
    );
    assert!(message.contains("spec.condition:2:3"), "{message}");
    assert!(message.contains("did you mean process.name?"), "{message}");
}

#[test]
fn a_good_rule_is_let_in_and_a_doubtful_one_with_a_warning() {
    let good = ask(
        "DetectionRule",
        &rule("event.kind == \"process.exec\" && process.name == \"sh\""),
        &Value::Null,
    );
    assert_eq!(
        (&good["allowed"], &good["warnings"]),
        (&json!(true), &Value::Null)
    );
    let mut doubtful = rule("event.kind == \"process.exec\" && process.name == \"sh\"");
    doubtful["spec"]["let"] = json!([{"name": "unused", "value": "1"}]);
    let response = ask("DetectionRule", &doubtful, &Value::Null);
    assert_eq!(response["allowed"], true);
    let warning = response["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("spec.let[0]"), "{warning}");
}

#[test]
fn an_object_that_is_not_edited_stays_whatever_it_is() {
    let broken = rule("((");
    let mut relabelled = broken.clone();
    relabelled["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(ask("DetectionRule", &relabelled, &broken)["allowed"], true);
    assert_eq!(ask("DetectionRule", &rule("((("), &broken)["allowed"], false);
}

#[test]
fn hostile_objects_are_refused_with_a_short_message() {
    let mut huge = rule("true");
    huge["spec"]["description"] = "x".repeat(2 * 1024 * 1024).into();
    assert!(refusal("DetectionRule", &huge).contains("1048576 at most are taken"));
    let chain = refusal("DetectionRule", &rule(&"1+".repeat(30_000)));
    assert!(
        chain.len() < 20_000 && chain.contains("spec.condition:1:"),
        "{chain}"
    );
    let regex = rule("process.name.matches(\"(((a{1000}){1000}){1000}\")");
    assert!(refusal("DetectionRule", &regex).contains("spec.condition:1:"));
    assert!(
        refusal(
            "DetectionRule",
            &json!({"metadata": {"name": "r"}, "spec": {"title": 1}})
        )
        .contains("invalid type")
    );
    let nonsense: Value = serde_json::from_slice(&answer(b"{").json).unwrap();
    assert_eq!(nonsense["response"]["allowed"], false);
}

#[test]
fn checks_and_frameworks_are_judged_too() {
    let check = |pass: &str, expect: &str| {
        json!({
            "apiVersion": "yagura.dev/v1alpha1", "kind": "PostureCheck", "metadata": {"name": "c"},
            "spec": {
                "title": "t", "severity": "low", "resource": "k8s.pod", "pass": pass,
                "tests": [{"name": "a", "resource": {"spec": {"hostNetwork": true}}, "expect": {"status": expect}}],
            },
        })
    };
    let pass = "resource.spec.hostNetwork != true";
    assert_eq!(
        ask("PostureCheck", &check(pass, "Fail"), &Value::Null)["allowed"],
        true
    );
    assert!(refusal("PostureCheck", &check(pass, "Pass")).contains("spec.tests[0]"));
    assert!(refusal("PostureCheck", &check("resource.spec.", "Fail")).contains("spec.pass:1:"));
    let control = json!({"id": "1.1", "title": "t", "checks": [{"name": "c"}]});
    let framework = json!({
        "apiVersion": "yagura.dev/v1alpha1", "kind": "PostureFramework", "metadata": {"name": "f"},
        "spec": {"title": "t", "version": "1", "requirements": [
            {"id": "1", "title": "t", "controls": [control]}, {"id": "2", "title": "t", "controls": [control]},
        ]},
    });
    assert!(refusal("PostureFramework", &framework).contains("spec.requirements[1].controls[0].id"));
}
