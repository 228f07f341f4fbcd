//! Containers and the pods they belong to.

use std::sync::Arc;

use crate::{Known, Text};

/// A container on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// The runtime's id: 64 hexadecimal digits for containerd, CRI-O, Docker and podman.
    /// Unknown when the process is in a container whose cgroup path names none.
    pub id: Known<Text>,
    /// `containerd`, `cri-o`, `docker` or `podman`, as far as the cgroup path tells.
    pub runtime: Known<Text>,
    /// Name within the pod.
    pub name: Known<Text>,
    /// Image as the pod names it.
    pub image: Known<Text>,
    /// Digest of the image (`sha256:…`).
    pub image_digest: Known<Text>,
    /// Uid of the pod, from the cgroup path; absent outside Kubernetes.
    pub pod_uid: Known<Text>,
    /// The pod's names; unknown until they arrive.
    pub pod: Known<Arc<Pod>>,
}

/// A pod of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Uid.
    pub uid: Text,
    /// Name.
    pub name: Text,
    /// Namespace.
    pub namespace: Text,
    /// Labels, sorted by key. Unknown while only the kubelet's folder names are at hand.
    pub labels: Known<Vec<(Text, Text)>>,
    /// Labels of the namespace, sorted by key.
    pub namespace_labels: Known<Vec<(Text, Text)>>,
    /// What owns the pod, as far up as is known: kind and name, such as `Deployment` and `cart`.
    pub owner: Known<(Text, Text)>,
}
