//! A pod that breaks a check is a finding and a signal, until it is gone.

use anyhow::{Result, ensure};
use yagura_e2e::space::with_labelled_namespace;
use yagura_e2e::{Space, eventually, posture, signals, workload};

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_privileged_pod_is_found_and_resolved_when_it_goes() -> Result<()> {
    let privileged = [("pod-security.kubernetes.io/enforce", "privileged")];
    with_labelled_namespace(&privileged, |space| async move {
        workload::sleeper(&space, "good").await?;
        let name = posture::framework(
            &space,
            "privileged",
            "resource.securityContext.privileged != true",
        )
        .await?;
        result_is(&space, &name, "pass").await?;

        let pod = workload::privileged(&space, "bad").await?;
        result_is(&space, &name, "fail").await?;
        let signal = signals::only_in(&space, &space.name, &name).await?;
        let (spec, status) = (&signal["spec"], &signal["status"]);
        assert_eq!(spec["rule"]["kind"], "PostureCheck");
        assert_eq!(spec["source"], "posture");
        assert_eq!(status["severity"], "high");
        assert_eq!(status["controls"][0], format!("{name}/1.1"));
        assert!(status["resolvedAt"].is_null(), "{signal:?}");
        let affected = status["resources"].to_string();
        assert!(
            affected.contains("bad") && !affected.contains("good"),
            "{affected}"
        );
        assert!(affected.contains("securityContext.privileged"), "{affected}");

        workload::delete(&space, &pod).await?;
        result_is(&space, &name, "pass").await?;
        eventually("the signal is resolved", || async {
            let signal = signals::one(&space.client, &space.name, &name).await?;
            ensure!(signal["status"]["resolvedAt"].is_string(), "{signal:?}");
            Ok(())
        })
        .await
    })
    .await
}

async fn result_is(space: &Space, framework: &str, result: &str) -> Result<()> {
    eventually(&format!("the control's result is {result}"), || async {
        let count = posture::controls(space, framework, result).await?;
        ensure!(count == 1, "{count} controls");
        Ok(())
    })
    .await
}
