//! The pods of the cluster as compact records, by uid, container and node.
//!
//! Filled by the operator's one pod watch; read by everything that must know whose a report is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::watch;

/// What is kept of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodRecord {
    /// Uid.
    pub uid: String,
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Node it is bound to; empty while it is not.
    pub node: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Labels of its namespace.
    pub namespace_labels: BTreeMap<String, String>,
    /// Kind of its owner, as far up as is known (`Deployment` rather than `ReplicaSet`); empty
    /// when nothing owns it.
    pub owner_kind: String,
    /// Name of that owner.
    pub owner_name: String,
    /// ServiceAccount it runs as.
    pub service_account: String,
    /// Whether it may run: not finished, not being deleted.
    pub live: bool,
    /// Whether it is being deleted and not finished yet.
    pub terminating: bool,
    /// Whether all its containers run, those that start it aside.
    pub running: bool,
    /// Its containers of every kind.
    pub containers: Vec<ContainerRecord>,
}

/// What is kept of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerRecord {
    /// Name within the pod.
    pub name: String,
    /// The runtime's id without the scheme; empty until it runs.
    pub id: String,
    /// Image as the pod names it.
    pub image: String,
    /// `sha256:…`; empty until it is known.
    pub image_digest: String,
}

/// The pods of one node by uid.
pub type NodePods = Arc<BTreeMap<String, Arc<PodRecord>>>;

/// Every pod of the cluster.
#[derive(Debug, Default)]
pub struct Pods {
    records: HashMap<String, Arc<PodRecord>>,
    /// Container id to pod uid.
    containers: HashMap<String, String>,
    nodes: HashMap<String, watch::Sender<NodePods>>,
}

impl Pods {
    /// Adds or replaces a pod.
    pub fn apply(&mut self, pod: PodRecord) {
        if let Some(before) = self.records.get(&pod.uid) {
            if **before == pod {
                return;
            }
            let before = Arc::clone(before);
            self.forget_containers(&before);
            if before.node != pod.node {
                self.update_node(&before.node, |pods| {
                    pods.remove(&before.uid);
                });
            }
        }
        for container in pod.containers.iter().filter(|c| !c.id.is_empty()) {
            self.containers.insert(container.id.clone(), pod.uid.clone());
        }
        let pod = Arc::new(pod);
        self.records.insert(pod.uid.clone(), Arc::clone(&pod));
        let node = pod.node.clone();
        self.update_node(&node, |pods| {
            pods.insert(pod.uid.clone(), pod);
        });
    }

    /// Forgets a pod.
    pub fn delete(&mut self, uid: &str) {
        let Some(pod) = self.records.remove(uid) else {
            return;
        };
        self.forget_containers(&pod);
        self.update_node(&pod.node, |pods| {
            pods.remove(uid);
        });
    }

    /// The pod with this uid.
    pub fn get(&self, uid: &str) -> Option<&Arc<PodRecord>> {
        self.records.get(uid)
    }

    /// The pod that a container belongs to.
    pub fn of_container(&self, id: &str) -> Option<&Arc<PodRecord>> {
        self.records.get(self.containers.get(id)?)
    }

    /// The pods of a node, if there are any.
    pub fn of_node(&self, node: &str) -> NodePods {
        self.nodes
            .get(node)
            .map(|pods| NodePods::clone(&pods.borrow()))
            .unwrap_or_default()
    }

    /// Every pod, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<PodRecord>> {
        self.records.values()
    }

    /// The pods of a node as they change.
    pub fn watch(&mut self, node: &str) -> watch::Receiver<NodePods> {
        self.node(node).subscribe()
    }

    fn node(&mut self, name: &str) -> &watch::Sender<NodePods> {
        self.nodes
            .entry(name.to_owned())
            .or_insert_with(|| watch::channel(NodePods::default()).0)
    }

    /// Changes the map of a node; a pod that is not bound yet is on none.
    fn update_node(&mut self, name: &str, change: impl FnOnce(&mut BTreeMap<String, Arc<PodRecord>>)) {
        if name.is_empty() {
            return;
        }
        self.node(name).send_modify(|pods| change(Arc::make_mut(pods)));
        let unused = |node: &watch::Sender<NodePods>| node.receiver_count() == 0 && node.borrow().is_empty();
        if self.nodes.get(name).is_some_and(unused) {
            self.nodes.remove(name);
        }
    }

    fn forget_containers(&mut self, pod: &PodRecord) {
        for container in &pod.containers {
            self.containers.remove(&container.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ContainerRecord, PodRecord, Pods};

    fn pod(uid: &str, node: &str, container: &str) -> PodRecord {
        PodRecord {
            uid: uid.into(),
            name: format!("{uid}-name"),
            namespace: "shop".into(),
            node: node.into(),
            live: true,
            containers: vec![ContainerRecord {
                name: "main".into(),
                id: container.into(),
                ..ContainerRecord::default()
            }],
            ..PodRecord::default()
        }
    }

    #[test]
    fn a_pod_is_found_by_uid_and_container_and_leaves_no_trace() {
        let mut pods = Pods::default();
        pods.apply(pod("u1", "n1", ""));
        assert!(pods.of_container("c1").is_none());
        pods.apply(pod("u1", "n1", "c1"));
        assert_eq!(pods.of_container("c1").unwrap().uid, "u1");
        pods.apply(pod("u1", "n1", "c2"));
        assert!(pods.of_container("c1").is_none());
        pods.delete("u1");
        assert!(pods.get("u1").is_none() && pods.of_container("c2").is_none());
        assert!(pods.nodes.is_empty());
    }

    #[test]
    fn a_node_sees_its_own_pods_only_and_only_real_changes() {
        let mut pods = Pods::default();
        let mut n1 = pods.watch("n1");
        pods.apply(pod("u1", "n1", "c1"));
        pods.apply(pod("u2", "n2", "c2"));
        assert_eq!(n1.borrow_and_update().keys().collect::<Vec<_>>(), ["u1"]);
        pods.apply(pod("u1", "n1", "c1"));
        assert!(!n1.has_changed().unwrap());
        pods.delete("u1");
        assert!(n1.borrow_and_update().is_empty());
    }
}
