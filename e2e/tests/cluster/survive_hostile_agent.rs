//! An agent that floods, lies, breaks the protocol and does not read holds up nobody else.

use anyhow::{Result, ensure};
use futures::FutureExt as _;
use kube::Client;
use yagura_e2e::components::{self, Component};
use yagura_e2e::outpost::{Outpost, with_outpost};
use yagura_e2e::rules::{executed_with, rule};
use yagura_e2e::{eventually, lies, metrics, peer, signals, with_namespace, workload};
use yagura_proto::v1::Fold;

/// Messages after which a node is read later.
const THROTTLED: &str = "yagura_operator_throttled_messages_total";
/// Records of one batch of the flood.
const BATCH: usize = 5_000;

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_hostile_agent_holds_up_no_other() -> Result<()> {
    let attacked = with_namespace(|space| async move {
        let space = &space;
        let client = &space.client;
        let rule = rule(space, "meanwhile", &executed_with("meanwhile"));
        rule.run(space).await?;
        let pod = workload::sleeper(space, "app").await?;
        let operator = components::ready(client, Component::Operator).await?;
        let throttled = metrics::scrape(client, &operator).await?.sum(THROTTLED, &[]);
        let hostile = with_outpost(space, |outpost| async move {
            let flood = flood(client, &outpost, space.named("flood")).fuse();
            let others = async {
                eventually("the flood is held back", || async {
                    let now = metrics::scrape(client, &operator).await?.sum(THROTTLED, &[]);
                    ensure!(now > throttled, "{now}");
                    Ok(())
                })
                .await?;
                workload::shell(space, &pod, "for i in $(seq 20); do /bin/true meanwhile; done").await?;
                signals::counted(space, &rule, 20).await?;
                // The webhook answers, too.
                let broken = rule.clone().with("condition", "((".into()).apply(space).await;
                ensure!(broken.is_err(), "a broken rule was accepted");
                Ok(())
            };
            tokio::select! {
                ended = flood => ended?,
                done = others => done?,
            }
            let after = components::ready(client, Component::Operator).await?;
            ensure!(
                after.metadata.uid == operator.metadata.uid,
                "the operator did not survive"
            );
            Ok(())
        });
        Box::pin(hostile).await
    });
    Box::pin(attacked).await
}

/// Everything bad that an agent can send, over and over again.
async fn flood(client: &Client, outpost: &Outpost, spool: String) -> Result<()> {
    let token = outpost.token().await?;
    eventually("the operator knows the agent", || async {
        Ok(peer::report(&mut peer::connect(client).await?, &token).await?)
    })
    .await?;
    let mut turn = 0u64;
    loop {
        turn += 1;
        // A stream may be refused for calling too often: the next turn tries again.
        let Ok((send, answers)) = peer::report(&mut peer::connect(client).await?, &token).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let spool = format!("{spool}-{turn}");
        // Nothing names a rule of ours, and nobody reads the answers.
        for part in 0..20u64 {
            let first = 1 + part * BATCH as u64;
            let batch = lies::batch(&spool, first, vec![Fold::default(); BATCH]);
            if send.send(batch).await.is_err() {
                break;
            }
        }
        let named = lies::fold("../../etc/passwd", "\u{1b}[2J\0$(reboot)");
        let huge = lies::fold(&"x".repeat(5 << 20), "");
        for message in [
            lies::batch("not a spool!", 1, vec![named]),
            lies::batch(&spool, u64::MAX - 1, vec![huge]),
        ] {
            if send.send(message).await.is_err() {
                break;
            }
        }
        drop(answers);
    }
}
