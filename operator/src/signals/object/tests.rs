//! Objects from stored signals.

use std::collections::BTreeMap;
use std::sync::Arc;

use yagura_event::{Fold, GroupKey, Record, Severity, Text, Timestamp, Tree};
use yagura_store::signals::{Match, Stored};

use super::super::{Placement, place};
use super::{MAX_OBJECT, label_value, object, size};
use crate::index::Index;
use crate::index::pods::{ContainerRecord, PodRecord};
use crate::index::policy::{RuleMeta, ServedRule};

pub(in super::super) fn index(description: &str) -> Index {
    let mut index = Index::new(1);
    index.policy.apply_node("node-3", BTreeMap::new());
    let meta = RuleMeta {
        kind: "DetectionRule",
        uid: "uid-1".into(),
        name: "shell-in-container".into(),
        generation: 3,
        severity: Severity::High,
        source: "workload".into(),
        title: "Shell".into(),
        description: description.into(),
        remediation: "look".into(),
        attack: vec![("TA0002".into(), Some("T1059.004".into()))],
        lifetime: yagura_store::signals::Lifetime::default(),
        windows: None,
    };
    index.policy.apply_rule(ServedRule {
        body: Arc::new(yagura_proto::content::seal(yagura_proto::v1::RuleBody {
            uid: meta.uid.clone(),
            ..yagura_proto::v1::RuleBody::default()
        })),
        meta: Arc::new(meta),
        lists: Vec::new(),
        nodes: kube::core::Selector::default(),
    });
    for (uid, node, id) in [("p1", "node-3", "c1"), ("p2", "node-4", "c2")] {
        index.pods.apply(PodRecord {
            uid: uid.into(),
            name: format!("cart-{uid}"),
            namespace: "shop".into(),
            node: node.into(),
            owner_kind: "Deployment".into(),
            owner_name: "cart".into(),
            live: true,
            containers: vec![ContainerRecord {
                name: "cart".into(),
                id: id.into(),
                image: "registry.example/cart:1".into(),
                image_digest: "sha256:0".into(),
            }],
            ..PodRecord::default()
        });
    }
    index
}

pub(in super::super) fn fold(container: &str, arg: &[u8]) -> Fold {
    let process = Tree::map([
        ("name".into(), "bash".into()),
        ("executable".into(), "/bin/bash".into()),
        ("args".into(), Tree::List(vec![Text::from(arg).into()])),
        ("user".into(), Tree::map([("name".into(), "root".into())])),
        (
            "ancestors".into(),
            Tree::List(vec![Tree::map([("name".into(), "nginx".into())])]),
        ),
    ]);
    let fields = Tree::map([
        ("process".into(), process),
        ("container".into(), Tree::map([("id".into(), container.into())])),
    ]);
    Fold {
        rule: "uid-1".into(),
        rule_hash: "h".into(),
        group: GroupKey(vec![("container.id".into(), container.into())]),
        title: "Shell bash in cart".into(),
        count: 17,
        first: Timestamp(1_000_000_000),
        last: Timestamp(2_000_000_000),
        samples: vec![
            Record {
                time: Timestamp(1_000_000_000),
                fields,
            };
            3
        ],
        incomplete: false,
        pending: false,
        case: None,
    }
}

fn placed(fold: &Fold, index: &Index) -> Match {
    let from = Placement {
        node: "node-3",
        home: "yagura-system",
        now: Timestamp(3_000_000_000),
    };
    place(fold, index, from).unwrap()
}

fn stored_from(found: Match) -> Stored {
    Stored {
        id: 1,
        rule: found.rule,
        rule_name: found.rule_name,
        key: found.key,
        overflow: false,
        name: "shell-in-container-0123456789abcdef".into(),
        namespace: found.namespace,
        origin_namespace: None,
        anchor: ("spool-1".into(), 9),
        previous: None,
        opened: found.first,
        first: found.first,
        last: found.last,
        count: found.count,
        restored: false,
        incomplete: false,
        resolved_at: None,
        severity: found.severity,
        acknowledged_at: None,
        closed_at: None,
        triage: Vec::new(),
        detail: found.detail,
        samples: found.samples,
        told: Vec::new(),
    }
}

/// A match as the store takes it.
pub(in super::super) fn matched() -> Match {
    placed(&fold("c1", b"-i"), &index("what it does"))
}

pub(in super::super) fn stored() -> Stored {
    stored_from(matched())
}

#[test]
fn a_signal_of_a_pod_goes_to_its_namespace_and_says_everything() {
    let signal = stored();
    assert_eq!(signal.namespace, "shop");
    let object = object(&signal).unwrap();
    let labels = &object.identity["metadata"]["labels"];
    assert_eq!(labels["yagura.dev/rule"], "shell-in-container");
    assert_eq!(labels["yagura.dev/severity"], "high");
    assert_eq!(labels["yagura.dev/node"], "node-3");
    assert!(object.identity["spec"].get("triage").is_none());
    let status = &object.status["status"];
    assert_eq!(status["count"], 17);
    assert_eq!(status["resource"], "Pod/cart-p1");
    assert_eq!(status["resources"][0]["owner"], "Deployment/cart");
    assert_eq!(status["resources"][1]["image"], "registry.example/cart:1");
    assert_eq!(status["resources"][2]["ancestors"][0], "nginx");
    assert_eq!(status["resources"][2]["user"], "root");
    assert_eq!(status["resources"][3]["name"], "node-3");
    assert_eq!(status["firstSeen"], "1970-01-01T00:00:01Z");
}

#[test]
fn a_signal_of_the_host_goes_to_the_operators_namespace() {
    let mut host = fold("c1", b"-i");
    host.group = GroupKey::default();
    host.samples.clear();
    assert_eq!(placed(&host, &index("")).namespace, "yagura-system");
}

#[test]
fn what_a_node_may_not_say_is_refused() {
    use super::super::Refused;
    let index = index("");
    let from = Placement {
        node: "node-3",
        home: "yagura-system",
        now: Timestamp(0),
    };
    let refusal = |fold: &Fold| place(fold, &index, from).unwrap_err();
    assert_eq!(refusal(&fold("c2", b"")), Refused::ForeignPod);
    let other = Fold {
        rule: "uid-2".into(),
        ..fold("c1", b"")
    };
    assert_eq!(refusal(&other), Refused::UnknownRule);
}

#[test]
fn no_content_makes_an_object_larger_than_it_may_be() {
    let hostile = vec![b'\xff'; 30 * 1_024];
    let index = index(&"é\u{1}".repeat(20_000));
    let mut huge = fold("c1", &hostile);
    huge.title = "\u{202e}".repeat(1_300);
    huge.group
        .0
        .extend((0..30).map(|n| (format!("f{n}"), Tree::from("v".repeat(4_000).as_str()))));
    let object = object(&stored_from(placed(&huge, &index))).unwrap();
    assert!(size(&object.identity) + size(&object.status) <= MAX_OBJECT);
    let incomplete = &object.status["status"]["incomplete"];
    assert!(incomplete.to_string().contains("cut to 32 KiB"), "{incomplete}");
}

#[test]
fn only_what_may_be_a_label_becomes_one() {
    assert_eq!(label_value("node-3.example"), Some("node-3.example"));
    for bad in ["", "-a", "a-", "a b", &"a".repeat(64)] {
        assert_eq!(label_value(bad), None, "{bad:?}");
    }
}
