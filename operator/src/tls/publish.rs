//! Keeps the authorities in their Secret and hands their certificates to who must trust them.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::{TlsError, Trust};
use crate::FIELD_MANAGER;
use crate::args::Args;

/// Key of the bundle in its `ConfigMap`.
const BUNDLE: &str = "ca.crt";

/// Reads and writes exactly the objects that the chart made for it: it creates none.
#[derive(Clone)]
pub struct Publisher {
    client: Client,
    namespace: String,
    secret: String,
    bundle: String,
    webhook: String,
}

/// What the Secret held, and which state of it that was.
pub(super) struct Kept {
    pub(super) trust: Option<Trust>,
    version: Option<String>,
}

impl Publisher {
    /// For the objects that the flags name.
    pub fn new(client: &Client, args: &Args) -> Self {
        Self {
            client: client.clone(),
            namespace: args.namespace.clone(),
            secret: args.ca_secret.clone(),
            bundle: args.trust_bundle.clone(),
            webhook: args.webhook_configuration.clone(),
        }
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    pub(super) async fn read(&self) -> Result<Kept, TlsError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let secret = secrets
            .get(&self.secret)
            .await
            .map_err(api_error("read", || self.secret_name()))?;
        let data: BTreeMap<String, Vec<u8>> = secret
            .data
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key, value.0))
            .collect();
        Ok(Kept {
            trust: Trust::read(&data),
            version: secret.metadata.resource_version,
        })
    }

    /// Replaces what `kept` read, all of it or nothing; refused when somebody wrote the Secret since.
    pub(super) async fn write(&self, kept: &Kept, trust: &Trust) -> Result<(), TlsError> {
        let data: BTreeMap<_, _> = trust
            .data()
            .into_iter()
            .map(|(key, value)| {
                let bytes = value.map(|value| k8s_openapi::ByteString(value.into_bytes()));
                (key, bytes)
            })
            .collect();
        let change = json!({"metadata": {"resourceVersion": kept.version}, "data": data});
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        secrets
            .patch(&self.secret, &params, &Patch::Merge(&change))
            .await
            .map_err(api_error("write", || self.secret_name()))?;
        Ok(())
    }

    /// Hands a bundle to the agents and to the API server.
    pub(super) async fn publish(&self, bundle: &str) -> Result<(), TlsError> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let data = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self.bundle},
            "data": {BUNDLE: bundle},
        });
        maps.patch(&self.bundle, &params(), &Patch::Apply(&data))
            .await
            .map_err(api_error("write", || {
                format!("configmap {}/{}", self.namespace, self.bundle)
            }))?;
        if self.webhook.is_empty() {
            return Ok(());
        }
        self.publish_to_webhook(bundle).await
    }

    /// Fills `caBundle` of every webhook in the configuration.
    async fn publish_to_webhook(&self, bundle: &str) -> Result<(), TlsError> {
        let configurations: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        let name = &self.webhook;
        let object = || format!("validatingwebhookconfiguration {name}");
        let found = configurations
            .get(name)
            .await
            .map_err(api_error("read", object))?;
        let bundle = k8s_openapi::ByteString(bundle.as_bytes().to_vec());
        // Applying a list item by its key asks for all its required fields, so those go along as they
        // are; the fields of others stay theirs.
        let webhooks: Vec<_> = found
            .webhooks
            .unwrap_or_default()
            .into_iter()
            .map(|webhook| {
                json!({
                    "name": webhook.name,
                    "admissionReviewVersions": webhook.admission_review_versions,
                    "sideEffects": webhook.side_effects,
                    "clientConfig": {
                        "caBundle": bundle,
                        "service": webhook.client_config.service,
                        "url": webhook.client_config.url,
                    },
                })
            })
            .collect();
        let data = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": webhooks,
        });
        configurations
            .patch(name, &params(), &Patch::Apply(&data))
            .await
            .map_err(api_error("write", object))?;
        Ok(())
    }

    fn secret_name(&self) -> String {
        format!("secret {}/{}", self.namespace, self.secret)
    }
}

fn params() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

fn api_error(verb: &'static str, object: impl FnOnce() -> String) -> impl FnOnce(kube::Error) -> TlsError {
    move |source| TlsError::Api {
        verb,
        object: object(),
        source: Box::new(source),
    }
}
