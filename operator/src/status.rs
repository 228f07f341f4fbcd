//! Writes status subresources: server-side apply under one field manager, so that what others
//! write there stays.

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::api::{Api, Patch, PatchParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::FIELD_MANAGER;
use crate::context::Context;

/// A status could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the status of {kind} {name}")]
pub struct StatusError {
    kind: String,
    name: String,
    #[source]
    source: Box<kube::Error>,
}

impl StatusError {
    /// Whether the object is gone, so that there is nothing left to write to.
    pub fn is_gone(&self) -> bool {
        matches!(&*self.source, kube::Error::Api(status) if status.code == 404)
    }

    /// For logs and metrics.
    pub fn category(&self) -> &'static str {
        "status_write"
    }
}

/// Writes the status of the cluster-scoped object with this name.
pub async fn write<K>(context: &Context, name: &str, status: &impl Serialize) -> Result<(), StatusError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let patch = serde_json::json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name},
        "status": status,
    });
    send(context, &Api::<K>::all(context.client.clone()), name, &patch).await
}

/// Writes the status of the object with this name in a namespace.
pub async fn write_in<K>(
    context: &Context,
    namespace: &str,
    name: &str,
    status: &impl Serialize,
) -> Result<(), StatusError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
{
    let patch = serde_json::json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name, "namespace": namespace},
        "status": status,
    });
    let api = Api::<K>::namespaced(context.client.clone(), namespace);
    send(context, &api, name, &patch).await
}

async fn send<K>(context: &Context, api: &Api<K>, name: &str, patch: &Value) -> Result<(), StatusError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    context.writes.take().await;
    let written = api
        .patch_status(
            name,
            &PatchParams::apply(FIELD_MANAGER).force(),
            &Patch::Apply(patch),
        )
        .await;
    let result = written.map(|_| ()).map_err(|source| StatusError {
        kind: K::kind(&()).into_owned(),
        name: name.to_owned(),
        source: Box::new(source),
    });
    context.metrics.status_writes.inc([match &result {
        Ok(()) => "written",
        Err(error) if error.is_gone() => "gone",
        Err(_) => "failed",
    }]);
    result
}
