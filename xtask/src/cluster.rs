//! A real Kubernetes with one node on this machine: the API server, kubelet, containerd and everything else that a node
//! has, as plain processes, for development, the demo and the end-to-end tests.

mod alone;
mod binaries;
mod cleanup;
mod control_plane;
mod images;
mod kubectl;
mod layout;
mod network;
mod node;
mod objects;
mod pki;

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::cache::Places;
use crate::install;
use crate::process::{daemon, owned, tail, wait_until};
use crate::progress::{say, seconds, step};

pub(crate) use alone::Alone;
pub(crate) use binaries::{helm, kubectl as kubectl_program, on_path};
pub(crate) use images::BUSYBOX_IMAGE;
pub(crate) use kubectl::Kubectl;
use layout::{Layout, NODE};

/// Parts whose processes make the cluster.
const PARTS: &[&str] = &[
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "containerd",
    "kubelet",
    "kube-proxy",
    "coredns",
];

/// How long a part may take until it answers; on two busy cores this is seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// The cluster's folders and programs.
#[derive(Debug)]
pub(crate) struct Cluster {
    layout: Layout,
    programs: binaries::Programs,
}

impl Cluster {
    fn start(&self, part: &str, command: &mut Command) -> Result<()> {
        daemon(command, &self.layout.state(), part, &self.layout.log(part)).map(drop)
    }

    fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.programs.kubernetes("kubectl"), self.layout.kubeconfig())
    }

    /// PATH with a folder in front.
    fn path_with(folder: &Path) -> Result<OsString> {
        let mut folders = vec![folder.to_path_buf()];
        // runc and the tools of network plugins are in sbin, which a user's PATH often lacks.
        folders.extend(
            [
                "/usr/local/sbin",
                "/usr/local/bin",
                "/usr/sbin",
                "/usr/bin",
                "/sbin",
                "/bin",
            ]
            .map(PathBuf::from),
        );
        std::env::join_paths(folders).context("the cache folder's path contains a colon")
    }
}

/// What [`up`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// The cluster was down, or unusable, and was started.
    Down,
    /// It was up already.
    Up,
}

/// Starts the cluster, unless it runs already; leftovers of one that was interrupted are removed first.
pub(crate) fn up(places: &Places) -> Result<Before> {
    install::root("cluster up")?;
    let started = Instant::now();
    install::packages(install::CLUSTER)?;
    let cluster = Cluster {
        layout: Layout::new(places),
        programs: binaries::Programs::build(places)?,
    };
    let _lock = lock(&cluster.layout)?;
    let before = if problems(&cluster)?.is_empty() {
        say("The cluster is up already.")?;
        Before::Up
    } else {
        if cluster.layout.state().exists() {
            step("remove what an earlier cluster left", || {
                cleanup::everything(&cluster.layout)
            })?;
        }
        start(&cluster).with_context(|| {
            let logs = cluster.layout.logs();
            format!(
                "the logs are in {}, and `cargo xtask cluster down` removes what was started",
                logs.display()
            )
        })?;
        say(format!("The cluster is up after {}.", seconds(started.elapsed())))?;
        Before::Down
    };
    say(format!(
        "export KUBECONFIG={}\nexport PATH={}:$PATH   # kubectl",
        cluster.layout.kubeconfig().display(),
        cluster.programs.kubernetes_folder().display()
    ))?;
    Ok(before)
}

/// The administrator's kubeconfig of the running cluster.
pub(crate) fn kubeconfig(places: &Places) -> PathBuf {
    Layout::new(places).kubeconfig()
}

/// The key that signs service accounts' tokens in the running cluster.
pub(crate) fn signing_key(places: &Places) -> PathBuf {
    Layout::new(places).pki("service-accounts.key")
}

/// What the API server of the running cluster was asked for, one event a line.
pub(crate) fn audit_log(places: &Places) -> PathBuf {
    Layout::new(places).log("audit")
}

/// Stops the cluster and removes all of it.
pub(crate) fn down(places: &Places) -> Result<()> {
    install::root("cluster down")?;
    let layout = Layout::new(places);
    let _lock = lock(&layout)?;
    step(
        "stop the cluster and remove its processes, mounts, cgroups and interfaces",
        || cleanup::everything(&layout),
    )
}

/// Prints what runs; an error when the cluster is not healthy.
pub(crate) fn status(places: &Places) -> Result<()> {
    let layout = Layout::new(places);
    let processes = owned(&layout.state())?;
    for part in PARTS {
        let pids: Vec<String> = processes
            .iter()
            .filter(|process| process.part == *part)
            .map(|process| process.pid.as_raw_nonzero().to_string())
            .collect();
        let state = if pids.is_empty() {
            "not running".to_owned()
        } else {
            format!("pid {}", pids.join(" "))
        };
        say(format!("{part:24} {state}"))?;
    }
    if processes.is_empty() {
        bail!("the cluster is down: `cargo xtask cluster up` starts it");
    }
    let cluster = Cluster {
        layout,
        programs: binaries::Programs::build(places)?,
    };
    let problems = problems(&cluster)?;
    if !problems.is_empty() {
        bail!(
            "the cluster is not healthy: {}. `cargo xtask cluster up` starts it anew",
            problems.join("; ")
        );
    }
    say(format!(
        "kubeconfig               {}",
        cluster.layout.kubeconfig().display()
    ))?;
    say(cluster
        .kubectl()
        .run(&["get", "nodes,pods", "-A", "-o", "wide"])?
        .trim_end())
}

