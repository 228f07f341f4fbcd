//! Facts of a host that is laid out in a folder: files, links and a `/proc` as captured.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use yagura_event::facts::{FileFact, NodeFacts};
use yagura_event::{Known, Text, Tree};

use super::{HostRoot, collect};

/// `/proc/<pid>/cmdline` of a kubelet that kubeadm set up.
const KUBELET: &[u8] = b"/usr/bin/kubelet\0--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf\0\
--kubeconfig=/etc/kubernetes/kubelet.conf\0--config=/var/lib/kubelet/config.yaml\0\
--container-runtime-endpoint=unix:///run/containerd/containerd.sock\0";

/// `/var/lib/kubelet/config.yaml` as kubeadm writes it.
const CONFIG: &str = "\
apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
  webhook:
    cacheTTL: 0s
    enabled: true
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt
authorization:
  mode: Webhook
clusterDNS:
- 10.96.0.10
readOnlyPort: 0
staticPodHeader:
  token: [hunter2]
kind: KubeletConfiguration
rotateCertificates: true
";

struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        host.process(
            1,
            b"/sbin/init\0",
            "1 (init) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 2 9",
        );
        let me = rustix::process::geteuid().as_raw();
        host.file("etc/passwd", &format!("tester:x:{me}:0::/:/bin/sh\n"), 0o644);
        host.file("etc/group", "root:x:0:\n", 0o644);
        host
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, content: &str, mode: u32) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn process(&self, pid: u32, cmdline: &[u8], stat: &str) {
        let folder = self.path(&format!("proc/{pid}"));
        fs::create_dir_all(folder.join("ns")).unwrap();
        fs::write(folder.join("cmdline"), cmdline).unwrap();
        fs::write(folder.join("stat"), stat).unwrap();
        fs::write(folder.join("status"), format!("Name:\tx\nNSpid:\t{pid}\n")).unwrap();
        symlink("mnt:[2]", folder.join("ns/mnt")).unwrap();
        symlink("../..", folder.join("root")).unwrap();
    }

    fn collect(&self) -> NodeFacts {
        let root = HostRoot::open(self.0.path()).unwrap();
        collect(&root, &Text::from("node-1"))
    }
}

fn file<'a>(facts: &'a NodeFacts, key: &str) -> &'a FileFact {
    facts
        .files
        .iter()
        .find(|fact| fact.key.as_bytes() == key.as_bytes())
        .unwrap()
}

#[test]
fn a_kubeadm_node_is_described() {
    let host = Host::new();
    host.process(
        812,
        KUBELET,
        "812 (kubelet) S 1 812 812 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 500 9",
    );
    host.file("var/lib/kubelet/config.yaml", CONFIG, 0o644);
    host.file("etc/kubernetes/kubelet.conf", "secret", 0o600);
    fs::create_dir_all(host.path("etc/kubernetes/pki")).unwrap();
    host.file("etc/ca/real.crt", "", 0o664);
    symlink("/etc/ca/real.crt", host.path("etc/kubernetes/pki/ca.crt")).unwrap();

    let facts = host.collect();
    let kubelet = facts.kubelet.as_ref().present().unwrap();
    assert_eq!(kubelet.flags.len(), 4);
    let config = kubelet.config.as_ref().present().unwrap();
    assert_eq!(
        config.at("authentication.anonymous.enabled"),
        Some(&Tree::Bool(false))
    );
    assert_eq!(config.at("readOnlyPort"), Some(&Tree::Int(0)));
    assert_eq!(config.at("staticPodHeader"), None);
    assert_eq!(config.at("clusterDNS"), None);

    let kubeconfig = file(&facts, "kubelet-kubeconfig");
    let stat = kubeconfig.stat.as_ref().present().unwrap();
    let me = rustix::process::geteuid().as_raw();
    assert_eq!((stat.mode, stat.uid), (0o600, me));
    assert_eq!(stat.owner, Known::Present(Text::from("tester")));
    // The link leads to the host's file, not to one outside the host's root.
    assert_eq!(
        file(&facts, "kubelet-ca").stat.as_ref().present().unwrap().mode,
        0o664
    );
    assert_eq!(file(&facts, "proxy-kubeconfig").stat, Known::Absent);
    assert_eq!(file(&facts, "kubelet-service").stat, Known::Absent);
    assert!(!format!("{facts:?}").contains("hunter2"));
}

