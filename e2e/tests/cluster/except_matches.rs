//! An exception holds matches back where it may and nowhere else, and says how many.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use yagura_e2e::admission::apply_unseen;
use yagura_e2e::rules::{Rule, executed_with, rule};
use yagura_e2e::{Space, eventually, objects, sensors, signals, with_namespace, workload};

/// A rule for the namespaces of both tests' spaces, of which each act opens a signal of its own.
fn everywhere(space: &Space, other: &Space, stem: &str) -> Rule {
    let names = [&space.name, &other.name];
    let either = json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": names});
    rule(space, stem, &executed_with("act"))
        .with(
            "where",
            json!({"target": "container", "namespaceSelector": {"matchExpressions": [either]}}),
        )
        .with(
            "signal",
            json!({"title": "{{process.command_line}}", "groupBy": ["process.command_line"]}),
        )
}

fn exception(space: &Space, name: &str, rules: &[&str], condition: &str) -> Value {
    json!({
        "apiVersion": objects::API_VERSION,
        "kind": "Exception",
        "metadata": {"name": name, "namespace": space.name},
        "spec": {
            "reason": "an end-to-end test",
            "expires": "2100-01-01T00:00:00Z",
            "rules": rules,
            "condition": condition,
        },
    })
}

async fn status(space: &Space, kind: &str, name: &str) -> Result<Value> {
    objects::get(&space.client, kind, Some(&space.name), name).await
}

/// Waits until the condition `Accepted` of an exception has this reason, and returns its message.
async fn accepted(space: &Space, kind: &str, name: &str, reason: &str) -> Result<String> {
    eventually(&format!("{name} is {reason}"), || async {
        let object = status(space, kind, name).await?;
        let accepted = objects::condition(&object, "Accepted")?;
        ensure!(accepted["reason"] == reason, "{accepted}");
        Ok(accepted["message"].as_str().unwrap_or_default().to_owned())
    })
    .await
}

/// Waits until an exception says that it held back so many matches.
async fn matched(space: &Space, kind: &str, name: &str, expected: u64) -> Result<()> {
    eventually(&format!("{name} held back {expected}"), || async {
        let object = status(space, kind, name).await?;
        ensure!(object["status"]["matched"] == expected, "{}", object["status"]);
        ensure!(
            object["status"]["lastMatched"].is_string(),
            "{}",
            object["status"]
        );
        Ok(())
    })
    .await
}

async fn titles(space: &Space, rule: &Rule) -> Result<Vec<String>> {
    let found = signals::of(&space.client, &space.name, &rule.name).await?;
    let title = |signal: &signals::Signal| signal["status"]["title"].as_str().unwrap_or_default().to_owned();
    Ok(found.iter().map(title).collect())
}

async fn reported(space: &Space, rule: &Rule, act: &str) -> Result<()> {
    eventually(&format!("{act} is reported"), || async {
        let titles = titles(space, rule).await?;
        ensure!(titles.iter().any(|title| title.ends_with(act)), "{titles:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn an_exception_reaches_its_namespace_counts_and_ends_with_its_object() -> Result<()> {
    with_namespace(|shop| async move {
        with_namespace(|bank| async move {
            let rule = everywhere(&shop, &bank, "acts").with("exceptable", json!("namespace"));
            let condition = r#"process.args.exists(a, a.startsWith("agreed"))"#;
            objects::apply_json(&shop, exception(&shop, "agreed", &[&rule.name], condition)).await?;
            let message = accepted(&shop, "Exception", "agreed", "NoSuchRule").await?;
            ensure!(message.contains(&rule.name), "{message}");
            rule.run(&shop).await?;
            accepted(&shop, "Exception", "agreed", "Carried").await?;

            let (in_shop, in_bank) = (
                workload::sleeper(&shop, "app").await?,
                workload::sleeper(&bank, "app").await?,
            );
            let acts = "for n in 1 2 3; do /bin/true act agreed-$n; done; /bin/true act other";
            workload::shell(&shop, &in_shop, acts).await?;
            workload::shell(&bank, &in_bank, "/bin/true act agreed-4").await?;
            reported(&shop, &rule, "act other").await?;
            reported(&bank, &rule, "act agreed-4").await?;
            matched(&shop, "Exception", "agreed", 3).await?;
            let only = titles(&shop, &rule).await?;
            ensure!(only.len() == 1, "what is agreed is not reported: {only:?}");

            objects::delete(&shop.client, "Exception", Some(&shop.name), "agreed").await?;
            eventually("the rule is handed out without it", || async {
                let n = rand::random::<u32>();
                workload::shell(&shop, &in_shop, &format!("/bin/true act agreed-{n}")).await?;
                let titles = titles(&shop, &rule).await?;
                ensure!(titles.iter().any(|title| title.contains("agreed-")), "{titles:?}");
                Ok(())
            })
            .await
        })
        .await
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn what_a_rule_forbids_is_refused_with_and_without_the_webhook() -> Result<()> {
    with_namespace(|space| async move {
        let fixed = rule(&space, "fixed", &executed_with("act")).with("exceptable", json!("never"));
        let urgent = rule(&space, "urgent", &executed_with("act"));
        let open = rule(&space, "open", &executed_with("act")).with("exceptable", json!("namespace"));
        for rule in [&fixed, &urgent, &open] {
            rule.run(&space).await?;
        }

        let forbidden = exception(&space, "forbidden", &[&fixed.name, &urgent.name], "true");
        // The webhook knows a rule as soon as it is handed out.
        let refusal = objects::refusal(objects::apply_json(&space, forbidden.clone()).await)?;
        ensure!(
            refusal.contains("spec.exceptable is never") && refusal.contains("spec.exceptable is cluster"),
            "{refusal}"
        );
        let misspelt = exception(
            &space,
            "misspelt",
            &[&open.name],
            "true &&\n  process.nmae == \"sh\"",
        );
        let refusal = objects::refusal(objects::apply_json(&space, misspelt.clone()).await)?;
        ensure!(
            refusal.contains("spec.condition:2:3") && refusal.contains("process.name"),
            "{refusal}"
        );

        apply_unseen(&space, forbidden).await?;
        apply_unseen(&space, misspelt).await?;
        accepted(&space, "Exception", "forbidden", "NotExceptable").await?;
        let message = accepted(&space, "Exception", "misspelt", "InvalidCondition").await?;
        ensure!(message.contains("spec.condition:2:3"), "{message}");
        let pod = workload::sleeper(&space, "app").await?;
        workload::shell(&space, &pod, "/bin/true act").await?;
        for rule in [&fixed, &urgent, &open] {
            signals::counted(&space, rule, 1).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn the_cluster_may_except_what_a_namespace_may_not() -> Result<()> {
    with_namespace(|space| async move {
        let urgent = rule(&space, "urgent", &executed_with("act"));
        urgent.run(&space).await?;
        let name = space.named("agreed");
        let mut agreed = exception(&space, &name, &[&urgent.name], r#""agreed" in process.args"#);
        agreed["kind"] = json!("ClusterException");
        agreed["metadata"] = json!({"name": name});
        let before = sensors::settled(&space.client).await?;
        objects::apply_json(&space, agreed).await?;
        accepted(&space, "ClusterException", &name, "Carried").await?;
        sensors::changed(&space.client, &before).await?;

        let pod = workload::sleeper(&space, "app").await?;
        workload::shell(&space, &pod, "/bin/true act agreed; /bin/true act").await?;
        signals::counted(&space, &urgent, 1).await?;
        matched(&space, "ClusterException", &name, 1).await
    })
    .await
}
