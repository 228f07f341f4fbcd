//! Container images, written by hand: one layer of files, packed as an OCI image layout in a tar archive, which is what
//! `ctr image import`, `docker load` and `skopeo` read.

mod tar;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use tar::Archive;

/// What an image is made of, beside its files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    /// Full name with registry and tag, such as `docker.io/library/busybox:1`.
    pub(crate) name: String,
    /// The command that runs when nobody says otherwise.
    pub(crate) entrypoint: Vec<String>,
    /// `uid:gid` of the first process; root when empty.
    pub(crate) user: String,
    /// `NAME=value` pairs.
    pub(crate) environment: Vec<String>,
    /// The files, in an order in which parents come before children.
    pub(crate) files: Vec<Entry>,
}

/// One entry of an image's only layer; paths are without a leading slash.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// A folder and its mode.
    Folder(String, u32),
    /// A file with given content and its mode.
    Text(String, String, u32),
    /// A file of this machine and its mode.
    File(String, PathBuf, u32),
    /// A symbolic link and what it points at.
    Link(String, String),
}

/// Writes an image to a file, whole or not at all. The same input gives the same bytes.
pub(crate) fn write(image: &Image, target: &Path) -> Result<()> {
    let mut layer = Archive::default();
    for entry in &image.files {
        match entry {
            Entry::Folder(path, mode) => layer.folder(path, *mode)?,
            Entry::Text(path, text, mode) => layer.file(path, text.as_bytes(), *mode)?,
            Entry::File(path, source, mode) => {
                let bytes =
                    std::fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
                layer.file(path, &bytes, *mode)?;
            }
            Entry::Link(path, points_at) => layer.link(path, points_at)?,
        }
    }
    let layer = layer.finish();
    let layer_digest = digest(&layer);

    let config = bytes(&json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {"Entrypoint": image.entrypoint, "User": image.user, "Env": image.environment},
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        "history": [{"created_by": "cargo xtask image"}],
    }))?;
    let manifest = bytes(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    }))?;
    let mut listed = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    listed["annotations"] = json!({
        "io.containerd.image.name": image.name,
        "org.opencontainers.image.ref.name": image.name,
    });
    let index = bytes(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [listed],
    }))?;

    let mut layout = Archive::default();
    layout.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?;
    layout.file("index.json", &index, 0o644)?;
    layout.folder("blobs", 0o755)?;
    layout.folder("blobs/sha256", 0o755)?;
    for blob in [&config, &manifest, &layer] {
        layout.file(&format!("blobs/{}", digest(blob).replace(':', "/")), blob, 0o644)?;
    }
    save(&layout.finish(), target)
}

fn save(archive: &[u8], target: &Path) -> Result<()> {
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let unfinished = target.with_extension("unfinished");
    let file =
        File::create(&unfinished).with_context(|| format!("cannot create {}", unfinished.display()))?;
    let mut file = BufWriter::new(file);
    file.write_all(archive)
        .and_then(|()| file.flush())
        .with_context(|| format!("cannot write {}", unfinished.display()))?;
    std::fs::rename(&unfinished, target).with_context(|| format!("cannot rename to {}", target.display()))
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(blob), "size": blob.len()})
}

fn digest(blob: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(blob))
}

fn bytes(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value).context("cannot write JSON")
}

/// The name that OCI, like Go, gives this machine's architecture.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        Image {
            name: "docker.io/yagura/test:1".to_owned(),
            entrypoint: vec!["/bin/true".to_owned()],
            user: "65532:65532".to_owned(),
            files: vec![
                Entry::Folder("bin".to_owned(), 0o755),
                Entry::Text("bin/true".to_owned(), "#!".to_owned(), 0o755),
                Entry::Link("bin/yes".to_owned(), "true".to_owned()),
            ],
            ..Image::default()
        }
    }

    /// Reads the archive back with the system's tar: an implementation that is not ours.
    #[test]
    fn digests_name_the_blobs() {
        let folder = std::env::temp_dir().join(format!("xtask-oci-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let target = folder.join("image.tar");
        write(&image(), &target).unwrap();
        crate::process::output(
            std::process::Command::new("tar")
                .arg("-xf")
                .arg(&target)
                .arg("-C")
                .arg(&folder),
        )
        .unwrap();

        let read = |path: &str| std::fs::read(folder.join(path)).unwrap();
        let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let blob = |found: &Value| {
            let name = found["digest"].as_str().unwrap();
            let content = read(&format!("blobs/{}", name.replace(':', "/")));
            assert_eq!(digest(&content), name);
            assert_eq!(found["size"], content.len());
            content
        };
        let index = parse(&read("index.json"));
        assert_eq!(
            index["manifests"][0]["annotations"]["io.containerd.image.name"],
            "docker.io/yagura/test:1"
        );
        let manifest = parse(&blob(&index["manifests"][0]));
        let config = parse(&blob(&manifest["config"]));
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);

        let layer = folder.join("layer.tar");
        std::fs::write(&layer, blob(&manifest["layers"][0])).unwrap();
        let listed =
            crate::process::output(std::process::Command::new("tar").args(["-tvf"]).arg(&layer)).unwrap();
        assert!(listed.contains("-rwxr-xr-x 0/0"), "{listed}");
        assert!(listed.contains("bin/yes -> true"), "{listed}");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        let folder = std::env::temp_dir().join(format!("xtask-oci-same-{}", std::process::id()));
        let (first, second) = (folder.join("a.tar"), folder.join("b.tar"));
        write(&image(), &first).unwrap();
        write(&image(), &second).unwrap();
        assert_eq!(std::fs::read(first).unwrap(), std::fs::read(second).unwrap());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
