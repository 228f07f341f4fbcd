//! What a command needs of the machine: Debian packages, and tools that cargo builds into the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::cache::Places;
use crate::process::{logged, output};
use crate::progress::{say, step};

/// A Debian package, and a file by which it is recognised when it is there.
pub(crate) struct Package {
    name: &'static str,
    proof: &'static str,
}

const fn package(name: &'static str, proof: &'static str) -> Package {
    Package { name, proof }
}

/// What the one-node cluster takes from the distribution.
pub(crate) const CLUSTER: &[Package] = &[
    package("runc", "/usr/sbin/runc"),
    package("containernetworking-plugins", "/usr/lib/cni/bridge"),
    package("nftables", "/usr/sbin/nft"),
    package("conntrack", "/usr/sbin/conntrack"),
    package("iproute2", "/usr/sbin/ip"),
    package("mount", "/usr/bin/mount"),
    package("busybox-static", "/usr/bin/busybox"),
];

/// What building the workspace takes beside Rust.
pub(crate) const BUILD: &[Package] = &[
    package("gcc", "/usr/bin/gcc"),
    package("libc6-dev", "/usr/include/stdio.h"),
    package("pkg-config", "/usr/bin/pkg-config"),
];

/// A compiler for kernel programs, with the core library's source.
pub(crate) const KERNEL_COMPILER: &[Package] = &[
    package("rustc-web", "/usr/share/rustc/architecture.mk"),
    package("cargo-web", "/usr/share/cargo/bin/cargo"),
    package(
        "rust-web-src",
        "/usr/lib/rustlib/src/rust/library/core/Cargo.toml",
    ),
];

/// What bpf-linker is built from.
pub(crate) const KERNEL_LINKER: &[Package] = &[
    package("llvm-22-dev", "/usr/lib/llvm-22/include/llvm"),
    package("libpolly-22-dev", "/usr/lib/llvm-22/lib/libPolly.a"),
    package("libzstd-dev", "/usr/include/zstd.h"),
    package("zlib1g-dev", "/usr/include/zlib.h"),
    package("g++", "/usr/bin/g++"),
];

/// Installs those packages that are missing, saying which; on a machine where that is not possible, says what to do.
pub(crate) fn packages(wanted: &[Package]) -> Result<()> {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|package| !Path::new(package.proof).exists())
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let debian = Path::new("/usr/bin/apt-get").exists();
    if !debian || !rustix::process::geteuid().is_root() {
        bail!(
            "these Debian packages are missing: {list}. {}",
            if debian {
                format!("Run `sudo apt-get install {list}`, or run this command as root")
            } else {
                "This machine has no apt-get: install what matches them here, or use Debian 12 or newer"
                    .to_owned()
            }
        );
    }
    step(&format!("install the Debian packages {list}"), || {
        // The lists are fetched first: a machine that never did so finds no package at all.
        let apt = |arguments: &[&str]| {
            output(
                Command::new("apt-get")
                    .env("DEBIAN_FRONTEND", "noninteractive")
                    .args(["-q", "-y", "-o", "DPkg::Lock::Timeout=300"])
                    .args(arguments),
            )
        };
        apt(&["update"])?;
        let mut install = vec!["install", "--no-install-recommends"];
        install.extend(&missing);
        apt(&install).map(drop)
    })
}

/// A Rust tool that is built from its crate, at one version.
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
    /// Further options of `cargo install`.
    options: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

/// Links kernel programs.
pub(crate) const BPF_LINKER: Tool = Tool {
    name: "bpf-linker",
    version: "0.13.0",
    options: &["--no-default-features", "--features", "llvm-22"],
    environment: &[
        ("LLVM_PREFIX", "/usr/lib/llvm-22"),
        ("LD_LIBRARY_PATH", "/usr/lib/llvm-22/lib"),
    ],
};

/// Tools that wait for others most of the time: optimising them costs minutes, and saves seconds.
const NOT_OPTIMISED: &[(&str, &str)] = &[("CARGO_PROFILE_DEV_DEBUG", "0")];

/// Runs tests, each in a process of its own and with a deadline.
pub(crate) const NEXTEST: Tool = Tool {
    name: "cargo-nextest",
    version: "0.9.151",
    options: &[
        "--debug",
        "--no-default-features",
        "--features",
        "default-no-update",
    ],
    environment: NOT_OPTIMISED,
};

/// Checks licences, sources and banned crates.
pub(crate) const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    options: &["--debug", "--no-default-features"],
    environment: NOT_OPTIMISED,
};

/// The path of a tool's program, building it first when it is not in the cache.
pub(crate) fn tool(places: &Places, tool: &Tool) -> Result<PathBuf> {
    let root = places.tool(tool.name, tool.version);
    let program = root.join("bin").join(tool.name);
    if program.exists() {
        return Ok(program);
    }
    let log = places.log(tool.name);
    step(
        &format!(
            "build {} {} (some minutes, the first time only)",
            tool.name, tool.version
        ),
        || {
            let scratch = places.scratch(tool.name);
            let mut cargo = Command::new("cargo");
            cargo
                .current_dir(places.repository())
                .args([
                    "install",
                    tool.name,
                    "--locked",
                    "--version",
                    tool.version,
                    "--root",
                ])
                .arg(&root)
                .args(tool.options)
                .env("CARGO_TARGET_DIR", &scratch)
                .envs(tool.environment.iter().copied());
            logged(&mut cargo, &log)?;
            // Intermediate files are many times the size of the tool, and of no further use.
            std::fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))
        },
    )?;
    Ok(program)
}

/// Go, new enough for the modules of the test cluster.
pub(crate) fn go() -> Result<()> {
    let text = output(Command::new("go").args(["env", "GOVERSION"])).map_err(|error| {
        error.context("Go 1.26 or newer is needed to build Kubernetes: install it from https://go.dev/dl and put it on PATH")
    })?;
    let version = text.trim().trim_start_matches("go");
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if (major, minor) < (1, 26) {
        bail!(
            "Go 1.26 or newer is needed to build Kubernetes, and `go` on PATH is {version}: install a newer one"
        );
    }
    Ok(())
}

/// Refuses to go on without the rights to create mounts, interfaces and cgroups.
pub(crate) fn root(command: &str) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    say(
        "The one-node cluster runs a real kubelet and containerd, which create mounts, network interfaces and cgroups.",
    )?;
    bail!(
        "`cargo xtask {command}` needs root: run it in a root shell, or with `sudo -E env \"PATH=$PATH\" cargo xtask {command}`"
    )
}
