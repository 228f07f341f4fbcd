//! containerd, the kubelet, kube-proxy and the DNS server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Cluster;
use super::images::PAUSE_IMAGE;
use super::layout::{CNI_NETWORK, NODE, NODE_ADDRESS, POD_BRIDGE, POD_NETWORK};

/// Where Debian puts the CNI plugins.
const CNI_PLUGINS: &str = "/usr/lib/cni";

/// Where kube-proxy says whether it has written its rules.
pub(crate) const PROXY_HEALTH: (&str, u16) = (NODE_ADDRESS, 10256);

/// Where the DNS server says whether it has read the services.
pub(crate) const DNS_HEALTH: (&str, u16) = (NODE_ADDRESS, 8181);

/// Starts containerd.
pub(crate) fn containerd(cluster: &Cluster) -> Result<()> {
    let layout = &cluster.layout;
    let networks = layout.in_state("cni");
    std::fs::create_dir_all(&networks).with_context(|| format!("cannot create {}", networks.display()))?;
    write(
        &networks.join("10-yagura.conflist"),
        &network(&layout.in_state("cni-addresses"))?,
    )?;
    let config = layout.in_state("containerd.toml");
    let text = format!(
        r"version = 3
root = '{root}'
state = '{state}'
disabled_plugins = ['io.containerd.nri.v1.nri', 'io.containerd.internal.v1.opt']

[grpc]
address = '{socket}'

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '{PAUSE_IMAGE}'

[plugins.'io.containerd.cri.v1.runtime']
# Lowering a process's OOM score needs CAP_SYS_RESOURCE, which a container or a small machine may not give.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['{CNI_PLUGINS}']
conf_dir = '{networks}'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
Root = '{runc}'
SystemdCgroup = false
",
        root = layout.in_state("containerd-root").display(),
        state = layout.in_state("containerd-state").display(),
        socket = layout.containerd_socket().display(),
        networks = networks.display(),
        runc = layout.in_state("runc").display(),
    );
    write(&config, &text)?;
    let mut containerd = Command::new(cluster.programs.containerd("containerd"));
    containerd
        .arg("--config")
        .arg(&config)
        .args(["--log-level", "warn"]);
    // containerd looks for its shim on PATH.
    containerd.env("PATH", Cluster::path_with(cluster.programs.containerd_folder())?);
    cluster.start("containerd", &mut containerd)
}

/// The pods' network: a bridge, addresses handed out from a folder that goes away with the cluster.
fn network(addresses: &Path) -> Result<String> {
    let gateway = POD_NETWORK.replace(".0/24", ".1");
    let config = serde_json::json!({
        "cniVersion": "1.0.0",
        "name": CNI_NETWORK,
        "plugins": [
            {
                "type": "bridge",
                "bridge": POD_BRIDGE,
                "isDefaultGateway": true,
                // A pod that calls a service which leads back to itself.
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": addresses,
                    "ranges": [[{"subnet": POD_NETWORK, "gateway": gateway}]],
                },
            },
            {"type": "loopback"},
        ],
    });
    serde_json::to_string_pretty(&config).context("cannot write the network's configuration")
}

/// Starts the kubelet.
pub(crate) fn kubelet(cluster: &Cluster) -> Result<()> {
    let layout = &cluster.layout;
    let root = layout.in_state("kubelet");
    let config = serde_json::json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "healthzBindAddress": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": layout.pki("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": layout.pki("kubelet-server.crt"),
        "tlsPrivateKeyFile": layout.pki("kubelet-server.key"),
        "containerRuntimeEndpoint": format!("unix://{}", layout.containerd_socket().display()),
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": false,
        "failSwapOn": false,
        "enforceNodeAllocatable": [],
        "makeIPTablesUtilChains": false,
        // How long a changed ConfigMap takes to reach a volume: a minute by default, too long to watch.
        "syncFrequency": "5s",
        // Tests kill the same container again and again, and would wait for minutes each time.
        "crashLoopBackOff": {"maxContainerRestartPeriod": "1s"},
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "maxPods": 200,
        "oomScoreAdj": 0,
        "volumePluginDir": layout.in_state("volume-plugins"),
        // A developer's disk is often nearly full, and that is no reason to evict pods.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
    });
    let file = layout.in_state("kubelet.json");
    write(
        &file,
        &serde_json::to_string_pretty(&config).context("cannot write the kubelet's configuration")?,
    )?;
    let mut kubelet = Command::new(cluster.programs.kubernetes("kubelet"));
    kubelet
        .arg(format!("--config={}", file.display()))
        .arg(format!(
            "--kubeconfig={}",
            layout.part_kubeconfig("kubelet").display()
        ))
        .arg(format!("--root-dir={}", root.display()))
        .arg(format!(
            "--cert-dir={}",
            layout.in_state("kubelet-certificates").display()
        ))
        .arg(format!("--hostname-override={NODE}"))
        .arg(format!("--node-ip={NODE_ADDRESS}"));
    cluster.start("kubelet", &mut kubelet)
}

/// Starts kube-proxy.
pub(crate) fn proxy(cluster: &Cluster) -> Result<()> {
    let config = serde_json::json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": NODE,
        "clientConnection": {"kubeconfig": cluster.layout.part_kubeconfig("kube-proxy")},
        "clusterCIDR": POD_NETWORK,
        "bindAddress": NODE_ADDRESS,
        "healthzBindAddress": format!("{}:{}", PROXY_HEALTH.0, PROXY_HEALTH.1),
        "metricsBindAddress": format!("{NODE_ADDRESS}:10249"),
        "nodePortAddresses": [format!("{NODE_ADDRESS}/32")],
        // The machine's own limits stay as they are.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "oomScoreAdj": 0,
    });
    let file = cluster.layout.in_state("kube-proxy.json");
    write(
        &file,
        &serde_json::to_string_pretty(&config).context("cannot write kube-proxy's configuration")?,
    )?;
    let mut proxy = Command::new(cluster.programs.kubernetes("kube-proxy"));
    proxy.arg(format!("--config={}", file.display()));
    cluster.start("kube-proxy", &mut proxy)
}

/// Starts the DNS server, on the node's address.
pub(crate) fn dns(cluster: &Cluster) -> Result<()> {
    let corefile = cluster.layout.in_state("Corefile");
    let text = format!(
        "cluster.local:53 {{\n    bind {NODE_ADDRESS}\n    ready {}:{}\n    errors\n    cache 5\n    \
         kubernetes cluster.local {{\n        kubeconfig {}\n        ttl 5\n    }}\n}}\n",
        DNS_HEALTH.0,
        DNS_HEALTH.1,
        cluster.layout.part_kubeconfig("coredns").display()
    );
    write(&corefile, &text)?;
    let mut dns = Command::new(cluster.programs.coredns());
    dns.arg("-conf").arg(&corefile);
    cluster.start("coredns", &mut dns)
}

/// Whether an HTTP endpoint answers 200.
pub(crate) fn healthy(address: (&str, u16), path: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        // What follows the status line does not matter, and must not fill the memory.
        stream.take(4096).read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.split(' ').nth(1) == Some("200"))
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_the_status_code() {
        for (status, expected) in [("200 OK", true), ("503 Service Unavailable", false)] {
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 64];
                let _length = stream.read(&mut request).unwrap();
                stream
                    .write_all(format!("HTTP/1.0 {status}\r\n\r\nbody").as_bytes())
                    .unwrap();
            });
            assert_eq!(healthy(("127.0.0.1", port), "/ready"), expected);
            server.join().unwrap();
        }
        assert!(!healthy(("127.0.0.1", 1), "/"));
    }
}
