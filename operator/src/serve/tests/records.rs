//! What an agent reports becomes signals, exactly counted and where they belong.

use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tonic::Code;
use yagura_proto::v1::report_request::Message as Sent;
use yagura_proto::v1::report_response::Message as Answer;
use yagura_proto::v1::spool_record::Record;
use yagura_proto::v1::value::Kind;
use yagura_proto::v1::{
    Excepted, Fold, Gap, GroupPart, JoinedException, Loss, NodeFacts, RecordBatch, ReportRequest,
    SpoolRecord, Value,
};
use yagura_store::StoreError;
use yagura_store::signals::{Limits, SignalStore};

use super::super::connection::Bounds;
use super::api_server::ApiServer;
use super::{Operator, Reporting, next, until};
use crate::exception::known::{Judged, Object, Outcome};

fn fold(rule: &str, container: &str, count: u64) -> Record {
    fold_at(2_000_000_000, rule, container, count)
}

fn fold_at(last: i64, rule: &str, container: &str, count: u64) -> Record {
    let value = Value {
        kind: Some(Kind::Text(container.into())),
    };
    Record::Fold(Fold {
        rule_uid: rule.into(),
        group: vec![GroupPart {
            field: "container.id".into(),
            value: Some(value),
        }],
        title: "Shell".into(),
        count,
        first: 1_000_000_000,
        last,
        ..Fold::default()
    })
}

fn record(sequence: u64, record: Record) -> SpoolRecord {
    SpoolRecord {
        sequence,
        record: Some(record),
    }
}

impl Reporting {
    pub(super) async fn send_records(&self, spool: &str, records: Vec<SpoolRecord>) {
        let batch = RecordBatch {
            spool: spool.into(),
            records,
        };
        let request = ReportRequest {
            message: Some(Sent::Records(batch)),
        };
        self.send.send(request).await.unwrap();
    }

    /// The sequence of the next acknowledgement.
    pub(super) async fn acknowledged(&mut self) -> u64 {
        let answer = next(&mut self.answers).await.unwrap().unwrap();
        let Some(Answer::Ack(ack)) = answer.message else {
            panic!("no acknowledgement");
        };
        ack.sequence
    }
}

#[tokio::test]
async fn a_reported_match_becomes_a_signal_in_the_namespace_of_its_pod() {
    let operator = Operator::start().await;
    operator.apply_rule("r", "true");
    let mut agent = operator.report(&operator.token_of("n1")).await.unwrap();
    let records = vec![
        record(1, fold("r", "container-n1", 3)),
        record(2, fold("r", "on-the-host", 1)),
    ];
    agent.send_records("spool", records).await;
    assert_eq!(agent.acknowledged().await, 2);
    until("both signals", || operator.api.counted() == 4).await;
    let signals = operator.api.signals();
    let places: Vec<_> = signals.keys().map(|(namespace, _)| namespace.as_str()).collect();
    assert_eq!(places, ["sec", "shop"]);
    for ((_, name), signal) in &signals {
        assert!(name.starts_with("rule-r-"), "{name}");
        assert_eq!(signal["spec"]["rule"]["name"], "rule-r");
        assert_eq!(signal["metadata"]["labels"]["yagura.dev/node"], "n1");
        assert!(signal["spec"].get("triage").is_none(), "triage is people's");
    }
    drop(agent);
    operator.stop().await;
}

#[tokio::test]
async fn what_a_node_may_not_report_is_acknowledged_refused_and_counted() {
    let operator = Operator::start().await;
    operator.add_node("n2");
    operator.apply_rule("r", "true");
    let mut agent = operator.report(&operator.token_of("n1")).await.unwrap();
    let broken = Record::Fold(Fold::default());
    let loss = Record::Loss(Loss {
        cause: "spool-full".into(),
        matches: 7,
        further_records: 0,
    });
    let records = vec![
        record(1, fold_at(i64::MAX, "never-sent", "container-n1", 1)),
        record(2, fold("r", "container-n2", 1)),
        record(3, broken),
        record(4, loss),
        record(5, fold("r", "container-n1", 1)),
    ];
    for _ in 0..2 {
        agent.send_records("spool", records.clone()).await;
        assert_eq!(agent.acknowledged().await, 5);
    }
    // One match, seven that were lost, and each thing that no agent of ours would say.
    until("the signals", || operator.api.counted() == 10).await;
    let told = own_signal(&operator, "yagura-events-lost").unwrap();
    assert_eq!(told["status"]["count"], 7);
    assert_eq!(told["spec"]["group"]["cause"], "spool-full");
    let metrics = &operator.context.metrics;
    for cause in ["unknown-rule", "foreign-pod", "malformed"] {
        assert_eq!(metrics.refused_records.get([cause]), 1, "{cause}");
    }
    assert_eq!(metrics.lost_matches.get(), 7);
    assert_eq!(metrics.repeated_records.get(), 5);
    drop(agent);
    operator.stop().await;
}

