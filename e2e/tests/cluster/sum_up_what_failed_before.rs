//! A check that comes to a cluster where much fails already sums it up; it does not raise a signal for each.

use anyhow::{Result, ensure};
use yagura_e2e::cluster::INSTALLATION;
use yagura_e2e::space::with_labelled_namespace;
use yagura_e2e::{eventually, objects, posture, signals, workload};

/// Pods that fail before the check is there.
const PODS: u64 = 200;

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn what_failed_before_a_check_came_is_one_signal_and_what_fails_later_another() -> Result<()> {
    let privileged = [("pod-security.kubernetes.io/enforce", "privileged")];
    with_labelled_namespace(&privileged, |space| async move {
        for n in 0..PODS {
            workload::homeless(&space, &format!("old-{n}")).await?;
        }
        let name = posture::framework(
            &space,
            "privileged",
            "resource.securityContext.privileged != true",
        )
        .await?;
        let signal = signals::only_in(&space, INSTALLATION, &name).await?;
        assert_eq!(signal.count(), PODS, "{signal:?}");

        // What fails from now on is news, and shows that everything before it has been told of.
        workload::homeless(&space, "new").await?;
        let signal = signals::only_in(&space, &space.name, &name).await?;
        let affected = signal["status"]["resources"].to_string();
        ensure!(
            affected.contains("new") && !affected.contains("old"),
            "{affected}"
        );
        let selector = format!("{}={name}", signals::RULE_LABEL);
        eventually("two signals, and no more", || async {
            let all = objects::list(&space.client, "SecuritySignal", None, &selector).await?;
            ensure!(all.len() == 2, "{} signals", all.len());
            Ok(())
        })
        .await
    })
    .await
}
