//! etcd, the API server, the controller manager and the scheduler.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::Cluster;
use super::layout::{NODE_ADDRESS, SERVICE_NETWORK};

/// Who may run what where nobody said otherwise: as strict as a well-kept cluster, so that the chart has to ask for
/// what it needs by a label on its namespace.
const ADMISSION: &str = r"apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    defaults:
      enforce: baseline
      enforce-version: latest
      warn: baseline
      warn-version: latest
";

/// What people and workloads do is written down; what the cluster's own parts read all day is not.
const AUDIT_POLICY: &str = r#"apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:kube-scheduler", "system:kube-proxy", "system:kube-controller-manager", "system:apiserver", "system:coredns"]
  verbs: [get, list, watch]
- level: None
  userGroups: ["system:nodes"]
  verbs: [get, list, watch]
- level: None
  users: ["system:kube-scheduler", "system:kube-controller-manager", "system:apiserver"]
  resources: [{group: "coordination.k8s.io", resources: [leases]}]
- level: None
  userGroups: ["system:nodes"]
  resources: [{group: "coordination.k8s.io", resources: [leases]}]
- level: None
  nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/version"]
- level: Request
  resources: [{group: "", resources: [pods/exec, pods/attach, pods/portforward]}]
- level: Metadata
"#;

/// Starts etcd.
pub(crate) fn etcd(cluster: &Cluster) -> Result<()> {
    let pki = |file: &str| cluster.layout.pki(file).display().to_string();
    let address = cluster.layout.address();
    let client = format!("https://{address}:2379");
    let peer = format!("https://{address}:2380");
    let mut etcd = Command::new(cluster.programs.etcd());
    etcd.args(["--name", "node-1", "--log-level", "warn"])
        .arg("--data-dir")
        .arg(cluster.layout.in_state("etcd"))
        .args([
            "--listen-client-urls",
            &client,
            "--advertise-client-urls",
            &client,
        ])
        .args([
            "--listen-peer-urls",
            &peer,
            "--initial-advertise-peer-urls",
            &peer,
        ])
        .arg(format!("--initial-cluster=node-1={peer}"))
        .arg("--client-cert-auth")
        .args(["--trusted-ca-file", &pki("etcd-ca.crt")])
        .args([
            "--cert-file",
            &pki("etcd-server.crt"),
            "--key-file",
            &pki("etcd-server.key"),
        ])
        .arg("--peer-client-cert-auth")
        .args(["--peer-trusted-ca-file", &pki("etcd-ca.crt")])
        .args([
            "--peer-cert-file",
            &pki("etcd-server.crt"),
            "--peer-key-file",
            &pki("etcd-server.key"),
        ])
        // The data dies with the cluster, so nobody waits for the disk.
        .arg("--unsafe-no-fsync");
    cluster.start("etcd", &mut etcd)
}

/// Starts the API server of a whole cluster.
pub(crate) fn api_server(cluster: &Cluster) -> Result<()> {
    api_server_with(cluster, AUDIT_POLICY, &[])
}

/// Starts an API server whose objects nobody acts on, and that logs every call of one user.
pub(crate) fn api_server_alone(cluster: &Cluster, logged_user: &str) -> Result<()> {
    let policy = format!(
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n\
         - {{level: Metadata, users: ['{logged_user}']}}\n- {{level: None}}\n"
    );
    let flags = [
        // Nobody makes the accounts that pods without one would get.
        "--disable-admission-plugins=ServiceAccount",
        // Endpoints must not be on loopback, and nobody looks for them.
        "--endpoint-reconciler-type=none",
        "--audit-log-maxsize=1000",
    ];
    api_server_with(cluster, &policy, &flags)
}

