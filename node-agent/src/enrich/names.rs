//! Names of pods and containers, joined to what cgroups tell.
//!
//! The operator sends them for the pods of this node. Until then, and without an operator, the
//! kubelet's log folders give what they have in their names: namespace and name of a pod, the
//! name of a container, no labels.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use yagura_event::{Container, Known, Pod, Text};

use super::cgroup_path::Identity;

/// Most pods and most containers that are remembered: ten times what a kubelet runs.
const MOST: usize = 10_000;

/// Names of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerNames {
    /// Name within the pod.
    pub name: Known<Text>,
    /// Image as the pod names it.
    pub image: Known<Text>,
    /// Digest of the image.
    pub image_digest: Known<Text>,
}

/// The names that are known at the moment. Shared between who learns them and who needs them.
#[derive(Debug, Default)]
pub struct Names {
    known: RwLock<Maps>,
    /// Grows with every change, so that a joined container can be told from a stale one.
    revision: AtomicU64,
}

#[derive(Debug, Default)]
struct Maps {
    pods: HashMap<Text, Arc<Pod>>,
    containers: HashMap<Text, ContainerNames>,
}

impl Names {
    /// Learns or replaces a pod, by its uid.
    pub fn set_pod(&self, pod: Arc<Pod>) {
        self.change(|maps| {
            if maps.pods.len() < MOST || maps.pods.contains_key(&pod.uid) {
                maps.pods.insert(pod.uid.clone(), pod);
            }
        });
    }

    /// Forgets a pod.
    pub fn remove_pod(&self, uid: &Text) {
        self.change(|maps| {
            maps.pods.remove(uid);
        });
    }

    /// Learns or replaces the names of a container, by its id.
    pub fn set_container(&self, id: Text, names: ContainerNames) {
        self.change(|maps| {
            if maps.containers.len() < MOST || maps.containers.contains_key(&id) {
                maps.containers.insert(id, names);
            }
        });
    }

    /// Forgets a container.
    pub fn remove_container(&self, id: &Text) {
        self.change(|maps| {
            maps.containers.remove(id);
        });
    }

    /// Grows with every change.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// A container with all names that are known of it.
    pub fn join(&self, identity: &Identity) -> Container {
        let maps = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let names = maps
            .containers
            .get(&identity.id)
            .cloned()
            .unwrap_or(ContainerNames {
                name: Known::Unknown,
                image: Known::Unknown,
                image_digest: Known::Unknown,
            });
        let pod = identity.pod_uid.as_ref().and_then(|uid| {
            maps.pods
                .get(uid)
                .map_or(Known::Unknown, |pod| Known::Present(Arc::clone(pod)))
        });
        Container {
            id: Known::Present(identity.id.clone()),
            runtime: identity.runtime.clone(),
            name: names.name,
            image: names.image,
            image_digest: names.image_digest,
            pod_uid: identity.pod_uid.clone(),
            pod,
        }
    }

    /// Reads the names of the kubelet's log folders below `host_root` and adds what is new; what
    /// is known already, from wherever, stays. Folders that are not there are no error: not every
    /// host has a kubelet.
    pub fn learn_from_log_folders(&self, host_root: &Path) -> io::Result<()> {
        let pods = entries(&host_root.join("var/log/pods"))?;
        let links = entries(&host_root.join("var/log/containers"))?;
        let new = {
            let maps = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let pods = pods
                .iter()
                .filter_map(|name| pod_folder(name))
                .filter(|pod| !maps.pods.contains_key(&pod.uid))
                .collect::<Vec<_>>();
            let containers = links
                .iter()
                .filter_map(|name| container_link(name))
                .filter(|(id, _)| !maps.containers.contains_key(id))
                .collect::<Vec<_>>();
            (pods, containers)
        };
        for pod in new.0 {
            self.set_pod(Arc::new(pod));
        }
        for (id, name) in new.1 {
            let names = ContainerNames {
                name: Known::Present(name),
                image: Known::Unknown,
                image_digest: Known::Unknown,
            };
            self.set_container(id, names);
        }
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut Maps)) {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
        self.revision.fetch_add(1, Ordering::Release);
    }
}

/// Names in a folder; none when there is no such folder.
fn entries(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .take(MOST)
            .map(|entry| Ok(entry?.file_name().as_bytes().to_vec()))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// `<namespace>_<pod>_<uid>`, none of which may contain an underscore.
fn pod_folder(name: &[u8]) -> Option<Pod> {
    let mut parts = name.split(|byte| *byte == b'_');
    let (namespace, pod, uid) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || [namespace, pod, uid].iter().any(|part| part.is_empty()) {
        return None;
    }
    Some(Pod {
        uid: Text::from(uid),
        name: Text::from(pod),
        namespace: Text::from(namespace),
        labels: Known::Unknown,
        namespace_labels: Known::Unknown,
        owner: Known::Unknown,
    })
}

/// `<pod>_<namespace>_<container>-<id>.log`: id and name of the container.
fn container_link(name: &[u8]) -> Option<(Text, Text)> {
    let name = name.strip_suffix(b".log")?;
    let last = name.rsplit(|byte| *byte == b'_').next()?;
    let (container, id) = last.split_at_checked(last.len().checked_sub(64)?)?;
    let container = container.strip_suffix(b"-")?;
    let valid = !container.is_empty() && id.iter().all(u8::is_ascii_hexdigit);
    valid.then(|| (Text::from(id), Text::from(container)))
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use yagura_event::{Known, Pod, Text};

    use super::Names;
    use crate::enrich::cgroup_path::Identity;

    const UID: &str = "1e2a7c54-9a0f-4f6e-8f6a-0c1d2e3f4a5b";

    #[test]
    fn log_folders_name_pods_and_containers_and_never_replace_what_is_known() {
        let id = "a".repeat(64);
        let root = tempfile::tempdir().unwrap();
        let logs = root.path().join("var/log");
        fs::create_dir_all(logs.join(format!("pods/shop_cart-0_{UID}/web"))).unwrap();
        fs::create_dir_all(logs.join("pods/not-a-pod")).unwrap();
        fs::create_dir_all(logs.join("containers")).unwrap();
        fs::write(logs.join(format!("containers/cart-0_shop_web-{id}.log")), "").unwrap();

        let names = Names::default();
        names.learn_from_log_folders(root.path()).unwrap();
        let identity = Identity {
            id: Text::from(id.as_str()),
            runtime: Known::Unknown,
            pod_uid: Known::Present(Text::from(UID)),
        };
        let joined = names.join(&identity);
        assert_eq!(joined.name, Known::Present(Text::from("web")));
        let Known::Present(pod) = joined.pod else {
            panic!("the folder names the pod");
        };
        assert_eq!(
            (pod.namespace.as_bytes(), pod.name.as_bytes()),
            (&b"shop"[..], &b"cart-0"[..])
        );
        assert!(pod.labels.is_unknown());

        let full = Arc::new(Pod {
            labels: Known::Present(Vec::new()),
            ..Pod::clone(&pod)
        });
        let before = names.revision();
        names.set_pod(full);
        assert!(names.revision() > before);
        names.learn_from_log_folders(root.path()).unwrap();
        assert!(matches!(names.join(&identity).pod, Known::Present(pod) if !pod.labels.is_unknown()));
        names.remove_pod(&Text::from(UID));
        assert!(names.join(&identity).pod.is_unknown());
    }

    #[test]
    fn a_host_without_a_kubelet_has_no_names() {
        let root = tempfile::tempdir().unwrap();
        Names::default().learn_from_log_folders(root.path()).unwrap();
    }
}