#[test]
fn drop_ins_are_merged_in_the_order_of_their_names() {
    let host = Host::new();
    host.process(
        2,
        b"kubelet\0--config\0/etc/kubelet.yaml\0--config-dir=/etc/kubelet.d\0",
        "2 (kubelet) S",
    );
    host.file(
        "etc/kubelet.yaml",
        "readOnlyPort: 10255\nauthorization: {mode: AlwaysAllow}\n",
        0o600,
    );
    host.file("etc/kubelet.d/20.conf", "authorization: {mode: Webhook}\n", 0o600);
    host.file(
        "etc/kubelet.d/10.conf",
        "authorization: {mode: Never}\nreadOnlyPort: 0\n",
        0o600,
    );
    host.file("etc/kubelet.d/30.txt", "readOnlyPort: 1\n", 0o600);
    let facts = host.collect();
    let config = facts.kubelet.present().unwrap().config.present().unwrap();
    assert_eq!(config.at("authorization.mode"), Some(&Tree::from("Webhook")));
    assert_eq!(config.at("readOnlyPort"), Some(&Tree::Int(0)));
}

#[test]
fn a_config_that_is_missing_is_absent_and_one_that_is_broken_is_unknown() {
    let host = Host::new();
    host.process(2, b"kubelet\0--config=/etc/kubelet.yaml\0", "2 (kubelet) S");
    assert_eq!(host.collect().kubelet.present().unwrap().config, Known::Absent);

    host.file("etc/kubelet.yaml", "readOnlyPort: [1\n", 0o600);
    assert_eq!(host.collect().kubelet.present().unwrap().config, Known::Unknown);

    // Deeper than any configuration, and aliases that would grow without bounds.
    host.file("etc/kubelet.yaml", &format!("a: {}", "[".repeat(100_000)), 0o600);
    assert_eq!(host.collect().kubelet.present().unwrap().config, Known::Unknown);
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]\n";
    host.file("etc/kubelet.yaml", bomb, 0o600);
    let config = host.collect().kubelet.present().unwrap().config;
    assert!(config == Known::Unknown || config == Known::Present(Tree::Map(Vec::new())));
}

#[test]
fn a_node_without_a_kubelet_has_none_and_a_proc_that_cannot_be_read_hides_it() {
    let host = Host::new();
    assert_eq!(host.collect().kubelet, Known::Absent);
    fs::remove_dir_all(host.path("proc")).unwrap();
    assert_eq!(host.collect().kubelet, Known::Unknown);
}

#[test]
fn a_program_in_a_container_is_not_taken_for_the_kubelet() {
    let host = Host::new();
    host.process(7, b"kubelet\0--config=/fake\0", "7 (kubelet) S");
    fs::write(host.path("proc/7/status"), "Name:\tkubelet\nNSpid:\t7\t1\n").unwrap();
    assert_eq!(host.collect().kubelet, Known::Absent);
}

#[test]
fn this_machine_is_described_without_failing() {
    let root = HostRoot::open(Path::new("/")).unwrap();
    let facts = collect(&root, &Text::from("here"));
    assert_eq!(facts.files.len(), 5);
    assert!(facts.files.iter().all(|fact| !fact.path.is_empty()));
}

#[test]
fn files_are_those_that_the_kubelet_sees_and_unknown_where_that_is_forbidden() {
    let host = Host::new();
    host.process(7, b"kubelet\0--kubeconfig=/k.conf\0", "7 (kubelet) S");
    let root = host.path("proc/7/root");
    fs::remove_file(&root).unwrap();
    host.file("elsewhere/k.conf", "", 0o640);
    symlink("../../elsewhere", &root).unwrap();
    let facts = host.collect();
    let stat = file(&facts, "kubelet-kubeconfig").stat.clone();
    assert_eq!(stat.present().unwrap().mode, 0o640);

    fs::remove_file(&root).unwrap();
    let facts = host.collect();
    assert!(facts.files.iter().all(|file| file.stat == Known::Unknown));
    assert_eq!(facts.kubelet.present().unwrap().flags.len(), 1);
}

#[test]
fn the_proxy_counts_when_its_files_are_the_nodes() {
    let host = Host::new();
    host.process(7, b"kubelet\0", "7 (kubelet) S");
    host.process(
        8,
        b"/usr/bin/kube-proxy\0--kubeconfig=/p.conf\0",
        "8 (kube-proxy) S",
    );
    host.file("p.conf", "", 0o600);
    assert_eq!(
        file(&host.collect(), "proxy-kubeconfig").path.as_bytes(),
        b"/p.conf"
    );

    let mounts = host.path("proc/8/ns/mnt");
    fs::remove_file(&mounts).unwrap();
    symlink("mnt:[3]", &mounts).unwrap();
    assert_ne!(
        file(&host.collect(), "proxy-kubeconfig").path.as_bytes(),
        b"/p.conf"
    );
}
