//! Agents follow a rule that is edited, disabled and deleted, and its status says where it runs.

use anyhow::{Result, ensure};
use serde_json::json;
use yagura_e2e::rules::{Rule, executed_with, rule};
use yagura_e2e::{Space, eventually, sensors, signals, with_namespace, workload};

/// What distinguishes acts is part of the group, so that the first match of each goes out at once, in order.
fn by_command(rule: Rule) -> Rule {
    rule.with(
        "signal",
        json!({"title": "{{process.command_line}}", "groupBy": ["process.command_line"]}),
    )
}

async fn titles(space: &Space, rule: &Rule) -> Result<Vec<String>> {
    let found = signals::of(&space.client, &space.name, &rule.name).await?;
    Ok(found
        .iter()
        .map(|signal| signal["status"]["title"].as_str().unwrap_or_default().to_owned())
        .collect())
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn an_edited_rule_replaces_the_one_before() -> Result<()> {
    with_namespace(|space| async move {
        let pod = workload::sleeper(&space, "app").await?;
        let before = by_command(rule(&space, "edited", &executed_with("old")));
        before.run(&space).await?;
        let old_revisions = sensors::settled(&space.client).await?;
        workload::shell(&space, &pod, "/bin/true old 1").await?;
        signals::only(&space, &before).await?;

        let after = by_command(rule(&space, "edited", &executed_with("new")));
        after.run(&space).await?;
        sensors::changed(&space.client, &old_revisions).await?;
        workload::shell(&space, &pod, "/bin/true old 2; /bin/true new 3").await?;

        eventually("the new condition is reported", || async {
            let titles = titles(&space, &after).await?;
            ensure!(titles.iter().any(|title| title.ends_with("new 3")), "{titles:?}");
            Ok(())
        })
        .await?;
        let titles = titles(&space, &after).await?;
        assert!(!titles.iter().any(|title| title.ends_with("old 2")), "{titles:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_disabled_or_deleted_rule_stops_and_its_status_says_so() -> Result<()> {
    with_namespace(|space| async move {
        let pod = workload::sleeper(&space, "app").await?;
        let changed = by_command(rule(&space, "changed", &executed_with("act")));
        let witness = by_command(rule(&space, "witness", &executed_with("act")));
        changed.run(&space).await?;
        witness.run(&space).await?;
        workload::shell(&space, &pod, "/bin/true act 1").await?;
        signals::only(&space, &changed).await?;
        signals::only(&space, &witness).await?;

        let revisions = sensors::settled(&space.client).await?;
        changed
            .clone()
            .with("enabled", json!(false))
            .apply(&space)
            .await?;
        eventually("no node runs the disabled rule", || async {
            let object = changed.get(&space).await?;
            ensure!(object["status"]["nodes"]["active"] == 0, "{}", object["status"]);
            Ok(())
        })
        .await?;
        sensors::changed(&space.client, &revisions).await?;
        expect_only_witness(&space, &pod, &witness, &changed, "act 2").await?;

        changed.run(&space).await?;
        workload::shell(&space, &pod, "/bin/true act 3").await?;
        eventually("the rule that is enabled again reports", || async {
            let titles = titles(&space, &changed).await?;
            ensure!(titles.iter().any(|title| title.ends_with("act 3")), "{titles:?}");
            Ok(())
        })
        .await?;

        let revisions = sensors::settled(&space.client).await?;
        changed.delete(&space).await?;
        sensors::changed(&space.client, &revisions).await?;
        expect_only_witness(&space, &pod, &witness, &changed, "act 4").await
    })
    .await
}

/// Acts, waits until the witness reports it, and makes sure that the other rule has not.
async fn expect_only_witness(
    space: &Space,
    pod: &k8s_openapi::api::core::v1::Pod,
    witness: &Rule,
    silent: &Rule,
    act: &str,
) -> Result<()> {
    // The act after it makes sure that the witness is not merely quicker: events of a node stay in order.
    workload::shell(space, pod, &format!("/bin/true {act}; /bin/true {act} after")).await?;
    eventually("the witness reports", || async {
        let titles = titles(space, witness).await?;
        ensure!(titles.iter().any(|title| title.ends_with("after")), "{titles:?}");
        Ok(())
    })
    .await?;
    let titles = titles(space, silent).await?;
    ensure!(!titles.iter().any(|title| title.contains(act)), "{titles:?}");
    Ok(())
}
