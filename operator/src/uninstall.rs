//! Removes what the operator made and nobody needs without it, before the chart goes.
//!
//! The operator is stopped first: it would make anew what is removed. Nothing here waits for ever, and
//! what is gone already is no error, so that it can be run again.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::{Api, Client, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};
use yagura_crds::NodeSensor;

use crate::args::{Args, UninstallArgs};
use crate::content::{self, Kind};

/// How often it is looked whether the operator is gone.
const LOOK: Duration = Duration::from_millis(500);

/// Something could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}")]
pub struct UninstallError {
    what: String,
    #[source]
    source: Box<kube::Error>,
}

/// Stops the operator and removes what it made.
pub async fn uninstall(client: &Client, args: &Args, what: &UninstallArgs) -> Result<(), UninstallError> {
    stop_operator(client, args, what).await?;
    for kind in Kind::ALL {
        remove_content(client, kind).await?;
    }
    remove_sensors(client).await?;
    let leases: Api<Lease> = Api::namespaced(client.clone(), &args.namespace);
    delete(&leases, "Lease", &args.lease).await?;
    if what.purge {
        purge(client, args, what).await?;
    }
    info!("removed what the operator made");
    Ok(())
}

/// Scales the operator down and waits until no pod of it is left, or the time is over.
async fn stop_operator(client: &Client, args: &Args, what: &UninstallArgs) -> Result<(), UninstallError> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &args.namespace);
    let none = Patch::Merge(json!({"spec": {"replicas": 0}}));
    let scaled = deployments
        .patch_scale(&what.deployment, &PatchParams::default(), &none)
        .await;
    match scaled {
        Ok(_) => {}
        Err(error) if is_gone(&error) => info!(deployment = what.deployment, "there is no operator to stop"),
        Err(source) => return Err(failed(format!("scale deployment {}", what.deployment), source)),
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), &args.namespace);
    let selected = ListParams::default().labels(&what.pods);
    let deadline = Instant::now() + Duration::from_secs(what.wait_seconds);
    loop {
        let left = pods.list_metadata(&selected).await;
        let left = left.map_err(|source| failed("list the operator's pods".to_owned(), source))?;
        if left.items.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            warn!(
                left = left.items.len(),
                "the operator did not end in time; it may make anew what is removed"
            );
            return Ok(());
        }
        sleep(LOOK).await;
    }
}

async fn remove_content(client: &Client, kind: Kind) -> Result<(), UninstallError> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind.resource());
    let labelled = ListParams::default().labels(content::LABEL);
    for object in listed(&api, kind.as_str(), &labelled).await? {
        if content::is_labelled_by_us(&object) {
            delete(&api, kind.as_str(), &object.name_any()).await?;
        }
    }
    Ok(())
}

async fn remove_sensors(client: &Client) -> Result<(), UninstallError> {
    let api: Api<DeserializeGuard<NodeSensor>> = Api::all(client.clone());
    for sensor in listed(&api, "NodeSensor", &ListParams::default()).await? {
        delete(&api, "NodeSensor", &sensor.name_any()).await?;
    }
    Ok(())
}

/// With the definitions go all objects of the kinds.
async fn purge(client: &Client, args: &Args, what: &UninstallArgs) -> Result<(), UninstallError> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in yagura_crds::all() {
        delete(&definitions, "definition", &definition.name_any()).await?;
    }
    if let Some(claim) = &what.purge_claim {
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &args.namespace);
        delete(&claims, "PersistentVolumeClaim", claim).await?;
    }
    Ok(())
}

/// Everything a selector finds; nothing when the kind is not defined any more.
async fn listed<K>(api: &Api<K>, kind: &str, params: &ListParams) -> Result<Vec<K>, UninstallError>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    match api.list(params).await {
        Ok(list) => Ok(list.items),
        Err(error) if is_gone(&error) => Ok(Vec::new()),
        Err(source) => Err(failed(format!("list objects of kind {kind}"), source)),
    }
}

async fn delete<K>(api: &Api<K>, kind: &str, name: &str) -> Result<(), UninstallError>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    match api.delete(name, &DeleteParams::background()).await {
        Ok(_) => {
            info!(kind, name, "removed");
            Ok(())
        }
        Err(error) if is_gone(&error) => Ok(()),
        Err(source) => Err(failed(format!("remove {kind} {name}"), source)),
    }
}

fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

fn failed(what: String, source: kube::Error) -> UninstallError {
    UninstallError {
        what,
        source: Box::new(source),
    }
}
