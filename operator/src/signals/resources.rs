//! Whom a match is about: pod, container, node and process, from the operator's own knowledge
//! where it has it and from the record elsewhere.

use yagura_crds::security_signal::SignalResource;
use yagura_event::Tree;

use super::text::{cut, line};
use crate::index::pods::{ContainerRecord, PodRecord};

/// Bytes of all arguments together.
const MAX_ARGS: usize = 4_096;
/// Arguments, ancestors and labels that are shown.
const MAX_ITEMS: usize = 64;

/// What is affected, the closest first.
pub(super) fn of_match(fields: &Tree, node: &str, pod: Option<&PodRecord>) -> Vec<SignalResource> {
    let mut resources = Vec::new();
    if let Some(pod) = pod {
        resources.push(pod_resource(pod));
    }
    if let Some(id) = text(fields, "container.id", 128) {
        let known = pod.and_then(|pod| pod.containers.iter().find(|c| c.id == id));
        resources.push(container_resource(fields, id, known));
    }
    if fields.at("process").is_some() {
        resources.push(process_resource(fields));
    }
    resources.push(SignalResource {
        kind: "Node".to_owned(),
        name: Some(node.to_owned()),
        ..SignalResource::default()
    });
    resources
}

/// The column of `kubectl get`: the closest resource as `Kind/name`.
pub(super) fn headline(resources: &[SignalResource]) -> String {
    resources
        .iter()
        .find(|resource| resource.kind != "Process")
        .map(|resource| {
            let name = resource.name.as_deref().or(resource.id.as_deref());
            cut(format!("{}/{}", resource.kind, name.unwrap_or("?")), 512)
        })
        .unwrap_or_default()
}

fn pod_resource(pod: &PodRecord) -> SignalResource {
    SignalResource {
        kind: "Pod".to_owned(),
        namespace: Some(pod.namespace.clone()),
        name: Some(pod.name.clone()),
        uid: Some(pod.uid.clone()),
        owner: (!pod.owner_kind.is_empty()).then(|| format!("{}/{}", pod.owner_kind, pod.owner_name)),
        labels: pod
            .labels
            .iter()
            .take(MAX_ITEMS)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        ..SignalResource::default()
    }
}

fn container_resource(fields: &Tree, id: String, known: Option<&ContainerRecord>) -> SignalResource {
    let from = |record: fn(&ContainerRecord) -> &String, path: &str, limit: usize| {
        known
            .map(|container| record(container).clone())
            .filter(|value| !value.is_empty())
            .or_else(|| text(fields, path, limit))
    };
    SignalResource {
        kind: "Container".to_owned(),
        name: from(|c| &c.name, "container.name", 253),
        image: from(|c| &c.image, "container.image.name", 1_024),
        digest: from(|c| &c.image_digest, "container.image.digest", 256),
        id: Some(id),
        ..SignalResource::default()
    }
}

fn process_resource(fields: &Tree) -> SignalResource {
    let mut left = MAX_ARGS;
    let mut args = Vec::new();
    for arg in list(fields, "process.args") {
        if left < 16 || args.len() == MAX_ITEMS {
            args.push("…[cut]".to_owned());
            break;
        }
        let shown = line(arg, left);
        left = left.saturating_sub(shown.len());
        args.push(shown);
    }
    SignalResource {
        kind: "Process".to_owned(),
        name: text(fields, "process.name", 253),
        executable: text(fields, "process.executable", 4_096),
        args,
        user: text(fields, "process.user.name", 256).or_else(|| text(fields, "process.user.id", 256)),
        ancestors: list(fields, "process.ancestors")
            .iter()
            .take(MAX_ITEMS)
            .map(|ancestor| line(ancestor.get(b"name").unwrap_or(ancestor), 256))
            .collect(),
        ..SignalResource::default()
    }
}

fn text(fields: &Tree, path: &str, limit: usize) -> Option<String> {
    match fields.at(path)? {
        Tree::Null | Tree::Unknown => None,
        value => Some(line(value, limit)),
    }
}

fn list<'a>(fields: &'a Tree, path: &str) -> &'a [Tree] {
    match fields.at(path) {
        Some(Tree::List(items)) => items,
        _ => &[],
    }
}
