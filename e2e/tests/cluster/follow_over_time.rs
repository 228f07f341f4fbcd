//! Rules that tell of what came after what, and of what was not there before.

use anyhow::{Result, ensure};
use serde_json::json;
use yagura_e2e::cluster::INSTALLATION;
use yagura_e2e::components::{self, Component};
use yagura_e2e::rules::{Rule, rule};
use yagura_e2e::{Space, eventually, metrics, signals, with_namespace, workload};

/// Matches that an agent counted in windows.
const COUNTED: &str = "yagura_agent_window_matches_total";
/// Matches that the operator has counted in its store.
const STORED: &str = "yagura_operator_stored_matches_total";

/// Whether an agent has a stream to the operator.
const CONNECTED: &str = "yagura_agent_operator_connected";

/// Kills the agent and waits for the next. It connects when it watches; what happens before nobody sees.
async fn kill_agent(space: &Space) -> Result<()> {
    components::kill(&space.client, Component::Agent).await?;
    let agent = components::ready(&space.client, Component::Agent).await?;
    eventually("the agent is back", || async {
        let connected = metrics::scrape(&space.client, &agent).await?.sum(CONNECTED, &[]);
        ensure!(connected > 0.0, "{connected}");
        Ok(())
    })
    .await
}

/// Acts of one namespace.
fn watching(space: &Space, stem: &str, detect: serde_json::Value) -> Rule {
    rule(
        space,
        stem,
        r#"event.kind == "process.exec" && process.name == "true""#,
    )
    .with(
        "signal",
        json!({"title": "{{process.name}} after something else"}),
    )
    .with("detect", detect)
}

async fn stored(space: &Space) -> Result<f64> {
    let operator = components::ready(&space.client, Component::Operator).await?;
    let scrape = metrics::scrape(&space.client, &operator).await?;
    Ok(scrape.sum(STORED, &[]))
}

