//! The shipped files. Generated from the folder `content`; `cargo xtask gen` rewrites it.

/// Paths from the root of the repository, and what stands in the files.
#[rustfmt::skip]
pub(super) const FILES: &[(&str, &str)] = &[
    ("content/detections/process/cluster-client-in-container.yaml", include_str!("../../../content/detections/process/cluster-client-in-container.yaml")),
    ("content/detections/process/download-then-run-in-container.yaml", include_str!("../../../content/detections/process/download-then-run-in-container.yaml")),
    ("content/detections/process/executable-not-in-image.yaml", include_str!("../../../content/detections/process/executable-not-in-image.yaml")),
    ("content/detections/process/execution-from-temporary-directory.yaml", include_str!("../../../content/detections/process/execution-from-temporary-directory.yaml")),
    ("content/detections/process/memfd-execution.yaml", include_str!("../../../content/detections/process/memfd-execution.yaml")),
    ("content/detections/process/network-tool-in-container.yaml", include_str!("../../../content/detections/process/network-tool-in-container.yaml")),
    ("content/detections/process/package-manager-in-container.yaml", include_str!("../../../content/detections/process/package-manager-in-container.yaml")),
    ("content/detections/process/shell-from-server.yaml", include_str!("../../../content/detections/process/shell-from-server.yaml")),
    ("content/detections/process/shell-in-container.yaml", include_str!("../../../content/detections/process/shell-in-container.yaml")),
    ("content/posture/checks/k8s-cluster-admin-bindings.yaml", include_str!("../../../content/posture/checks/k8s-cluster-admin-bindings.yaml")),
    ("content/posture/checks/k8s-clusterrole-no-wildcards.yaml", include_str!("../../../content/posture/checks/k8s-clusterrole-no-wildcards.yaml")),
    ("content/posture/checks/k8s-container-no-added-capabilities.yaml", include_str!("../../../content/posture/checks/k8s-container-no-added-capabilities.yaml")),
    ("content/posture/checks/k8s-container-no-privilege-escalation.yaml", include_str!("../../../content/posture/checks/k8s-container-no-privilege-escalation.yaml")),
    ("content/posture/checks/k8s-container-not-privileged.yaml", include_str!("../../../content/posture/checks/k8s-container-not-privileged.yaml")),
    ("content/posture/checks/k8s-container-not-root.yaml", include_str!("../../../content/posture/checks/k8s-container-not-root.yaml")),
    ("content/posture/checks/k8s-pod-no-host-namespaces.yaml", include_str!("../../../content/posture/checks/k8s-pod-no-host-namespaces.yaml")),
    ("content/posture/checks/k8s-pod-no-host-path.yaml", include_str!("../../../content/posture/checks/k8s-pod-no-host-path.yaml")),
    ("content/posture/checks/node-kubelet-authorization.yaml", include_str!("../../../content/posture/checks/node-kubelet-authorization.yaml")),
    ("content/posture/checks/node-kubelet-file-modes.yaml", include_str!("../../../content/posture/checks/node-kubelet-file-modes.yaml")),
    ("content/posture/checks/node-kubelet-file-owners.yaml", include_str!("../../../content/posture/checks/node-kubelet-file-owners.yaml")),
    ("content/posture/checks/node-kubelet-no-anonymous-access.yaml", include_str!("../../../content/posture/checks/node-kubelet-no-anonymous-access.yaml")),
    ("content/posture/frameworks/yagura-baseline.yaml", include_str!("../../../content/posture/frameworks/yagura-baseline.yaml")),
];
