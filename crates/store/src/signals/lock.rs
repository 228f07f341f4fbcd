//! The fence: one process at a time has the store.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::StoreError;

/// What another holder wrote about itself is read up to this length.
const MAX_HOLDER: u64 = 256;

/// An exclusive lock on a file beside the store. The system gives it up when the process ends,
/// however it ends, so nothing stale is left to clean.
#[derive(Debug)]
pub(super) struct StoreLock {
    _file: File,
}

impl StoreLock {
    /// Takes the lock or says who has it.
    pub(super) fn take(store: &Path, holder: &str) -> Result<Self, StoreError> {
        let mut path = PathBuf::from(store).into_os_string();
        path.push(".lock");
        let error = |source| StoreError::Lock {
            path: store.to_owned(),
            source,
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(source)) => return Err(error(source)),
            Err(TryLockError::WouldBlock) => {
                let mut text = Vec::new();
                Read::by_ref(&mut file)
                    .take(MAX_HOLDER)
                    .read_to_end(&mut text)
                    .map_err(error)?;
                let text = String::from_utf8_lossy(&text);
                let holder = match text.trim() {
                    "" => "another process that did not name itself yet".to_owned(),
                    name => name.to_owned(),
                };
                return Err(StoreError::Locked {
                    path: store.to_owned(),
                    holder,
                });
            }
        }
        file.set_len(0).map_err(error)?;
        file.seek(SeekFrom::Start(0)).map_err(error)?;
        writeln!(file, "{holder}").map_err(error)?;
        file.sync_data().map_err(error)?;
        Ok(Self { _file: file })
    }
}
