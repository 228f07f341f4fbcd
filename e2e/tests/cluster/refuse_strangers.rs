//! Only an agent on its own node is served; everybody else is refused and counted.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use tonic::{Code, Status, Streaming};
use yagura_e2e::components::{self, Component};
use yagura_e2e::{eventually, metrics, peer, sensors, with_namespace};
use yagura_proto::v1::SubscribeResponse;
use yagura_proto::v1::subscribe_response::Message;

/// Counts refused streams, by cause.
const REFUSED: &str = "yagura_operator_refused_streams_total";

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn other_identities_are_refused_and_counted() -> Result<()> {
    with_namespace(|space| async move {
        let client = &space.client;
        let agent = components::ready(client, Component::Agent).await?;
        let operator = components::ready(client, Component::Operator).await?;
        let account = peer::account(&agent)?;
        let audience = peer::audience(&agent)?;
        let other = peer::account(&operator)?;
        let before = refused(client, &operator).await?;

        let tokens = [
            ("no token", None),
            ("not a token", Some("e2e".to_owned())),
            (
                "another service account",
                Some(peer::token(client, other, audience, Some(&operator)).await?),
            ),
            (
                "another audience",
                Some(peer::token(client, account, "e2e", Some(&agent)).await?),
            ),
            (
                "not bound to a pod",
                Some(peer::token(client, account, audience, None).await?),
            ),
        ];
        let mut connection = peer::connect(client).await?;
        for (who, token) in &tokens {
            let answer = peer::subscribe(&mut connection, token.as_deref(), peer::hello(&agent, 1)).await;
            let status = refusal(answer).await.context(*who)?;
            ensure!(
                matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied),
                "{who}: {status}"
            );
            ensure!(!status.message().is_empty(), "{who}: {status}");
        }

        eventually("every refusal is counted", || async {
            let counted = refused(client, &operator).await? - before;
            ensure!(
                counted >= f64::from(u8::try_from(tokens.len())?),
                "{counted} of {}",
                tokens.len()
            );
            Ok(())
        })
        .await?;
        sensors::settled(client).await.map(drop)
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn an_agent_of_another_protocol_is_told_so() -> Result<()> {
    with_namespace(|space| async move {
        let client = &space.client;
        let agent = components::ready(client, Component::Agent).await?;
        let token = peer::token(
            client,
            peer::account(&agent)?,
            peer::audience(&agent)?,
            Some(&agent),
        )
        .await?;
        let mut connection = peer::connect(client).await?;
        for (protocol, reason) in [(0, "ProtocolTooOld"), (99, "ProtocolTooNew")] {
            let mut stream =
                peer::subscribe(&mut connection, Some(&token), peer::hello(&agent, protocol)).await?;
            let first = stream
                .message()
                .await?
                .context("the stream ended without a word")?;
            let Some(Message::Refusal(refusal)) = first.message else {
                anyhow::bail!("protocol {protocol} was answered with {first:?}");
            };
            assert_eq!(refusal.reason, reason, "{refusal:?}");
            assert!(refusal.message.contains("upgrade"), "{refusal:?}");
            assert!(
                stream.message().await.is_ok_and(|next| next.is_none()),
                "the stream goes on after {refusal:?}"
            );
        }
        sensors::settled(client).await.map(drop)
    })
    .await
}

/// A stream may be refused before or after it is opened.
async fn refusal(answer: Result<Streaming<SubscribeResponse>, Status>) -> Result<Status> {
    match answer {
        Err(status) => Ok(status),
        Ok(mut stream) => match stream.message().await {
            Err(status) => Ok(status),
            Ok(message) => anyhow::bail!("it was served: {message:?}"),
        },
    }
}

async fn refused(client: &Client, operator: &Pod) -> Result<f64> {
    Ok(metrics::scrape(client, operator).await?.sum(REFUSED, &[]))
}
