//! Scenarios: what nodes see as rules, nodes and agents come and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use yagura_event::{Severity, Timestamp};
use yagura_proto::content::{seal, seal_list};
use yagura_proto::v1::{NamedList, PolicyAck, RuleBody, RuleFailure};

use super::Index;
use super::nodes::Call;
use super::policy::{RuleMeta, ServedRule};

const NOW: Timestamp = Timestamp(1);

fn rule(uid: &str, condition: &str, nodes: &[(&str, &str)]) -> ServedRule {
    let body = seal(RuleBody {
        uid: uid.into(),
        name: uid.into(),
        condition: condition.into(),
        ..RuleBody::default()
    });
    let selector = LabelSelector {
        match_labels: Some(labels(nodes)),
        ..LabelSelector::default()
    };
    ServedRule {
        meta: Arc::new(RuleMeta {
            kind: "DetectionRule",
            uid: uid.into(),
            name: uid.into(),
            generation: 1,
            severity: Severity::High,
            source: "workload".into(),
            title: uid.into(),
            description: String::new(),
            remediation: String::new(),
            attack: Vec::new(),
            lifetime: yagura_store::signals::Lifetime::default(),
            windows: None,
        }),
        body: Arc::new(body),
        lists: Vec::new(),
        nodes: Selector::try_from(selector).unwrap(),
    }
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn uids(index: &Index, node: &str) -> Vec<String> {
    let list = index.policy.watch(node).unwrap();
    let list = list.borrow();
    list.rules.iter().map(|rule| rule.uid.clone()).collect()
}

#[test]
fn a_node_gets_the_rules_that_select_it_and_no_others() {
    let mut index = Index::new(7);
    index.policy.apply_node("plain", BTreeMap::new());
    index.policy.apply_rule(rule("everywhere", "true", &[]));
    index
        .policy
        .apply_rule(rule("gpu-only", "true", &[("gpu", "yes")]));
    assert_eq!(uids(&index, "plain"), ["everywhere"]);
    index.policy.apply_node("gpu", labels(&[("gpu", "yes")]));
    assert_eq!(uids(&index, "gpu"), ["everywhere", "gpu-only"]);
    index.policy.apply_node("plain", labels(&[("gpu", "yes")]));
    assert_eq!(uids(&index, "plain"), ["everywhere", "gpu-only"]);
    assert!(index.policy.watch("unknown").is_none());
}

#[test]
fn nodes_of_one_class_share_one_list_and_others_are_not_woken() {
    let mut index = Index::new(7);
    for node in ["a", "b"] {
        index.policy.apply_node(node, BTreeMap::new());
    }
    index.policy.apply_node("gpu", labels(&[("gpu", "yes")]));
    index.policy.apply_rule(rule("r", "true", &[]));
    let a = index.policy.watch("a").unwrap();
    let b = index.policy.watch("b").unwrap();
    let mut gpu = index.policy.watch("gpu").unwrap();
    assert!(Arc::ptr_eq(&a.borrow(), &b.borrow()));
    gpu.borrow_and_update();
    index
        .policy
        .apply_rule(rule("gpu-only", "true", &[("gpu", "yes")]));
    assert!(gpu.has_changed().unwrap());
    assert!(!a.has_changed().unwrap());
}

#[test]
fn a_node_that_joins_or_changes_gets_the_list_that_its_class_has_already() {
    let mut index = Index::new(7);
    index.policy.apply_rule(rule("r", "true", &[]));
    index
        .policy
        .apply_rule(rule("gpu-only", "true", &[("gpu", "yes")]));
    index.policy.apply_node("first", labels(&[("host", "first")]));
    let first = Arc::clone(&index.policy.watch("first").unwrap().borrow());
    for n in 0..100 {
        let name = format!("n{n}");
        index.policy.apply_node(&name, labels(&[("host", &name)]));
        let list = index.policy.watch(&name).unwrap();
        assert!(Arc::ptr_eq(&first, &list.borrow()));
    }
    index.policy.apply_node("n1", labels(&[("gpu", "yes")]));
    index.policy.apply_node("n2", labels(&[("gpu", "yes")]));
    let (n1, n2) = (
        index.policy.watch("n1").unwrap(),
        index.policy.watch("n2").unwrap(),
    );
    assert!(Arc::ptr_eq(&n1.borrow(), &n2.borrow()));
    assert_eq!(n1.borrow().rules.len(), 2);
}

#[test]
fn whose_state_changed_is_told_once() {
    let mut index = Index::new(7);
    let session = index.nodes.open("a", Call::Subscribe, NOW);
    index.nodes.close("a", Call::Subscribe, session.id);
    index.nodes.open("b", Call::Report, NOW);
    let touched = index.nodes.take_touched();
    assert_eq!(touched.len(), 2);
    assert!(touched.contains("a") && touched.contains("b"));
    assert!(index.nodes.take_touched().is_empty());
}

#[test]
fn lists_are_addressed_by_content_and_ordered_by_epoch_and_n() {
    let mut index = Index::new(7);
    index.policy.apply_node("n", BTreeMap::new());
    index.policy.apply_rule(rule("r", "a", &[]));
    let mut list = index.policy.watch("n").unwrap();
    let first = Arc::clone(&list.borrow_and_update());
    index.policy.apply_rule(rule("r", "a", &[]));
    assert!(!list.has_changed().unwrap(), "the same content is no news");
    index.policy.apply_rule(rule("r", "b", &[]));
    let second = Arc::clone(&list.borrow_and_update());
    assert_ne!(first.revision, second.revision);
    assert!((second.epoch, second.n) > (first.epoch, first.n));
    index.policy.apply_rule(rule("r", "a", &[]));
    let third = Arc::clone(&list.borrow_and_update());
    assert_eq!(first.revision, third.revision);
    assert!(third.n > second.n, "the same content again is a later list");
}

#[test]
fn a_report_of_a_rule_counts_where_it_runs_or_ran_lately() {
    let mut index = Index::new(7);
    index.policy.apply_node("plain", BTreeMap::new());
    index.policy.apply_node("gpu", labels(&[("gpu", "yes")]));
    index.policy.apply_rule(rule("r", "true", &[("gpu", "yes")]));
    assert!(index.policy.rule_of_node("gpu", "r").is_some());
    assert!(index.policy.rule_of_node("plain", "r").is_none());
    assert!(index.policy.rule_of_node("gpu", "other").is_none());
    index.policy.delete_rule("r");
    assert!(index.policy.rule_of_node("gpu", "r").is_some());
    assert!(index.policy.rule_of_node("plain", "r").is_none());
    assert!(uids(&index, "gpu").is_empty());
}

#[test]
fn a_rule_is_active_where_the_agent_acknowledged_this_edit_of_it() {
    let mut index = Index::new(7);
    for node in ["a", "b", "c"] {
        index.policy.apply_node(node, BTreeMap::new());
        index.nodes.open(node, Call::Subscribe, NOW);
    }
    index.policy.apply_rule(rule("r", "true", &[]));
    let revision = index.policy.revision_of_node("a").unwrap();
    let ack = |failures| PolicyAck {
        revision: revision.clone(),
        failures,
    };
    index.nodes.ack("a", ack(Vec::new()), NOW);
    let failure = RuleFailure {
        uid: "r".into(),
        reason: "MissingHook".into(),
        message: "no".into(),
    };
    index.nodes.ack("b", ack(vec![failure]), NOW);
    let nodes = index.nodes_of_rule("r");
    assert_eq!((nodes.desired, nodes.active), (3, 1));
    assert_eq!(nodes.failed[0].0, "b");

    // A change of another rule does not stop this one.
    index.policy.apply_rule(rule("s", "true", &[]));
    assert_eq!(index.nodes_of_rule("r").active, 1);

    index.policy.apply_rule(rule("r", "false", &[]));
    let nodes = index.nodes_of_rule("r");
    assert_eq!((nodes.desired, nodes.active, nodes.outdated), (3, 0, 1));
}

#[test]
fn a_rule_that_is_taken_away_runs_until_the_agents_acknowledge_that() {
    let mut index = Index::new(7);
    for node in ["a", "b"] {
        index.policy.apply_node(node, BTreeMap::new());
        index.nodes.open(node, Call::Subscribe, NOW);
    }
    index.policy.apply_rule(rule("r", "true", &[]));
    let ack = |index: &mut Index, node: &str| {
        let revision = index.policy.revision_of_node(node).unwrap();
        let failures = Vec::new();
        index.nodes.ack(node, PolicyAck { revision, failures }, NOW);
    };
    ack(&mut index, "a");
    ack(&mut index, "b");
    index.policy.delete_rule("r");
    let outdated = |index: &Index| {
        let nodes = index.nodes_of_rule("r");
        assert_eq!((nodes.desired, nodes.active), (0, 0));
        nodes.outdated
    };
    assert_eq!(outdated(&index), 2);
    ack(&mut index, "a");
    assert_eq!(outdated(&index), 1);
    ack(&mut index, "b");
    assert_eq!(outdated(&index), 0);
    // Lists are kept in a bounded number.
    for n in 0..300 {
        index.policy.apply_rule(rule("s", &n.to_string(), &[]));
    }
    assert_eq!(index.policy.lists_kept(), 256);
}

#[test]
fn a_node_gets_the_named_lists_of_its_rules_each_once() {
    let list = |value: &str| {
        Arc::new(seal_list(NamedList {
            r#type: "string".into(),
            values: vec![value.into()],
            ..NamedList::default()
        }))
    };
    let (shared, other) = (list("shared"), list("other"));
    let mut index = Index::new(7);
    index.policy.apply_node("web", labels(&[("pool", "web")]));
    index.policy.apply_node("db", labels(&[("pool", "db")]));
    for (uid, pool, lists) in [
        ("r", "web", vec![&shared]),
        ("s", "web", vec![&shared, &other]),
        ("t", "db", vec![&shared]),
        ("u", "db", vec![]),
    ] {
        index.policy.apply_rule(ServedRule {
            lists: lists.into_iter().cloned().collect(),
            ..rule(uid, "true", &[("pool", pool)])
        });
    }
    let values = |index: &Index, node: &str| -> Vec<String> {
        let list = index.policy.watch(node).unwrap();
        let list = list.borrow();
        assert!(list.lists.is_sorted_by(|a, b| a.hash < b.hash));
        assert!(list.lists.iter().all(|named| list.uses(named)));
        let mut values: Vec<String> = list.lists.iter().map(|list| list.values.concat()).collect();
        values.sort();
        values
    };
    assert_eq!(values(&index, "web"), ["other", "shared"]);
    assert_eq!(values(&index, "db"), ["shared"]);
    index.policy.delete_rule("s");
    assert_eq!(values(&index, "web"), ["shared"]);
    // Nothing keeps what no rule uses.
    drop(index.policy.watch("web"));
    assert_eq!(Arc::strong_count(&other), 1);
}

#[test]
fn a_newer_stream_of_a_node_ends_the_older_and_a_late_end_changes_nothing() {
    let mut index = Index::new(7);
    let first = index.nodes.open("n", Call::Subscribe, NOW);
    assert!(!first.had_older);
    let report = index.nodes.open("n", Call::Report, NOW);
    let second = index.nodes.open("n", Call::Subscribe, NOW);
    assert!(second.had_older && first.replaced.is_cancelled());
    assert!(!report.replaced.is_cancelled());
    index.nodes.close("n", Call::Subscribe, first.id);
    assert!(index.nodes.get("n").unwrap().connected);
    index.nodes.close("n", Call::Subscribe, second.id);
    assert!(!index.nodes.get("n").unwrap().connected);
}
