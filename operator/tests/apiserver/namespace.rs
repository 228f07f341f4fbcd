//! A namespace for one test.

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::time::timeout;

/// Everything that should happen happens in this time.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// Runs a test in a namespace of its own, and removes it whatever happens.
pub(crate) async fn with_namespace<F>(test: impl FnOnce(Client, String) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let client = Client::try_default().await.expect("KUBECONFIG names a cluster");
    let name = format!("yagura-test-{:08x}", rand::random::<u32>());
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    let ended = tokio::spawn(timeout(SOON, test(client, name.clone()))).await;
    namespaces.delete(&name, &DeleteParams::default()).await.unwrap();
    ended.unwrap().expect("the test ends in time");
}

/// Objects in a test's namespace from JSON.
pub(crate) async fn create<K>(client: &Client, namespace: &str, object: serde_json::Value) -> K
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + serde::Serialize,
    K::DynamicType: Default,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let object = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap()
}
