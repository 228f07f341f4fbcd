//! Custom resources and other objects as a person sees them: YAML in, JSON out.

use anyhow::{Context as _, Result, anyhow, ensure};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use kube::{Client, ResourceExt as _};
use serde_json::Value;

use crate::space::{LABEL, Space};

/// The field manager of what tests apply.
pub const MANAGER: &str = "yagura-e2e";

/// Group and version of Yagura's kinds.
pub const API_VERSION: &str = "yagura.dev/v1alpha1";

/// The label on what ships with Yagura; its value is the pack.
pub const SHIPPED: &str = "yagura.dev/bundle";

/// Kinds of Yagura with their plural, and whether they live in namespaces.
const KINDS: &[(&str, &str, bool)] = &[
    ("DetectionRule", "detectionrules", false),
    ("PostureFramework", "postureframeworks", false),
    ("PostureCheck", "posturechecks", false),
    ("SecuritySignal", "securitysignals", true),
    ("NodeSensor", "nodesensors", false),
    ("NotificationRoute", "notificationroutes", false),
    ("Exception", "exceptions", true),
    ("ClusterException", "clusterexceptions", false),
    ("ValueList", "valuelists", false),
];

/// Yagura's objects of one kind; `namespace` is ignored for a cluster-scoped kind, and none means all.
pub fn api(client: &Client, kind: &str, namespace: Option<&str>) -> Result<Api<DynamicObject>> {
    let (_, plural, namespaced) = KINDS
        .iter()
        .find(|(known, ..)| *known == kind)
        .with_context(|| format!("{kind} is not a kind of {API_VERSION}"))?;
    let resource =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("yagura.dev", "v1alpha1", kind), plural);
    Ok(match namespace {
        Some(namespace) if *namespaced => Api::namespaced_with(client.clone(), namespace, &resource),
        _ => Api::all_with(client.clone(), &resource),
    })
}

/// Applies one object of ours, written in YAML, with the label of the test, and returns what the API server stored.
pub async fn apply(space: &Space, yaml: &str) -> Result<DynamicObject> {
    let value: Value = serde_saphyr::from_str(yaml).with_context(|| format!("not YAML:\n{yaml}"))?;
    apply_json(space, value).await
}

/// The same for an object that was put together in code.
pub async fn apply_json(space: &Space, value: Value) -> Result<DynamicObject> {
    let mut object: DynamicObject = serde_json::from_value(value).context("not an object of Kubernetes")?;
    let types = object.types.clone().context("the object has no kind")?;
    ensure!(
        types.api_version == API_VERSION,
        "{} is not {API_VERSION}",
        types.api_version
    );
    object.labels_mut().insert(LABEL.to_owned(), space.name.clone());
    let namespace = object.namespace();
    let api = api(&space.client, &types.kind, namespace.as_deref())?;
    let name = object.name_any();
    let applied = api
        .patch(
            &name,
            &PatchParams::apply(MANAGER).force(),
            &Patch::Apply(&object),
        )
        .await;
    applied.with_context(|| format!("cannot apply {} {name}", types.kind))
}

/// One object as JSON.
pub async fn get(client: &Client, kind: &str, namespace: Option<&str>, name: &str) -> Result<Value> {
    let object = api(client, kind, namespace)?
        .get(name)
        .await
        .with_context(|| format!("cannot get {kind} {name}"))?;
    json(object)
}

/// All objects that a label selector finds, as JSON.
pub async fn list(
    client: &Client,
    kind: &str,
    namespace: Option<&str>,
    selector: &str,
) -> Result<Vec<Value>> {
    let found = api(client, kind, namespace)?
        .list(&ListParams::default().labels(selector))
        .await
        .with_context(|| format!("cannot list {kind} with {selector:?}"))?;
    found.items.into_iter().map(json).collect()
}

/// Deletes an object of ours.
pub async fn delete(client: &Client, kind: &str, namespace: Option<&str>, name: &str) -> Result<()> {
    let deleted = api(client, kind, namespace)?
        .delete(name, &DeleteParams::background())
        .await;
    deleted
        .map(drop)
        .with_context(|| format!("cannot delete {kind} {name}"))
}

/// Deletes what a label selector finds.
pub async fn delete_selected(client: &Client, kind: &str, selector: &str) -> Result<()> {
    let selected = ListParams::default().labels(selector);
    let deleted = api(client, kind, None)?
        .delete_collection(&DeleteParams::background(), &selected)
        .await;
    deleted
        .map(drop)
        .with_context(|| format!("cannot delete each {kind} with {selector}"))
}

/// The condition of a type, when the controller has looked at the newest generation.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Result<&'a Value> {
    let conditions = object["status"]["conditions"]
        .as_array()
        .context("there are no conditions yet")?;
    let condition = conditions.iter().find(|condition| condition["type"] == kind);
    let condition = condition.with_context(|| format!("no condition {kind} in {conditions:?}"))?;
    let (seen, newest) = (
        &condition["observedGeneration"],
        &object["metadata"]["generation"],
    );
    ensure!(
        seen == newest,
        "{kind} is of generation {seen}, the object is at {newest}"
    );
    Ok(condition)
}

/// What the API server or its webhook answered instead of storing an object.
pub fn refusal(result: Result<DynamicObject>) -> Result<String> {
    match result {
        Ok(object) => Err(anyhow!("{} was accepted", object.name_any())),
        Err(error) => match error.downcast::<kube::Error>() {
            Ok(kube::Error::Api(status)) => Ok(status.message.clone()),
            Ok(error) => Err(anyhow!(error).context("the API server did not answer with a status")),
            Err(error) => Err(error),
        },
    }
}

fn json(mut object: DynamicObject) -> Result<Value> {
    object.metadata.managed_fields = None;
    let types: Option<TypeMeta> = object.types.clone();
    let mut value = serde_json::to_value(object).context("an object of the API server is not JSON")?;
    if let (Some(types), Some(map)) = (types, value.as_object_mut()) {
        map.insert("kind".to_owned(), Value::String(types.kind));
    }
    Ok(value)
}
