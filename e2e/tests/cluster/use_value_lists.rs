//! A rule knows what is in the lists that it names, on every node, and does not run without them.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use yagura_e2e::admission::apply_unseen;
use yagura_e2e::rules::{Rule, rule};
use yagura_e2e::{Space, eventually, objects, sensors, signals, with_namespace, workload};

fn list(name: &str, kind: &str, values: &[&str]) -> Value {
    json!({
        "apiVersion": objects::API_VERSION,
        "kind": "ValueList",
        "metadata": {"name": name},
        "spec": {"type": kind, "values": values},
    })
}

/// A rule for programs of which an argument is in the list.
fn looks_in(space: &Space, stem: &str, list: &str) -> Rule {
    let condition =
        format!(r#"event.kind == "process.exec" && process.args.exists(a, a in lists["{list}"])"#);
    rule(space, stem, &condition)
}

/// Waits until the condition `Accepted` of a list has this reason, and returns the object.
async fn judged(space: &Space, name: &str, reason: &str) -> Result<Value> {
    eventually(&format!("{name} is {reason}"), || async {
        let object = objects::get(&space.client, "ValueList", None, name).await?;
        let accepted = objects::condition(&object, "Accepted")?;
        ensure!(accepted["reason"] == reason, "{accepted}");
        Ok(object)
    })
    .await
}

/// Waits until a rule is refused for its list, which its status names.
async fn stopped(space: &Space, rule: &Rule, list: &str) -> Result<()> {
    eventually(&format!("{} does not run", rule.name), || async {
        let object = rule.get(space).await?;
        let accepted = objects::condition(&object, "Accepted")?;
        ensure!(
            accepted["status"] == "False" && accepted["reason"] == "ListUnavailable",
            "{accepted}"
        );
        let message = accepted["message"].as_str().unwrap_or_default();
        ensure!(message.contains(list), "{message}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_rule_follows_its_list_and_does_not_run_without_it() -> Result<()> {
    with_namespace(|space| async move {
        let name = space.named("words");
        let rule = looks_in(&space, "words", &name);
        // Whoever applies a folder does not choose the order.
        rule.apply(&space).await?;
        stopped(&space, &rule, &name).await?;
        objects::apply_json(&space, list(&name, "string", &["listed-a", "listed-b"])).await?;
        rule.programmed(&space).await?;
        eventually("the list says who uses it", || async {
            let object = judged(&space, &name, "Read").await?;
            let status = &object["status"];
            ensure!(status["entries"] == 2 && status["rules"] == 1, "{status}");
            Ok(())
        })
        .await?;

        let pod = workload::sleeper(&space, "app").await?;
        workload::shell(&space, &pod, "/bin/true listed-a; /bin/true listed-c").await?;
        signals::counted(&space, &rule, 1).await?;

        let before = sensors::settled(&space.client).await?;
        objects::apply_json(&space, list(&name, "glob", &["listed-[b-z]"])).await?;
        sensors::changed(&space.client, &before).await?;
        workload::shell(&space, &pod, "/bin/true listed-a; /bin/true listed-c").await?;
        signals::counted(&space, &rule, 2).await?;

        objects::delete(&space.client, "ValueList", None, &name).await?;
        stopped(&space, &rule, &name).await?;
        objects::apply_json(&space, list(&name, "string", &["listed-d"])).await?;
        rule.programmed(&space).await?;
        workload::shell(&space, &pod, "/bin/true listed-c; /bin/true listed-d").await?;
        signals::counted(&space, &rule, 3).await.map(drop)
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_list_that_means_nothing_is_refused_with_and_without_the_webhook() -> Result<()> {
    with_namespace(|space| async move {
        let name = space.named("networks");
        let wrong = list(&name, "cidr", &["192.0.2.0/24", "192.0.2.1/24"]);
        let refusal = objects::refusal(objects::apply_json(&space, wrong.clone()).await)?;
        ensure!(
            refusal.contains("spec.values[1]") && refusal.contains("192.0.2.0/24"),
            "{refusal}"
        );

        apply_unseen(&space, wrong).await?;
        let object = judged(&space, &name, "InvalidValues").await?;
        ensure!(object["status"]["entries"] == 0, "{}", object["status"]);
        let rule = looks_in(&space, "networks", &name);
        rule.apply(&space).await?;
        stopped(&space, &rule, "192.0.2.0/24").await?;

        objects::apply_json(&space, list(&name, "cidr", &["192.0.2.0/24"])).await?;
        rule.programmed(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        workload::shell(&space, &pod, "/bin/true 192.0.2.77; /bin/true 192.0.3.1").await?;
        signals::counted(&space, &rule, 1).await.map(drop)
    })
    .await
}