/// The signal of a built-in rule, as it was written.
fn own_signal(operator: &Operator, rule: &str) -> Option<serde_json::Value> {
    let signals = operator.api.signals();
    signals
        .into_iter()
        .find(|((_, name), signal)| name.starts_with(rule) && signal["status"].is_object())
        .map(|(_, signal)| signal)
}

#[tokio::test]
async fn a_node_that_was_without_an_agent_gets_a_signal_unless_something_explains_it() {
    let operator = Operator::start().await;
    let mut agent = operator.report(&operator.token_of("n1")).await.unwrap();
    let gap = |seconds: i64, explanation: &str| {
        Record::Gap(Gap {
            since: 1_000_000_000,
            until: (1 + seconds) * 1_000_000_000,
            explanation: explanation.into(),
        })
    };
    let records = vec![
        record(1, gap(3_600, "Rebooted")),
        record(2, gap(20, "")),
        record(3, gap(90, "")),
        record(4, gap(300, "")),
    ];
    for _ in 0..2 {
        agent.send_records("spool", records.clone()).await;
        assert_eq!(agent.acknowledged().await, 4);
    }
    let found = || own_signal(&operator, "yagura-agent-gap");
    until("both gaps", || {
        found().is_some_and(|signal| signal["status"]["count"] == 2)
    })
    .await;
    assert_eq!(
        found().unwrap()["status"]["title"],
        "Nobody watched node n1 for 90 s"
    );
    drop(agent);
    operator.stop().await;
}

#[tokio::test]
async fn a_store_that_was_set_back_goes_on_and_what_is_gone_is_a_loss() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (folder.path().join("store.db"), folder.path().join("backup.db"));
    let api = ApiServer::start().await;
    let send = async |from: u64, to: u64| {
        let operator = Operator::start_with(open_when_free(&path).await, api.clone()).await;
        operator.apply_rule("r", "true");
        let mut agent = operator.report(&operator.token_of("n1")).await.unwrap();
        let records = (from..=to).map(|n| record(n, fold("r", "container-n1", 1)));
        agent.send_records("spool", records.collect()).await;
        assert_eq!(agent.acknowledged().await, to);
        drop(agent);
        operator.stop().await;
    };
    send(1, 3).await;
    drop(open_when_free(&path).await);
    std::fs::copy(&path, &backup).unwrap();
    send(4, 6).await;
    drop(open_when_free(&path).await);
    for log in ["store.db-wal", "store.db-shm"] {
        std::fs::remove_file(folder.path().join(log)).ok();
    }
    std::fs::copy(&backup, &path).unwrap();

    let operator = Operator::start_with(open_when_free(&path).await, api.clone()).await;
    operator.apply_rule("r", "true");
    let mut agent = operator.report(&operator.token_of("n1")).await.unwrap();
    agent
        .send_records("spool", vec![record(7, fold("r", "container-n1", 1))])
        .await;
    assert_eq!(agent.acknowledged().await, 3);
    let answer = next(&mut agent.answers).await.unwrap().unwrap();
    let Some(Answer::Missing(missing)) = answer.message else {
        panic!("{answer:?}");
    };
    assert_eq!((&*missing.spool, missing.sequence), ("spool", 4));
    let forgotten = Record::Loss(Loss {
        cause: "acknowledged-before-restore".into(),
        matches: 0,
        further_records: 2,
    });
    let records = vec![record(4, forgotten), record(7, fold("r", "container-n1", 1))];
    for _ in 0..2 {
        agent.send_records("spool", records.clone()).await;
        assert_eq!(agent.acknowledged().await, 7);
    }
    let lost = || own_signal(&operator, "yagura-events-lost");
    until("the loss", || {
        lost().is_some_and(|lost| lost["status"]["count"] == 3)
    })
    .await;
    assert_eq!(operator.context.metrics.lost_matches.get(), 3);

    // Of another spool this store has seen nothing, although it is not a new one.
    agent
        .send_records("younger", vec![record(5, fold("r", "container-n1", 1))])
        .await;
    assert_eq!(agent.acknowledged().await, 5);
    until("four more", || {
        lost().is_some_and(|lost| lost["status"]["count"] == 7)
    })
    .await;
    drop(agent);
    operator.stop().await;
}

