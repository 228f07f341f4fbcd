//! Images that every cluster starts with, and loading others.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::Cluster;
use crate::oci::{Entry, Image, write};
use crate::process::output;

/// Holds a pod together.
pub(crate) const PAUSE_IMAGE: &str = "docker.io/yagura/pause:1";

/// What tests and demos run in pods.
pub(crate) const BUSYBOX_IMAGE: &str = "docker.io/library/busybox:1";

/// Makes and imports the images that every cluster starts with.
pub(crate) fn load_basic(cluster: &Cluster) -> Result<()> {
    let pause = Image {
        name: PAUSE_IMAGE.to_owned(),
        entrypoint: vec!["/pause".to_owned()],
        user: "65535:65535".to_owned(),
        files: vec![Entry::File("pause".to_owned(), cluster.programs.pause(), 0o755)],
        ..Image::default()
    };
    for (file, image) in [("pause.tar", pause), ("busybox.tar", busybox()?)] {
        let target = cluster.layout.in_state(file);
        write(&image, &target)?;
        load(cluster, &target)?;
    }
    Ok(())
}

/// Imports an image archive.
pub(crate) fn load(cluster: &Cluster, archive: &Path) -> Result<()> {
    let mut ctr = Command::new(cluster.programs.containerd("ctr"));
    ctr.arg("--address").arg(cluster.layout.containerd_socket());
    // Everything is unpacked here, and not when the first pod needs it.
    ctr.args(["--namespace", "k8s.io", "image", "import"])
        .arg(archive);
    output(&mut ctr).map(drop)
}

fn busybox() -> Result<Image> {
    let program = Path::new("/usr/bin/busybox");
    // ldd fails for what needs no library.
    if output(Command::new("ldd").arg(program)).is_ok() {
        bail!(
            "{} needs shared libraries: replace the package busybox by busybox-static",
            program.display()
        );
    }
    let commands = output(Command::new(program).arg("--list")).context("busybox does not run")?;
    let folder = |path: &str, mode| Entry::Folder(path.to_owned(), mode);
    let mut files = vec![
        folder("bin", 0o755),
        folder("etc", 0o755),
        folder("home", 0o755),
        folder("root", 0o700),
        folder("tmp", 0o1777),
        folder("usr", 0o755),
        folder("var", 0o755),
        folder("var/tmp", 0o1777),
        Entry::Link("usr/bin".to_owned(), "../bin".to_owned()),
        Entry::Link("sbin".to_owned(), "bin".to_owned()),
        Entry::Text(
            "etc/passwd".to_owned(),
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n".to_owned(),
            0o644,
        ),
        Entry::Text(
            "etc/group".to_owned(),
            "root:x:0:\nnogroup:x:65534:\n".to_owned(),
            0o644,
        ),
        Entry::File("bin/busybox".to_owned(), program.to_path_buf(), 0o755),
    ];
    for command in commands
        .lines()
        .map(str::trim)
        .filter(|command| !command.is_empty() && *command != "busybox")
    {
        files.push(Entry::Link(format!("bin/{command}"), "busybox".to_owned()));
    }
    Ok(Image {
        name: BUSYBOX_IMAGE.to_owned(),
        entrypoint: vec!["/bin/sh".to_owned()],
        environment: vec!["PATH=/bin".to_owned()],
        files,
        ..Image::default()
    })
}