fn with_argument(argument: &str) -> String {
    format!("\"{argument}\" in process.args")
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_sequence_goes_on_when_the_agent_is_killed_between_its_steps() -> Result<()> {
    with_namespace(|space| async move {
        let rule = watching(
            &space,
            "steps",
            json!({"sequence": {
                "within": "10m",
                "groupBy": ["container.id"],
                "steps": [{"condition": with_argument("one"), "count": 2}, {"condition": with_argument("two")}],
                "until": with_argument("enough"),
            }}),
        );
        rule.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        let other = workload::sleeper(&space, "other").await?;
        let agent = components::ready(&space.client, Component::Agent).await?;
        let counted = async || {
            let scrape = metrics::scrape(&space.client, &agent).await?;
            Ok::<_, anyhow::Error>(scrape.sum(COUNTED, &[]))
        };
        let before = counted().await?;
        workload::shell(&space, &pod, "/bin/true two; /bin/true one; /bin/true one").await?;
        // Ended before its last step.
        workload::shell(&space, &other, "/bin/true one; /bin/true one; /bin/true enough").await?;
        eventually("the agent counts", || async {
            let now = counted().await? - before;
            ensure!(now >= 6.0, "{now}");
            Ok(())
        })
        .await?;
        let total = signals::total(&space, &rule).await?;
        ensure!(total == 0, "{total} are told although the last step is missing");

        kill_agent(&space).await?;
        workload::shell(&space, &other, "/bin/true two").await?;
        workload::shell(&space, &pod, "/bin/true two").await?;
        let signal = signals::counted(&space, &rule, 3).await?;
        let affected = signal.resource("Pod")?;
        ensure!(affected["name"] == "app", "{affected}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_sequence_across_nodes_goes_on_when_the_operator_is_killed_between_its_steps() -> Result<()> {
    with_namespace(|space| async move {
        let rule = watching(
            &space,
            "across",
            json!({"sequence": {
                "within": "10m",
                "groupBy": ["k8s.namespace.name"],
                "steps": [{"condition": with_argument("first")}, {"condition": with_argument("second")}],
            }}),
        );
        rule.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        let other = workload::sleeper(&space, "other").await?;
        let before = stored(&space).await?;
        workload::shell(&space, &other, "/bin/true second").await?;
        workload::shell(&space, &pod, "/bin/true first").await?;
        eventually("the operator counts", || async {
            let now = stored(&space).await? - before;
            ensure!(now >= 2.0, "{now}");
            Ok(())
        })
        .await?;
        components::kill(&space.client, Component::Operator).await?;
        components::ready(&space.client, Component::Operator).await?;
        workload::shell(&space, &other, "/bin/true second").await?;
        let signal = signals::only_in(&space, &space.name, &rule.name).await?;
        ensure!(signal.count() == 2, "{:?}", signal["status"]);
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_value_that_was_not_learned_is_told_once_also_when_the_operator_is_killed() -> Result<()> {
    with_namespace(|space| async move {
        let rule = watching(
            &space,
            "news",
            json!({"newValue": {
                "fields": ["process.name", "process.args"],
                "groupBy": ["host.name", "k8s.namespace.name"],
                "learnFor": "0s",
                "learnMatches": 4,
            }}),
        );
        // The same without the node is learned by the operator.
        let across = watching(
            &space,
            "newsacross",
            json!({"newValue": {
                "fields": ["process.name", "process.args"],
                "groupBy": ["k8s.namespace.name"],
                "learnFor": "0s",
                "learnMatches": 4,
            }}),
        );
        rule.run(&space).await?;
        across.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        let before = stored(&space).await?;
        let learn = "/bin/true usual; /bin/true usual; /bin/true other; /bin/true usual";
        workload::shell(&space, &pod, learn).await?;
        let both_count = async |count: u64| -> Result<()> {
            for rule in [&rule, &across] {
                signals::counted(&space, rule, count).await?;
            }
            Ok(())
        };
        eventually("the operator learned", || async {
            let learned = stored(&space).await? - before;
            ensure!(learned >= 4.0, "{learned}");
            Ok(())
        })
        .await?;
        workload::shell(
            &space,
            &pod,
            "/bin/true other; /bin/true usual; /bin/true unheard-of",
        )
        .await?;
        both_count(1).await?;
        components::kill(&space.client, Component::Operator).await?;
        components::ready(&space.client, Component::Operator).await?;
        kill_agent(&space).await?;
        workload::shell(
            &space,
            &pod,
            "/bin/true unheard-of; /bin/true usual; /bin/true another",
        )
        .await?;
        both_count(2).await?;
        let found = signals::of(&space.client, INSTALLATION, &rule.name).await?;
        ensure!(found.is_empty(), "it is of the namespace: {found:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_signal_is_as_urgent_as_the_first_case_that_holds_on_a_node_and_across_nodes() -> Result<()> {
    with_namespace(|space| async move {
        let detect = |group: &str| {
            json!({"correlation": {
                "within": "10m",
                "groupBy": [group, "k8s.namespace.name"],
                "queries": [
                    {"name": "failed", "condition": with_argument("failed")},
                    {"name": "succeeded", "condition": with_argument("succeeded")},
                ],
                "cases": [
                    {
                        "when": "failed >= 3 && succeeded > 0",
                        "severity": "critical",
                        "title": "Guessed in {{k8s.namespace.name}}",
                    },
                    {"when": "failed >= 3"},
                ],
            }})
        };
        let rules = [
            watching(&space, "guessed", detect("container.id")),
            watching(&space, "guessedacross", detect("process.name")),
        ];
        for rule in &rules {
            rule.run(&space).await?;
        }
        let pod = workload::sleeper(&space, "app").await?;
        let fail = "for i in 1 2 3; do /bin/true failed; done";
        workload::shell(&space, &pod, fail).await?;
        for rule in &rules {
            let signal = signals::counted(&space, rule, 3).await?;
            ensure!(
                signal["status"]["severity"] != "critical",
                "{:?}",
                signal["status"]
            );
        }
        workload::shell(&space, &pod, "/bin/true succeeded").await?;
        for rule in &rules {
            signals::counted(&space, rule, 4).await?;
            eventually("the signal became critical", || async {
                let signal = signals::only(&space, rule).await?;
                let (severity, title) = (&signal["status"]["severity"], &signal["status"]["title"]);
                ensure!(severity == "critical", "{severity}");
                ensure!(*title == format!("Guessed in {}", space.name), "{title}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    })
    .await
}
