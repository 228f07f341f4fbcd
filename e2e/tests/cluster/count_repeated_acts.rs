//! The same act again and again is one object that counts exactly.

use anyhow::Result;
use yagura_e2e::rules::{executed_with, rule};
use yagura_e2e::{signals, with_namespace, workload};

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn fifty_acts_are_one_signal_that_counts_fifty() -> Result<()> {
    with_namespace(|space| async move {
        let rule = rule(&space, "repeated", &executed_with("again"));
        rule.run(&space).await?;

        let pod = workload::sleeper(&space, "app").await?;
        workload::shell(&space, &pod, "for i in $(seq 50); do /bin/true again; done").await?;

        let signal = signals::counted(&space, &rule, 50).await?;
        let samples = signal["status"]["samples"].as_array().map_or(0, Vec::len);
        assert!((1..=3).contains(&samples), "{signal:?}");
        let (first, last) = (&signal["status"]["firstSeen"], &signal["status"]["lastSeen"]);
        assert!(first.as_str() <= last.as_str(), "{first} {last}");
        Ok(())
    })
    .await
}
