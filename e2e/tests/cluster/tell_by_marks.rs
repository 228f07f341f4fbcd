//! Rules that tell each other what they found.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use yagura_e2e::components::{self, Component};
use yagura_e2e::eventually::{DEADLINE, within};
use yagura_e2e::rules::{Rule, executed_with, rule};
use yagura_e2e::{Space, eventually, metrics, objects, signals, with_namespace, workload};

/// Marks that an agent set.
const SET: &str = "yagura_agent_marks_total";

/// A name that no rule of another test has for its mark.
fn mark_of(space: &Space, stem: &str) -> String {
    space.named(stem)
}

/// A rule that only marks.
fn marking(space: &Space, stem: &str, marker: &str, mark: Value) -> Rule {
    rule(space, stem, &executed_with(marker))
        .with("mark", mark)
        .with("silent", json!(true))
}

async fn set(space: &Space) -> Result<f64> {
    let agent = components::ready(&space.client, Component::Agent).await?;
    let scrape = metrics::scrape(&space.client, &agent).await?;
    Ok(scrape.sum(SET, &[]))
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn what_one_rule_marks_another_finds_in_descendants_and_containers() -> Result<()> {
    with_namespace(|space| async move {
        let (tree, container) = (mark_of(&space, "tree"), mark_of(&space, "container"));
        let begins = marking(
            &space,
            "begins",
            "begin",
            json!({"name": tree, "scope": "processTree", "ttl": "10m"}),
        );
        let installs = marking(
            &space,
            "installs",
            "install",
            json!({"name": container, "scope": "container", "value": "process.name", "ttl": "10m"}),
        );
        let look = executed_with("look");
        let follows = rule(
            &space,
            "follows",
            &format!("{look} && has(process.marks[\"{tree}\"])"),
        );
        let drifts = rule(
            &space,
            "drifts",
            &format!("{look} && container.marks[\"{container}\"] == \"true\""),
        );
        for rule in [&begins, &installs, &follows, &drifts] {
            rule.run(&space).await?;
        }
        let pod = workload::sleeper(&space, "app").await?;
        let other = workload::sleeper(&space, "other").await?;
        let before = set(&space).await?;

        // Nothing is marked yet.
        workload::shell(&space, &pod, "/bin/true look").await?;
        // The shell that begins starts another that looks twice; the shell around them is not of the tree.
        let tree_of_shells = "sh -c '(/bin/true look; /bin/true look); true' begin; /bin/true look";
        workload::shell(&space, &pod, tree_of_shells).await?;
        workload::shell(&space, &other, "/bin/true install; /bin/true look").await?;
        workload::shell(&space, &other, "/bin/true look").await?;

        let signal = signals::counted(&space, &follows, 2).await?;
        let affected = signal.resource("Pod")?;
        ensure!(affected["name"] == "app", "{affected}");
        let signal = signals::counted(&space, &drifts, 2).await?;
        let affected = signal.resource("Pod")?;
        ensure!(affected["name"] == "other", "{affected}");
        for silent in [&begins, &installs] {
            let total = signals::total(&space, silent).await?;
            ensure!(total == 0, "{} made {total} signals", silent.name);
        }
        eventually("the agent counts marks", || async {
            let now = set(&space).await? - before;
            ensure!(now >= 2.0, "{now}");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn rules_that_wait_for_each_others_marks_say_so() -> Result<()> {
    with_namespace(|space| async move {
        let (first, second) = (mark_of(&space, "first"), mark_of(&space, "second"));
        let waiting = |stem: &str, asks: &str, sets: &str| {
            rule(&space, stem, &format!("has(process.marks[\"{asks}\"])"))
                .with("mark", json!({"name": sets, "scope": "process", "ttl": "1m"}))
        };
        let one = waiting("one", &second, &first);
        let two = waiting("two", &first, &second);
        one.run(&space).await?;
        two.apply(&space).await?;
        for rule in [&one, &two] {
            within(2 * DEADLINE, &format!("{} says why not", rule.name), || async {
                let object = rule.get(&space).await?;
                let programmed = objects::condition(&object, "Programmed")?;
                let message = programmed["message"].as_str().unwrap_or_default();
                ensure!(programmed["status"] == "False", "{programmed}");
                ensure!(message.contains("MarksUnordered"), "{programmed}");
                ensure!(
                    message.contains(&one.name) && message.contains(&two.name),
                    "{programmed}"
                );
                Ok(())
            })
            .await?;
        }
        two.delete(&space).await?;
        one.programmed(&space).await.map(drop)
    })
    .await
}
