//! The authority is made once, published, and leaves the fields of others alone.

use std::time::Duration;

use clap::Parser;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use yagura_operator::args::Args;
use yagura_operator::index::SharedIndex;
use yagura_operator::metrics::Metrics;
use yagura_operator::tls::{Certificates, rotate};
use yagura_telemetry::Registry;

use crate::namespace::{create, with_namespace};

#[tokio::test]
#[ignore = "needs a cluster; cargo xtask test runs it"]
async fn the_authority_is_made_once_and_published_apiserver() {
    with_namespace(|client, namespace| async move {
        let empty = |name: &str| json!({"metadata": {"name": name}});
        create::<Secret>(&client, &namespace, empty("yagura-ca")).await;
        create::<ConfigMap>(&client, &namespace, empty("yagura-trust-bundle")).await;
        let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
        let configuration = json!({
            "metadata": {"name": namespace},
            "webhooks": [{
                "name": "validate.yagura.dev",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Ignore",
                "clientConfig": {"service": {
                    "name": "yagura-operator", "namespace": namespace, "path": "/validate",
                }},
                // Selects nothing in this cluster.
                "rules": [{
                    "apiGroups": ["test.yagura.dev"], "apiVersions": ["v1"],
                    "operations": ["CREATE"], "resources": ["nothings"],
                }],
            }],
        });
        let configuration = serde_json::from_value(configuration).unwrap();
        webhooks
            .create(&PostParams::default(), &configuration)
            .await
            .unwrap();

        let args = Args::parse_from([
            "x",
            "--namespace",
            &namespace,
            "--pod-name",
            "op",
            "--webhook-configuration",
            &namespace,
        ]);
        let metrics = Metrics::new(&mut Registry::default());
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        let mut bundles = Vec::new();
        for _ in 0..2 {
            Certificates::establish(&client, &args, &metrics).await.unwrap();
            let data = maps.get("yagura-trust-bundle").await.unwrap().data.unwrap();
            bundles.push(data["ca.crt"].clone());
        }
        let published = async || {
            let configuration = webhooks.get(&namespace).await.unwrap();
            configuration.webhooks.unwrap().remove(0)
        };
        let first = published().await;

        // An authority whose time is over for these flags is replaced step by step.
        let hasty = Args {
            ca_lifetime: "5000d".parse().unwrap(),
            ca_renew_before: "1000d".parse().unwrap(),
            ca_patience: "1s".parse().unwrap(),
            ..args.clone()
        };
        let certificates = Certificates::establish(&client, &hasty, &metrics).await.unwrap();
        let stop = CancellationToken::new();
        let rotation = rotate(certificates, SharedIndex::default(), stop.clone());
        let retired = async {
            while metrics.certificate_steps.get(["retire"]) == 0 {
                tokio::task::yield_now().await;
            }
            stop.cancel();
        };
        let (Ok(()), ()) = timeout(Duration::from_mins(1), async { tokio::join!(rotation, retired) })
            .await
            .expect("the authority is replaced in time");
        let second = maps.get("yagura-trust-bundle").await.unwrap().data.unwrap()["ca.crt"].clone();
        let published = published().await;
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
        let kept = secrets.get("yagura-ca").await.unwrap().data.unwrap();
        webhooks
            .delete(&namespace, &DeleteParams::default())
            .await
            .unwrap();

        assert_eq!(bundles[0], bundles[1], "a restart keeps the authority");
        assert!(bundles[0].starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(first.client_config.ca_bundle.unwrap().0, bundles[0].as_bytes());
        assert_ne!(second, bundles[0]);
        assert_eq!(second.matches("BEGIN CERTIFICATE").count(), 1);
        assert_eq!(published.client_config.ca_bundle.unwrap().0, second.as_bytes());
        let keys: Vec<_> = kept.keys().map(String::as_str).collect();
        assert_eq!(keys, ["ca.crt", "ca.key"], "what is over is removed");
        assert_eq!(kept["ca.crt"].0, second.as_bytes());
        assert_eq!(published.failure_policy.as_deref(), Some("Ignore"));
        assert_eq!(published.rules.unwrap().len(), 1);
        let service = published.client_config.service.unwrap();
        assert_eq!(service.path.as_deref(), Some("/validate"));

        let broken = json!({"data": {"ca.key": "bm90IGEga2V5"}});
        let patch = kube::api::Patch::Merge(&broken);
        secrets
            .patch("yagura-ca", &kube::api::PatchParams::default(), &patch)
            .await
            .unwrap();
        let error = Certificates::establish(&client, &args, &metrics)
            .await
            .err()
            .unwrap();
        assert!(error.to_string().contains("delete its keys"), "{error}");
    })
    .await;
}
