//! Files of the node's components whose mode and owner matter (CIS Kubernetes 4.1).

use rustix::fs::Stat;
use yagura_event::facts::{FileFact, FileStat, Kubelet};
use yagura_event::{Known, Text};

use super::HostRoot;
use super::accounts::Accounts;
use super::kubelet::{flag, flags};
use super::process::Component;

/// Where a file is when nothing that runs names it: kubeadm's places first, then those of
/// distributions and of Kubernetes' own defaults.
struct Place {
    key: &'static str,
    defaults: &'static [&'static str],
}

const SERVICE: Place = Place {
    key: "kubelet-service",
    defaults: &[
        "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf",
        "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf",
        "/etc/systemd/system/kubelet.service",
        "/usr/lib/systemd/system/kubelet.service",
        "/lib/systemd/system/kubelet.service",
    ],
};

const PROXY_KUBECONFIG: Place = Place {
    key: "proxy-kubeconfig",
    defaults: &[
        "/etc/kubernetes/proxy.conf",
        "/etc/kubernetes/kube-proxy.conf",
        "/var/lib/kube-proxy/kubeconfig",
    ],
};

const KUBELET_KUBECONFIG: Place = Place {
    key: "kubelet-kubeconfig",
    defaults: &["/etc/kubernetes/kubelet.conf", "/var/lib/kubelet/kubeconfig"],
};

const KUBELET_CA: Place = Place {
    key: "kubelet-ca",
    defaults: &["/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/certs/ca.crt"],
};

const KUBELET_CONFIG: Place = Place {
    key: "kubelet-config",
    defaults: &[
        "/var/lib/kubelet/config.yaml",
        "/etc/kubernetes/kubelet/kubelet-config.json",
        "/etc/kubernetes/kubelet-config.yaml",
    ],
};

/// `root` is the file system that the kubelet sees; `proxy` is a kube-proxy that sees the same.
pub(super) fn collect(
    root: Known<&HostRoot>,
    kubelet: Option<&Kubelet>,
    proxy: Option<&Component>,
) -> Vec<FileFact> {
    let accounts = Accounts::read(root);
    let kubelet_flag = |name| kubelet.and_then(|kubelet| flag(&kubelet.flags, name).cloned());
    let proxy_kubeconfig = proxy.and_then(|proxy| flag(&flags(&proxy.args), "kubeconfig").cloned());
    let ca = kubelet_flag("client-ca-file").or_else(|| {
        let config = kubelet?.config.as_ref().present()?;
        match config.at("authentication.x509.clientCAFile")? {
            yagura_event::Tree::Text(path) if !path.is_empty() => Some(path.clone()),
            _ => None,
        }
    });
    [
        (SERVICE, None),
        (PROXY_KUBECONFIG, proxy_kubeconfig),
        (KUBELET_KUBECONFIG, kubelet_flag("kubeconfig")),
        (KUBELET_CA, ca),
        (KUBELET_CONFIG, kubelet_flag("config")),
    ]
    .into_iter()
    .map(|(place, named)| look(root, &accounts, &place, named))
    .collect()
}

/// The file that a running component names, or the first default that exists.
fn look(root: Known<&HostRoot>, accounts: &Accounts, place: &Place, named: Option<Text>) -> FileFact {
    let candidates = match named {
        Some(path) => vec![path],
        None => place.defaults.iter().map(|path| Text::from(*path)).collect(),
    };
    let mut first_absent = None;
    for path in candidates {
        let stat = root.and_then(|root| root.stat(path.as_bytes()));
        let fact = FileFact {
            key: Text::from(place.key),
            path,
            stat: stat.map(|stat| describe(&stat, accounts)),
        };
        if fact.stat != Known::Absent {
            return fact;
        }
        first_absent.get_or_insert(fact);
    }
    first_absent.unwrap_or_default()
}

fn describe(stat: &Stat, accounts: &Accounts) -> FileStat {
    FileStat {
        mode: u16::try_from(stat.st_mode & 0o7777).expect("twelve bits fit"),
        uid: stat.st_uid,
        gid: stat.st_gid,
        owner: accounts.user(stat.st_uid),
        group: accounts.group(stat.st_gid),
    }
}
