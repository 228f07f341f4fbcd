//! The connection to the operator against a real server on loopback, over real TLS.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in what its tests share"
)]

mod uplink {
    pub(crate) mod node;
    pub(crate) mod operator;
    mod process;
}

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uplink::node::FakeNode;
use uplink::operator::{Behaviour, Operator};
use yagura_event::Host;
use yagura_node_agent::journal::Journal;
use yagura_node_agent::metrics::Metrics;
use yagura_node_agent::policy::Held;
use yagura_node_agent::uplink::credentials::Operator as Address;
use yagura_node_agent::uplink::{Farewell, Uplink};
use yagura_proto::v1::spool_record::Record;
use yagura_proto::v1::{Fold, RuleBody};
use yagura_store::spool::{NewRecord, Position, SpoolConfig};
use yagura_telemetry::Registry;

/// Longer than any step takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// An agent's side of the connection, without a kernel.
struct Agent {
    folder: tempfile::TempDir,
    journal: Journal,
    node: Arc<FakeNode>,
    metrics: Metrics,
    stop: CancellationToken,
    farewell: Farewell,
}

impl Agent {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&SpoolConfig {
            path: folder.path().join("spool.db"),
            boot_id: "boot".to_owned(),
            limit_bytes: 1 << 20,
        })
        .unwrap();
        std::fs::write(folder.path().join("token"), "secret-token\n").unwrap();
        Self {
            journal,
            node: Arc::new(FakeNode::default()),
            metrics: Metrics::register(&mut Registry::default()),
            stop: CancellationToken::new(),
            farewell: Farewell::default(),
            folder,
        }
    }

    /// Connects as `operator` tells, with `trust` as its certificates.
    fn connect(&self, operator: &Operator, trust: &str) -> tokio::task::JoinHandle<()> {
        std::fs::write(self.folder.path().join("ca.crt"), trust).unwrap();
        let mut address = Address::new(&operator.url()).unwrap();
        address.ca = Some(self.folder.path().to_owned());
        address.token_file = Some(self.folder.path().join("token"));
        address.tls_server_name = Some("operator.test".to_owned());
        let uplink = Uplink {
            operator: address,
            host: Arc::new(Host {
                name: "node-1".into(),
                ..Host::default()
            }),
            journal: self.journal.clone(),
            node: Arc::clone(&self.node),
            metrics: self.metrics.clone(),
            held: Held::default(),
            farewell: self.farewell.clone(),
        };
        tokio::spawn(uplink.run(self.stop.clone()))
    }

    fn spool(&self, title: &str) {
        let fold = Fold {
            rule_uid: "uid".to_owned(),
            title: title.to_owned(),
            count: 1,
            ..Fold::default()
        };
        let record = NewRecord {
            body: prost::Message::encode_to_vec(&fold),
            matches: 1,
            rank: 1,
        };
        self.journal.append(&[record], &BTreeMap::new(), &[]).unwrap();
    }

    async fn spool_is_empty(&self) {
        let mut usage = self.journal.usage();
        let empty = usage.wait_for(|usage| usage.records == 0);
        timeout(PATIENCE, empty)
            .await
            .expect("the operator acknowledges")
            .unwrap();
    }
}

