//! The validating webhook, and how an object gets past it.

use anyhow::{Context as _, Result};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::cluster::INSTALLATION;
use crate::space::Space;
use crate::{eventually, objects};

/// Objects with this label are not shown to the webhook while [`apply_unseen`] works.
const UNSEEN: &str = "e2e.yagura.dev/unseen-by-webhook";

/// The webhook configuration of the installation.
pub async fn configuration(client: &Client) -> Result<ValidatingWebhookConfiguration> {
    let all = Api::<ValidatingWebhookConfiguration>::all(client.clone())
        .list(&ListParams::default())
        .await?;
    let ours = |configuration: &ValidatingWebhookConfiguration| {
        let webhooks = configuration.webhooks.iter().flatten();
        let mut services = webhooks.filter_map(|webhook| webhook.client_config.service.as_ref());
        services.any(|service| service.namespace == INSTALLATION)
    };
    all.items
        .into_iter()
        .find(ours)
        .with_context(|| format!("no webhook calls a service in {INSTALLATION}"))
}

/// Applies an object as if there were no webhook: others are still checked by it.
pub async fn apply_unseen(space: &Space, mut object: Value) -> Result<DynamicObject> {
    object["metadata"]["labels"] = json!({UNSEEN: "true"});
    let before = look_away(&space.client).await?;
    // The API server reads the changed configuration from a watch.
    let applied = eventually("the object is stored without the webhook", || async {
        objects::apply_json(space, object.clone()).await
    })
    .await;
    restore(&space.client, &before).await?;
    applied
}

async fn look_away(client: &Client) -> Result<ValidatingWebhookConfiguration> {
    let before = configuration(client).await?;
    let mut changed = before.clone();
    for webhook in changed.webhooks.iter_mut().flatten() {
        webhook.object_selector = Some(LabelSelector {
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: UNSEEN.to_owned(),
                operator: "DoesNotExist".to_owned(),
                values: None,
            }]),
            match_labels: None,
        });
    }
    replace(client, changed).await?;
    Ok(before)
}

/// Only the selectors: the operator may have written a new `caBundle` meanwhile.
async fn restore(client: &Client, before: &ValidatingWebhookConfiguration) -> Result<()> {
    let mut changed = configuration(client).await?;
    let selectors = before
        .webhooks
        .iter()
        .flatten()
        .map(|webhook| webhook.object_selector.clone());
    for (webhook, selector) in changed.webhooks.iter_mut().flatten().zip(selectors) {
        webhook.object_selector = selector;
    }
    replace(client, changed).await
}

async fn replace(client: &Client, changed: ValidatingWebhookConfiguration) -> Result<()> {
    let name = changed.name_any();
    let api = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let replaced = api.replace(&name, &PostParams::default(), &changed).await;
    replaced
        .map(drop)
        .with_context(|| format!("cannot change webhook configuration {name}"))
}
