//! From objects to what conditions are compiled with, and what is said of them.

use std::sync::Arc;

use kube::core::DeserializeGuard;
use serde_json::{Value, json};
use yagura_crds::{ValueList, ValueListStatus};
use yagura_event::Timestamp;

use super::events::stopped;
use super::run::Objects;
use super::shelf::Shelf;
use super::status::{compute, decides_otherwise};
use super::uses::Uses;
use crate::watch::{Change, Gone};

fn guard(name: &str, generation: i64, spec: &Value) -> DeserializeGuard<ValueList> {
    let object = json!({
        "apiVersion": "yagura.dev/v1alpha1", "kind": "ValueList",
        "metadata": {
            "name": name, "uid": format!("uid-{name}"), "generation": generation,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

fn shelf(objects: &[(&str, Value)]) -> Shelf {
    let mut all = Objects::default();
    for (name, spec) in objects {
        all.take(Change::Apply(guard(name, 1, spec)));
    }
    assert!(all.shelf().is_none(), "others may be on their way");
    all.take(Change::Synced);
    all.shelf().unwrap()
}

/// Status, reason, message of `Accepted`, and the entries.
fn told(shelf: &Shelf, name: &str) -> (String, String, String, u32) {
    let judged = shelf
        .judged
        .iter()
        .find(|judged| judged.object.name == name)
        .unwrap();
    let status = compute(
        &ValueListStatus::default(),
        judged,
        &Uses::default(),
        Timestamp(0),
    );
    let condition = &status.conditions[0];
    assert_eq!(condition.observed_generation, Some(1));
    (
        condition.status.clone(),
        condition.reason.clone(),
        condition.message.clone(),
        status.entries,
    )
}

#[test]
fn good_lists_are_on_the_shelf_and_others_keep_their_names() {
    let shelf = shelf(&[
        (
            "good",
            json!({"type": "cidr", "values": ["10.0.0.0/8", "192.0.2.7"]}),
        ),
        ("wrong", json!({"type": "cidr", "values": ["ten"]})),
        ("unreadable", json!({"type": "regex"})),
    ]);
    assert_eq!(
        told(&shelf, "good"),
        (
            "True".into(),
            "Read".into(),
            "conditions may use its 2 values".into(),
            2
        )
    );
    let (status, reason, message, _) = told(&shelf, "wrong");
    assert_eq!((&*status, &*reason), ("False", "InvalidValues"));
    assert!(message.starts_with("values[0]: it is no network"), "{message}");
    assert_eq!(told(&shelf, "unreadable").1, "InvalidObject");
    assert!(shelf.bodies.keys().eq(["good"]));
    assert!(yagura_proto::content::is_sealed_list(&shelf.bodies["good"]));
    assert!(shelf.lists.fingerprint("wrong").starts_with("!values[0]"));
    assert_eq!(shelf.lists.fingerprint("gone"), "");
}

#[test]
fn what_agents_get_depends_on_the_values_and_not_on_their_order() {
    let hash = |spec: Value| shelf(&[("l", spec)]).bodies["l"].hash.clone();
    let one = hash(json!({"values": ["a", "b"], "description": "d"}));
    assert_eq!(one, hash(json!({"values": ["b", "a", "b"]})));
    assert_ne!(one, hash(json!({"values": ["a"]})));
    assert_ne!(one, hash(json!({"type": "glob", "values": ["a", "b"]})));
}

#[test]
fn younger_lists_find_no_place_when_older_ones_take_it() {
    let large: Vec<String> = (0..40_000).map(|n| format!("value-{n}")).collect();
    let objects = ["a", "b", "c"].map(|name| (name, json!({"values": large})));
    let shelf = shelf(&objects);
    assert_eq!(told(&shelf, "b").1, "Read");
    let (status, reason, message, entries) = told(&shelf, "c");
    assert_eq!((&*status, &*reason, entries), ("False", "BudgetExceeded", 0));
    assert!(
        message.contains("120000 values, and 100000 are the most"),
        "{message}"
    );
    assert!(shelf.lists.fingerprint("c").starts_with('!'));
}

#[test]
fn only_other_values_are_a_change() {
    let mut objects = Objects::default();
    objects.take(Change::Apply(guard("l", 1, &json!({"values": ["a"]}))));
    objects.take(Change::Synced);
    assert!(objects.shelf().is_some());
    objects.take(Change::Apply(guard("l", 1, &json!({"values": ["a"]}))));
    assert!(objects.shelf().is_none(), "its own status");
    objects.take(Change::Apply(guard("l", 2, &json!({"values": ["b"]}))));
    assert_eq!(objects.shelf().unwrap().bodies["l"].values, ["b"]);
    objects.take(Change::Delete(Gone {
        uid: "uid-l".into(),
        namespace: String::new(),
        name: "l".into(),
    }));
    assert!(objects.shelf().unwrap().bodies.is_empty());
}

#[test]
fn who_uses_a_list_is_counted_and_can_wait() {
    let shelf = shelf(&[("tools", json!({"values": ["nc"]}))]);
    let uses = Uses {
        rules: [
            ("a".to_owned(), ["tools".to_owned(), "shells".to_owned()].into()),
            ("b".to_owned(), ["shells".to_owned()].into()),
        ]
        .into(),
        checks: [("c".to_owned(), ["tools".to_owned()].into())].into(),
    };
    let judged = &shelf.judged[0];
    let before = compute(
        &ValueListStatus::default(),
        judged,
        &Uses::default(),
        Timestamp(0),
    );
    let after = compute(&before, judged, &uses, Timestamp(5_000_000_000));
    assert_eq!((after.rules, after.checks), (1, 1));
    assert_eq!(before.conditions, after.conditions);
    assert!(!decides_otherwise(&before, &after));
    assert!(decides_otherwise(&ValueListStatus::default(), &before));
    assert!(Arc::ptr_eq(&judged.object, &shelf.judged[0].object));
}

#[test]
fn a_list_that_takes_what_uses_it_along_is_told_once() {
    let uses = Uses {
        rules: [("a".to_owned(), ["used".to_owned(), "kept".to_owned()].into())].into(),
        ..Uses::default()
    };
    let good = json!({"values": ["x"]});
    let all = ["used", "kept", "idle"].map(|name| (name, good.clone()));
    let (before, kept) = (shelf(&all), shelf(&all[1..2]));
    let told = |before: &Shelf, now: &Shelf| -> Vec<(String, String, String)> {
        stopped(before, now, &uses)
            .into_iter()
            .map(|(object, event)| (object.name.clone(), event.reason, event.note.unwrap()))
            .collect()
    };
    assert_eq!(told(&before, &before), []);
    assert_eq!(
        told(&before, &kept),
        [(
            "used".to_owned(),
            "DeletedInUse".to_owned(),
            "rule a uses it and does not run. It was deleted.".to_owned()
        )]
    );
    assert_eq!(told(&kept, &kept), []);
    let broken = shelf(&[("used", json!({"values": [""]})), ("kept", good.clone())]);
    assert_eq!(
        told(&before, &broken)[0].2,
        "rule a uses it and does not run. It cannot be used: values[0]: it is empty."
    );
    assert_eq!(told(&broken, &kept), [], "it was told when it broke");
}
