//! Copy this file to start a new test, name it after the behaviour, and add it to `main.rs`.

use anyhow::Result;
use yagura_e2e::rules::{executed_with, rule};
use yagura_e2e::{signals, with_namespace, workload};

// Say in the name what holds, not what is done. The attribute keeps `cargo test` quick and free of a cluster.
#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn an_act_in_a_pod_becomes_a_signal_in_its_namespace() -> Result<()> {
    // The namespace has a random name, and is removed whatever happens in here; so are rules, checks and frameworks
    // that were applied with it. When the test fails, the state of the cluster is written first.
    with_namespace(|space| async move {
        // Names of cluster-scoped objects start with the namespace's name, and rules look only at this namespace, so
        // that tests do not see each other.
        let rule = rule(&space, "example", &executed_with("example"));

        // Wait for what has to be true before the act: here, that every node runs the rule. Never sleep.
        rule.run(&space).await?;

        // Act as a user or an attacker would.
        let pod = workload::sleeper(&space, "app").await?;
        workload::shell(&space, &pod, "/bin/true example").await?;

        // Wait for what must come of it. To show that something does *not* happen, act again in a way that must show,
        // and look when that has arrived: events of a node stay in order.
        let signal = signals::only(&space, &rule).await?;
        assert_eq!(signal.count(), 1, "{signal:?}");
        assert_eq!(signal["spec"]["triage"]["state"], "open", "{signal:?}");
        Ok(())
    })
    .await
}