fn titles(operator: &Operator) -> Vec<(u64, String)> {
    operator
        .records()
        .into_iter()
        .map(|record| match record.record {
            Some(Record::Fold(fold)) => (record.sequence, fold.title),
            other => panic!("a fold was spooled: {other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn records_are_sent_acknowledged_and_forgotten() {
    let operator = Operator::start(Behaviour::default()).await;
    let agent = Agent::new();
    agent.spool("one");
    let task = agent.connect(&operator, &operator.certificate());
    agent.spool_is_empty().await;
    // What comes while the stream is open is not held back by any timer.
    agent.spool("two");
    agent.spool_is_empty().await;
    assert_eq!(titles(&operator), [(1, "one".to_owned()), (2, "two".to_owned())]);
    assert_eq!(operator.tokens(), ["Bearer secret-token"]);
    let counted = async {
        while agent.metrics.records_acknowledged.get() < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, counted).await.unwrap();
    agent.stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn an_agent_that_ends_says_goodbye_with_its_reason() {
    let operator = Operator::start(Behaviour::default()).await;
    let agent = Agent::new();
    let task = agent.connect(&operator, &operator.certificate());
    timeout(PATIENCE, operator.policy_ack()).await.unwrap();
    agent.farewell.because("TimeOver");
    agent.farewell.because("Terminated");
    agent.stop.cancel();
    timeout(PATIENCE, task).await.unwrap().unwrap();
    assert_eq!(operator.goodbyes(), ["TimeOver"]);
}

#[tokio::test]
async fn what_the_operator_lost_is_sent_again_or_told_as_lost() {
    let behaviour = Behaviour {
        missing: Some(2),
        ..Behaviour::default()
    };
    let operator = Operator::start(behaviour).await;
    let agent = Agent::new();
    for title in ["1", "2", "3", "4", "5"] {
        agent.spool(title);
    }
    // An operator that was set back to an older state had acknowledged three of them.
    let batch = agent.journal.read(Position::default(), 1 << 20).await.unwrap();
    agent.journal.acknowledge(batch.spool, 3).await.unwrap();
    let task = agent.connect(&operator, &operator.certificate());
    agent.spool_is_empty().await;
    let records = operator.records();
    let Some(Record::Loss(loss)) = &records[0].record else {
        panic!("{records:?}");
    };
    assert_eq!((records[0].sequence, loss.further_records), (2, 1));
    assert_eq!(loss.cause, "acknowledged-before-restore");
    let left: Vec<u64> = records[1..].iter().map(|record| record.sequence).collect();
    assert_eq!(left, [4, 5]);
    agent.stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn what_is_not_acknowledged_is_sent_again_under_the_same_sequence() {
    let behaviour = Behaviour {
        // The first stream takes the record, and dies before it answers.
        deaf_streams: 1,
        ..Behaviour::default()
    };
    let operator = Operator::start(behaviour).await;
    let agent = Agent::new();
    agent.spool("one");
    let task = agent.connect(&operator, &operator.certificate());
    agent.spool_is_empty().await;
    let twice = [(1, "one".to_owned()), (1, "one".to_owned())];
    assert_eq!(titles(&operator), twice);
    agent.stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_policy_is_activated_and_acknowledged_with_its_failures() {
    let body = yagura_proto::content::seal(RuleBody {
        uid: "uid-1".to_owned(),
        name: "rule".to_owned(),
        condition: "true".to_owned(),
        ..RuleBody::default()
    });
    let behaviour = Behaviour {
        policy: vec![body.clone()],
        ..Behaviour::default()
    };
    let operator = Operator::start(behaviour).await;
    let agent = Agent::new();
    let task = agent.connect(&operator, &operator.certificate());
    let ack = timeout(PATIENCE, operator.policy_ack()).await.unwrap();
    assert_eq!(agent.node.active(), [body]);
    assert_eq!(ack.failures.len(), 1, "the node's own failure is passed on");
    assert_eq!(operator.hellos()[0].node_name, "node-1");
    agent.stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let operator = Operator::start(Behaviour::default()).await;
    let other = Operator::start(Behaviour::default()).await;
    let agent = Agent::new();
    agent.spool("one");
    let task = agent.connect(&operator, &other.certificate());
    let refused = async {
        while agent.metrics.sessions_ended.get(["connect"]) == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused).await.unwrap();
    assert!(operator.tokens().is_empty(), "no token for a stranger");

    // The right bundle arrives: it is read at the next connect.
    std::fs::write(agent.folder.path().join("ca.crt"), operator.certificate()).unwrap();
    agent.spool_is_empty().await;
    agent.stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_missing_token_file_is_waited_for() {
    let operator = Operator::start(Behaviour::default()).await;
    let agent = Agent::new();
    let token = agent.folder.path().join("token");
    std::fs::remove_file(&token).unwrap();
    agent.spool("one");
    let task = agent.connect(&operator, &operator.certificate());
    let failed = async {
        while agent.metrics.sessions_ended.get(["credentials"]) == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, failed).await.unwrap();
    std::fs::write(&token, "late-token").unwrap();
    agent.spool_is_empty().await;
    assert_eq!(operator.tokens(), ["Bearer late-token"]);
    agent.stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_refusal_of_the_protocol_is_understood_and_not_hammered() {
    let behaviour = Behaviour {
        refusal: Some(("ProtocolTooOld", "this operator speaks 2 and later")),
        ..Behaviour::default()
    };
    let operator = Operator::start(behaviour).await;
    let agent = Agent::new();
    let task = agent.connect(&operator, &operator.certificate());
    let refused = async {
        while agent.metrics.sessions_ended.get(["refused"]) == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(operator.hellos().len(), 1);
    agent.stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn messages_of_a_newer_operator_are_ignored() {
    let behaviour = Behaviour {
        unknown_message_first: true,
        policy: Vec::new(),
        ..Behaviour::default()
    };
    let operator = Operator::start(behaviour).await;
    let agent = Agent::new();
    let task = agent.connect(&operator, &operator.certificate());
    timeout(PATIENCE, operator.policy_ack()).await.unwrap();
    assert_eq!(operator.hellos().len(), 1, "the stream went on");
    agent.stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn an_operator_that_refuses_the_identity_is_told_from_a_broken_network() {
    let behaviour = Behaviour {
        unauthenticated: true,
        ..Behaviour::default()
    };
    let operator = Operator::start(behaviour).await;
    let agent = Agent::new();
    let task = agent.connect(&operator, &operator.certificate());
    let refused = async {
        while agent.metrics.sessions_ended.get(["identity"]) == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused).await.unwrap();
    agent.stop.cancel();
    task.await.unwrap();
}
