//! Builds the kernel programs with a compiler that can: they need a target of their own, the
//! source of `core` and a linker for BPF. Where one of them is missing the object is empty, so
//! that everything else still builds; the agent then says at its start what to install.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Name of the binary target of the kernel programs.
const PROGRAMS: &str = "yagura-node-agent-ebpf";
/// Version of the linker that the project builds with.
const LINKER: &str = "bpf-linker-0.13.0";
/// Where the linker's LLVM lives when it is not in the loader's path.
const LLVM_LIB: &str = "/usr/lib/llvm-22/lib";

/// A compiler that can build for the BPF target.
struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
}

fn main() {
    let root = manifest_dir().join("..");
    for input in [
        "node-agent-ebpf/src",
        "node-agent-ebpf/Cargo.toml",
        "crates/node-agent-ebpf-common/src",
        "crates/node-agent-ebpf-common/Cargo.toml",
        "Cargo.toml",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    println!("cargo::rerun-if-env-changed=YAGURA_CACHE");
    println!("cargo::rerun-if-changed=build.rs");

    let object = out_dir().join(PROGRAMS);
    if let Err(reason) = build(&root) {
        println!(
            "cargo::warning=the kernel programs are left out, so the agent built here will refuse to run: {reason}"
        );
        fs::write(&object, []).expect("the output folder is writable");
    }
}

/// Builds the object into the output folder, or says what is missing.
fn build(root: &Path) -> Result<(), String> {
    let toolchain = toolchain()?;
    let linker = linker()?;
    println!("cargo::rerun-if-changed={}", linker.display());

    let little = env::var("CARGO_CFG_TARGET_ENDIAN").is_ok_and(|endian| endian == "little");
    let target = if little {
        "bpfel-unknown-none"
    } else {
        "bpfeb-unknown-none"
    };
    let arch = env::var("CARGO_CFG_TARGET_ARCH").map_err(|error| error.to_string())?;
    let flags = [
        format!("--cfg=bpf_target_arch=\"{arch}\""),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
    ];

    let mut command = Command::new(&toolchain.cargo);
    for (name, _) in env::vars_os() {
        // What the outer build chose (wrappers, flags, targets) is not for the inner one.
        if let Some(name) = name.to_str()
            && (name.starts_with("CARGO") || name.starts_with("RUST"))
            && !matches!(name, "CARGO_HOME" | "RUSTUP_HOME")
        {
            command.env_remove(name);
        }
    }
    let output = command
        .arg("build")
        .arg("--manifest-path")
        .arg(root.join("node-agent-ebpf/Cargo.toml"))
        .args(["--release", "--bin", PROGRAMS, "--target", target])
        .args(["-Z", "build-std=core", "-Z", "unstable-options"])
        .arg("--target-dir")
        .arg(target_dir())
        .arg("--artifact-dir")
        .arg(out_dir())
        .env("RUSTC", &toolchain.rustc)
        // The target is not part of a stable release; its compiler is.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env(
            format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace('-', "_")),
            &linker,
        )
        .env("LD_LIBRARY_PATH", library_path())
        .output()
        .map_err(|error| format!("{} cannot be started: {error}", toolchain.cargo.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    for line in errors.lines() {
        println!("cargo::warning={line}");
    }
    Err("their build failed, see above".to_owned())
}

/// A compiler with the source of `core`: the system's own, or rustup's nightly.
fn toolchain() -> Result<Toolchain, String> {
    let system = Toolchain {
        cargo: "/usr/bin/cargo".into(),
        rustc: "/usr/bin/rustc".into(),
    };
    if has_source(&system) {
        return Ok(system);
    }
    let nightly = ["cargo", "rustc"].map(|tool| {
        let mut command = Command::new("rustup");
        command.env_remove("RUSTUP_TOOLCHAIN");
        stdout(command.args(["which", "--toolchain", "nightly", tool]))
    });
    if let [Some(cargo), Some(rustc)] = nightly {
        let nightly = Toolchain {
            cargo: cargo.into(),
            rustc: rustc.into(),
        };
        if has_source(&nightly) {
            return Ok(nightly);
        }
    }
    Err(
        "no compiler with the source of core: install Debian's rustc-web, cargo-web and \
         rust-web-src, or run `rustup toolchain install nightly --component rust-src`"
            .to_owned(),
    )
}

fn has_source(toolchain: &Toolchain) -> bool {
    toolchain.cargo.exists()
        && stdout(
            Command::new(&toolchain.rustc)
                .args(["--print", "sysroot"])
                .env_remove("RUSTUP_TOOLCHAIN"),
        )
        .is_some_and(|root| {
            Path::new(&root)
                .join("lib/rustlib/src/rust/library/core/Cargo.toml")
                .exists()
        })
}

/// The linker: in the cache, where `cargo xtask` puts it, or in the path.
fn linker() -> Result<PathBuf, String> {
    let cached = cache_dir().map(|cache| cache.join(LINKER).join("bin/bpf-linker"));
    let in_path = env::var_os("PATH")
        .into_iter()
        .flat_map(|path| env::split_paths(&path).collect::<Vec<_>>())
        .map(|folder| folder.join("bpf-linker"));
    if let Some(cached) = &cached {
        // Named even when it is missing, so that the build runs again once it is there.
        println!("cargo::rerun-if-changed={}", cached.display());
    }
    cached
        .into_iter()
        .chain(in_path)
        .find(|linker| linker.exists())
        .ok_or_else(|| {
            "no bpf-linker: run `cargo install bpf-linker --version 0.13.0 --no-default-features \
             --features llvm-22`"
                .to_owned()
        })
}

/// Shared by all checkouts, because `core` takes most of the time and is the same for all.
fn target_dir() -> PathBuf {
    cache_dir().map_or_else(|| out_dir().join("bpf-target"), |cache| cache.join("bpf-target"))
}

fn cache_dir() -> Option<PathBuf> {
    env::var_os("YAGURA_CACHE")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/yagura")))
}

fn library_path() -> String {
    match env::var("LD_LIBRARY_PATH") {
        Ok(path) if !path.is_empty() => format!("{LLVM_LIB}:{path}"),
        _ => LLVM_LIB.to_owned(),
    }
}

fn stdout(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn out_dir() -> PathBuf {
    PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"))
}

fn manifest_dir() -> PathBuf {
    PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR for build scripts"))
}
