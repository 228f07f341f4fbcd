//! The cluster's programs, built from pinned Go modules (`e2e/cluster/*/go.mod`) into the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::cache::Places;
use crate::install;
use crate::process::logged;
use crate::progress::step;

/// One module of `e2e/cluster` and what is built from it.
struct Module {
    folder: &'static str,
    /// The module whose version, as go.mod pins it, is the version of the programs; none for our own programs.
    versioned_by: Option<&'static str>,
    /// `name of the program` and `package`.
    programs: &'static [(&'static str, &'static str)],
    tags: &'static str,
    /// Linker variables that get the version.
    version_variables: &'static [&'static str],
    /// Said while it is built for the first time.
    takes: &'static str,
}

const CONTAINERD: Module = Module {
    folder: "containerd",
    versioned_by: Some("github.com/containerd/containerd/v2"),
    programs: &[
        ("containerd", "github.com/containerd/containerd/v2/cmd/containerd"),
        (
            "containerd-shim-runc-v2",
            "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
        ),
        ("ctr", "github.com/containerd/containerd/v2/cmd/ctr"),
    ],
    // Snapshotters that nobody here uses.
    tags: "no_btrfs,no_devmapper,no_zfs",
    version_variables: &["github.com/containerd/containerd/v2/version.Version"],
    takes: "about 1 minute",
};

const ETCD: Module = Module {
    folder: "etcd",
    versioned_by: Some("go.etcd.io/etcd/server/v3"),
    programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
    tags: "",
    version_variables: &[],
    takes: "about 1 minute",
};

const KUBERNETES: Module = Module {
    folder: "kubernetes",
    versioned_by: Some("k8s.io/kubernetes"),
    programs: &[
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        (
            "kube-controller-manager",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
        ),
        ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
        ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
    ],
    tags: "",
    version_variables: &["k8s.io/component-base/version.gitVersion"],
    takes: "about 5 minutes",
};

const COREDNS: Module = Module {
    folder: "coredns",
    versioned_by: Some("github.com/coredns/coredns"),
    programs: &[("coredns", "yagura.dev/e2e/cluster/coredns")],
    tags: "",
    version_variables: &[],
    takes: "about 1 minute",
};

const PAUSE: Module = Module {
    folder: "pause",
    versioned_by: None,
    programs: &[("pause", "yagura.dev/e2e/cluster/pause")],
    tags: "",
    version_variables: &[],
    takes: "some seconds",
};

const HELM: Module = Module {
    folder: "helm",
    versioned_by: Some("helm.sh/helm/v4"),
    programs: &[("helm", "helm.sh/helm/v4/cmd/helm")],
    tags: "",
    version_variables: &["helm.sh/helm/v4/internal/version.version"],
    takes: "about 2 minutes",
};

/// Paths of the built programs.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    containerd: PathBuf,
    etcd: PathBuf,
    kubernetes: PathBuf,
    coredns: PathBuf,
    pause: PathBuf,
}

impl Programs {
    /// Builds what is not in the cache yet.
    pub(crate) fn build(places: &Places) -> Result<Self> {
        Ok(Self {
            containerd: build(places, &CONTAINERD)?,
            etcd: build(places, &ETCD)?,
            kubernetes: build(places, &KUBERNETES)?,
            coredns: build(places, &COREDNS)?,
            pause: build(places, &PAUSE)?,
        })
    }

    /// The folder with containerd, its shim and ctr.
    pub(crate) fn containerd_folder(&self) -> &Path {
        &self.containerd
    }

    /// One of containerd's programs.
    pub(crate) fn containerd(&self, program: &str) -> PathBuf {
        self.containerd.join(program)
    }

    /// etcd.
    pub(crate) fn etcd(&self) -> PathBuf {
        self.etcd.join("etcd")
    }

    /// The folder with kubectl.
    pub(crate) fn kubernetes_folder(&self) -> &Path {
        &self.kubernetes
    }

    /// One of Kubernetes' programs.
    pub(crate) fn kubernetes(&self, program: &str) -> PathBuf {
        self.kubernetes.join(program)
    }

    /// `CoreDNS`.
    pub(crate) fn coredns(&self) -> PathBuf {
        self.coredns.join("coredns")
    }

    /// The program of the pause image.
    pub(crate) fn pause(&self) -> PathBuf {
        self.pause.join("pause")
    }
}

