//! Who is no agent of this cluster is refused, and counted by what was wrong.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::{Code, Request};

use super::super::claims::tests::token;
use super::super::connection::Bounds;
use super::api_server::ApiServer;
use super::{ACCOUNT, Operator, SOON, hello, until};
use yagura_store::signals::{Limits, SignalStore};

async fn refused(operator: &Operator, token: &str, cause: &'static str) {
    let before = operator.context.metrics.refused_streams.get([cause]);
    let Err(status) = operator.subscribe(token, hello("n1")).await else {
        panic!("{cause}: was let in");
    };
    assert_eq!(status.code(), Code::Unauthenticated, "{cause}: {status}");
    let Err(_) = operator.report(token).await else {
        panic!("{cause}: was let in to report");
    };
    let counted = operator.context.metrics.refused_streams.get([cause]) - before;
    assert_eq!(counted, 2, "{cause}");
}

#[tokio::test]
async fn every_stranger_is_refused_by_cause() {
    let operator = Operator::start().await;
    operator.add_node("n2");
    let later = jiff::Timestamp::now().as_second() + 600;
    let ours = json!("yagura-operator");

    refused(&operator, "not a token", "malformed-token").await;
    refused(
        &operator,
        &token(&json!("others"), later, ACCOUNT),
        "wrong-audience",
    )
    .await;
    refused(&operator, &token(&ours, 1, ACCOUNT), "expired-token").await;
    let other = "system:serviceaccount:shop:default";
    refused(&operator, &token(&ours, later, other), "wrong-subject").await;
    assert_eq!(
        operator.api.reviews(),
        0,
        "what cannot be right is not asked about"
    );

    // Forged: says the right things, and the API server does not know it. Asked once.
    refused(&operator, &token(&ours, later, ACCOUNT), "rejected-token").await;
    assert_eq!(operator.api.reviews(), 1);

    // The claims lie about the account.
    let lying = token(&ours, later + 1, ACCOUNT);
    operator.api.bind(&lying, other, "agent-n1", "n1");
    refused(&operator, &lying, "not-agent").await;

    // A pod of that account that no DaemonSet of ours made, and one that is on another node.
    let foreign = token(&ours, later + 2, ACCOUNT);
    operator.api.bind(&foreign, ACCOUNT, "cart-n1", "n1");
    refused(&operator, &foreign, "unknown-pod").await;
    let moved = token(&ours, later + 3, ACCOUNT);
    operator.api.bind(&moved, ACCOUNT, "agent-n1", "n2");
    refused(&operator, &moved, "unknown-pod").await;
    operator.stop().await;
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let operator = Operator::start().await;
    let mut client = operator.connect().await;
    let status = client
        .report(Request::new(tokio_stream::empty()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(operator.context.metrics.refused_streams.get(["no-token"]), 1);
    operator.stop().await;
}

#[tokio::test]
async fn a_token_that_cannot_be_reviewed_now_may_come_again() {
    let operator = Operator::start().await;
    let token = operator.token_of("n1");
    operator.api.fail_reviews(true);
    let Err(status) = operator.report(&token).await else {
        panic!("was let in");
    };
    assert_eq!(status.code(), Code::Unavailable);
    operator.api.fail_reviews(false);
    assert!(operator.report(&token).await.is_ok());
    operator.stop().await;
}

#[tokio::test]
async fn one_review_lets_both_streams_of_an_agent_in_and_a_pod_that_is_gone_out() {
    let operator = Operator::start().await;
    let token = operator.token_of("n1");
    let (subscription, reporting) =
        tokio::join!(operator.subscribe(&token, hello("n1")), operator.report(&token));
    assert!(subscription.is_ok() && reporting.is_ok());
    assert_eq!(operator.api.reviews(), 1);
    operator.context.index.write().pods.delete("agent-n1");
    let Err(status) = operator.report(&token).await else {
        panic!("was let in");
    };
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(operator.context.metrics.refused_streams.get(["unknown-pod"]), 1);
    operator.stop().await;
}

#[tokio::test]
async fn a_connection_that_proves_nothing_is_closed_and_an_agent_waits_for_its_place() {
    let bounds = Bounds {
        strangers: 2,
        handshake: Duration::from_secs(1),
        authentication: Duration::from_millis(300),
        ..Bounds::default()
    };
    let store = SignalStore::in_memory(Limits::default()).unwrap();
    let operator = Operator::start_bounded(store, ApiServer::start().await, bounds).await;
    let metrics = &operator.context.metrics;

    // One that never speaks, and one that only shakes hands.
    let mut silent = TcpStream::connect(operator.address).await.unwrap();
    let idle = operator.connect().await;
    until("the handshake", || metrics.open_connections.get() == 1).await;

    // There is no room for an agent, which is served with its first try as soon as there is, and stays beyond the time of
    // strangers.
    let mut agent = operator
        .subscribe(&operator.token_of("n1"), hello("n1"))
        .await
        .unwrap();
    let ended = |cause| metrics.dropped_connections.get([cause]);
    assert!(ended("handshake-timeout") + ended("not-authenticated") >= 1);
    let closed = |result: std::io::Result<usize>| result.map_or(true, |read| read == 0);
    let mut byte = [0];
    assert!(closed(timeout(SOON, silent.read(&mut byte)).await.unwrap()));
    for cause in ["handshake-timeout", "not-authenticated"] {
        until(cause, || ended(cause) == 1).await;
    }
    drop(idle);
    timeout(bounds.authentication * 2, async {
        while agent.answers.message().await.unwrap().is_some() {}
    })
    .await
    .expect_err("the stream stays open");
    drop(agent);
    operator.stop().await;
}

#[tokio::test]
async fn a_token_that_is_shown_again_and_again_is_not_reviewed_each_time() {
    let operator = Operator::start().await;
    let token = operator.token_of("n1");
    let mut client = operator.connect().await;
    let refused = async {
        loop {
            let request = super::with_token(tokio_stream::empty(), &token);
            if let Err(status) = client.report(request).await {
                return status;
            }
        }
    };
    let status = timeout(SOON, refused).await.unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let reviews = operator.api.reviews();
    assert_eq!(operator.context.metrics.refused_streams.get(["too-often"]), 1);
    let request = super::with_token(tokio_stream::empty(), &token);
    if client.report(request).await.is_err() {
        assert_eq!(operator.api.reviews(), reviews);
    }
    // Another agent is not refused for it.
    operator.add_node("n2");
    assert!(operator.report(&operator.token_of("n2")).await.is_ok());
    operator.stop().await;
}

#[tokio::test]
async fn a_node_keeps_few_connections() {
    let operator = Operator::start().await;
    let token = operator.token_of("n1");
    let mut agents = Vec::new();
    for _ in 0..6 {
        agents.push(operator.subscribe(&token, hello("n1")).await.unwrap());
    }
    let metrics = &operator.context.metrics;
    until("the oldest are ended", || metrics.open_connections.get() == 4).await;
    assert_eq!(metrics.dropped_connections.get(["too-many-of-node"]), 2);
    drop(agents);
    operator.stop().await;
}
