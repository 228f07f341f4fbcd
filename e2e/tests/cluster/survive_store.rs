//! The operator's store is lost, or somebody else has it.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::Client;
use kube::api::{Api, ListParams};
use yagura_e2e::cluster::INSTALLATION;
use yagura_e2e::components::{self, Component};
use yagura_e2e::rules::{executed_with, rule};
use yagura_e2e::{eventually, sensors, signals, with_namespace, workload};

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_lost_store_is_filled_from_the_clusters_signals() -> Result<()> {
    with_namespace(|space| async move {
        let client = &space.client;
        let rule = rule(&space, "restored", &executed_with("restored"));
        rule.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        workload::shell(&space, &pod, "for i in 1 2 3; do /bin/true restored; done").await?;
        let before = signals::counted(&space, &rule, 3).await?;

        components::scale_operator(client, 0).await?;
        let emptied = async {
            for entry in std::fs::read_dir(volume(client).await?)? {
                std::fs::remove_file(entry?.path())?;
            }
            Ok::<_, anyhow::Error>(())
        }
        .await;
        components::scale_operator(client, 1).await?;
        emptied.context("cannot empty the volume")?;

        sensors::settled(client).await?;
        workload::shell(&space, &pod, "/bin/true restored").await?;
        let after = signals::counted(&space, &rule, 4).await?;
        ensure!(
            after.name() == before.name(),
            "{} goes on as {}",
            before.name(),
            after.name()
        );
        let incomplete = after["status"]["incomplete"].to_string();
        ensure!(incomplete.contains("restored"), "{incomplete}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn an_operator_whose_store_another_has_says_who_and_waits() -> Result<()> {
    with_namespace(|space| async move {
        let client = &space.client;
        let rule = rule(&space, "locked", &executed_with("locked"));
        rule.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;

        components::scale_operator(client, 0).await?;
        let refused = async {
            let path = volume(client).await?.join("store.db.lock");
            std::fs::write(&path, "somebody-else\n").context("cannot write the lock's file")?;
            let lock = File::open(&path).context("cannot open the lock's file")?;
            lock.try_lock()
                .context("the store is in use although no operator runs")?;
            components::set_operators(client, 1).await?;
            eventually("the operator says who has its store", || async {
                let pods = components::pods(client, Component::Operator).await?;
                let said: Vec<String> = pods.iter().flat_map(components::last_words).collect();
                ensure!(
                    said.iter()
                        .any(|words| words.contains("is in use by somebody-else")),
                    "{said:?}"
                );
                Ok(())
            })
            .await?;
            // Nobody serves the agent, and nothing is lost.
            workload::shell(&space, &pod, "/bin/true locked").await
        }
        .await;
        // The lock ended with the block above.
        components::scale_operator(client, 1).await?;
        refused?;
        signals::counted(&space, &rule, 1).await.map(drop)
    })
    .await
}

/// The folder on this machine behind the operator's claim.
async fn volume(client: &Client) -> Result<PathBuf> {
    let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), INSTALLATION)
        .list(&ListParams::default())
        .await?;
    let bound = claims
        .items
        .into_iter()
        .find_map(|claim| claim.spec?.volume_name)
        .context("the operator has no volume")?;
    let volume = Api::<PersistentVolume>::all(client.clone()).get(&bound).await?;
    let folder = volume
        .spec
        .and_then(|spec| spec.local)
        .with_context(|| format!("{bound} is no folder of this machine"))?
        .path;
    Ok(folder.into())
}
