//! Where everything lives that is not part of the checkout.
//!
//! One folder, `$YAGURA_CACHE` or `~/.cache/yagura`, keyed by version inside, so that a second run finds what the
//! first one built and a checkout can be deleted without leaving anything behind.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The cache folder and the checkout that this binary was built from.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    cache: PathBuf,
    repository: PathBuf,
}

impl Places {
    /// Finds both folders from the environment, and creates the cache folder.
    pub(crate) fn find() -> Result<Self> {
        let cache = match std::env::var_os("YAGURA_CACHE").filter(|value| !value.is_empty()) {
            Some(folder) => PathBuf::from(folder),
            None => match std::env::var_os("HOME").filter(|value| !value.is_empty()) {
                Some(home) => Path::new(&home).join(".cache").join("yagura"),
                None => bail!(
                    "neither YAGURA_CACHE nor HOME is set: set YAGURA_CACHE to a folder for build caches"
                ),
            },
        };
        std::fs::create_dir_all(&cache)
            .with_context(|| format!("cannot create the cache folder {}", cache.display()))?;
        let cache = cache
            .canonicalize()
            .with_context(|| format!("cannot resolve {}", cache.display()))?;
        let repository = match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(manifest) => PathBuf::from(manifest),
            None => PathBuf::from(env!("CARGO_MANIFEST_DIR")),
        };
        let repository = match repository.parent() {
            Some(root) => root.to_path_buf(),
            None => bail!("cannot find the repository above {}", repository.display()),
        };
        Ok(Self { cache, repository })
    }

    /// The checkout's root.
    pub(crate) fn repository(&self) -> &Path {
        &self.repository
    }

    /// Go's build and module caches.
    pub(crate) fn go(&self) -> PathBuf {
        self.cache.join("go")
    }

    /// The folder of one set of built programs; `key` carries name and version.
    pub(crate) fn programs(&self, key: &str) -> PathBuf {
        self.cache.join("bin").join(key)
    }

    /// The root that `cargo install` gets for one tool; the tool itself is in `bin` below it.
    pub(crate) fn tool(&self, name: &str, version: &str) -> PathBuf {
        self.cache.join(format!("{name}-{version}"))
    }

    /// Build folders that are only needed while something is built.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.cache.join("tmp").join(name)
    }

    /// Output of commands that print too much for a terminal.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.cache.join("logs").join(format!("{name}.log"))
    }

    /// Everything of the one-node cluster.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.cache.join("cluster")
    }

    /// What fuzzing one subject found: inputs that reach further, and those that fail.
    pub(crate) fn fuzz(&self, subject: &str) -> PathBuf {
        self.cache.join("fuzz").join(subject)
    }

    /// Built container images.
    pub(crate) fn images(&self) -> PathBuf {
        self.cache.join("images")
    }
}
