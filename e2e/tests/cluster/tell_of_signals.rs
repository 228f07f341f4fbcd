//! A shell in a pod is told to a webhook, and so is its end.

use anyhow::{Context as _, Result, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use yagura_e2e::receiver::Receiver;
use yagura_e2e::rules::{executed_with, rule};
use yagura_e2e::{Space, eventually, objects, signals, with_namespace, workload};

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_shell_in_a_pod_is_told_and_so_is_its_end() -> Result<()> {
    with_namespace(|space| async move {
        let receiver = Receiver::start(&space.client).await?;
        let route = space.named("hook");
        objects::apply_json(&space, of(&space, &route, &receiver)).await?;
        condition(&space, &route, "Accepted", "True").await?;

        // A test says that it is one, and the answer is in the status.
        let patch = json!({"metadata": {"annotations": {"yagura.dev/notify-test": "e2e"}}});
        objects::api(&space.client, "NotificationRoute", None)?
            .patch(&route, &PatchParams::default(), &Patch::Merge(&patch))
            .await?;
        eventually("the test is answered", || async {
            let object = objects::get(&space.client, "NotificationRoute", None, &route).await?;
            let test = &object["status"]["test"];
            ensure!(test["request"] == "e2e", "{test}");
            ensure!(test["results"][0]["delivered"] == true, "{test}");
            Ok(())
        })
        .await?;
        let bodies = receiver.bodies();
        ensure!(bodies.len() == 1 && bodies[0]["test"] == true, "{bodies:?}");

        let rule = rule(&space, "told", &executed_with("told"));
        rule.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        workload::shell(&space, &pod, "/bin/true told").await?;
        let signal = signals::only(&space, &rule).await?;
        let opened = told(&receiver, signal.name(), "open").await?;
        ensure!(opened["signals"][0]["rule"] == rule.name.as_str(), "{opened}");
        ensure!(
            opened["signals"][0]["namespace"] == space.name.as_str(),
            "{opened}"
        );
        eventually("the signal says who was told", || async {
            let signal = signals::only(&space, &rule).await?;
            let told = &signal["status"]["notifications"][0];
            ensure!(
                told["route"] == route.as_str() && told["receiver"] == "hook",
                "{told}"
            );
            ensure!(told["result"] == "delivered" && told["at"].is_string(), "{told}");
            Ok(())
        })
        .await?;
        condition(&space, &route, "Delivering", "True").await?;

        let archive = json!({"spec": {"triage": {"state": "archived", "reason": "testing"}}});
        objects::api(&space.client, "SecuritySignal", Some(&space.name))?
            .patch(signal.name(), &PatchParams::default(), &Patch::Merge(&archive))
            .await?;
        told(&receiver, signal.name(), "closed").await?;
        let of_signal = receiver
            .bodies()
            .into_iter()
            .filter(|body| body["signals"][0]["name"] == signal.name());
        assert_eq!(of_signal.count(), 2, "each is told once");
        Ok(())
    })
    .await
}

fn of(space: &Space, name: &str, receiver: &Receiver) -> Value {
    json!({
        "apiVersion": objects::API_VERSION,
        "kind": "NotificationRoute",
        "metadata": {"name": name},
        "spec": {
            "match": {"namespaces": [space.name], "minSeverity": "medium"},
            "group": {"by": ["signal"], "wait": "0s", "interval": "0s"},
            "receivers": [{"name": "hook", "webhook": {"url": {"value": receiver.url()}}}],
        },
    })
}

async fn condition(space: &Space, route: &str, kind: &str, expected: &str) -> Result<()> {
    eventually(&format!("{kind} of {route} is {expected}"), || async {
        let object = objects::get(&space.client, "NotificationRoute", None, route).await?;
        let condition = objects::condition(&object, kind)?;
        ensure!(condition["status"] == expected, "{condition}");
        Ok(())
    })
    .await
}

/// Waits for the message about a signal.
async fn told(receiver: &Receiver, signal: &str, state: &str) -> Result<Value> {
    eventually(&format!("{signal} is told to be {state}"), || async {
        let bodies = receiver.bodies();
        let found = bodies
            .iter()
            .find(|body| body["signals"][0]["name"] == signal && body["state"] == state);
        found.cloned().with_context(|| format!("{bodies:?}"))
    })
    .await
}
