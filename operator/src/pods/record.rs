//! From a pod to what is kept of it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt as _;

use crate::index::pods::{ContainerRecord, PodRecord};

/// Label with which a Deployment tells its replica sets apart: the end of their names.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// What is kept of a pod.
pub(crate) fn record(pod: &Pod, namespace_labels: &BTreeMap<String, String>) -> PodRecord {
    let (owner_kind, owner_name) = owner(pod);
    let spec = pod.spec.as_ref();
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let leaves = pod.metadata.deletion_timestamp.is_some();
    let finished = matches!(phase, Some("Succeeded" | "Failed"));
    PodRecord {
        uid: pod.uid().unwrap_or_default(),
        name: pod.name_any(),
        namespace: pod.namespace().unwrap_or_default(),
        node: spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        labels: pod.labels().clone(),
        namespace_labels: namespace_labels.clone(),
        owner_kind,
        owner_name,
        service_account: spec
            .and_then(|spec| spec.service_account_name.clone())
            .unwrap_or_default(),
        live: !leaves && !finished,
        terminating: leaves && !finished,
        running: phase == Some("Running") && all_run(pod),
        containers: containers(pod),
    }
}

/// The pod's controller. A replica set of a Deployment is named after it and after the hash that
/// its pods carry as a label, so the Deployment is known without a watch of replica sets.
pub(crate) fn owner(pod: &Pod) -> (String, String) {
    let Some(owner) = pod
        .owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true))
    else {
        return (String::new(), String::new());
    };
    if owner.kind == "ReplicaSet"
        && let Some(hash) = pod.labels().get(TEMPLATE_HASH)
        && let Some(deployment) = owner
            .name
            .strip_suffix(hash.as_str())
            .and_then(|name| name.strip_suffix('-'))
    {
        return ("Deployment".to_owned(), deployment.to_owned());
    }
    (owner.kind.clone(), owner.name.clone())
}

/// Whether every container runs now; one that crashes again and again waits in between.
fn all_run(pod: &Pod) -> bool {
    let statuses = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    statuses.is_some_and(|statuses| {
        statuses
            .iter()
            .all(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()))
    })
}

fn containers(pod: &Pod) -> Vec<ContainerRecord> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let named = spec
        .init_containers
        .iter()
        .flatten()
        .chain(&spec.containers)
        .map(|container| (&container.name, &container.image));
    let ephemeral = spec
        .ephemeral_containers
        .iter()
        .flatten()
        .map(|container| (&container.name, &container.image));
    let statuses: BTreeMap<&str, &ContainerStatus> = pod
        .status
        .iter()
        .flat_map(|status| {
            [
                &status.init_container_statuses,
                &status.container_statuses,
                &status.ephemeral_container_statuses,
            ]
        })
        .flat_map(|statuses| statuses.iter().flatten())
        .map(|status| (status.name.as_str(), status))
        .collect();
    named
        .chain(ephemeral)
        .map(|(name, image)| {
            let status = statuses.get(name.as_str());
            let id = status
                .and_then(|status| status.container_id.as_deref())
                .unwrap_or_default();
            let image_id = status.map(|status| status.image_id.as_str()).unwrap_or_default();
            ContainerRecord {
                name: name.clone(),
                id: id.rsplit("://").next().unwrap_or_default().to_owned(),
                image: image.clone().unwrap_or_default(),
                image_digest: image_id
                    .rfind("sha256:")
                    .map(|at| image_id[at..].to_owned())
                    .unwrap_or_default(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::record;

    fn pod(owner: &serde_json::Value, labels: &serde_json::Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "cart-6f-x", "namespace": "shop", "uid": "u", "labels": labels, "ownerReferences": [owner]},
            "spec": {
                "nodeName": "n1", "serviceAccountName": "cart",
                "initContainers": [{"name": "setup", "image": "busybox"}],
                "containers": [{"name": "cart", "image": "registry.example/cart:1"}],
                "ephemeralContainers": [{"name": "debug", "image": "tools"}],
            },
            "status": {"phase": "Running", "containerStatuses": [{
                "name": "cart", "containerID": "containerd://abc", "image": "x", "ready": true, "restartCount": 0,
                "imageID": "registry.example/cart@sha256:0123",
            }]},
        }))
        .unwrap()
    }

    fn owner(kind: &str, name: &str) -> serde_json::Value {
        json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "o", "controller": true})
    }

    #[test]
    fn containers_of_every_kind_are_kept_with_what_is_known_of_them() {
        let record = record(
            &pod(&owner("DaemonSet", "cart"), &json!({})),
            &[("env".into(), "prod".into())].into(),
        );
        let containers: Vec<_> = record
            .containers
            .iter()
            .map(|c| {
                (
                    c.name.as_str(),
                    c.id.as_str(),
                    c.image.as_str(),
                    c.image_digest.as_str(),
                )
            })
            .collect();
        assert_eq!(
            containers,
            [
                ("setup", "", "busybox", ""),
                ("cart", "abc", "registry.example/cart:1", "sha256:0123"),
                ("debug", "", "tools", ""),
            ]
        );
        assert_eq!(
            (record.node.as_str(), record.service_account.as_str(), record.live),
            ("n1", "cart", true)
        );
        assert_eq!(record.namespace_labels["env"], "prod");
        assert_eq!(
            (record.owner_kind.as_str(), record.owner_name.as_str()),
            ("DaemonSet", "cart")
        );
    }

    #[test]
    fn a_replica_set_gives_way_to_its_deployment_only_when_the_hash_proves_it() {
        let labels = json!({"pod-template-hash": "6f"});
        let found = record(&pod(&owner("ReplicaSet", "cart-6f"), &labels), &[].into());
        assert_eq!(
            (found.owner_kind.as_str(), found.owner_name.as_str()),
            ("Deployment", "cart")
        );
        for labels in [json!({}), json!({"pod-template-hash": "7a"})] {
            let found = record(&pod(&owner("ReplicaSet", "cart-6f"), &labels), &[].into());
            assert_eq!(
                (found.owner_kind.as_str(), found.owner_name.as_str()),
                ("ReplicaSet", "cart-6f")
            );
        }
    }

    #[test]
    fn a_pod_runs_while_all_its_containers_do() {
        let mut pod = pod(&owner("DaemonSet", "cart"), &json!({}));
        assert!(!record(&pod, &[].into()).running);
        let state = |state: serde_json::Value| Some(serde_json::from_value(state).unwrap());
        let mut set = |to: serde_json::Value| {
            let statuses = pod.status.as_mut().unwrap().container_statuses.as_mut().unwrap();
            statuses[0].state = state(to);
            record(&pod, &[].into()).running
        };
        assert!(set(json!({"running": {}})));
        assert!(!set(json!({"waiting": {"reason": "CrashLoopBackOff"}})));
    }

    #[test]
    fn a_finished_or_leaving_pod_is_not_live() {
        let mut leaving = pod(&owner("Job", "j"), &json!({}));
        leaving.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            jiff::Timestamp::UNIX_EPOCH,
        ));
        let left = record(&leaving, &[].into());
        assert!(!left.live && left.terminating);
        let mut done = pod(&owner("Job", "j"), &json!({}));
        done.status.as_mut().unwrap().phase = Some("Succeeded".to_owned());
        assert!(!record(&done, &[].into()).live);
        done.metadata.deletion_timestamp = leaving.metadata.deletion_timestamp;
        assert!(!record(&done, &[].into()).terminating);
    }
}
