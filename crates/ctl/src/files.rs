//! Finds and reads the files that a person names.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use yagura_crds::source::MAX_FILE_BYTES;

/// Folders are followed this deep: far deeper than people nest, and a loop of links ends.
const MAX_DEPTH: usize = 32;

/// A file and what stands in it.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name, as messages show it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Something named on the command line cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not there or not allowed.
    #[error("cannot read {path}")]
    Read {
        /// What was named or found.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no text.
    #[error("{path} is not UTF-8; is it a YAML file?")]
    NotText {
        /// The file.
        path: String,
    },
    /// Nothing to work on.
    #[error("{path} holds no .yaml or .yml file")]
    Nothing {
        /// The folder.
        path: String,
    },
    /// Folders nest without end.
    #[error("{path} is nested deeper than {MAX_DEPTH} folders; name the folder you mean")]
    TooDeep {
        /// The folder.
        path: String,
    },
}

/// Every file that the paths name: files as they are, folders with all YAML files in them, in the order of their
/// names, each once. Hidden files and folders are passed over unless they are named. `-` is standard input.
pub fn read(paths: &[PathBuf], stdin: impl Read) -> Result<Vec<Source>, ReadError> {
    let mut files = BTreeSet::new();
    let mut with_stdin = false;
    for path in paths {
        if path.as_os_str() == "-" {
            with_stdin = true;
            continue;
        }
        let before = files.len();
        let metadata = fs::metadata(path).map_err(|source| unreadable(path, source))?;
        if metadata.is_dir() {
            walk(path, 0, &mut files)?;
            if files.len() == before && !holds_seen(path, &files) {
                return Err(ReadError::Nothing { path: shown(path) });
            }
        } else {
            files.insert(path.clone());
        }
    }
    let mut sources = Vec::with_capacity(files.len() + usize::from(with_stdin));
    if with_stdin {
        sources.push(source(Path::new("-"), stdin)?);
    }
    for path in files {
        let file = fs::File::open(&path).map_err(|source| unreadable(&path, source))?;
        sources.push(source(&path, file)?);
    }
    Ok(sources)
}

/// A folder named twice holds nothing new, which is no mistake.
fn holds_seen(folder: &Path, files: &BTreeSet<PathBuf>) -> bool {
    files.iter().any(|file| file.starts_with(folder))
}

fn walk(folder: &Path, depth: usize, files: &mut BTreeSet<PathBuf>) -> Result<(), ReadError> {
    if depth == MAX_DEPTH {
        return Err(ReadError::TooDeep { path: shown(folder) });
    }
    for entry in fs::read_dir(folder).map_err(|source| unreadable(folder, source))? {
        let entry = entry.map_err(|source| unreadable(folder, source))?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        // Links are followed: a folder of a ConfigMap is made of them.
        let metadata = fs::metadata(&path).map_err(|source| unreadable(&path, source))?;
        if metadata.is_dir() {
            walk(&path, depth + 1, files)?;
        } else if path
            .extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml")
        {
            files.insert(path);
        }
    }
    Ok(())
}

/// Reads a little more than a file may hold, so that the one place that knows the limit also says so.
fn source(path: &Path, reader: impl Read) -> Result<Source, ReadError> {
    let mut bytes = Vec::new();
    reader
        .take(MAX_FILE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| unreadable(path, source))?;
    let name = shown(path);
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { name, text }),
        // The cut at the limit may have gone through a character.
        Err(error) if error.as_bytes().len() > MAX_FILE_BYTES => Ok(Source {
            name,
            text: String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }),
        Err(_not_utf8) => Err(ReadError::NotText { path: name }),
    }
}

fn unreadable(path: &Path, source: io::Error) -> ReadError {
    ReadError::Read {
        path: shown(path),
        source,
    }
}

/// A path for a message: control characters in a file's name must not reach the terminal.
pub(crate) fn shown(path: &Path) -> String {
    if path.as_os_str() == "-" {
        return "<stdin>".to_owned();
    }
    yagura_event::Text::from(path.as_os_str().as_encoded_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(sources: &[Source], root: &Path) -> Vec<String> {
        let root = format!("{}/", root.display());
        sources
            .iter()
            .map(|source| source.name.replace(&root, ""))
            .collect()
    }

    #[test]
    fn a_folder_gives_its_yaml_files_once_and_in_order() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("b/.git")).unwrap();
        for name in [
            "b/2.yml",
            "a.yaml",
            "b/1.yaml",
            "README.md",
            "b/.git/x.yaml",
            ".hidden.yaml",
        ] {
            fs::write(at(name), name).unwrap();
        }
        symlink(at("a.yaml"), at("b/link.yaml")).unwrap();
        let paths = [root.path().to_owned(), at("b"), at("README.md")];
        let sources = read(&paths, io::empty()).unwrap();
        assert_eq!(
            names(&sources, root.path()),
            ["README.md", "a.yaml", "b/1.yaml", "b/2.yml", "b/link.yaml"]
        );
        assert_eq!(sources[4].text, "a.yaml");
    }

    #[test]
    fn standard_input_comes_first_and_has_a_name() {
        let sources = read(&["-".into()], &b"kind: x"[..]).unwrap();
        assert_eq!(
            (sources[0].name.as_str(), sources[0].text.as_str()),
            ("<stdin>", "kind: x")
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let root = tempfile::tempdir().unwrap();
        let empty = read(&[root.path().to_owned()], io::empty()).unwrap_err();
        assert!(
            empty.to_string().ends_with("holds no .yaml or .yml file"),
            "{empty}"
        );
        let missing = read(&[root.path().join("no\x1b[2J")], io::empty()).unwrap_err();
        assert!(missing.to_string().ends_with("/no\\x1b[2J"), "{missing}");
        let binary = root.path().join("b.yaml");
        fs::write(&binary, b"\xff\xfe").unwrap();
        let error = read(&[binary], io::empty()).unwrap_err();
        assert!(error.to_string().contains("is not UTF-8"), "{error}");
        symlink(root.path(), root.path().join("loop")).unwrap();
        let error = read(&[root.path().to_owned()], io::empty()).unwrap_err();
        assert!(error.to_string().contains("nested deeper"), "{error}");
    }

    #[test]
    fn a_file_without_end_is_read_up_to_the_limit() {
        let sources = read(&["-".into()], io::repeat(b'x')).unwrap();
        assert_eq!(sources[0].text.len(), MAX_FILE_BYTES + 1);
    }
}
