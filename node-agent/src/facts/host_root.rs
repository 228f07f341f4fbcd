//! The host's file system as seen from wherever the agent runs.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use yagura_event::Known;

/// The host's root folder cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the host's root folder {}", path.display())]
pub struct HostRootError {
    path: PathBuf,
    #[source]
    source: Errno,
}

/// The host's root folder: `/`, or where the host's `/` is mounted in a container. Absolute
/// links below it lead to the host's files, not the container's, and none leads out of it.
#[derive(Debug)]
pub struct HostRoot {
    path: PathBuf,
    folder: OwnedFd,
}

impl HostRoot {
    /// Opens the folder.
    pub fn open(path: &Path) -> Result<Self, HostRootError> {
        rustix::fs::open(
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map(|folder| Self {
            path: path.to_owned(),
            folder,
        })
        .map_err(|source| HostRootError {
            path: path.to_owned(),
            source,
        })
    }

    /// The host's `/proc`.
    pub(super) fn proc(&self) -> PathBuf {
        self.path.join("proc")
    }

    /// Mode and owner of what `path` names, links followed.
    pub(super) fn stat(&self, path: &[u8]) -> Known<Stat> {
        self.resolve(path, OFlags::PATH)
            .and_then(|file| Known::from(rustix::fs::fstat(file).ok()).or_unknown())
    }

    /// Content of a regular file of at most `limit` bytes.
    pub(super) fn read(&self, path: &[u8], limit: u64) -> Known<Vec<u8>> {
        // A FIFO in the file's place must not hold the agent up.
        self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK)
            .and_then(|file| read_regular(File::from(file), limit).or_unknown())
    }

    /// Names in a folder, sorted.
    pub(super) fn list(&self, path: &[u8]) -> Known<Vec<Vec<u8>>> {
        self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY)
            .and_then(|folder| {
                let Ok(entries) = rustix::fs::Dir::new(folder) else {
                    return Known::Unknown;
                };
                let mut names = Vec::new();
                for entry in entries {
                    let Ok(entry) = entry else {
                        return Known::Unknown;
                    };
                    let name = entry.file_name().to_bytes();
                    if name != b"." && name != b".." {
                        names.push(name.to_vec());
                    }
                }
                names.sort();
                Known::Present(names)
            })
    }

    fn resolve(&self, path: &[u8], flags: OFlags) -> Known<OwnedFd> {
        let opened = rustix::fs::openat2(
            &self.folder,
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        );
        match opened {
            Ok(file) => Known::Present(file),
            Err(Errno::NOENT | Errno::NOTDIR) => Known::Absent,
            Err(_) => Known::Unknown,
        }
    }
}

fn read_regular(file: File, limit: u64) -> Known<Vec<u8>> {
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Known::Unknown;
    }
    let mut content = Vec::new();
    match file.take(limit + 1).read_to_end(&mut content) {
        Ok(_) if content.len() as u64 <= limit => Known::Present(content),
        _ => Known::Unknown,
    }
}

trait OrUnknown {
    /// What exists but does not tell is unknown, not absent.
    fn or_unknown(self) -> Self;
}

impl<T> OrUnknown for Known<T> {
    fn or_unknown(self) -> Self {
        match self {
            Self::Absent => Self::Unknown,
            other => other,
        }
    }
}
