//! The certificate authority is replaced under load: no stream is lost, and everything is counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Client;
use kube::api::Api;
use yagura_e2e::cluster::INSTALLATION;
use yagura_e2e::components::{self, Component};
use yagura_e2e::eventually::within;
use yagura_e2e::rules::{executed_with, rule};
use yagura_e2e::{eventually, install, metrics, peer, sensors, signals, with_namespace, workload};

/// Connections to the operator that ended, and whether there is one.
const ENDED: &str = "yagura_agent_operator_sessions_ended_total";
const CONNECTED: &str = "yagura_agent_operator_connected";

/// The kubelet brings a changed bundle to the agent within a minute and a half.
const PATIENCE: Duration = Duration::from_mins(4);

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn no_stream_is_lost_and_nothing_uncounted() -> Result<()> {
    with_namespace(|space| async move {
        let client = &space.client;
        let rule = rule(&space, "rotated", &executed_with("rotated"));
        rule.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        let values = install::values().await?;
        let before = authority(client).await?;
        // Whatever is left of the authority that signs is too little for these times.
        let hasty = "operator.extraArgs={--ca-renew-before=731d,--ca-lifetime=3650d,--ca-patience=2m}";
        install::upgrade(&values, &[hasty]).await?;
        let rotated = async {
            within(PATIENCE, "the next authority waits for the agent", || async {
                ensure!(
                    peer::bundle(client).await?.matches("BEGIN CERTIFICATE").count() == 2,
                    "the bundle has not two certificates"
                );
                Ok(())
            })
            .await?;
            sensors::settled(client).await?;
            let agent = components::ready(client, Component::Agent).await?;
            // The upgrade replaced the operator: its end is not what is measured.
            connected(client, &agent).await?;
            let ended = sessions(client, &agent).await?;
            let acts = AtomicU64::new(0);
            within(PATIENCE, "the next authority signs", || async {
                workload::shell(&space, &pod, "/bin/true rotated").await?;
                acts.fetch_add(1, Ordering::Relaxed);
                ensure!(authority(client).await? != before, "the former one still signs");
                Ok(())
            })
            .await?;
            signals::counted(&space, &rule, acts.load(Ordering::Relaxed)).await?;
            ensure!(
                sessions(client, &agent).await? <= ended,
                "the agent lost its connection"
            );
            // Who connects now is shown the new authority's certificate, and trusts it.
            components::kill(client, Component::Agent).await?;
            let agent = components::ready(client, Component::Agent).await?;
            connected(client, &agent).await
        }
        .await;
        install::upgrade(&values, &[]).await?;
        rotated?;
        sensors::settled(client).await.map(drop)
    })
    .await
}

/// The certificate of the authority that signs.
async fn authority(client: &Client) -> Result<Vec<u8>> {
    let secret = Api::<Secret>::namespaced(client.clone(), INSTALLATION)
        .get("yagura-ca")
        .await?;
    let mut data = secret.data.unwrap_or_default();
    Ok(data.remove("ca.crt").context("there is no authority yet")?.0)
}

/// How many connections of the agent came to their end.
async fn sessions(client: &Client, agent: &Pod) -> Result<f64> {
    Ok(metrics::scrape(client, agent).await?.sum(ENDED, &[]))
}

/// Waits until the agent has a connection to the operator.
async fn connected(client: &Client, agent: &Pod) -> Result<()> {
    eventually("the agent is connected", || async {
        let connected = metrics::scrape(client, agent).await?.sum(CONNECTED, &[]);
        ensure!(connected > 0.0, "it is not");
        Ok(())
    })
    .await
}