/// The path of Helm, building it when it is not in the cache yet.
pub(crate) fn helm(places: &Places) -> Result<PathBuf> {
    Ok(build(places, &HELM)?.join("helm"))
}

/// The path of kubectl, building Kubernetes when it is not in the cache yet.
pub(crate) fn kubectl(places: &Places) -> Result<PathBuf> {
    Ok(build(places, &KUBERNETES)?.join("kubectl"))
}

/// A program of the user's own, which serves as well against a cluster of the user's own.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

fn build(places: &Places, module: &Module) -> Result<PathBuf> {
    let source = places
        .repository()
        .join("e2e")
        .join("cluster")
        .join(module.folder);
    let read = |file: &Path| std::fs::read(file).with_context(|| format!("cannot read {}", file.display()));
    let definition = read(&source.join("go.mod"))?;
    let version = match module.versioned_by {
        Some(path) => pinned(&String::from_utf8_lossy(&definition), path)
            .with_context(|| format!("{} pins no version of {path}", source.join("go.mod").display()))?,
        None => "v1".to_owned(),
    };
    // The sums and our own sources count too: a dependency may change under the same version.
    let mut content = definition;
    for file in go_files(&source)? {
        content.extend(read(&file)?);
    }
    let folder = places.programs(&format!(
        "{}-{version}-{:08x}",
        module.folder,
        fingerprint(&content)
    ));
    if folder.is_dir() {
        return Ok(folder);
    }
    install::go()?;
    let log = places.log(module.folder);
    step(
        &format!(
            "build {} {version} ({}, the first time only)",
            module.folder, module.takes
        ),
        || {
            let unfinished = folder.with_extension("unfinished");
            if unfinished.exists() {
                std::fs::remove_dir_all(&unfinished)
                    .with_context(|| format!("cannot remove {}", unfinished.display()))?;
            }
            for (program, package) in module.programs {
                let mut go = Command::new("go");
                go.current_dir(&source)
                    .env("CGO_ENABLED", "0")
                    .env("GOFLAGS", "")
                    .env("GOCACHE", places.go().join("build"))
                    .env("GOMODCACHE", places.go().join("mod"))
                    .args([
                        "build",
                        "-trimpath",
                        "-buildvcs=false",
                        "-mod=readonly",
                        "-tags",
                        module.tags,
                    ])
                    .args(["-ldflags", &linker_flags(module, &version)])
                    .arg("-o")
                    .arg(unfinished.join(program))
                    .arg(package);
                logged(&mut go, &log)?;
            }
            std::fs::rename(&unfinished, &folder)
                .with_context(|| format!("cannot rename to {}", folder.display()))
        },
    )?;
    Ok(folder)
}

fn go_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        if path
            .extension()
            .is_some_and(|ending| ending == "go" || ending == "sum")
        {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!("{} has neither go.sum nor a Go file", folder.display());
    }
    files.sort();
    Ok(files)
}

fn linker_flags(module: &Module, version: &str) -> String {
    let mut flags = vec!["-s -w".to_owned()];
    flags.extend(
        module
            .version_variables
            .iter()
            .map(|variable| format!("-X {variable}={version}")),
    );
    flags.join(" ")
}

/// The version of a module in the text of a go.mod.
fn pinned(definition: &str, module: &str) -> Option<String> {
    definition.lines().find_map(|line| {
        let line = line.trim().trim_start_matches("require ");
        let mut words = line.split_whitespace();
        (words.next() == Some(module)).then(|| words.next().unwrap_or_default().to_owned())
    })
}

/// FNV-1a: a name for content, not a protection.
fn fingerprint(content: &[u8]) -> u32 {
    content.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_go_mod() {
        let single = "module a\n\nrequire k8s.io/kubernetes v1.36.3\n";
        assert_eq!(pinned(single, "k8s.io/kubernetes").as_deref(), Some("v1.36.3"));
        let block = "require (\n\tgo.etcd.io/etcd/server/v3 v3.6.16 // indirect\n)\n";
        assert_eq!(
            pinned(block, "go.etcd.io/etcd/server/v3").as_deref(),
            Some("v3.6.16")
        );
        assert_eq!(pinned(block, "go.etcd.io/etcd"), None);
    }

    #[test]
    fn the_programs_folder_follows_the_content() {
        assert_ne!(fingerprint(b"a v1"), fingerprint(b"a v2"));
        assert_eq!(fingerprint(b""), 0x811c_9dc5);
    }
}
