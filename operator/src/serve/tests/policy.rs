//! What an agent is sent and when its stream ends.

use std::sync::Arc;

use tokio::time::timeout;
use tonic::Code;
use yagura_proto::v1::subscribe_request::Message as Sent;
use yagura_proto::v1::subscribe_response::Message as Answer;
use yagura_proto::v1::{Goodbye, Hello, NamedList, PodUpdate, PolicyAck, RuleList, SubscribeRequest};
use yagura_proto::{PROTOCOL_VERSION, content};

use super::{Operator, SOON, Subscription, hello, next, until};
use crate::index::pods::PodRecord;

impl Subscription {
    async fn answer(&mut self) -> Answer {
        let answer = next(&mut self.answers).await.unwrap();
        answer.unwrap().message.unwrap()
    }

    /// The bodies, list and activation of one push.
    pub(super) async fn push(&mut self) -> (Vec<String>, RuleList) {
        let mut bodies = Vec::new();
        loop {
            match self.answer().await {
                Answer::Bodies(chunk) => {
                    assert!(chunk.rules.iter().all(content::is_sealed));
                    bodies.extend(chunk.rules.into_iter().map(|rule| rule.uid));
                }
                // Lists come before the rules that name them.
                Answer::Lists(chunk) => {
                    assert!(chunk.lists.iter().all(content::is_sealed_list));
                    bodies.extend(
                        chunk
                            .lists
                            .into_iter()
                            .map(|list| format!("list {}", list.values.join(" "))),
                    );
                }
                Answer::List(list) => {
                    let Answer::Activate(activate) = self.answer().await else {
                        panic!("a list without its activation");
                    };
                    assert_eq!(activate.revision, list.revision);
                    return (bodies, list);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    async fn pods(&mut self) -> PodUpdate {
        match self.answer().await {
            Answer::Pods(update) => update,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_agent_gets_what_it_lacks_its_pods_and_then_what_changes() {
    let operator = Operator::start().await;
    operator.add_node("n2");
    operator.apply_rule("a", "true");
    operator.apply_rule("b", "true");
    let index = &operator.context.index;
    let list = index.read().policy.watch("n1").unwrap();
    let held = list.borrow().rules[0].hash.clone();
    let hello = Hello {
        held: vec![held],
        ..hello("n1")
    };
    let token = operator.token_of("n1");
    let mut agent = operator.subscribe(&token, hello).await.unwrap();

    let (bodies, first) = agent.push().await;
    assert_eq!(bodies, ["b"]);
    assert_eq!(first.rules.len(), 2);
    let pods = agent.pods().await;
    let uids: Vec<_> = pods.upserts.iter().map(|pod| pod.uid.as_str()).collect();
    assert!(pods.full);
    assert_eq!(uids, ["agent-n1", "cart-n1"]);

    let ack = PolicyAck {
        revision: first.revision.clone(),
        failures: Vec::new(),
    };
    let ack = SubscribeRequest {
        message: Some(Sent::Ack(ack)),
    };
    agent.send.send(ack).await.unwrap();
    until("the acknowledgement", || {
        index.read().nodes_of_rule("a").active == 1
    })
    .await;

    operator.apply_rule("a", "false");
    let (bodies, second) = agent.push().await;
    assert_eq!(bodies, ["a"]);
    assert_ne!(second.revision, first.revision);
    assert!((second.epoch, second.n) > (first.epoch, first.n));

    index.write().pods.delete("cart-n2");
    index.write().pods.delete("cart-n1");
    let change = agent.pods().await;
    assert_eq!((change.full, change.deletes), (false, vec!["cart-n1".to_owned()]));
    drop(agent);
    operator.stop().await;
}

#[tokio::test]
async fn a_named_list_is_sent_once_whatever_rules_use_it() {
    let list = |values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Arc::new(content::seal_list(NamedList {
            r#type: "string".to_owned(),
            values,
            ..NamedList::default()
        }))
    };
    let operator = Operator::start().await;
    let (first, second) = (list(&["a"]), list(&["a", "b"]));
    operator.apply_with_list("r", &first);
    operator.apply_with_list("s", &first);
    let token = operator.token_of("n1");
    let mut agent = operator.subscribe(&token, hello("n1")).await.unwrap();
    assert_eq!(agent.push().await.0, ["list a", "r", "s"]);
    agent.pods().await;
    operator.apply_with_list("t", &first);
    assert_eq!(agent.push().await.0, ["t"]);
    operator.apply_with_list("t", &second);
    assert_eq!(agent.push().await.0, ["list a b", "t"]);
    drop(agent);

    // An agent that comes back has said what it holds.
    let held = vec![first.hash.clone()];
    let hello = Hello { held, ..hello("n1") };
    let mut agent = operator.subscribe(&token, hello).await.unwrap();
    assert_eq!(agent.push().await.0, ["list a b", "r", "s", "t"]);
    drop(agent);
    operator.stop().await;
}

#[tokio::test]
async fn a_second_stream_of_a_node_ends_the_first() {
    let operator = Operator::start().await;
    let token = operator.token_of("n1");
    let mut first = operator.subscribe(&token, hello("n1")).await.unwrap();
    first.push().await;
    first.pods().await;
    let mut second = operator.subscribe(&token, hello("n1")).await.unwrap();
    let ended = next(&mut first.answers).await.unwrap_err();
    assert_eq!(ended.code(), Code::Aborted);
    second.push().await;
    assert_eq!(operator.context.metrics.replaced_streams.get(), 1);
    assert!(operator.context.index.read().nodes.get("n1").unwrap().connected);
    drop(second);
    operator.stop().await;
}

#[tokio::test]
async fn a_stream_ends_when_its_token_expires_or_its_pod_is_gone() {
    let operator = Operator::start().await;
    let soon = jiff::Timestamp::now().as_second() + 2;
    let token = operator.token_until("n1", soon);
    let mut agent = operator.subscribe(&token, hello("n1")).await.unwrap();
    agent.push().await;
    agent.pods().await;
    let ended = next(&mut agent.answers).await.unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated);
    assert!(ended.message().contains("expired"), "{ended}");

    let token = operator.token_of("n1");
    let mut agent = operator.subscribe(&token, hello("n1")).await.unwrap();
    agent.push().await;
    agent.pods().await;
    operator.context.index.write().pods.delete("agent-n1");
    let ended = loop {
        match next(&mut agent.answers).await {
            Ok(_) => {}
            Err(ended) => break ended,
        }
    };
    assert!(ended.message().contains("gone"), "{ended}");
    operator.stop().await;
}

#[tokio::test]
async fn an_agent_whose_pod_is_ending_keeps_its_stream_and_says_goodbye() {
    let operator = Operator::start().await;
    let token = operator.token_of("n1");
    let mut agent = operator.subscribe(&token, hello("n1")).await.unwrap();
    agent.push().await;
    {
        let mut index = operator.context.index.write();
        let pod = PodRecord::clone(index.pods.get("agent-n1").unwrap());
        index.pods.apply(PodRecord {
            live: false,
            terminating: true,
            ..pod
        });
    }
    let goodbye = SubscribeRequest {
        message: Some(Sent::Goodbye(Goodbye {
            reason: "Terminated".to_owned(),
        })),
    };
    agent.send.send(goodbye).await.unwrap();
    let left = async { while next(&mut agent.answers).await.unwrap().is_some() {} };
    timeout(SOON, left).await.unwrap();
    let farewell = {
        let index = operator.context.index.read();
        index.nodes.get("n1").unwrap().farewell.clone().unwrap()
    };
    assert_eq!((&*farewell.pod, &*farewell.reason), ("agent-n1", "Terminated"));
    operator.stop().await;
}

#[tokio::test]
async fn an_agent_of_another_protocol_or_node_is_told_and_the_stream_ends() {
    let operator = Operator::start().await;
    let token = operator.token_of("n1");
    let new = Hello {
        protocol: PROTOCOL_VERSION + 2,
        ..hello("n1")
    };
    let old = Hello {
        protocol: 0,
        ..hello("n1")
    };
    for (hello, reason) in [
        (new, "ProtocolTooNew"),
        (old, "ProtocolTooOld"),
        (hello("n2"), "WrongNode"),
    ] {
        let mut agent = operator.subscribe(&token, hello).await.unwrap();
        let Answer::Refusal(refusal) = agent.answer().await else {
            panic!("no refusal");
        };
        assert_eq!(refusal.reason, reason);
        assert!(next(&mut agent.answers).await.unwrap().is_none());
    }
    operator.stop().await;
}
