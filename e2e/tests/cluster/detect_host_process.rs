//! A process outside of any container becomes a signal in the operator's namespace.

use anyhow::{Result, ensure};
use yagura_e2e::cluster::INSTALLATION;
use yagura_e2e::rules::{executed_with, rule};
use yagura_e2e::{host, signals, with_namespace, workload};

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_host_process_is_reported_in_the_operators_namespace() -> Result<()> {
    with_namespace(|space| async move {
        let marker = space.named("marker");
        let rule = rule(&space, "host", &executed_with(&marker)).on_host();
        rule.run(&space).await?;

        // The same act in a container is none of a host rule's business.
        let pod = workload::sleeper(&space, "app").await?;
        workload::shell(&space, &pod, &format!("/bin/true {marker}")).await?;
        host::run("/bin/true", &[&marker]).await?;

        let signal = signals::only_in(&space, INSTALLATION, &rule.name).await?;
        assert_eq!(signal.count(), 1, "{signal:?}");
        assert_eq!(signal["status"]["title"], "true on the host");
        assert_eq!(signal.resource("Process")?["user"], "root");
        assert!(signal.resource("Node")?["name"].is_string(), "{signal:?}");
        assert!(signal.resource("Pod").is_err(), "{signal:?}");
        let elsewhere = signals::of(&space.client, &space.name, &rule.name).await?;
        ensure!(elsewhere.is_empty(), "{elsewhere:?}");
        Ok(())
    })
    .await
}