fn api_server_with(cluster: &Cluster, audit_policy: &str, flags: &[&str]) -> Result<()> {
    let address = cluster.layout.address();
    let admission = cluster.layout.in_state("admission.yaml");
    let audit = cluster.layout.in_state("audit-policy.yaml");
    for (file, text) in [(&admission, ADMISSION), (&audit, audit_policy)] {
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let pki = |flag: &str, file: &str| format!("--{flag}={}", cluster.layout.pki(file).display());
    let mut server = Command::new(cluster.programs.kubernetes("kube-apiserver"));
    server
        .arg(format!("--etcd-servers=https://{address}:2379"))
        .args([
            pki("etcd-cafile", "etcd-ca.crt"),
            pki("etcd-certfile", "etcd-client.crt"),
        ])
        .arg(pki("etcd-keyfile", "etcd-client.key"))
        .arg(format!("--bind-address={address}"))
        .arg(format!("--advertise-address={address}"))
        .args([
            "--secure-port=6443",
            "--allow-privileged=true",
            "--profiling=false",
        ])
        .arg(format!("--service-cluster-ip-range={SERVICE_NETWORK}"))
        .args([
            pki("tls-cert-file", "apiserver.crt"),
            pki("tls-private-key-file", "apiserver.key"),
        ])
        .args([
            pki("client-ca-file", "ca.crt"),
            pki("kubelet-certificate-authority", "ca.crt"),
        ])
        .arg(pki("kubelet-client-certificate", "apiserver-kubelet-client.crt"))
        .arg(pki("kubelet-client-key", "apiserver-kubelet-client.key"))
        .arg(pki("requestheader-client-ca-file", "front-proxy-ca.crt"))
        .arg(pki("proxy-client-cert-file", "front-proxy-client.crt"))
        .arg(pki("proxy-client-key-file", "front-proxy-client.key"))
        .args([
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
        ])
        .args([
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        ])
        // The node's name does not resolve.
        .arg("--kubelet-preferred-address-types=InternalIP")
        .args([pki("service-account-key-file", "service-accounts.pub")])
        .arg(pki("service-account-signing-key-file", "service-accounts.key"))
        .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
        .args(["--authorization-mode=Node,RBAC", "--anonymous-auth=false"])
        .arg("--enable-admission-plugins=NodeRestriction")
        .arg(format!("--admission-control-config-file={}", admission.display()))
        .arg(format!("--audit-policy-file={}", audit.display()))
        .arg(format!(
            "--audit-log-path={}",
            cluster.layout.log("audit").display()
        ))
        .args(["--audit-log-maxsize=50", "--audit-log-maxbackup=2"])
        // A flag that comes again replaces the one before.
        .args(flags);
    cluster.start("kube-apiserver", &mut server)
}

/// Starts the controller manager and the scheduler.
pub(crate) fn controllers(cluster: &Cluster) -> Result<()> {
    let kubeconfig = |part: &str| cluster.layout.part_kubeconfig(part).display().to_string();
    let shared = |command: &mut Command, part: &str| {
        command
            .arg(format!("--kubeconfig={}", kubeconfig(part)))
            .arg(format!("--authentication-kubeconfig={}", kubeconfig(part)))
            .arg(format!("--authorization-kubeconfig={}", kubeconfig(part)))
            .arg(format!("--bind-address={NODE_ADDRESS}"))
            // There is only one of each.
            .args(["--leader-elect=false", "--profiling=false"]);
    };
    let mut manager = Command::new(cluster.programs.kubernetes("kube-controller-manager"));
    shared(&mut manager, "kube-controller-manager");
    manager
        .arg(format!(
            "--root-ca-file={}",
            cluster.layout.pki("ca.crt").display()
        ))
        .arg(format!(
            "--service-account-private-key-file={}",
            cluster.layout.pki("service-accounts.key").display()
        ))
        .arg(format!(
            "--cluster-signing-cert-file={}",
            cluster.layout.pki("ca.crt").display()
        ))
        .arg(format!(
            "--cluster-signing-key-file={}",
            cluster.layout.pki("ca.key").display()
        ))
        .arg("--use-service-account-credentials=true")
        .arg(format!(
            "--cert-dir={}",
            cluster.layout.in_state("controller-manager").display()
        ));
    cluster.start("kube-controller-manager", &mut manager)?;

    let mut scheduler = Command::new(cluster.programs.kubernetes("kube-scheduler"));
    shared(&mut scheduler, "kube-scheduler");
    scheduler.arg(format!(
        "--cert-dir={}",
        cluster.layout.in_state("scheduler").display()
    ));
    cluster.start("kube-scheduler", &mut scheduler)
}
