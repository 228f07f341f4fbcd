//! A rule that cannot run is refused where a person looks, with the place of the mistake, and harms no other.

use anyhow::{Result, ensure};
use serde_json::json;
use yagura_e2e::admission::apply_unseen;
use yagura_e2e::rules::{Rule, executed_with, rule};
use yagura_e2e::{Space, eventually, objects, signals, with_namespace, workload};

/// The mistake is in column 3 of line 2.
const MISSPELT: &str = "event.kind == \"process.exec\" &&\n  process.nmae == \"sh\"";

/// What the compiler says about [`MISSPELT`], wherever it says it.
fn names_the_mistake(message: &str) -> Result<()> {
    // Line and column after the field's path, as compilers write them.
    for part in ["spec.condition:2:3", "process.nmae", "process.name"] {
        ensure!(message.contains(part), "{part:?} is not in {message:?}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn the_webhook_refuses_with_line_and_column() -> Result<()> {
    with_namespace(|space| async move {
        let broken = rule(&space, "broken", MISSPELT);
        let refusal = objects::refusal(objects::apply_json(&space, broken.object).await)?;
        names_the_mistake(&refusal)
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn without_the_webhook_the_status_says_the_same_and_other_rules_run() -> Result<()> {
    with_namespace(|space| async move {
        let before = rule(&space, "before", &executed_with("act"));
        before.run(&space).await?;
        let broken = rule(&space, "broken", MISSPELT);
        apply_unseen(&space, broken.object.clone()).await?;
        let message = not_accepted(&space, &broken).await?;
        names_the_mistake(&message)?;

        let after = rule(&space, "after", &executed_with("act"));
        after.run(&space).await?;
        before.programmed(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        workload::shell(&space, &pod, "/bin/true act").await?;
        signals::counted(&space, &before, 1).await?;
        signals::counted(&space, &after, 1).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_rule_whose_own_test_fails_is_refused() -> Result<()> {
    with_namespace(|space| async move {
        let wrong = rule(&space, "wrong", &executed_with("act")).with(
            "tests",
            json!([{
                "name": "matches another act",
                "events": [{"kind": "process.exec", "process": {"name": "true", "args": ["other"]}, "container": {"id": "c1"}}],
                "expect": {"signals": 1},
            }]),
        );
        let refusal = objects::refusal(objects::apply_json(&space, wrong.object).await)?;
        ensure!(refusal.contains("matches another act"), "{refusal}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn hostile_conditions_are_refused_with_the_limit_they_pass() -> Result<()> {
    with_namespace(|space| async move {
        let chain = format!("process.pid == {}1", "1+".repeat(32_000));
        let member = format!("process{} == 1", ".a".repeat(32_000));
        let nested = format!("{}true{}", "(".repeat(30_000), ")".repeat(30_000));
        let regex = r#"process.command_line.matches("(a{1000}){1000}")"#.to_owned();
        for (stem, condition) in [
            ("chain", chain),
            ("member", member),
            ("nested", nested),
            ("regex", regex),
        ] {
            let hostile = rule(&space, stem, &condition);
            let refusal = objects::refusal(objects::apply_json(&space, hostile.object.clone()).await)?;
            ensure!(refusal.contains("spec.condition:1:"), "{stem}: {refusal}");
            ensure!(
                refusal.len() < 16_384,
                "{stem}: a message of {} bytes",
                refusal.len()
            );
            apply_unseen(&space, hostile.object.clone()).await?;
            not_accepted(&space, &hostile).await?;
        }
        // A pattern that backtracking engines take exponential time for is harmless here, and accepted.
        let slow = format!(
            r#"{} && process.command_line.matches("^(a+)+$")"#,
            executed_with("act")
        );
        rule(&space, "slow", &slow).run(&space).await
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn the_api_server_refuses_what_is_too_large() -> Result<()> {
    with_namespace(|space| async move {
        let megabytes = "a".repeat(2 << 20);
        let condition =
            objects::refusal(objects::apply_json(&space, rule(&space, "large", &megabytes).object).await)?;
        ensure!(
            condition.contains("spec.condition") && condition.contains("65536"),
            "{condition:.500}"
        );
        let mut annotated = rule(&space, "annotated", &executed_with("act")).object;
        annotated["metadata"]["annotations"] = json!({"e2e.yagura.dev/large": megabytes});
        let annotation = objects::refusal(objects::apply_json(&space, annotated).await)?;
        ensure!(annotation.contains("Too long"), "{annotation:.500}");
        Ok(())
    })
    .await
}

async fn not_accepted(space: &Space, rule: &Rule) -> Result<String> {
    eventually(&format!("{} is not accepted", rule.name), || async {
        let object = rule.get(space).await?;
        let accepted = objects::condition(&object, "Accepted")?;
        ensure!(accepted["status"] == "False", "{accepted}");
        Ok(accepted["message"].as_str().unwrap_or_default().to_owned())
    })
    .await
}