#[tokio::test]
async fn a_gap_that_stays_ends_the_stream_and_a_foreign_spool_is_refused() {
    let operator = Operator::start().await;
    operator.add_node("n2");
    operator.apply_rule("r", "true");
    let mut agent = operator.report(&operator.token_of("n1")).await.unwrap();
    let records = vec![
        record(1, fold("r", "container-n1", 1)),
        record(3, fold("r", "container-n1", 1)),
    ];
    // An agent that does not know how to go on.
    let ended = loop {
        agent.send_records("spool", records.clone()).await;
        assert_eq!(agent.acknowledged().await, 1);
        match next(&mut agent.answers).await {
            Ok(Some(answer)) => assert!(matches!(answer.message, Some(Answer::Missing(_)))),
            Ok(None) => panic!("the stream ends with a reason"),
            Err(ended) => break ended,
        }
    };
    assert_eq!(ended.code(), Code::FailedPrecondition);
    assert!(ended.message().contains("record 2"), "{ended}");
    assert_eq!(operator.context.metrics.sequence_gaps.get(), 65);

    let mut other = operator.report(&operator.token_of("n2")).await.unwrap();
    let records = vec![record(2, fold("r", "container-n2", 1))];
    other.send_records("spool", records).await;
    let ended = next(&mut other.answers).await.unwrap_err();
    assert_eq!(ended.code(), Code::PermissionDenied);
    operator.stop().await;
}

#[tokio::test]
async fn a_signal_that_its_namespace_refuses_goes_to_the_operators() {
    let operator = Operator::start().await;
    operator.apply_rule("r", "true");
    operator.api.close_namespace("shop");
    let mut agent = operator.report(&operator.token_of("n1")).await.unwrap();
    let records = vec![record(1, fold("r", "container-n1", 1))];
    agent.send_records("spool", records).await;
    assert_eq!(agent.acknowledged().await, 1);
    until("the signal", || operator.api.counted() == 1).await;
    let signals = operator.api.signals();
    let ((namespace, _), signal) = signals.first_key_value().unwrap();
    assert_eq!(namespace, "sec");
    assert_eq!(signal["status"]["originNamespace"], "shop");
    drop(agent);
    operator.stop().await;
}

#[tokio::test]
async fn a_deleted_signal_is_not_written_again_and_the_next_match_opens_another() {
    let operator = Operator::start().await;
    operator.apply_rule("r", "true");
    let agent = operator.report(&operator.token_of("n1")).await.unwrap();
    agent
        .send_records("spool", vec![record(1, fold("r", "container-n1", 1))])
        .await;
    until("the signal", || operator.api.counted() == 1).await;
    let (first, _) = operator.api.signals().pop_first().unwrap();
    operator.api.delete_signals();
    // The update meets the deletion, which closes the group.
    agent
        .send_records("spool", vec![record(2, fold("r", "container-n1", 1))])
        .await;
    until("the refused update", || operator.api.status_writes() == 2).await;
    let metrics = &operator.context.metrics;
    until("its settlement", || metrics.signal_writes.get(["deleted"]) == 1).await;
    agent
        .send_records("spool", vec![record(3, fold("r", "container-n1", 5))])
        .await;
    until("the new signal", || operator.api.counted() == 5).await;
    let (second, signal) = operator.api.signals().pop_first().unwrap();
    assert_ne!(first, second);
    assert_eq!(signal["status"]["previous"], format!("{}/{}", first.0, first.1));
    drop(agent);
    operator.stop().await;
}

/// A transaction that began before the stop still ends, and holds the store for as long.
async fn open_when_free(path: &Path) -> SignalStore {
    let open = || SignalStore::open(path, "test", Limits::default());
    until("the store is free", || {
        !matches!(open(), Err(StoreError::Locked { .. }))
    })
    .await;
    open().unwrap()
}

