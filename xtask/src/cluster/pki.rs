//! Certificates and kubeconfigs: authorities for the cluster, for etcd and for extensions of the API
//! server, and a key for service accounts.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SerialNumber,
};

use super::layout::{API_SERVICE, LOOPBACK, Layout, NODE, NODE_ADDRESS};

/// The cluster is thrown away long before.
const VALID_FOR: Duration = Duration::from_hours(365 * 24);

/// A machine whose clock was set back a little must still accept the certificates.
const VALID_SINCE: Duration = Duration::from_hours(1);

/// One end of TLS connections.
struct Identity<'a> {
    /// File name without its ending.
    file: &'a str,
    /// Common name: a user's name to the API server.
    name: &'a str,
    /// Organization: a user's group to the API server.
    group: Option<&'a str>,
    /// Names and addresses under which it serves.
    serves: &'a [&'a str],
}

const CLUSTER: &[Identity<'_>] = &[
    Identity {
        file: "apiserver",
        name: "kube-apiserver",
        group: None,
        serves: &[
            NODE_ADDRESS,
            API_SERVICE,
            LOOPBACK,
            "localhost",
            NODE,
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ],
    },
    client(
        "apiserver-kubelet-client",
        "kube-apiserver-kubelet-client",
        Some("system:masters"),
    ),
    Identity {
        file: "kubelet-server",
        name: NODE,
        group: None,
        serves: &[NODE, NODE_ADDRESS],
    },
    client("kubelet", "system:node:node-1", Some("system:nodes")),
    client("kube-controller-manager", "system:kube-controller-manager", None),
    client("kube-scheduler", "system:kube-scheduler", None),
    client("kube-proxy", "system:kube-proxy", None),
    client("coredns", "system:coredns", None),
    client("admin", "admin", Some("system:masters")),
];

const ETCD: &[Identity<'_>] = &[
    Identity {
        file: "etcd-server",
        name: "etcd",
        group: None,
        serves: &[NODE_ADDRESS, LOOPBACK],
    },
    client("etcd-client", "kube-apiserver", None),
];

/// By which the API server proves to an API server that extends it who is asking.
const FRONT_PROXY: &[Identity<'_>] = &[client("front-proxy-client", "front-proxy-client", None)];

/// Users that get a kubeconfig.
const USERS: &[&str] = &[
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "coredns",
];

const fn client<'a>(file: &'a str, name: &'a str, group: Option<&'a str>) -> Identity<'a> {
    Identity {
        file,
        name,
        group,
        serves: &[],
    }
}

/// Writes all certificates, keys and kubeconfigs.
pub(crate) fn write(layout: &Layout) -> Result<()> {
    for folder in [layout.in_state("pki"), layout.in_state("kubeconfigs")] {
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let mut serial = 1;
    for (file, name, identities) in [
        ("ca", "yagura-cluster", CLUSTER),
        ("etcd-ca", "yagura-etcd", ETCD),
        ("front-proxy-ca", "yagura-front-proxy", FRONT_PROXY),
    ] {
        let authority = authority(name, serial)?;
        private(&layout.pki(&format!("{file}.crt")), &authority.pem())?;
        private(
            &layout.pki(&format!("{file}.key")),
            &authority.key().serialize_pem(),
        )?;
        for identity in identities {
            serial += 1;
            issue(layout, &authority, identity, serial)?;
        }
        serial += 1;
    }
    let accounts = KeyPair::generate().context("cannot generate the service accounts' key")?;
    private(&layout.pki("service-accounts.key"), &accounts.serialize_pem())?;
    private(&layout.pki("service-accounts.pub"), &accounts.public_key_pem())?;

    for user in USERS {
        let text = kubeconfig(layout, user)?;
        private(&layout.part_kubeconfig(user), &text)?;
    }
    private(&layout.kubeconfig(), &kubeconfig(layout, "admin")?)
}

fn authority(name: &str, serial: u64) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = params(name, serial, &[])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().context("cannot generate a key")?;
    CertifiedIssuer::self_signed(params, key).with_context(|| format!("cannot sign the authority {name}"))
}

fn issue(
    layout: &Layout,
    authority: &CertifiedIssuer<'_, KeyPair>,
    identity: &Identity<'_>,
    serial: u64,
) -> Result<()> {
    let mut params = params(identity.name, serial, identity.serves)?;
    if let Some(group) = identity.group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = if identity.serves.is_empty() {
        vec![ExtendedKeyUsagePurpose::ClientAuth]
    } else {
        // etcd's gateway calls its own server with the server's certificate.
        vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ]
    };
    let key = KeyPair::generate().context("cannot generate a key")?;
    let certificate = params
        .signed_by(&key, authority)
        .with_context(|| format!("cannot sign the certificate of {}", identity.name))?;
    private(&layout.pki(&format!("{}.crt", identity.file)), &certificate.pem())?;
    private(
        &layout.pki(&format!("{}.key", identity.file)),
        &key.serialize_pem(),
    )
}

fn params(name: &str, serial: u64, serves: &[&str]) -> Result<CertificateParams> {
    let names: Vec<String> = serves.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).with_context(|| format!("impossible names for {name}"))?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    let now = SystemTime::now();
    params.not_before = (now - VALID_SINCE).into();
    params.not_after = (now + VALID_FOR).into();
    Ok(params)
}

fn kubeconfig(layout: &Layout, user: &str) -> Result<String> {
    let path = |file: String| layout.pki(&file).display().to_string();
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "yagura", "cluster": {
            "server": layout.api_server(),
            "certificate-authority": path("ca.crt".to_owned()),
        }}],
        "users": [{"name": user, "user": {
            "client-certificate": path(format!("{user}.crt")),
            "client-key": path(format!("{user}.key")),
        }}],
        "contexts": [{"name": "yagura", "context": {"cluster": "yagura", "user": user}}],
        "current-context": "yagura",
    });
    serde_json::to_string_pretty(&config).context("cannot write a kubeconfig")
}

/// Writes a file that only its owner reads, whole or not at all.
fn private(path: &Path, text: &str) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .with_context(|| format!("cannot create {}", unfinished.display()))?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("cannot write {}", unfinished.display()))?;
    std::fs::rename(&unfinished, path).with_context(|| format!("cannot rename to {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn kubeconfigs_name_files_that_exist_and_nobody_else_reads() {
        let root = std::env::temp_dir().join(format!("xtask-pki-{}", std::process::id()));
        let layout = Layout::alone(root.clone());
        write(&layout).unwrap();
        let mut configs: Vec<_> = USERS.iter().map(|user| layout.part_kubeconfig(user)).collect();
        configs.push(layout.kubeconfig());
        for config in configs {
            let text = std::fs::read_to_string(&config).unwrap();
            let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
            let user = &parsed["users"][0]["user"];
            let cluster = &parsed["clusters"][0]["cluster"];
            for file in [
                &user["client-certificate"],
                &user["client-key"],
                &cluster["certificate-authority"],
            ] {
                let mode = std::fs::metadata(file.as_str().unwrap())
                    .unwrap()
                    .permissions()
                    .mode();
                assert_eq!(mode & 0o777, 0o600, "{file}");
            }
        }
        std::fs::remove_dir_all(root).unwrap();
    }
}
