//! The API server goes away for a while: everything is counted, nobody is restarted, and what waited is written.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use yagura_e2e::components::{self, Component};
use yagura_e2e::eventually::{DEADLINE, within};
use yagura_e2e::rules::{executed_with, rule};
use yagura_e2e::{api_server, eventually, host, metrics, signals, with_namespace, workload};

/// How many seconds the API server is away. A long run sets the variable, such as to 600.
const SECONDS: &str = "YAGURA_E2E_OUTAGE_SECONDS";
const FEW_SECONDS: u64 = 20;

/// Matches that the operator has counted in its store.
const STORED: &str = "yagura_operator_stored_matches_total";

/// Acts that have to be counted while the API server is away.
const LEAST: f64 = 100.0;

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn counts_are_exact_when_the_api_server_was_away_during_an_attack() -> Result<()> {
    let outage = match std::env::var(SECONDS) {
        Ok(text) => text.parse().with_context(|| format!("{SECONDS} is no number"))?,
        Err(_) => FEW_SECONDS,
    };
    let outage = Duration::from_secs(outage);
    with_namespace(|space| async move {
        let rule = rule(&space, "outage", &executed_with("outage"));
        rule.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        let id = workload::container_id(&pod)?;
        let operator = components::ready(&space.client, Component::Operator).await?;

        // No exec through the API server outlives it, so the attack goes on by itself and writes how often it acted.
        let attack = "i=0; while [ ! -e /tmp/stop ]; do /bin/true outage; i=$((i+1)); sleep 0.02; done; \
                      echo $i > /tmp/new; mv /tmp/new /tmp/acts";
        workload::shell(&space, &pod, &format!("({attack}) >/dev/null 2>&1 &")).await?;
        signals::only(&space, &rule).await?;

        api_server::stopped(async {
            let begun = Instant::now();
            let stored =
                async || Ok::<_, anyhow::Error>(metrics::scrape_from_node(&operator).await?.sum(STORED, &[]));
            let before = stored().await?;
            within(
                outage + DEADLINE,
                "the operator counts without an API server",
                || async {
                    let counted = stored().await? - before;
                    ensure!(
                        counted >= LEAST && begun.elapsed() >= outage,
                        "{counted} in {:?}",
                        begun.elapsed()
                    );
                    Ok(())
                },
            )
            .await
        })
        .await?;

        workload::shell(&space, &pod, "touch /tmp/stop").await?;
        let acts = eventually("the attack says how often it acted", || {
            host::read_in_container(&id, "/tmp/acts")
        })
        .await?;
        let acts = acts.trim().parse().context("that is no number")?;
        signals::counted(&space, &rule, acts).await?;
        let now = components::ready(&space.client, Component::Operator).await?;
        ensure!(
            components::restarts(&now) == components::restarts(&operator)
                && now.metadata.uid == operator.metadata.uid,
            "the operator was restarted: {:?}",
            now.status
        );
        Ok(())
    })
    .await
}
