//! A second agent of a node is told from one that comes back.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::super::connection::Bounds;
use super::api_server::ApiServer;
use super::{Operator, Subscription, hello, next, until};
use yagura_store::signals::{Limits, SignalStore};

const RULE: &str = "Yagura/yagura-second-stream";

/// An operator that finds out within a moment that a peer is gone.
async fn operator() -> Operator {
    let bounds = Bounds {
        ping: Duration::from_millis(300),
        ..Bounds::default()
    };
    let store = SignalStore::in_memory(Limits::default()).unwrap();
    Operator::start_bounded(store, ApiServer::start().await, bounds).await
}

impl Operator {
    /// Signals about second streams that are open.
    async fn alarms(&self) -> u64 {
        let summary = self.context.signals.summary(RULE.to_owned()).await;
        summary.unwrap().open
    }

    async fn subscribe_as(&self, instance: &str) -> Subscription {
        let token = self.token_of("n1");
        self.subscribe_at(self.address, &token, instance, hello("n1"))
            .await
            .unwrap()
    }
}

/// Reads a stream until it ends, as an agent does.
async fn end_of(agent: &mut Subscription) -> tonic::Status {
    loop {
        if let Err(status) = next(&mut agent.answers).await {
            return status;
        }
    }
}

#[tokio::test]
async fn another_process_beside_a_living_one_is_a_signal_about_the_node() {
    let operator = operator().await;
    let mut first = operator.subscribe_as("a").await;
    let second = operator.subscribe_as("b").await;
    assert_eq!(end_of(&mut first).await.code(), Code::Aborted);
    // The first process lives on, whatever it does with its connection.
    until("the signal", || operator.api.signals().len() == 1).await;
    let ((namespace, name), signal) = operator.api.signals().pop_first().unwrap();
    assert_eq!(namespace, "sec");
    assert!(name.starts_with("yagura-second-stream-"), "{name}");
    assert_eq!(signal["metadata"]["labels"]["yagura.dev/node"], "n1");
    drop((first, second));
    operator.stop().await;
}

/// The older stream ends while the newer one begins, each on a thread of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rival_is_found_however_the_end_of_one_meets_the_beginning_of_the_other() {
    const NODES: usize = 20;
    let operator = operator().await;
    let mut living = Vec::new();
    for node in (0..NODES).map(|place| format!("rivals-{place}")) {
        operator.add_node(&node);
        let token = operator.token_of(&node);
        for process in ["first", "second"] {
            let subscribed = operator.subscribe_at(operator.address, &token, process, hello(&node));
            living.push(subscribed.await.unwrap());
        }
    }
    until("a signal of each node", || operator.api.signals().len() == NODES).await;
    drop(living);
    operator.stop().await;
}

#[tokio::test]
async fn an_agent_that_comes_back_is_no_second_one() {
    let operator = operator().await;
    let metrics = &operator.context.metrics;
    // Its older connection is still open, as where only the agent noticed that it broke.
    let older = operator.subscribe_as("a").await;
    let newer = operator.subscribe_as("a").await;
    until("the replacement", || metrics.replaced_streams.get() == 1).await;
    // A process that ended, and one in its place.
    drop((older, newer));
    until("their end", || metrics.open_streams.get() == 0).await;
    let restarted = operator.subscribe_as("b").await;
    // Its two calls are two streams of one agent.
    let report = operator.report(&operator.token_of("n1")).await.unwrap();
    until("both streams", || metrics.open_streams.get() == 2).await;
    drop((restarted, report));
    until("the end of all that was watched", || {
        metrics.open_connections.get() == 0
    })
    .await;
    assert_eq!(operator.alarms().await, 0);
    operator.stop().await;
}

#[tokio::test]
async fn an_older_stream_that_is_dead_is_no_second_agent() {
    let operator = operator().await;
    let metrics = &operator.context.metrics;
    let wire = Wire::to(operator.address).await;
    let token = operator.token_of("n1");
    let older = operator
        .subscribe_at(wire.address, &token, "a", hello("n1"))
        .await
        .unwrap();
    until("the first stream", || metrics.open_streams.get() == 1).await;
    // The node loses its power: nothing ever comes again, and nothing says so.
    wire.cut.cancel();
    let newer = operator.subscribe_as("b").await;
    until("the replacement", || metrics.replaced_streams.get() == 1).await;
    // The older connection is given up when its ping is not answered; until then it was listened to.
    until("the end of the older one", || metrics.open_connections.get() == 1).await;
    assert_eq!(operator.alarms().await, 0);
    drop((older, newer));
    operator.stop().await;
}

/// A wire between an agent and the operator that can be cut without either noticing.
struct Wire {
    address: std::net::SocketAddr,
    cut: Arc<CancellationToken>,
}

impl Wire {
    async fn to(operator: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(CancellationToken::new());
        let scissors = Arc::clone(&cut);
        tokio::spawn(async move {
            let (mut agent, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(operator).await.unwrap();
            tokio::select! {
                _ = copy_bidirectional(&mut agent, &mut server) => {}
                () = scissors.cancelled() => {
                    // Both ends stay open, and hear nothing of each other.
                    std::future::pending::<()>().await;
                }
            }
        });
        Self { address, cut }
    }
}
