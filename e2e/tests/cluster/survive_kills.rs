//! Nothing is lost and nothing is counted twice when the operator or an agent is killed.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use yagura_e2e::components::{self, Component};
use yagura_e2e::rules::{executed_with, rule};
use yagura_e2e::{Space, eventually, metrics, sensors, signals, with_namespace, workload};

/// Matches that an agent has written to its spool.
const SPOOLED: &str = "yagura_agent_matches_spooled_total";

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn counts_are_exact_when_the_operator_is_killed_during_an_attack() -> Result<()> {
    with_namespace(|space| async move {
        let rule = rule(&space, "attack", &executed_with("attack"));
        rule.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;

        // The attack goes on until it is told to stop, and says how often it acted.
        let script =
            "i=0; while [ ! -e /tmp/stop ]; do /bin/true attack; i=$((i+1)); sleep 0.01; done; echo $i";
        let attack = workload::shell(&space, &pod, script);
        let kills = async {
            for round in 1..=2_u64 {
                reached(&space, &rule, 20 * round).await?;
                components::kill(&space.client, Component::Operator).await?;
                components::ready(&space.client, Component::Operator).await?;
            }
            workload::shell(&space, &pod, "touch /tmp/stop").await
        };
        let (acts, _) = tokio::try_join!(attack, kills)?;
        let acts: u64 = acts
            .trim()
            .parse()
            .context("the attack did not say how often it acted")?;

        signals::counted(&space, &rule, acts).await.map(drop)
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn counts_are_exact_when_an_agent_is_killed_with_matches_in_its_spool() -> Result<()> {
    with_namespace(|space| async move {
        let rule = rule(&space, "spooled", &executed_with("spooled")).with(
            "signal",
            json!({"title": "{{process.name}}", "groupBy": ["process.name"]}),
        );
        rule.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        let agent = components::ready(&space.client, Component::Agent).await?;
        let spooled =
            async || Ok::<_, anyhow::Error>(metrics::scrape(&space.client, &agent).await?.sum(SPOOLED, &[]));

        components::scale_operator(&space.client, 0).await?;
        let outcome = async {
            let before = spooled().await?;
            workload::shell(&space, &pod, "for i in $(seq 200); do /bin/true spooled; done").await?;
            eventually("200 matches are in the spool", || async {
                let now = spooled().await? - before;
                ensure!(now >= 200.0, "{now}");
                Ok(())
            })
            .await?;
            components::kill(&space.client, Component::Agent).await
        }
        .await;
        components::scale_operator(&space.client, 1).await?;
        outcome?;

        signals::counted(&space, &rule, 200).await?;
        // The agent that was started again works, and goes on counting where the other one ended.
        sensors::settled(&space.client).await?;
        workload::shell(&space, &pod, "/bin/true spooled").await?;
        signals::counted(&space, &rule, 201).await.map(drop)
    })
    .await
}

/// How many processes are killed in a run of the test below. A long run sets the variable, such as to 1000.
const KILLS: &str = "YAGURA_E2E_KILLS";
const FEW_KILLS: u32 = 6;

/// Acts between two kills.
const BURST: u32 = 60;

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn counts_are_exact_over_random_kills_of_operator_and_agent() -> Result<()> {
    let kills = match std::env::var(KILLS) {
        Ok(text) => text.parse().with_context(|| format!("{KILLS} is no number"))?,
        Err(_) => FEW_KILLS,
    };
    with_namespace(|space| async move {
        let rule = rule(&space, "hunted", &executed_with("hunted"));
        rule.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        let (mut acts, mut killed) = (0, 0);
        while killed < kills {
            let agent = components::ready(&space.client, Component::Agent).await?;
            // It may be running and not serve its metrics yet.
            let before = eventually("the agent tells what it spooled", || spooled(&space, &agent)).await?;
            let script = format!("for i in $(seq {BURST}); do /bin/true hunted; sleep 0.01; done");
            let burst = workload::shell(&space, &pod, &script);
            let operator_dies: bool = rand::random();
            let agent_dies = !operator_dies || rand::random();
            let outcome = if operator_dies {
                // The operator dies in the middle of it.
                let hunt = components::kill(&space.client, Component::Operator);
                tokio::try_join!(burst, hunt).map(drop)
            } else {
                burst.await.map(drop)
            };
            outcome.with_context(|| format!("after {killed} of {kills} kills"))?;
            killed += u32::from(operator_dies);
            acts += u64::from(BURST);
            // What an agent did not see before it died nobody counts, so it dies with everything in its spool.
            in_spool(&space, &agent, before).await?;
            if agent_dies {
                components::kill(&space.client, Component::Agent).await?;
                killed += 1;
                components::ready(&space.client, Component::Operator).await?;
                sensors::settled(&space.client).await?;
            }
        }
        // The pod may have been started again in a long run, and then has a signal for each of its containers.
        reached(&space, &rule, acts).await?;
        let total = signals::total(&space, &rule).await?;
        ensure!(total == acts, "{total} are counted of {acts}");
        Ok(())
    })
    .await
}

async fn spooled(space: &Space, agent: &Pod) -> Result<f64> {
    Ok(metrics::scrape(&space.client, agent).await?.sum(SPOOLED, &[]))
}

/// Waits until a burst is in the spool and nothing follows.
async fn in_spool(space: &Space, agent: &Pod, before: f64) -> Result<()> {
    let least = before + f64::from(BURST);
    let mut scraped = before;
    loop {
        let now = eventually("the burst is in the spool", || async {
            let now = spooled(space, agent).await?;
            ensure!(now >= least, "{} of {BURST}", now - before);
            Ok(now)
        })
        .await?;
        if now <= scraped {
            return Ok(());
        }
        scraped = now;
    }
}

async fn reached(space: &Space, rule: &yagura_e2e::rules::Rule, count: u64) -> Result<()> {
    eventually(&format!("{count} acts are counted"), || async {
        let total = signals::total(space, rule).await?;
        ensure!(total >= count, "{total}");
        Ok(())
    })
    .await
}