#[tokio::test]
async fn counts_are_exact_over_resends_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut random = StdRng::seed_from_u64(7);
    let total: u64 = 300;
    let containers = ["container-n1", "host-1", "host-2"];
    let record_of = |sequence: u64| {
        let container = containers[usize::try_from(sequence % 3).unwrap()];
        record(sequence, fold("r", container, sequence))
    };
    let api = ApiServer::start().await;
    let mut acknowledged = 0;
    while acknowledged < total {
        let operator = Operator::start_with(open_when_free(&path).await, api.clone()).await;
        operator.apply_rule("r", "true");
        let mut agent = operator.report(&operator.token_of("n1")).await.unwrap();
        for _ in 0..random.random_range(1..8) {
            let from = 1 + acknowledged - random.random_range(0..=acknowledged.min(20));
            let to = total.min(from + random.random_range(0..40));
            agent
                .send_records("spool", (from..=to).map(record_of).collect())
                .await;
            // Sometimes the agent does not live to see the answer.
            if random.random_bool(0.8) {
                acknowledged = agent.acknowledged().await;
            }
        }
        drop(agent);
        operator.stop().await;
    }
    let store = open_when_free(&path).await;
    assert_eq!(store.watermark("spool").unwrap(), Some(total));
    let mut expected = [0; 3];
    for sequence in 1..=total {
        expected[usize::try_from(sequence % 3).unwrap()] += sequence;
    }
    let mut counts: Vec<u64> = store
        .written_signals()
        .unwrap()
        .into_iter()
        .map(|(namespace, name)| store.find(&namespace, &name).unwrap().unwrap().count)
        .collect();
    counts.sort_unstable();
    expected.sort_unstable();
    assert_eq!(counts, expected);
}

