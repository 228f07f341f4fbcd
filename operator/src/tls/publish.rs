//! Keeps the authority in its Secret and hands its certificate to who must trust it.

use jiff::Zoned;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tracing::info;

use super::{Authority, Identity, TlsError, names};
use crate::FIELD_MANAGER;
use crate::args::Args;

const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";

/// Reads the authority or makes it, publishes its certificate, issues the server's.
///
/// Secret, `ConfigMap` and webhook configuration are there already, empty: the operator may change
/// exactly these objects and create none.
pub async fn establish(client: &Client, args: &Args) -> Result<Identity, TlsError> {
    let now = Zoned::now();
    let authority = read_or_make(client, args, &now).await?;
    let leaf = authority
        .issue(names(args), &now)
        .map_err(|source| TlsError::Stored {
            secret: args.ca_secret.clone(),
            source,
        })?;
    publish_bundle(client, args, &authority).await?;
    if !args.webhook_configuration.is_empty() {
        publish_to_webhook(client, args, &authority).await?;
    }
    Identity::new(leaf)
}

async fn read_or_make(client: &Client, args: &Args, now: &Zoned) -> Result<Authority, TlsError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &args.namespace);
    let object = format!("secret {}/{}", args.namespace, args.ca_secret);
    let secret = secrets
        .get(&args.ca_secret)
        .await
        .map_err(api_error("read", &object))?;
    let text = |name: &str| {
        let bytes = &secret.data.as_ref()?.get(name)?.0;
        String::from_utf8(bytes.clone()).ok()
    };
    if let Some((certificate, key)) = text(CERTIFICATE).zip(text(KEY)) {
        return Ok(Authority { certificate, key });
    }
    let authority = Authority::generate(now)?;
    let data = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": args.ca_secret},
        "stringData": {CERTIFICATE: authority.certificate, KEY: authority.key},
    });
    secrets
        .patch(&args.ca_secret, &params(), &Patch::Apply(&data))
        .await
        .map_err(api_error("write", &object))?;
    info!(secret = args.ca_secret, "made a certificate authority");
    Ok(authority)
}

async fn publish_bundle(client: &Client, args: &Args, authority: &Authority) -> Result<(), TlsError> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &args.namespace);
    let data = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": args.trust_bundle},
        "data": {CERTIFICATE: authority.certificate},
    });
    maps.patch(&args.trust_bundle, &params(), &Patch::Apply(&data))
        .await
        .map_err(api_error(
            "write",
            &format!("configmap {}/{}", args.namespace, args.trust_bundle),
        ))?;
    Ok(())
}

/// Fills `caBundle` of every webhook in the configuration.
async fn publish_to_webhook(client: &Client, args: &Args, authority: &Authority) -> Result<(), TlsError> {
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let name = &args.webhook_configuration;
    let object = format!("validatingwebhookconfiguration {name}");
    let found = configurations
        .get(name)
        .await
        .map_err(api_error("read", &object))?;
    let bundle = k8s_openapi::ByteString(authority.certificate.clone().into_bytes());
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
        .map_err(api_error("write", &object))?;
    Ok(())
}

fn params() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

fn api_error(verb: &'static str, object: &str) -> impl FnOnce(kube::Error) -> TlsError {
    let object = object.to_owned();
    move |source| TlsError::Api {
        verb,
        object,
        source: Box::new(source),
    }
}
