//! Upgrading and uninstalling keep what is the user's, and uninstalling leaves nothing that runs or may do something.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use yagura_e2e::cluster::INSTALLATION;
use yagura_e2e::components::{self, Component};
use yagura_e2e::rules::{executed_with, rule};
use yagura_e2e::{
    Space, admission, eventually, install, objects, peer, sensors, signals, with_namespace, workload,
};

/// Name of the Secret with the operator's certificate authority.
const CA: &str = "yagura-ca";

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn an_upgrade_keeps_rules_signals_and_certificates() -> Result<()> {
    with_namespace(|space| async move {
        let rule = rule(&space, "kept", &executed_with("kept"));
        rule.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        workload::shell(&space, &pod, "/bin/true kept").await?;
        signals::counted(&space, &rule, 1).await?;
        let before = user_owned(&space).await?;
        let values = install::values().await?;
        let old = components::ready(&space.client, Component::Operator).await?;

        let changed =
            install::upgrade(&values, &[&format!("operator.podAnnotations.e2e={}", space.name)]).await;
        let followed = match changed {
            Ok(()) => {
                eventually("another operator runs", || async {
                    let now = components::ready(&space.client, Component::Operator).await?;
                    ensure!(now.uid() != old.uid(), "it is still the old one");
                    Ok(())
                })
                .await
            }
            Err(error) => Err(error),
        };
        install::upgrade(&values, &[]).await?;
        followed?;
        sensors::settled(&space.client).await?;

        assert_eq!(user_owned(&space).await?, before);
        rule.programmed(&space).await?;
        workload::shell(&space, &pod, "/bin/true kept").await?;
        signals::counted(&space, &rule, 2).await.map(drop)
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn an_uninstall_leaves_the_users_objects_and_nothing_that_runs() -> Result<()> {
    with_namespace(|space| async move {
        let rule = rule(&space, "left", &executed_with("left"));
        rule.run(&space).await?;
        let pod = workload::sleeper(&space, "app").await?;
        workload::shell(&space, &pod, "/bin/true left").await?;
        let signal = signals::counted(&space, &rule, 1).await?;
        let values = install::values().await?;

        install::uninstall().await?;
        let left = async {
            eventually("everything that runs is gone", || async {
                nothing_left(&space.client).await
            })
            .await?;
            nothing_of_the_operator_left(&space.client).await?;
            rule.get(&space).await.context("the rule is gone")?;
            let kept = signals::of(&space.client, &space.name, &rule.name).await?;
            ensure!(kept.len() == 1 && kept[0].name() == signal.name(), "{kept:?}");
            Ok(())
        }
        .await;
        install::install(&values).await?;
        left?;

        components::ready(&space.client, Component::Operator).await?;
        sensors::settled(&space.client).await?;
        rule.programmed(&space).await.map(drop)
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_purge_takes_definitions_and_volume_along() -> Result<()> {
    with_namespace(|space| async move {
        rule(&space, "purged", &executed_with("purged"))
            .run(&space)
            .await?;
        let values = install::values().await?;
        install::upgrade(&values, &["uninstall.purge=true"]).await?;
        install::uninstall().await?;
        let gone = eventually("definitions and volume are gone", || async {
            let mut left = names(
                &space.client,
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            )
            .await?;
            left.retain(|name| name.ends_with(".yagura.dev"));
            let claims = format!("/api/v1/namespaces/{INSTALLATION}/persistentvolumeclaims");
            left.extend(names(&space.client, &claims).await?);
            ensure!(left.is_empty(), "{left:?}");
            nothing_left(&space.client).await
        })
        .await;
        install::install(&values).await?;
        gone?;
        components::ready(&space.client, Component::Operator).await?;
        sensors::settled(&space.client).await.map(drop)
    })
    .await
}

/// What an upgrade must not touch: the rule's spec, the signal's identity and state, and the certificates.
async fn user_owned(space: &Space) -> Result<Value> {
    let rules = objects::list(&space.client, "DetectionRule", None, "").await?;
    let specs: Vec<_> = rules
        .iter()
        .map(|rule| (&rule["metadata"]["uid"], &rule["spec"]))
        .collect();
    let found = objects::list(&space.client, "SecuritySignal", Some(&space.name), "").await?;
    let found: Vec<_> = found
        .iter()
        .map(|signal| (&signal["metadata"]["uid"], &signal["spec"]))
        .collect();
    let secret = Api::<Secret>::namespaced(space.client.clone(), INSTALLATION)
        .get(CA)
        .await?;
    let key = secret
        .data
        .filter(|data| !data.is_empty())
        .context("the certificate authority is empty")?;
    let webhook = admission::configuration(&space.client).await?;
    let bundles: Vec<_> = webhook
        .webhooks
        .iter()
        .flatten()
        .map(|one| one.client_config.ca_bundle.clone())
        .collect();
    ensure!(bundles.iter().all(Option::is_some), "a webhook has no caBundle");
    let bundle = peer::bundle(&space.client).await?;
    Ok(json!({"rules": specs, "signals": found, "key": key, "bundle": bundle, "webhooks": bundles}))
}

/// Every kind by which the chart could run something or be allowed something.
async fn nothing_left(client: &Client) -> Result<()> {
    let namespaced = [
        ("api/v1", "pods"),
        ("api/v1", "services"),
        ("apis/apps/v1", "deployments"),
        ("apis/apps/v1", "daemonsets"),
        ("apis/batch/v1", "jobs"),
        ("apis/rbac.authorization.k8s.io/v1", "roles"),
        ("apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    ];
    for (group, plural) in namespaced {
        let left = names(client, &format!("/{group}/namespaces/{INSTALLATION}/{plural}")).await?;
        ensure!(left.is_empty(), "{plural}: {left:?}");
    }
    let accounts = names(
        client,
        &format!("/api/v1/namespaces/{INSTALLATION}/serviceaccounts"),
    )
    .await?;
    ensure!(accounts == ["default"], "service accounts: {accounts:?}");
    let cluster_scoped = [
        ("apis/rbac.authorization.k8s.io/v1", "clusterroles"),
        ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
        (
            "apis/admissionregistration.k8s.io/v1",
            "validatingwebhookconfigurations",
        ),
        (
            "apis/admissionregistration.k8s.io/v1",
            "mutatingwebhookconfigurations",
        ),
    ];
    for (group, plural) in cluster_scoped {
        let mut left = names(client, &format!("/{group}/{plural}")).await?;
        left.retain(|name| name.contains("yagura"));
        ensure!(left.is_empty(), "{plural}: {left:?}");
    }
    Ok(())
}

/// What the operator made: shipped content, what it says of nodes, and the Lease.
async fn nothing_of_the_operator_left(client: &Client) -> Result<()> {
    for kind in ["DetectionRule", "PostureCheck", "PostureFramework"] {
        let left = objects::list(client, kind, None, objects::SHIPPED).await?;
        ensure!(left.is_empty(), "{kind}: {left:?}");
    }
    let left = objects::list(client, "NodeSensor", None, "").await?;
    ensure!(left.is_empty(), "NodeSensor: {left:?}");
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{INSTALLATION}/leases");
    let left = names(client, &leases).await?;
    ensure!(left.is_empty(), "leases: {left:?}");
    Ok(())
}

async fn names(client: &Client, path: &str) -> Result<Vec<String>> {
    let request = kube::core::Request::new(path).list(&ListParams::default())?;
    let list: Value = client
        .request(request)
        .await
        .with_context(|| format!("cannot list {path}"))?;
    let items = list["items"].as_array().context("not a list")?;
    Ok(items
        .iter()
        .filter_map(|item| item["metadata"]["name"].as_str())
        .map(str::to_owned)
        .collect())
}
