//! An API server that is away for a while: what agents report is counted, nothing ends, and what waited is written.

use std::net::SocketAddr;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, Config};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;
use yagura_operator::lease::acquire;
use yagura_operator::signals;

use crate::written::{context, hostile, the_signal, with_signals};

/// A way to the API server that can be cut.
struct Way {
    address: SocketAddr,
    open: watch::Sender<bool>,
}

impl Way {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = watch::Sender::new(true);
        let state = open.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut state = state.subscribe();
                let server = server.clone();
                tokio::spawn(async move {
                    if !*state.borrow_and_update() {
                        return;
                    }
                    let Ok(mut far) = TcpStream::connect(server).await else {
                        return;
                    };
                    // A cut ends what is open, too.
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = state.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { address, open }
    }
}

/// A client whose way to the API server can be cut.
async fn client_with_way() -> (Client, Way) {
    let mut config = Config::infer().await.unwrap();
    let (host, port) = (
        config.cluster_url.host().unwrap().to_owned(),
        config.cluster_url.port_u16().unwrap_or(443),
    );
    let way = Way::to(format!("{host}:{port}")).await;
    config.tls_server_name.get_or_insert(host);
    config.cluster_url = format!("https://{}", way.address).parse().unwrap();
    (Client::try_from(config).unwrap(), way)
}

#[tokio::test]
#[ignore = "needs a cluster; cargo xtask test runs it"]
async fn while_the_api_server_is_away_reports_are_counted_and_writes_wait_apiserver() {
    with_signals(|client, namespace| async move {
        let (cut_off, way) = client_with_way().await;
        let held = acquire(&cut_off, &namespace, "lease", "operator").await;
        let stop = CancellationToken::new();
        let lease = tokio::spawn(held.hold(stop.clone().cancelled_owned()));
        let context = context(&cut_off, &namespace);
        let writer = tokio::spawn(signals::write(context.clone()));

        way.open.send_replace(false);
        let mut records = hostile(&context, &namespace, "test-rule");
        for sequence in 1..=5 {
            records[0].sequence = sequence;
            let applied = context
                .signals
                .apply("spool".into(), "n1".into(), records.clone());
            assert_eq!(applied.await.unwrap().watermark, sequence, "acknowledged as ever");
        }
        // It was tried and did not work.
        let failed = || context.metrics.signal_writes.get(["failed"]);
        while failed() < 2 {
            sleep(Duration::from_millis(50)).await;
        }
        assert!(!lease.is_finished() && !writer.is_finished());

        let renewed = || async {
            let leases: Api<Lease> = Api::namespaced(client.clone(), &namespace);
            leases.get("lease").await.unwrap().spec.unwrap().renew_time
        };
        let before = renewed().await;
        way.open.send_replace(true);
        let signal = the_signal(&client, &namespace).await;
        assert_eq!(signal.status.unwrap().count, 15);
        while renewed().await == before {
            sleep(Duration::from_millis(50)).await;
        }
        stop.cancel();
        lease.await.unwrap().unwrap();
        context.stop.cancel();
        writer.await.unwrap().unwrap();
    })
    .await;
}
