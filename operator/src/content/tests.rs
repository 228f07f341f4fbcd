//! Decisions about objects as an API server shows them.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::LABEL;
use super::bundle::{Bundle, BundleError, Item, Key, Kind};
use super::events::reverted;
use super::exact::correction;
use super::packs::{Pack, Packs};
use super::plan::{Action, plan};

const RULE: &str = "
apiVersion: yagura.dev/v1alpha1
kind: DetectionRule
metadata: {name: shell}
spec:
  title: A shell
  severity: high
  condition: event.kind == \"process.exec\"
  tests:
    - {name: fires, events: [{kind: process.exec, process: {tty: null}}], expect: {signals: 1}}
";

fn bundle() -> Bundle {
    Bundle::read([("rule.yaml", RULE)]).unwrap()
}

fn item(bundle: &Bundle) -> &Item {
    bundle.get(&key()).unwrap()
}

fn key() -> Key {
    Key {
        kind: Kind::Rule,
        name: "shell".to_owned(),
    }
}

/// The object as it stands after the operator applied it: the API server fills in defaults.
fn applied() -> Value {
    json!({
        "apiVersion": "yagura.dev/v1alpha1", "kind": "DetectionRule",
        "metadata": {
            "name": "shell", "labels": {LABEL: "workload"},
            "managedFields": [
                {"manager": "yagura-operator", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:yagura.dev/bundle": {}}},
                    "f:spec": {"f:title": {}, "f:condition": {}, "f:severity": {}},
                }},
                {"manager": "yagura-operator", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {}}},
            ],
        },
        "spec": {
            "title": "A shell", "severity": "high", "source": "workload", "enabled": true, "exceptable": "cluster",
            "silent": false, "signal": {},
            "condition": "event.kind == \"process.exec\"",
            "tests": [{"name": "fires", "events": [{"kind": "process.exec", "process": {"tty": null}}], "expect": {"signals": 1}}],
        },
    })
}

/// The object after somebody wrote members of its spec.
fn edited(spec: &Value) -> Value {
    let mut object = applied();
    let mut fields = json!({});
    for (member, value) in spec.as_object().unwrap() {
        object["spec"][member] = value.clone();
        fields[format!("f:{member}")] = json!({});
    }
    let entries = object["metadata"]["managedFields"].as_array_mut().unwrap();
    entries.push(json!({
        "manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": fields},
    }));
    object
}

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

fn decide(wanted: bool, found: Option<Value>) -> Action {
    let bundle = bundle();
    let found = found.map(object);
    plan(Kind::Rule, wanted.then(|| item(&bundle)), found.as_ref())
}

#[test]
fn what_ships_with_this_version_can_be_read_and_leaves_the_users_part_alone() {
    let bundle = Bundle::embedded().unwrap();
    let of = |kind| bundle.keys().filter(|key| key.kind == kind).count();
    assert!(of(Kind::Rule) > 0 && of(Kind::Check) > 0 && of(Kind::Framework) > 0);
    let posture = bundle.clone().selected(&[Pack::Posture].into_iter().collect());
    assert_eq!(posture.len(), bundle.len() - of(Kind::Rule));
    assert!(bundle.selected(&Packs::default()).is_empty());
    let members = item(&self::bundle()).spec.members();
    assert!(!members.contains_key("enabled") && !members.contains_key("overrides"));
    let twice = Bundle::read([("a.yaml", RULE), ("b.yaml", RULE)]);
    assert!(matches!(twice, Err(BundleError::Twice { .. })));
    assert!(
        Bundle::read([("a.yaml", "kind: Pod")])
            .unwrap_err()
            .to_string()
            .contains("a.yaml:1:1")
    );
}

#[test]
fn nothing_is_written_when_nothing_changed_and_the_users_part_is_no_change() {
    assert_eq!(decide(true, Some(applied())), Action::Keep);
    let users = json!({"enabled": false, "overrides": {"severity": "low"}});
    assert_eq!(decide(true, Some(edited(&users))), Action::Keep);
    assert_eq!(decide(false, None), Action::Keep);
    assert_eq!(decide(true, None), Action::Create);
}

#[test]
fn another_version_is_an_update_and_an_edit_is_taken_back_by_name() {
    let mut older = applied();
    older["spec"]["condition"] = json!("true");
    assert_eq!(decide(true, Some(older)), Action::Update);
    let edit = edited(&json!({"condition": "true", "references": ["https://example.com"], "enabled": false}));
    let Action::Revert { by, members } = decide(true, Some(edit.clone())) else {
        panic!("it was edited")
    };
    assert_eq!(
        (by.as_slice(), members.as_slice()),
        (
            &["kubectl-edit".to_owned()][..],
            &["condition".to_owned(), "references".to_owned()][..]
        )
    );
    assert_eq!(
        correction(item(&bundle()), &object(edit)),
        json!({"condition": "event.kind == \"process.exec\"", "references": null})
    );
    let note = reverted(&key(), &vec!["é".repeat(600); 20], &members)
        .note
        .unwrap();
    assert!(note.len() <= 1_024, "{}", note.len());
    let note = reverted(&key(), &by, &members).note.unwrap();
    assert!(
        note.starts_with("What kubectl-edit wrote to condition, references is taken back"),
        "{note}"
    );
    assert!(
        note.contains("spec.overrides") && note.contains("copy it"),
        "{note}"
    );
}

#[test]
fn an_object_that_this_version_cannot_read_is_brought_back() {
    let broken = edited(&json!({"severity": "urgent"}));
    assert!(matches!(decide(true, Some(broken)), Action::Revert { .. }));
}

#[test]
fn an_object_without_the_label_is_never_touched() {
    for wanted in [true, false] {
        let mut own = applied();
        own["metadata"]["labels"] = json!({"mine": "yes"});
        let expected = if wanted { Action::Taken } else { Action::Keep };
        assert_eq!(decide(wanted, Some(own)), expected);
    }
}

#[test]
fn what_does_not_ship_any_more_is_removed_but_not_a_copy_that_kept_the_label() {
    assert_eq!(decide(false, Some(applied())), Action::Remove);
    let mut copy = applied();
    copy["metadata"]["managedFields"][0]["manager"] = json!("kubectl-create");
    assert_eq!(decide(false, Some(copy.clone())), Action::Keep);
    // With a shipped name it is one that was handed over, or comes from a backup.
    assert_eq!(decide(true, Some(copy)), Action::Update);
}
