//! Names of this node's pods, as the operator sends them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use yagura_event::{Known, Text};
use yagura_proto::convert::pod_from_message;
use yagura_proto::v1::{Pod, PodContainer, PodUpdate};

use crate::enrich::{ContainerNames, Names};

/// More pods than a node runs.
const MAX_PODS: usize = 10_000;

/// Keeps the names that events are joined with in step with the operator's updates.
#[derive(Debug)]
pub struct Pods {
    names: Arc<Names>,
    /// The containers of each pod that came from the operator, by the pod's uid.
    told: Mutex<HashMap<Text, Vec<Text>>>,
}

impl Pods {
    /// Updates `names`.
    pub fn new(names: Arc<Names>) -> Self {
        Self {
            names,
            told: Mutex::default(),
        }
    }

    /// How many pods the operator told of.
    pub fn len(&self) -> usize {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether it told of none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Applies an update. A pod that makes no sense is left out and said so.
    pub fn update(&self, update: &PodUpdate) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone: Vec<Text> = update
            .deletes
            .iter()
            .map(|uid| Text::from(uid.as_str()))
            .collect();
        if update.full {
            let there: Vec<&[u8]> = update.upserts.iter().map(|pod| pod.uid.as_bytes()).collect();
            gone.extend(
                told.keys()
                    .filter(|uid| !there.contains(&uid.as_bytes()))
                    .cloned(),
            );
        }
        for uid in gone {
            self.names.remove_pod(&uid);
            for container in told.remove(&uid).unwrap_or_default() {
                self.names.remove_container(&container);
            }
        }
        for pod in &update.upserts {
            if told.len() >= MAX_PODS {
                tracing::warn!("the operator sent more than {MAX_PODS} pods; the rest stays without names");
                break;
            }
            self.upsert(pod, &mut told);
        }
    }

    fn upsert(&self, message: &Pod, told: &mut HashMap<Text, Vec<Text>>) {
        let pod = match pod_from_message(message) {
            Ok(pod) => pod,
            Err(error) => {
                tracing::warn!(uid = %message.uid.escape_debug(), %error, "the operator sent a pod that cannot be read");
                return;
            }
        };
        let uid = pod.uid.clone();
        self.names.set_pod(Arc::new(pod));
        let mut containers = Vec::new();
        for container in message
            .containers
            .iter()
            .filter(|container| !container.id.is_empty())
        {
            let id = Text::from(container.id.as_str());
            self.names.set_container(id.clone(), names(container));
            containers.push(id);
        }
        for old in told.insert(uid, containers.clone()).unwrap_or_default() {
            if !containers.contains(&old) {
                self.names.remove_container(&old);
            }
        }
    }
}

/// A container's names; empty means that the operator does not know yet.
fn names(container: &PodContainer) -> ContainerNames {
    let known = |text: &str| {
        if text.is_empty() {
            Known::Unknown
        } else {
            Known::Present(Text::from(text))
        }
    };
    ContainerNames {
        name: known(&container.name),
        image: known(&container.image),
        image_digest: known(&container.image_digest),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use yagura_proto::v1::{Pod, PodContainer, PodUpdate};

    use super::Pods;
    use crate::enrich::Names;

    fn pod(uid: &str, container: &str) -> Pod {
        Pod {
            uid: uid.to_owned(),
            name: format!("pod-{uid}"),
            namespace: "shop".to_owned(),
            containers: vec![PodContainer {
                name: "main".to_owned(),
                id: container.to_owned(),
                ..PodContainer::default()
            }],
            ..Pod::default()
        }
    }

    #[test]
    fn a_full_update_forgets_what_it_does_not_name() {
        let pods = Pods::new(Arc::new(Names::default()));
        pods.update(&PodUpdate {
            full: true,
            upserts: vec![pod("a", "c1"), pod("b", "c2")],
            deletes: Vec::new(),
        });
        assert_eq!(pods.len(), 2);
        pods.update(&PodUpdate {
            full: false,
            upserts: vec![pod("c", "c3")],
            deletes: vec!["a".to_owned()],
        });
        assert_eq!(pods.len(), 2);
        pods.update(&PodUpdate {
            full: true,
            upserts: vec![pod("b", "c4")],
            deletes: Vec::new(),
        });
        assert_eq!(pods.len(), 1);
    }

    #[test]
    fn a_pod_without_uid_is_left_out() {
        let pods = Pods::new(Arc::new(Names::default()));
        pods.update(&PodUpdate {
            full: false,
            upserts: vec![pod("", "c1"), pod("b", "c2")],
            deletes: Vec::new(),
        });
        assert_eq!(pods.len(), 1);
    }
}
