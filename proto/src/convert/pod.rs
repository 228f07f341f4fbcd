//! Pods of a node.

use std::collections::BTreeMap;

use yagura_event::{Known, Pod, Text};

use super::{ConvertError, bounded};
use crate::v1;

/// Labels of an object; Kubernetes itself bounds their size.
const MAX_LABELS: usize = 4_096;
/// Bytes of a name.
const MAX_NAME: usize = 253;

/// Reads a pod; its containers stay in the message, by id.
pub fn pod_from_message(pod: &v1::Pod) -> Result<Pod, ConvertError> {
    for (field, name) in [
        ("the pod's uid", &pod.uid),
        ("the pod's name", &pod.name),
        ("the pod's namespace", &pod.namespace),
        ("the owner's kind", &pod.owner_kind),
        ("the owner's name", &pod.owner_name),
    ] {
        bounded(field, name.len(), MAX_NAME)?;
    }
    if pod.uid.is_empty() {
        return Err(ConvertError::Missing("the pod's uid"));
    }
    let owner = if pod.owner_kind.is_empty() {
        Known::Absent
    } else {
        Known::Present((Text::from(&*pod.owner_kind), Text::from(&*pod.owner_name)))
    };
    Ok(Pod {
        uid: Text::from(&*pod.uid),
        name: Text::from(&*pod.name),
        namespace: Text::from(&*pod.namespace),
        labels: Known::Present(labels_from("the pod's labels", &pod.labels)?),
        namespace_labels: Known::Present(labels_from("the namespace's labels", &pod.namespace_labels)?),
        owner,
    })
}

fn labels_from(
    field: &'static str,
    labels: &BTreeMap<String, String>,
) -> Result<Vec<(Text, Text)>, ConvertError> {
    bounded(field, labels.len(), MAX_LABELS)?;
    Ok(labels
        .iter()
        .map(|(key, value)| (Text::from(&**key), Text::from(&**value)))
        .collect())
}

/// Writes a pod whose names are known, with its containers.
pub fn pod_to_message(pod: &Pod, containers: Vec<v1::PodContainer>) -> v1::Pod {
    let (owner_kind, owner_name) = pod
        .owner
        .as_ref()
        .map(|(kind, name)| (kind.to_string(), name.to_string()))
        .present()
        .unwrap_or_default();
    v1::Pod {
        uid: pod.uid.to_string(),
        name: pod.name.to_string(),
        namespace: pod.namespace.to_string(),
        labels: labels_to(&pod.labels),
        namespace_labels: labels_to(&pod.namespace_labels),
        owner_kind,
        owner_name,
        containers,
    }
}

fn labels_to(labels: &Known<Vec<(Text, Text)>>) -> BTreeMap<String, String> {
    labels
        .as_ref()
        .present()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect()
}
