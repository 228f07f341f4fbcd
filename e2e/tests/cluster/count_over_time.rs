//! A rule with a threshold speaks when enough happened in time: on each node, or across nodes.

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use serde_json::json;
use yagura_e2e::cluster::INSTALLATION;
use yagura_e2e::components::{self, Component};
use yagura_e2e::outpost::with_outpost;
use yagura_e2e::rules::{Rule, executed_with, rule};
use yagura_e2e::{Space, eventually, lies, metrics, peer, signals, with_namespace, workload};

/// Matches that an agent counted in windows.
const COUNTED: &str = "yagura_agent_window_matches_total";
/// Whether an agent has a stream to the operator.
const CONNECTED: &str = "yagura_agent_operator_connected";
/// Matches that the operator has counted in its store.
const STORED: &str = "yagura_operator_stored_matches_total";

/// A rule on five acts within ten minutes.
fn five(space: &Space, stem: &str, group_by: &str) -> Rule {
    rule(space, stem, &executed_with(stem))
        .with("signal", json!({"title": "{{process.name}} again and again"}))
        .with(
            "detect",
            json!({"threshold": {"count": 5, "within": "10m", "groupBy": [group_by]}}),
        )
}

async fn scope_is(space: &Space, rule: &Rule, expected: &str) -> Result<()> {
    eventually("the status says where it is counted", || async {
        let scope = &rule.get(space).await?["status"]["scope"];
        ensure!(scope == expected, "{scope}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_node_counts_what_is_its_own_also_when_its_agent_is_killed() -> Result<()> {
    with_namespace(|space| async move {
        let rule = five(&space, "often", "container.id");
        rule.run(&space).await?;
        scope_is(&space, &rule, "node").await?;
        let pod = workload::sleeper(&space, "app").await?;
        let other = workload::sleeper(&space, "other").await?;
        let agent = components::ready(&space.client, Component::Agent).await?;
        let counted = async || {
            let scrape = metrics::scrape(&space.client, &agent).await?;
            Ok::<_, anyhow::Error>(scrape.sum(COUNTED, &[]))
        };
        let before = counted().await?;
        let act = |pod, times| {
            let script = format!("for i in $(seq {times}); do /bin/true often; done");
            let space = &space;
            async move { workload::shell(space, pod, &script).await }
        };
        act(&pod, 4).await?;
        act(&other, 4).await?;
        eventually("the agent counts", || async {
            let now = counted().await? - before;
            ensure!(now >= 8.0, "{now}");
            Ok(())
        })
        .await?;
        let total = signals::total(&space, &rule).await?;
        ensure!(total == 0, "{total} are told although four are too few");

        components::kill(&space.client, Component::Agent).await?;
        // It connects when it watches; what happens before nobody sees.
        eventually("the agent is back", || async {
            let connected = metrics::scrape(&space.client, &agent).await?.sum(CONNECTED, &[]);
            ensure!(connected > 0.0, "{connected}");
            Ok(())
        })
        .await?;
        act(&pod, 1).await?;
        let signal = signals::counted(&space, &rule, 5).await?;
        let affected = signal.resource("Pod")?;
        ensure!(affected["name"] == "app", "{affected}");
        act(&pod, 3).await?;
        signals::counted(&space, &rule, 8).await.map(drop)
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn what_happens_on_several_nodes_is_counted_together_also_when_the_operator_is_killed() -> Result<()> {
    with_namespace(|space| async move {
        let rule = five(&space, "everywhere", "process.name").with("where", json!({"target": "any"}));
        rule.run(&space).await?;
        scope_is(&space, &rule, "cluster").await?;
        let uid = rule.get(&space).await?["metadata"]["uid"]
            .as_str()
            .context("the rule has no uid")?
            .to_owned();
        let pod = workload::sleeper(&space, "app").await?;
        let operator = components::ready(&space.client, Component::Operator).await?;
        let stored = async || {
            let scrape = metrics::scrape(&space.client, &operator).await?;
            Ok::<_, anyhow::Error>(scrape.sum(STORED, &[]))
        };
        let before = stored().await?;
        workload::shell(&space, &pod, "for i in $(seq 3); do /bin/true everywhere; done").await?;
        eventually("the operator counts", || async {
            let now = stored().await? - before;
            ensure!(now >= 3.0, "{now}");
            Ok(())
        })
        .await?;
        components::kill(&space.client, Component::Operator).await?;
        components::ready(&space.client, Component::Operator).await?;
        let found = signals::of(&space.client, INSTALLATION, &rule.name).await?;
        ensure!(found.is_empty(), "three are too few: {found:?}");

        // Two more on another node.
        let client = &space.client;
        let (space, rule) = (&space, &rule);
        with_outpost(space, |outpost| async move {
            let token = outpost.token().await?;
            let _stream = outpost.served(&token).await?;
            let (send, mut answers) = peer::report(&mut peer::connect(client).await?, &token).await?;
            let mut fold = lies::fold_of(&uid, "process.name", "true");
            fold.count = 2;
            send.send(lies::batch(&space.named("spool"), 1, vec![fold]))
                .await?;
            ensure!(answers.message().await?.is_some(), "the stream ended");
            let signal = signals::only_in(space, INSTALLATION, &rule.name).await?;
            ensure!(signal.count() == 5, "{:?}", signal["status"]);
            let node = &signal["metadata"]["labels"]["yagura.dev/node"];
            ensure!(node.is_null(), "a signal of all nodes is no node's: {node}");
            ensure!(
                signal["spec"]["group"] == json!({"process.name": "true"}),
                "{:?}",
                signal["spec"]
            );
            Ok(())
        })
        .await?;
        let now = components::ready(client, Component::Operator).await?;
        ensure!(
            now.name_any() == operator.name_any(),
            "it was started again, not replaced"
        );
        Ok(())
    })
    .await
}
