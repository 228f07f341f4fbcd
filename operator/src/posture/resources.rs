//! From objects and facts to the resources that checks speak about: pure.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;
use yagura_crds::posture_check::ResourceType;
use yagura_crds::security_signal::SignalResource;
use yagura_crds::test_value::tree;
use yagura_event::facts::{FileFact, Kubelet, NodeFacts};
use yagura_event::{Known, Text, Tree};

use crate::pods::owner;

/// Kinds of the resources that a node's facts are about; their name is the node's.
pub(super) const KUBELET: &str = "Kubelet";
pub(super) const FILE: &str = "File";

/// A resource as checks see it, and as signals show it.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) kind: ResourceType,
    pub(super) tree: Tree,
    pub(super) shown: SignalResource,
}

/// What makes two versions of a resource the same one. A pod counts as what owns it: a rollout
/// does not make another resource of a Deployment's containers.
pub(super) fn identity(shown: &SignalResource) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let name = match shown.kind.as_str() {
        "Pod" => shown
            .owner
            .clone()
            .unwrap_or_else(|| format!("Pod/{}", part(&shown.name))),
        "Container" => format!("{}/{}", part(&shown.owner), part(&shown.name)),
        _ => part(&shown.name),
    };
    format!(
        "{}|{}|{name}|{}",
        shown.kind,
        part(&shown.namespace),
        part(&shown.path)
    )
}

/// The resources of a pod: itself and each of its containers.
pub(super) fn of_pod(pod: &Pod) -> Vec<Resource> {
    // A value that serde took apart goes together again.
    let mut whole = serde_json::to_value(pod).unwrap_or_default();
    strip(&mut whole);
    let (owner_kind, owner_name) = owner(pod);
    let owner = (!owner_kind.is_empty()).then(|| format!("{owner_kind}/{owner_name}"));
    let shown = SignalResource {
        kind: "Pod".to_owned(),
        namespace: pod.namespace(),
        name: Some(pod.name_any()),
        uid: pod.uid(),
        owner: owner.clone(),
        ..SignalResource::default()
    };
    let mut resources = vec![Resource {
        kind: ResourceType::Pod,
        tree: tree(&whole),
        shown: shown.clone(),
    }];
    let mut context = whole.clone();
    let mut containers = Vec::new();
    if let Some(spec) = context.get_mut("spec").and_then(Value::as_object_mut) {
        for list in ["initContainers", "containers", "ephemeralContainers"] {
            if let Some(Value::Array(items)) = spec.remove(list) {
                containers.extend(items);
            }
        }
    }
    if let Some(members) = context.as_object_mut() {
        members.remove("status");
    }
    for mut container in containers {
        let text = |key: &str| container.get(key).and_then(Value::as_str).map(str::to_owned);
        let shown = SignalResource {
            kind: "Container".to_owned(),
            name: text("name"),
            image: text("image"),
            owner: Some(owner.clone().unwrap_or_else(|| format!("Pod/{}", pod.name_any()))),
            ..shown.clone()
        };
        if let Some(members) = container.as_object_mut() {
            members.insert("pod".to_owned(), context.clone());
        }
        resources.push(Resource {
            kind: ResourceType::Container,
            tree: tree(&container),
            shown,
        });
    }
    resources
}

/// The resource that a role or binding is.
pub(super) fn of_object(kind: ResourceType, api_kind: &str, object: &DynamicObject) -> Resource {
    let mut whole = serde_json::to_value(object).unwrap_or_default();
    strip(&mut whole);
    Resource {
        kind,
        tree: tree(&whole),
        shown: SignalResource {
            kind: api_kind.to_owned(),
            namespace: object.namespace(),
            name: Some(object.name_any()),
            uid: object.uid(),
            ..SignalResource::default()
        },
    }
}

/// Bookkeeping of the API server is no configuration.
fn strip(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
}

/// The resources of a node. `stale`: the node is silent for so long that what it said is not known
/// any more.
pub(super) fn of_node(facts: &NodeFacts, stale: bool) -> Vec<Resource> {
    let node = facts.node.to_string();
    let kubelet = match &facts.kubelet {
        Known::Absent => None,
        Known::Present(kubelet) if !stale => Some(kubelet_tree(&facts.node, kubelet)),
        Known::Present(_) | Known::Unknown => Some(map([
            ("node", Tree::Text(facts.node.clone())),
            ("flags", Tree::Unknown),
            ("config", Tree::Unknown),
        ])),
    };
    let kubelet = kubelet.map(|tree| Resource {
        kind: ResourceType::NodeKubelet,
        tree,
        shown: SignalResource {
            kind: KUBELET.to_owned(),
            name: Some(node.clone()),
            ..SignalResource::default()
        },
    });
    let files = facts.files.iter().map(|file| Resource {
        kind: ResourceType::NodeFile,
        tree: file_tree(&facts.node, file, stale),
        shown: SignalResource {
            kind: FILE.to_owned(),
            name: Some(node.clone()),
            path: Some(file.path.to_string()),
            ..SignalResource::default()
        },
    });
    kubelet.into_iter().chain(files).collect()
}

fn kubelet_tree(node: &Text, kubelet: &Kubelet) -> Tree {
    let flags = Tree::map(
        kubelet
            .flags
            .iter()
            .map(|(name, value)| (name.clone(), Tree::Text(value.clone()))),
    );
    let mut members = vec![("node", Tree::Text(node.clone())), ("flags", flags)];
    match &kubelet.config {
        Known::Present(config) => members.push(("config", config.clone())),
        Known::Unknown => members.push(("config", Tree::Unknown)),
        Known::Absent => {}
    }
    map(members)
}

fn file_tree(node: &Text, file: &FileFact, stale: bool) -> Tree {
    let mut members = vec![
        ("node", Tree::Text(node.clone())),
        ("key", Tree::Text(file.key.clone())),
        ("path", Tree::Text(file.path.clone())),
    ];
    match &file.stat {
        Known::Present(stat) if !stale => {
            members.push(("mode", Tree::Int(i64::from(stat.mode))));
            members.push(("uid", Tree::Int(i64::from(stat.uid))));
            members.push(("gid", Tree::Int(i64::from(stat.gid))));
            for (name, known) in [("owner", &stat.owner), ("group", &stat.group)] {
                match known {
                    Known::Present(text) => members.push((name, Tree::Text(text.clone()))),
                    Known::Unknown => members.push((name, Tree::Unknown)),
                    Known::Absent => {}
                }
            }
        }
        Known::Absent if !stale => {}
        _ => members.extend(["mode", "uid", "gid", "owner", "group"].map(|name| (name, Tree::Unknown))),
    }
    map(members)
}

fn map<'k>(members: impl IntoIterator<Item = (&'k str, Tree)>) -> Tree {
    Tree::map(members.into_iter().map(|(key, value)| (Text::from(key), value)))
}
