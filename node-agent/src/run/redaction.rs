//! What the redactor needs of the outside: the user's patterns, and a key that stays the node's own.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rand::Rng;

use crate::args::RunArgs;
use crate::redact::{Key, PatternError, Redactor};

/// A file with the most and the longest patterns is smaller.
const MAX_FILE: u64 = 256 << 10;

/// Redaction cannot be set up: the agent does not start, since it would show what it was told to hide.
#[derive(Debug, thiserror::Error)]
pub enum RedactionError {
    /// A pattern cannot be used.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The file of patterns cannot be read.
    #[error("cannot read the patterns to redact in {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file of patterns is too large.
    #[error("{} has more than {} KiB; it should hold one pattern to redact a line", path.display(), MAX_FILE >> 10)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The key cannot be kept.
    #[error("cannot keep the key that redacted values are told apart by in {}; give another folder with --state-dir", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// The redactor that the command line asks for. An agent that reports keeps its key: groups of one secret stay the
/// same group over a restart.
pub(super) fn redactor(args: &RunArgs) -> Result<Redactor, RedactionError> {
    let mut patterns = args.redact.clone();
    if let Some(path) = &args.redact_file {
        patterns.extend(lines(path)?);
    }
    let key = if args.operator.is_some() {
        kept_key(&args.state_dir.join("redaction.key"))?
    } else {
        Key::new(rand::rng().random())
    };
    Ok(Redactor::new(key, &patterns)?)
}

/// One pattern a line. Empty lines, and those that begin with `#`, are none.
fn lines(path: &Path) -> Result<Vec<String>, RedactionError> {
    let failed = |source| RedactionError::File {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let mut file = fs::File::open(path).map_err(failed)?.take(MAX_FILE + 1);
    let length = file.read_to_string(&mut text).map_err(failed)?;
    if length as u64 > MAX_FILE {
        return Err(RedactionError::TooLarge {
            path: path.to_owned(),
        });
    }
    let is_pattern = |line: &&str| !line.is_empty() && !line.starts_with('#');
    Ok(text.lines().filter(is_pattern).map(str::to_owned).collect())
}

/// The key of this node, made at the first start. Only its owner can read it.
fn kept_key(path: &Path) -> Result<Key, RedactionError> {
    let failed = |source| RedactionError::Key {
        path: path.to_owned(),
        source,
    };
    match fs::read(path) {
        Ok(bytes) => match <[u8; Key::BYTES]>::try_from(bytes) {
            Ok(bytes) => return Ok(Key::new(bytes)),
            Err(bytes) => tracing::warn!(
                path = %path.display(),
                bytes = bytes.len(),
                "the key for redacted values is damaged and replaced: groups by a secret begin anew"
            ),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let bytes: [u8; Key::BYTES] = rand::rng().random();
    let fresh = path.with_extension("new");
    // A rest of an interrupted start is in the way of nothing.
    let write = || {
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(failed)?;
    Ok(Key::new(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use clap::Parser;

    use super::{RedactionError, kept_key, lines, redactor};
    use crate::args::{Cli, Command};

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("redaction.key");
        kept_key(&path).unwrap();
        let first = fs::read(&path).unwrap();
        kept_key(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        fs::write(&path, "short").unwrap();
        fs::write(folder.path().join("redaction.new"), "rest").unwrap();
        kept_key(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap().len(), 32);
    }

    #[test]
    fn patterns_come_from_flags_and_a_file_and_a_mistake_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("patterns");
        fs::write(&file, "# ours\nemployee-[0-9]+\n\nticket=(.+)\n").unwrap();
        assert_eq!(lines(&file).unwrap(), ["employee-[0-9]+", "ticket=(.+)"]);
        let start = |more: &[&str]| {
            let line = [
                &["yagura-agent", "run", "--redact-file", file.to_str().unwrap()],
                more,
            ]
            .concat();
            let Command::Run(args) = Cli::try_parse_from(line).unwrap().command else {
                panic!("run was given");
            };
            redactor(&args)
        };
        assert!(start(&["--redact", "x-[a-z]+"]).is_ok());
        let error = start(&["--redact", "("]).unwrap_err();
        assert!(matches!(error, RedactionError::Pattern(_)), "{error}");
        fs::remove_file(&file).unwrap();
        assert!(
            start(&[])
                .unwrap_err()
                .to_string()
                .contains("cannot read the patterns")
        );
    }
}
