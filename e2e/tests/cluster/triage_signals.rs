//! What people do with signals, by `yagura signals`; and where signals go whose namespace does not take them.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Namespace, Pod, ResourceQuota};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use yagura_e2e::cluster::{IMAGE, INSTALLATION};
use yagura_e2e::rules::{executed_with, rule};
use yagura_e2e::{Space, ctl, eventually, install, signals, with_namespace, workload};

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn an_archived_signal_is_followed_by_another_that_names_it() -> Result<()> {
    with_namespace(|space| async move {
        let rule = rule(&space, "triaged", &executed_with("triaged"));
        rule.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        workload::shell(&space, &pod, "/bin/true triaged").await?;
        let first = signals::counted(&space, &rule, 1).await?;
        let name = format!("{}/{}", space.name, first.name());

        let table = ctl::yagura(&["signals", "list", "--namespace", &space.name]).await?;
        ensure!(table.contains(&name) && table.starts_with("SEVERITY"), "{table}");
        ctl::yagura(&["signals", "assign", &name, "--to", "alice", "--under-review"]).await?;
        let shown = ctl::yagura(&["signals", "get", &name]).await?;
        ensure!(
            shown.contains("underReview") && shown.contains("alice"),
            "{shown}"
        );
        ctl::yagura(&["signals", "archive", &name, "--reason", "testing"]).await?;
        ensure!(ctl::signals(&space.name, &rule.name, &[]).await?.is_empty());

        // What matches before the operator's watch tells of the archiving still counts into the first.
        let second = eventually("another signal", || async {
            workload::shell(&space, &pod, "/bin/true triaged").await?;
            let mut open = ctl::signals(&space.name, &rule.name, &[]).await?;
            ensure!(open.len() == 1 && !open[0]["status"].is_null(), "{open:?}");
            Ok(open.remove(0))
        })
        .await?;
        assert_eq!(second["status"]["previous"], name);

        // The history has it while it is still in the cluster; reopened it is to be looked at again.
        let past = ctl::signals(&space.name, &rule.name, &["--history"]).await?;
        ensure!(past.len() == 1, "{past:?}");
        assert_eq!(past[0]["spec"]["triage"]["assignee"], "alice");
        assert_eq!(past[0]["history"]["inCluster"], true);
        ctl::yagura(&["signals", "reopen", &name]).await?;
        ensure!(ctl::signals(&space.name, &rule.name, &[]).await?.len() == 2);
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn what_is_done_leaves_the_cluster_and_stays_in_the_history() -> Result<()> {
    with_namespace(|space| async move {
        let rule = rule(&space, "past", &executed_with("past"));
        rule.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        workload::shell(&space, &pod, "/bin/true past").await?;
        let signal = signals::counted(&space, &rule, 1).await?;
        let name = format!("{}/{}", space.name, signal.name());
        ctl::yagura(&[
            "signals",
            "archive",
            &name,
            "--reason",
            "benign",
            "--comment",
            "agreed",
        ])
        .await?;

        let values = install::values().await?;
        let shortened = install::upgrade(&values, &["operator.signals.retention=1s"]).await;
        let left = match shortened {
            Ok(()) => left_the_cluster(&space, &rule.name).await,
            Err(error) => Err(error),
        };
        install::upgrade(&values, &[]).await?;
        left?;

        let past = eventually("the history is served again", || async {
            ctl::signals(&space.name, &rule.name, &["--history"]).await
        })
        .await?;
        ensure!(past.len() == 1, "{past:?}");
        assert_eq!(past[0]["history"]["inCluster"], false);
        assert_eq!(past[0]["history"]["state"], "archived");
        assert_eq!(past[0]["spec"]["triage"]["comment"], "agreed");
        let shown = ctl::yagura(&["signals", "get", &name, "--history"]).await?;
        ensure!(shown.contains("benign"), "{shown}");
        Ok(())
    })
    .await
}

async fn left_the_cluster(space: &Space, rule: &str) -> Result<()> {
    eventually("the signal left the cluster", || async {
        let found = signals::of(&space.client, &space.name, rule).await?;
        ensure!(found.is_empty(), "{found:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_namespace_that_may_have_no_signals_has_them_in_the_operators() -> Result<()> {
    with_namespace(|space| async move {
        let quotas = Api::<ResourceQuota>::namespaced(space.client.clone(), &space.name);
        let none: ResourceQuota = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"},
            "spec": {"hard": {"count/securitysignals.yagura.dev": "0"}},
        }))?;
        quotas.create(&PostParams::default(), &none).await?;
        eventually("the quota holds", || async {
            let status = quotas.get("none").await?.status.unwrap_or_default();
            ensure!(status.hard.is_some_and(|hard| !hard.is_empty()), "no status yet");
            Ok(())
        })
        .await?;
        let rule = rule(&space, "quota", &executed_with("quota"));
        rule.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        workload::shell(&space, &pod, "/bin/true quota").await?;
        let signal = signals::only_in(&space, INSTALLATION, &rule.name).await?;
        assert_eq!(signal["status"]["originNamespace"], space.name);
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_namespace_that_ends_has_its_signals_in_the_operators() -> Result<()> {
    with_namespace(|space| async move {
        let ending = space.named("ending");
        let namespaces = Api::<Namespace>::all(space.client.clone());
        let pods = Api::<Pod>::namespaced(space.client.clone(), &ending);
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": ending}}))?;
        namespaces.create(&PostParams::default(), &namespace).await?;
        let signal = in_an_ending_namespace(&space, &namespaces, &pods, &ending).await;
        // Its finalizer is all that keeps it.
        let released = json!({"metadata": {"finalizers": null}});
        pods.patch("last", &PatchParams::default(), &Patch::Merge(&released))
            .await?;
        pods.delete("last", &DeleteParams::default().grace_period(0))
            .await
            .ok();
        assert_eq!(signal?["status"]["originNamespace"], ending);
        Ok(())
    })
    .await
}

/// A pod that goes on in a namespace that is being deleted, and the signal of what it does there.
async fn in_an_ending_namespace(
    space: &Space,
    namespaces: &Api<Namespace>,
    pods: &Api<Pod>,
    ending: &str,
) -> Result<Value> {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "last", "finalizers": ["e2e.yagura.dev/stays"]},
        "spec": {
            "terminationGracePeriodSeconds": 120,
            "containers": [{
                "name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                // The first process of a container ignores SIGTERM, so this goes on until the grace period ends.
                "command": ["sh", "-c", "while true; do /bin/true ending; sleep 1; done"],
            }],
        },
    }))?;
    eventually("the namespace takes a pod", || async {
        pods.create(&PostParams::default(), &pod)
            .await
            .context("no pod yet")
    })
    .await?;
    eventually("the pod runs", || async {
        let status = pods.get("last").await?.status.unwrap_or_default();
        ensure!(status.phase.as_deref() == Some("Running"), "{:?}", status.phase);
        Ok(())
    })
    .await?;
    namespaces.delete(ending, &DeleteParams::background()).await?;
    eventually("the namespace is terminating", || async {
        let namespace = namespaces.get(ending).await?;
        let phase = namespace.status.and_then(|status| status.phase);
        ensure!(phase.as_deref() == Some("Terminating"), "{phase:?}");
        Ok(())
    })
    .await?;
    let rule = rule(space, "ending", &executed_with("ending")).with("where", json!({"target": "container"}));
    rule.run(space).await?;
    let signal = signals::only_in(space, INSTALLATION, &rule.name).await?;
    Ok((*signal).clone())
}
