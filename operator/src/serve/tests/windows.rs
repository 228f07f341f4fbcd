//! Rules that count over time: on nodes, and here across them.

use yagura_proto::v1::spool_record::Record;
use yagura_proto::v1::value::Kind;
use yagura_proto::v1::{Fold, GroupPart, SpoolRecord, Value};
use yagura_rules::detect::{CLUSTER_LATENESS, Detect, Method, Scope, Shape, Threshold};

use super::{Operator, until};
use crate::index::policy::Windows;

const SECOND: i64 = 1_000_000_000;

/// Three within a minute, of each user.
fn windows(scope: Scope, distinct: Option<&str>) -> Windows {
    Windows {
        detect: Detect {
            method: Method::Threshold(Threshold {
                count: 3,
                within: 60 * SECOND,
                shape: Shape::Sliding,
                distinct: distinct.map(|_| yagura_event::FieldId(0)),
                lateness: CLUSTER_LATENESS,
            }),
            values: distinct
                .map(|name| (name.to_owned(), yagura_event::FieldId(0)))
                .into_iter()
                .collect(),
            steps: Vec::new(),
            until: None,
            scope,
            state: "state".to_owned(),
        },
        fields: vec!["process.user.name".to_owned()],
    }
}

fn fold(second: i64, count: u64, group: &[(&str, &str)]) -> Record {
    let part = |(field, value): &(&str, &str)| GroupPart {
        field: (*field).to_owned(),
        value: Some(Value {
            kind: Some(Kind::Text(value.as_bytes().to_vec())),
        }),
    };
    Record::Fold(Fold {
        rule_uid: "r".to_owned(),
        group: group.iter().map(part).collect(),
        title: "Again and again".to_owned(),
        count,
        first: second * SECOND,
        last: second * SECOND,
        ..Fold::default()
    })
}

fn records(folds: Vec<Record>) -> Vec<SpoolRecord> {
    let numbered = (1..).zip(folds);
    let record = |(sequence, record)| SpoolRecord {
        sequence,
        record: Some(record),
    };
    numbered.map(record).collect()
}

#[tokio::test]
async fn what_nodes_report_of_a_rule_across_nodes_is_counted_together() {
    let operator = Operator::start().await;
    operator.add_node("n2");
    operator.apply_counting("r", "true", Some(windows(Scope::Cluster, None)));
    let alice = [("process.user.name", "alice")];
    let mut one = operator.report(&operator.token_of("n1")).await.unwrap();
    one.send_records("s1", records(vec![fold(1_100, 2, &alice)]))
        .await;
    assert_eq!(one.acknowledged().await, 1);
    assert_eq!(operator.context.metrics.opened_signals.get(), 0);

    let mut two = operator.report(&operator.token_of("n2")).await.unwrap();
    let bob = [("process.user.name", "bob")];
    let folds = vec![fold(1_110, 2, &bob), fold(1_110, 1, &alice), fold(500, 4, &alice)];
    two.send_records("s2", records(folds)).await;
    assert_eq!(two.acknowledged().await, 3);
    until("the signal", || operator.api.counted() == 3).await;
    let signals = operator.api.signals();
    assert_eq!(signals.len(), 1, "{signals:?}");
    let ((namespace, _), signal) = signals.iter().next().unwrap();
    assert_eq!(namespace, "sec", "it is about no namespace alone");
    assert_eq!(signal["spec"]["group"]["process.user.name"], "alice");
    assert!(signal["metadata"]["labels"].get("yagura.dev/node").is_none());
    assert_eq!(operator.context.metrics.window_late.get(), 4);
    drop((one, two));
    operator.stop().await;
}

#[tokio::test]
async fn values_are_told_apart_and_are_no_part_of_the_group() {
    let operator = Operator::start().await;
    let windows = windows(Scope::Cluster, Some("process.executable"));
    operator.apply_counting("r", "true", Some(windows));
    let run = |second, path| {
        let group = [("process.user.name", "alice"), ("process.executable", path)];
        fold(second, 5, &group)
    };
    let mut agent = operator.report(&operator.token_of("n1")).await.unwrap();
    let folds = vec![run(100, "/a"), run(101, "/b"), run(102, "/b"), run(103, "/c")];
    agent.send_records("s1", records(folds)).await;
    assert_eq!(agent.acknowledged().await, 4);
    until("the signal", || operator.api.counted() == 20).await;
    let signals = operator.api.signals();
    assert_eq!(signals.len(), 1);
    for signal in signals.values() {
        assert_eq!(
            signal["spec"]["group"],
            serde_json::json!({"process.user.name": "alice"})
        );
    }
    drop(agent);
    operator.stop().await;
}

#[tokio::test]
async fn what_a_node_counted_and_what_an_older_edit_found_are_signals_at_once() {
    let operator = Operator::start().await;
    let mut agent = operator.report(&operator.token_of("n1")).await.unwrap();
    operator.apply_counting("r", "true", Some(windows(Scope::Node, None)));
    let alice = [("process.user.name", "alice")];
    agent
        .send_records("s1", records(vec![fold(100, 1, &alice)]))
        .await;
    assert_eq!(agent.acknowledged().await, 1);
    assert_eq!(operator.context.metrics.opened_signals.get(), 1);

    // The edit before it grouped by nothing: what it found were detections.
    operator.apply_counting("r", "true", Some(windows(Scope::Cluster, None)));
    agent.send_records("s2", records(vec![fold(101, 1, &[])])).await;
    assert_eq!(agent.acknowledged().await, 1);
    assert_eq!(operator.context.metrics.opened_signals.get(), 2);
    drop(agent);
    operator.stop().await;
}