/// Imports an image archive into the running cluster.
pub(crate) fn load_image(places: &Places, archive: &Path) -> Result<()> {
    if !archive.is_file() {
        bail!(
            "{} is not a file: `cargo xtask image` writes image archives and prints where",
            archive.display()
        );
    }
    let cluster = Cluster {
        layout: Layout::new(places),
        programs: binaries::Programs::build(places)?,
    };
    if !cluster.layout.containerd_socket().exists() {
        bail!("the cluster is down: `cargo xtask cluster up` starts it");
    }
    step(&format!("load {}", archive.display()), || {
        images::load(&cluster, archive)
    })
}

fn start(cluster: &Cluster) -> Result<()> {
    let layout = &cluster.layout;
    for folder in [layout.state(), layout.logs()] {
        if folder == layout.logs() && folder.exists() {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let kubectl = cluster.kubectl();
    step("write certificates and set up the node's interface", || {
        pki::write(layout)?;
        cleanup::remember(layout)?;
        network::set_up(layout)
    })?;
    step("start etcd, containerd and the API server", || {
        control_plane::etcd(cluster)?;
        node::containerd(cluster)?;
        control_plane::api_server(cluster)?;
        wait(cluster, "containerd", || Ok(layout.containerd_socket().exists()))?;
        wait(cluster, "kube-apiserver", || {
            Ok(kubectl.ask(&["get", "--raw", "/readyz"]).is_ok())
        })
    })?;
    step("load the pause and busybox images", || {
        images::load_basic(cluster)
    })?;
    step("start the controllers, kubelet, kube-proxy and DNS", || {
        objects::apply(cluster)?;
        control_plane::controllers(cluster)?;
        node::kubelet(cluster)?;
        node::proxy(cluster)?;
        node::dns(cluster)
    })?;
    step("wait until the node is ready", || {
        wait(cluster, "kubelet", || {
            let query = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
            Ok(kubectl
                .ask(&["get", "node", NODE, "-o", query])
                .is_ok_and(|ready| ready == "True"))
        })?;
        wait(cluster, "kube-proxy", || {
            Ok(node::healthy(node::PROXY_HEALTH, "/healthz"))
        })?;
        wait(cluster, "coredns", || {
            Ok(node::healthy(node::DNS_HEALTH, "/ready"))
        })?;
        wait(cluster, "kube-controller-manager", || {
            Ok(kubectl
                .ask(&["get", "serviceaccount", "default", "-n", "default"])
                .is_ok())
        })
    })
}

/// Waits for a part, and gives up at once when its process ends.
fn wait(cluster: &Cluster, part: &str, mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
    let answered = wait_until(PATIENCE, || {
        if !owned(&cluster.layout.state())?
            .iter()
            .any(|process| process.part == part)
        {
            bail!(
                "{part} ended; the last lines of its log:\n{}",
                tail(&cluster.layout.log(part), 15)
            );
        }
        ready()
    })?;
    if answered {
        return Ok(());
    }
    let log = cluster.layout.log(part);
    bail!(
        "{part} is not ready after {}; the last lines of {}:\n{}",
        seconds(PATIENCE),
        log.display(),
        tail(&log, 15)
    )
}

/// Why the cluster is not usable; empty when it is.
fn problems(cluster: &Cluster) -> Result<Vec<String>> {
    let processes = owned(&cluster.layout.state())?;
    let mut problems: Vec<String> = PARTS
        .iter()
        .filter(|part| !processes.iter().any(|process| process.part == **part))
        .map(|part| format!("{part} is not running"))
        .collect();
    if problems.is_empty() {
        let query = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
        match cluster.kubectl().ask(&["get", "node", NODE, "-o", query]) {
            Ok(ready) if ready == "True" => {}
            Ok(_) => problems.push("the node is not ready".to_owned()),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    Ok(problems)
}

fn lock(layout: &Layout) -> Result<File> {
    std::fs::create_dir_all(layout.root())
        .with_context(|| format!("cannot create {}", layout.root().display()))?;
    let file =
        File::create(layout.lock()).with_context(|| format!("cannot open {}", layout.lock().display()))?;
    if file.try_lock().is_err() {
        say("Another `cargo xtask cluster` is at work: waiting for it to end.")?;
        file.lock().context("cannot take the lock on the cluster")?;
    }
    Ok(file)
}
