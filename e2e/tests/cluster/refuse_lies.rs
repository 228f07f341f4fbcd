//! What an agent cannot know is refused, counted and a signal; so is a second agent, and a token ends with its time and
//! with its pod.

use anyhow::{Context as _, Result, ensure};
use kube::{Client, ResourceExt as _};
use tonic::{Code, Status, Streaming};
use yagura_e2e::components::{self, Component};
use yagura_e2e::outpost::{Outpost, with_outpost};
use yagura_e2e::rules::{executed_with, rule};
use yagura_e2e::{eventually, lies, metrics, mint, peer, signals, with_namespace, workload};
use yagura_proto::v1::report_request::Message;
use yagura_proto::v1::{NodeFacts, ReportRequest, SubscribeResponse};

/// Counts records that were not believed, by cause.
const REFUSED: &str = "yagura_operator_refused_records_total";

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn reports_about_others_are_refused_counted_and_a_signal() -> Result<()> {
    with_namespace(|space| async move {
        let space = &space;
        let client = &space.client;
        let lie = rule(space, "lie", &executed_with("never-executed"));
        lie.run(space).await?;
        let uid = lie.get(space).await?["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let victim = workload::sleeper(space, "cart").await?;
        let victim = victim.uid().context("the pod has no uid")?;
        with_outpost(space, |outpost| async move {
            let before = [
                refused(client, "foreign-pod").await?,
                refused(client, "unknown-rule").await?,
                refused(client, "foreign-facts").await?,
            ];
            let token = outpost.token().await?;
            let (send, mut answers) = eventually("the operator knows the agent", || async {
                Ok(peer::report(&mut peer::connect(client).await?, &token).await?)
            })
            .await?;
            let folds = vec![
                lies::fold(&uid, &victim),
                lies::fold("00000000-0000-4000-8000-000000000000", ""),
                lies::fold(&uid, &victim),
            ];
            send.send(lies::batch(&space.named("spool"), 1, folds)).await?;
            let answer = answers.message().await?;
            ensure!(
                answer.is_some(),
                "what is refused is acknowledged, else it would come forever"
            );
            let foreign = NodeFacts {
                node: "another".to_owned(),
                ..NodeFacts::default()
            };
            let foreign = ReportRequest {
                message: Some(Message::Facts(foreign)),
            };
            send.send(foreign).await?;
            let ended = answers.message().await;
            ensure!(
                ended
                    .as_ref()
                    .is_err_and(|status| status.code() == Code::PermissionDenied),
                "{ended:?}"
            );

            for ((cause, count), before) in [("foreign-pod", 2u32), ("unknown-rule", 1), ("foreign-facts", 1)]
                .into_iter()
                .zip(before)
            {
                let after = refused(client, cause).await? - before;
                ensure!(after >= f64::from(count), "{cause}: {after}");
                eventually(&format!("a signal of {cause}"), || async {
                    let found = signals::of_node(client, "yagura-refused-reports", &outpost.node).await?;
                    let of_cause = found
                        .iter()
                        .find(|signal| signal["spec"]["group"]["cause"] == cause);
                    let signal = of_cause.with_context(|| format!("{found:?}"))?;
                    ensure!(signal.count() == u64::from(count), "{signal:?}");
                    Ok(())
                })
                .await?;
            }
            let believed = signals::of(client, &space.name, &lie.name).await?;
            ensure!(believed.is_empty(), "{believed:?}");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_second_agent_beside_a_living_one_is_a_signal() -> Result<()> {
    with_namespace(|space| async move {
        let space = &space;
        let client = &space.client;
        with_outpost(space, |outpost| async move {
            let token = outpost.token().await?;
            // The first agent lives on when its stream ends: its connection answers pings.
            let (_living, mut first) = outpost.connected(&token).await?;
            let _second = outpost.served(&token).await?;
            let ended = end_of(&mut first).await;
            ensure!(ended.code() == Code::Aborted, "{ended}");
            eventually("a signal about the node", || async {
                let found = signals::of_node(client, "yagura-second-stream", &outpost.node).await?;
                ensure!(found.len() == 1, "{found:?}");
                Ok(())
            })
            .await
        })
        .await
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_token_ends_with_its_time_and_with_its_pod() -> Result<()> {
    with_namespace(|space| async move {
        let space = &space;
        let client = &space.client;
        with_outpost(space, |outpost| async move {
            let token = outpost.token().await?;
            outpost.served(&token).await?;

            let now = now()?;
            let expired = mint::with_times(&token, now - 7_200, now - 3_600)?;
            let status = refusal(client, &outpost, &expired).await?;
            ensure!(status.code() == Code::Unauthenticated, "{status}");
            let short = mint::with_times(&token, now - 60, now + 5)?;
            let ended = end_of(&mut outpost.served(&short).await?).await;
            ensure!(
                ended.code() == Code::Unauthenticated && ended.message().contains("expired"),
                "{ended}"
            );

            let mut stream = outpost.served(&token).await?;
            outpost.delete_pod().await?;
            let ended = end_of(&mut stream).await;
            ensure!(
                ended.code() == Code::Unauthenticated && ended.message().contains("gone"),
                "{ended}"
            );
            let status = refusal(client, &outpost, &token).await?;
            ensure!(status.code() == Code::Unauthenticated, "{status}");
            Ok(())
        })
        .await
    })
    .await
}

async fn refusal(client: &Client, outpost: &Outpost, token: &str) -> Result<Status> {
    let mut connection = peer::connect(client).await?;
    match peer::subscribe(&mut connection, Some(token), peer::hello(&outpost.pod, 1)).await {
        Err(status) => Ok(status),
        Ok(mut stream) => match stream.message().await {
            Err(status) => Ok(status),
            Ok(message) => anyhow::bail!("it was served: {message:?}"),
        },
    }
}

/// How a stream ends.
async fn end_of(stream: &mut Streaming<SubscribeResponse>) -> Status {
    loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Status::ok("it just ended"),
            Err(status) => return status,
        }
    }
}

async fn refused(client: &Client, cause: &str) -> Result<f64> {
    let operator = components::ready(client, Component::Operator).await?;
    let scrape = metrics::scrape(client, &operator).await?;
    Ok(scrape.sum(REFUSED, &[("cause", cause)]))
}

fn now() -> Result<i64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_secs())?)
}
