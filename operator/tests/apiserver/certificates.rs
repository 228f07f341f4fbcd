//! The authority is made once, published, and leaves the fields of others alone.

use clap::Parser;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;
use yagura_operator::args::Args;
use yagura_operator::tls;

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
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        let mut bundles = Vec::new();
        for _ in 0..2 {
            tls::establish(&client, &args).await.unwrap();
            let data = maps.get("yagura-trust-bundle").await.unwrap().data.unwrap();
            bundles.push(data["ca.crt"].clone());
        }
        let published = webhooks
            .get(&namespace)
            .await
            .unwrap()
            .webhooks
            .unwrap()
            .remove(0);
        webhooks
            .delete(&namespace, &DeleteParams::default())
            .await
            .unwrap();

        assert_eq!(bundles[0], bundles[1], "a restart keeps the authority");
        assert!(bundles[0].starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(
            published.client_config.ca_bundle.unwrap().0,
            bundles[0].as_bytes()
        );
        assert_eq!(published.failure_policy.as_deref(), Some("Ignore"));
        assert_eq!(published.rules.unwrap().len(), 1);
        let service = published.client_config.service.unwrap();
        assert_eq!(service.path.as_deref(), Some("/validate"));

        let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
        let broken = json!({"data": {"ca.key": "bm90IGEga2V5"}});
        let patch = kube::api::Patch::Merge(&broken);
        secrets
            .patch("yagura-ca", &kube::api::PatchParams::default(), &patch)
            .await
            .unwrap();
        let error = tls::establish(&client, &args).await.unwrap_err();
        assert!(error.to_string().contains("delete its keys"), "{error}");
    })
    .await;
}
