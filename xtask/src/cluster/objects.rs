//! Objects that every cluster has: rights for the DNS server, and volumes for claims.

use anyhow::{Context as _, Result};

use super::Cluster;
use super::layout::NODE;

/// Volumes that claims can be bound to; a claim's volume is not used a second time.
const VOLUMES: usize = 16;

const DNS_RIGHTS: &str = r"apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: coredns}
rules:
- {apiGroups: [''], resources: [endpoints, services, pods, namespaces], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: coredns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: coredns}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: 'system:coredns'}]
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: local
  annotations: {storageclass.kubernetes.io/is-default-class: 'true'}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
";

/// Creates the objects, and the volumes' folders.
pub(crate) fn apply(cluster: &Cluster) -> Result<()> {
    let mut objects = vec![DNS_RIGHTS.to_owned()];
    for number in 1..=VOLUMES {
        let folder = cluster.layout.in_state("volumes").join(number.to_string());
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        objects.push(format!(
            "---\napiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: local-{number}}}\nspec:\n  capacity: {{storage: 8Gi}}\n  \
             accessModes: [ReadWriteOnce]\n  storageClassName: local\n  persistentVolumeReclaimPolicy: Retain\n  \
             local: {{path: {}}}\n  nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: \
             [{{key: kubernetes.io/hostname, operator: In, values: [{NODE}]}}]}}]}}}}\n",
            folder.display()
        ));
    }
    cluster.kubectl().apply(&objects.concat())
}
