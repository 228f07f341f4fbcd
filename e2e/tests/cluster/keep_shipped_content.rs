//! Of what ships, the user's part stays, other edits are taken back, and packs come and go by value.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use yagura_e2e::objects::SHIPPED;
use yagura_e2e::rules::{executed_with, rule};
use yagura_e2e::{Space, eventually, install, objects, sensors, with_namespace};

/// A shipped rule that no other test relies on.
const RULE: &str = "network-tool-in-container";
/// A shipped rule whose name a user takes.
const TAKEN: &str = "memfd-execution";

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_shipped_rule_keeps_the_users_part_and_takes_back_other_edits() -> Result<()> {
    with_namespace(|space| async move {
        let before = get(&space, RULE).await?;
        let outcome = users_part(&space, &before).await;
        edit(
            &space,
            RULE,
            json!({"spec": {"enabled": true, "overrides": null}}),
        )
        .await?;
        outcome
    })
    .await
}

async fn users_part(space: &Space, before: &Value) -> Result<()> {
    let part = json!({"enabled": false, "overrides": {"severity": "low"}});
    edit(space, RULE, json!({"spec": part})).await?;
    let condition = before["spec"]["condition"]
        .as_str()
        .context("the rule has no condition")?;
    // Twice: the second one is told as a repetition of the first. The rule's own tests still pass, or the webhook would
    // refuse the edit.
    for number in [1, 2] {
        let change = json!({"spec": {
            "condition": format!("({condition}) && {number} == {number}"),
            "exceptions": [{"name": "e", "condition": "process.name == \"never\"", "reason": "r"}],
        }});
        edit(space, RULE, change).await?;
        eventually("the edit is taken back", || async {
            let now = get(space, RULE).await?;
            ensure!(
                now["spec"]["condition"] == before["spec"]["condition"],
                "{}",
                now["spec"]["condition"]
            );
            ensure!(
                now["spec"]["exceptions"].is_null(),
                "{}",
                now["spec"]["exceptions"]
            );
            Ok(())
        })
        .await?;
    }
    eventually("an Event says what to do instead", || async {
        let events = Api::<Event>::namespaced(space.client.clone(), "default");
        let told = events
            .list(&ListParams::default())
            .await?
            .items
            .into_iter()
            .find(|event| {
                let about = event.regarding.as_ref().and_then(|about| about.name.as_deref());
                about == Some(RULE)
                    && event.reason.as_deref() == Some("EditReverted")
                    && event.series.is_some()
            });
        let note = told
            .context("there is no Event that was repeated")?
            .note
            .unwrap_or_default();
        ensure!(
            note.contains("condition") && note.contains("spec.overrides"),
            "{note}"
        );
        Ok(())
    })
    .await?;
    eventually("the rule is off and says so", || async {
        let now = get(space, RULE).await?;
        ensure!(now["spec"]["enabled"] == false, "{}", now["spec"]["enabled"]);
        ensure!(
            now["spec"]["overrides"]["severity"] == "low",
            "{}",
            now["spec"]["overrides"]
        );
        ensure!(
            objects::condition(&now, "Programmed")?["reason"] == "Disabled",
            "{}",
            now["status"]
        );
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn packs_come_and_go_by_value_and_a_users_name_stays_the_users() -> Result<()> {
    with_namespace(|space| async move {
        let values = install::values().await?;
        let off = ["content.packs.workload=false", "content.packs.posture=false"];
        install::upgrade(&values, &off).await?;
        let outcome = without_packs(&space).await;
        install::upgrade(&values, &[]).await?;
        outcome?;

        eventually("what ships is there again, but for the taken name", || async {
            ensure!(!shipped(&space, "PostureFramework").await?.is_empty());
            ensure!(
                shipped(&space, "DetectionRule")
                    .await?
                    .iter()
                    .any(|rule| rule == RULE)
            );
            let own = get(&space, TAKEN).await?;
            let taken = objects::condition(&own, "NameTaken")?;
            ensure!(taken["status"] == "True", "{taken}");
            ensure!(own["spec"]["title"] == "Test own", "{}", own["spec"]["title"]);
            Ok(())
        })
        .await?;
        objects::delete(&space.client, "DetectionRule", None, TAKEN).await?;
        eventually("the shipped rule takes the name", || async {
            ensure!(
                shipped(&space, "DetectionRule")
                    .await?
                    .iter()
                    .any(|rule| rule == TAKEN)
            );
            Ok(())
        })
        .await?;
        sensors::settled(&space.client).await.map(drop)
    })
    .await
}

async fn without_packs(space: &Space) -> Result<()> {
    eventually("nothing that ships is left", || async {
        for kind in ["DetectionRule", "PostureCheck", "PostureFramework"] {
            let left = shipped(space, kind).await?;
            ensure!(left.is_empty(), "{left:?}");
        }
        Ok(())
    })
    .await?;
    let mut own = rule(space, "own", &executed_with("own"));
    TAKEN.clone_into(&mut own.name);
    own.object["metadata"]["name"] = json!(TAKEN);
    own.apply(space).await.map(drop)
}

async fn shipped(space: &Space, kind: &str) -> Result<Vec<String>> {
    let found = objects::list(&space.client, kind, None, SHIPPED).await?;
    let name = |object: &Value| object["metadata"]["name"].as_str().map(str::to_owned);
    Ok(found.iter().filter_map(name).collect())
}

async fn get(space: &Space, name: &str) -> Result<Value> {
    objects::get(&space.client, "DetectionRule", None, name).await
}

/// Edits as a person does who knows nothing of whose an object is.
async fn edit(space: &Space, name: &str, change: Value) -> Result<()> {
    let api = objects::api(&space.client, "DetectionRule", None)?;
    let params = PatchParams {
        field_manager: Some("kubectl-edit".to_owned()),
        ..PatchParams::default()
    };
    let edited = api.patch(name, &params, &Patch::Merge(&change)).await;
    edited.map(drop).with_context(|| format!("cannot edit {name}"))
}