#[tokio::test]
async fn facts_are_taken_of_the_own_node_only() {
    let operator = Operator::start().await;
    let mut agent = operator.report(&operator.token_of("n1")).await.unwrap();
    let facts = |node: &str| ReportRequest {
        message: Some(Sent::Facts(NodeFacts {
            node: node.into(),
            ..NodeFacts::default()
        })),
    };
    let index = &operator.context.index;
    agent.send.send(facts("n1")).await.unwrap();
    let arrived = || {
        index
            .read()
            .nodes
            .get("n1")
            .is_some_and(|node| node.facts.is_some())
    };
    until("the facts", arrived).await;
    agent.send.send(facts("n2")).await.unwrap();
    let ended = next(&mut agent.answers).await.unwrap_err();
    assert_eq!(ended.code(), Code::PermissionDenied);
    assert!(index.read().nodes.get("n2").is_none());
    operator.stop().await;
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused() {
    let operator = Operator::start().await;
    let mut agent = operator.report(&operator.token_of("n1")).await.unwrap();
    let large = fold("r", &"x".repeat(5 * 1024 * 1024), 1);
    agent.send_records("spool", vec![record(1, large)]).await;
    let ended = next(&mut agent.answers).await.unwrap_err();
    assert_eq!(ended.code(), Code::OutOfRange);
    operator.stop().await;
}

#[tokio::test]
async fn what_a_node_had_before_its_labels_changed_is_still_taken() {
    let operator = Operator::start().await;
    operator.apply_rule("r", "true");
    let only = kube::core::Selector::from_iter([kube::core::Expression::Exists("gpu".into())]);
    let relabel = |labels: &[&str]| {
        let labels = labels.iter().map(|label| ((*label).to_owned(), String::new()));
        let mut index = operator.context.index.write();
        index.policy.apply_node("n1", labels.collect());
    };
    relabel(&["gpu"]);
    let rule = operator
        .context
        .index
        .read()
        .policy
        .rule_of_node("n1", "r")
        .cloned();
    let rule = crate::index::policy::ServedRule {
        nodes: only,
        ..rule.unwrap()
    };
    operator.context.index.write().policy.apply_rule(rule);
    relabel(&[]);
    let mut agent = operator.report(&operator.token_of("n1")).await.unwrap();
    let records = vec![record(1, fold("r", "container-n1", 1))];
    agent.send_records("spool", records).await;
    assert_eq!(agent.acknowledged().await, 1);
    until("the signal", || operator.api.counted() == 1).await;
    drop(agent);
    operator.stop().await;
}

#[tokio::test]
async fn a_flood_of_foreign_reports_is_one_signal_with_the_exact_count() {
    let operator = Operator::start().await;
    operator.add_node("n2");
    operator.apply_rule("r", "true");
    let mut agent = operator.report(&operator.token_of("n1")).await.unwrap();
    for batch in 0..20 {
        let sequences = 100 * batch + 1..=100 * (batch + 1);
        let records = sequences.map(|sequence| record(sequence, fold("r", "container-n2", 1)));
        agent.send_records("spool", records.collect()).await;
        assert_eq!(agent.acknowledged().await, 100 * (batch + 1));
    }
    drop(agent);
    until("the count", || operator.api.counted() == 2_000).await;
    assert_eq!(operator.api.signals().len(), 1);
    operator.stop().await;
}

#[tokio::test]
async fn a_node_that_floods_waits_and_another_does_not() {
    let store = SignalStore::in_memory(Limits::default()).unwrap();
    let flags = ["--node-records-per-second=100"];
    let api = ApiServer::start().await;
    let operator = Operator::start_flagged(store, api, Bounds::default(), &flags).await;
    operator.add_node("n2");
    operator.apply_rule("r", "true");
    let mut flood = operator.report(&operator.token_of("n1")).await.unwrap();
    let mut other = operator.report(&operator.token_of("n2")).await.unwrap();
    let many = |from: u64| (from..from + 5_000).map(|n| record(n, fold("r", "container-n1", 1)));
    flood.send_records("flood", many(1).collect()).await;
    assert_eq!(flood.acknowledged().await, 5_000);
    flood.send_records("flood", many(5_001).collect()).await;
    for sequence in 1..=10 {
        let records = vec![record(sequence, fold("r", "container-n2", 1))];
        other.send_records("other", records).await;
        assert_eq!(other.acknowledged().await, sequence);
    }
    let metrics = &operator.context.metrics;
    assert_eq!(
        metrics.stored_records.get(),
        5_010,
        "the rest waits with the agent"
    );
    assert_eq!(metrics.throttled_messages.get(["records"]), 1);
    drop((flood, other));
    operator.stop().await;
}

fn excepted(rule: &str, exception: &str, count: u64, last: i64) -> Record {
    Record::Excepted(Excepted {
        rule_uid: rule.into(),
        exception_uid: exception.into(),
        count,
        last,
    })
}

/// A rule that carries exceptions of these uids.
fn carry(operator: &Operator, exceptions: &[&str]) {
    operator.apply_rule("r", "true");
    let mut index = operator.context.index.write();
    let mut served = index.policy.rule_of_node("n1", "r").unwrap().clone();
    let mut body = (*served.body).clone();
    body.joined = exceptions
        .iter()
        .map(|uid| JoinedException {
            uid: (*uid).into(),
            condition: "true".into(),
            ..JoinedException::default()
        })
        .collect();
    served.body = std::sync::Arc::new(yagura_proto::content::seal(body));
    index.policy.apply_rule(served);
    index.exceptions.judged = exceptions
        .iter()
        .map(|uid| ((*uid).to_owned(), judged(uid)))
        .collect();
}

fn judged(uid: &str) -> std::sync::Arc<Judged> {
    let object = Object {
        exception: Err("not read".into()),
        uid: uid.into(),
        name: uid.into(),
        namespace: None,
        generation: None,
        created: 0,
        told: yagura_crds::ExceptionStatus::default(),
    };
    std::sync::Arc::new(Judged {
        object: std::sync::Arc::new(object),
        outcome: Outcome::default(),
    })
}

#[tokio::test]
async fn what_exceptions_held_back_is_counted_once_and_of_those_that_the_node_got() {
    let operator = Operator::start().await;
    carry(&operator, &["here", "deleted"]);
    // The next edit of the rule carries one of them no more, and what it held back before is on its way.
    carry(&operator, &["here"]);
    let mut agent = operator.report(&operator.token_of("n1")).await.unwrap();
    let records = vec![
        record(1, excepted("r", "here", 3, 7)),
        record(2, excepted("r", "deleted", 5, 7)),
        record(3, excepted("r", "made-up", 9, i64::MAX)),
        record(4, excepted("another", "here", 9, 1)),
        record(5, excepted("r", "here", 0, 1)),
        record(6, excepted("r", "here", 2, 8)),
    ];
    for _ in 0..2 {
        agent.send_records("spool", records.clone()).await;
        assert_eq!(agent.acknowledged().await, 6);
    }
    let held = operator
        .context
        .signals
        .with(|store| store.excepted())
        .await
        .unwrap();
    let held: Vec<_> = held.iter().map(|one| (&*one.exception, one.count)).collect();
    assert_eq!(held, [("here", 5)]);
    let metrics = &operator.context.metrics;
    assert_eq!(metrics.excepted_matches.get(), 10);
    assert_eq!(metrics.refused_records.get(["unknown-exception"]), 2);
    assert_eq!(metrics.refused_records.get(["malformed"]), 1);
    // Only the one that is told as new is what no agent of ours would say.
    until("the signal about the node", || {
        own_signal(&operator, "yagura-refused-reports").is_some()
    })
    .await;
    let told = own_signal(&operator, "yagura-refused-reports").unwrap();
    assert_eq!(told["spec"]["group"]["cause"], "unknown-exception");
    assert_eq!(told["status"]["count"], 1);
    drop(agent);
    operator.stop().await;
}
