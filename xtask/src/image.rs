//! Container images of the operator and the agent: the program, the shared libraries it names, and nothing else that
//! could be run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::cache::Places;
use crate::oci::{Entry, Image, write};
use crate::process::{output, shown_live};
use crate::progress::{say, step};
use crate::{bpf, install};

/// How the programs are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// What is shipped.
    Release,
}

/// A program that gets an image.
struct Program {
    package: &'static str,
    name: &'static str,
    image: &'static str,
    user: &'static str,
}

/// The operator needs no right on its node; the agent gets its capabilities from the chart.
const PROGRAMS: &[Program] = &[
    Program {
        package: "yagura-operator",
        name: "yagura-operator",
        image: "operator",
        user: "65532:65532",
    },
    Program {
        package: "yagura-node-agent",
        name: "yagura-agent",
        image: "agent",
        user: "0:0",
    },
];

/// Registry and repository in front of an image's name, as the chart has it by default.
const REPOSITORY: &str = "docker.io/yagura";

/// The tag, which is also the chart's default.
const TAG: &str = env!("CARGO_PKG_VERSION");

/// Builds the programs, both in one run, so that they share what they depend on.
pub(crate) fn build(places: &Places, profile: Profile) -> Result<()> {
    install::packages(install::BUILD)?;
    bpf::prepare(places)?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(places.repository()).args(["build", "--locked"]);
    for program in PROGRAMS {
        cargo.args(["--package", program.package, "--bin", program.name]);
    }
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    step("build the operator and the agent", || shown_live(&mut cargo))
}

/// Builds the programs and packs one image each.
pub(crate) fn run(places: &Places, profile: Profile) -> Result<()> {
    build(places, profile)?;
    pack(places, profile)
}

/// Packs an image of each program as it was last built.
pub(crate) fn pack(places: &Places, profile: Profile) -> Result<()> {
    let built = target_folder(places)?.join(match profile {
        Profile::Dev => "debug",
        Profile::Release => "release",
    });
    for (program, archive) in PROGRAMS.iter().zip(archives(places)) {
        let image = image(program, &built.join(program.name))?;
        step(&format!("pack {}", image.name), || write(&image, &archive))?;
        say(format!("       {}", archive.display()))?;
    }
    Ok(())
}

/// Where the image archives are, once they are built.
pub(crate) fn archives(places: &Places) -> Vec<PathBuf> {
    PROGRAMS
        .iter()
        .map(|program| places.images().join(format!("{}.tar", program.name)))
        .collect()
}

/// Where cargo puts what it builds; a variable or a configuration may have moved it.
pub(crate) fn target_folder(places: &Places) -> Result<PathBuf> {
    let metadata = output(Command::new("cargo").current_dir(places.repository()).args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--locked",
    ]))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).context("cannot read cargo metadata")?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .context("cargo metadata names no target folder")
}

fn image(program: &Program, binary: &Path) -> Result<Image> {
    let listed = output(Command::new("ldd").arg(binary))?;
    let mut files = vec![
        Entry::Folder("etc".to_owned(), 0o755),
        Entry::Folder("tmp".to_owned(), 0o1777),
        Entry::Text(
            "etc/passwd".to_owned(),
            "root:x:0:0:root:/:/nowhere\nyagura:x:65532:65532:yagura:/:/nowhere\n".to_owned(),
            0o644,
        ),
        Entry::Text(
            "etc/group".to_owned(),
            "root:x:0:\nyagura:x:65532:\n".to_owned(),
            0o644,
        ),
        // Without it, the C library asks only the name server and never the hosts file.
        Entry::Text(
            "etc/nsswitch.conf".to_owned(),
            "hosts: files dns\n".to_owned(),
            0o644,
        ),
        Entry::File(program.name.to_owned(), binary.to_path_buf(), 0o755),
    ];
    let libraries = libraries(&listed)?;
    for folder in folders(&libraries) {
        files.push(Entry::Folder(folder, 0o755));
    }
    for library in libraries {
        let path = library.trim_start_matches('/').to_owned();
        files.push(Entry::File(path, PathBuf::from(library), 0o755));
    }
    Ok(Image {
        name: format!("{REPOSITORY}/{}:{TAG}", program.image),
        entrypoint: vec![format!("/{}", program.name)],
        user: program.user.to_owned(),
        files,
        ..Image::default()
    })
}

/// Paths of the libraries in the output of ldd, which prints `name => path (address)`, and `path (address)` for the
/// loader.
fn libraries(listed: &str) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for line in listed.lines().map(str::trim) {
        if line.ends_with("not found") {
            bail!("a shared library is missing on this machine: {line}");
        }
        let path = line.split_once(" => ").map_or(line, |(_, path)| path);
        if let Some((path, _)) = path.split_once(" (")
            && path.starts_with('/')
        {
            paths.push(path.to_owned());
        }
    }
    Ok(paths)
}

/// All folders above the given absolute paths, parents first, without a leading slash.
fn folders(paths: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in paths {
        let mut folder = Path::new(path).parent();
        while let Some(current) = folder {
            let name = current.to_string_lossy().trim_start_matches('/').to_owned();
            if !name.is_empty() {
                found.insert(name);
            }
            folder = current.parent();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                          \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f1)\n\
                          \t/lib64/ld-linux-x86-64.so.2 (0x00007f2)\n";

    #[test]
    fn libraries_and_loader_are_packed() {
        let libraries = libraries(LISTED).unwrap();
        assert_eq!(
            libraries,
            ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]
        );
        let folders: Vec<String> = folders(&libraries).into_iter().collect();
        assert_eq!(folders, ["lib", "lib/x86_64-linux-gnu", "lib64"]);
    }

    #[test]
    fn a_missing_library_is_an_error() {
        assert!(libraries("\tlibx.so => not found\n").is_err());
        assert_eq!(libraries("\tstatically linked\n").unwrap(), Vec::<String>::new());
    }
}
