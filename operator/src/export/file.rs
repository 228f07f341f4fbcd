//! A file of lines that is bounded: when it is full, it moves aside and a new one begins.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::sink::SinkError;

/// Appends lines durably.
#[derive(Debug)]
pub(super) struct Rotated {
    path: PathBuf,
    file: File,
    bytes: u64,
    limit: u64,
    keep: u32,
}

impl Rotated {
    /// Opens the file, or begins it. `limit` is in bytes, `keep` is how many old files stay.
    pub(super) fn open(path: &Path, limit: u64, keep: u32) -> Result<Self, SinkError> {
        let (file, bytes) = append(path).map_err(|source| SinkError::File {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes,
            limit,
            keep,
        })
    }

    /// Appends lines; when this returns they are on the disk. Lines never stand in two files.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), SinkError> {
        self.try_write(lines).map_err(|source| SinkError::File {
            path: self.path.clone(),
            source,
        })
    }

    fn try_write(&mut self, lines: &[u8]) -> io::Result<()> {
        let length = lines.len() as u64;
        if self.bytes > 0 && self.bytes.saturating_add(length) > self.limit {
            self.rotate()?;
        }
        let before = self.bytes;
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.bytes = before + length,
            // Half a line would spoil the next one, and all of it is written again.
            Err(error) => {
                self.file.set_len(before)?;
                return Err(error);
            }
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for index in (1..self.keep).rev() {
            rename(&self.numbered(index), &self.numbered(index + 1))?;
        }
        rename(&self.path, &self.numbered(1))?;
        (self.file, self.bytes) = append(&self.path)?;
        Ok(())
    }

    fn numbered(&self, index: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{index}"));
        name.into()
    }
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The file, at its end. A line that a crash cut short is cut off: it is sent again.
fn append(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    let length = file.metadata()?.len();
    let whole = whole_lines(&mut file, length)?;
    if whole < length {
        file.set_len(whole)?;
    }
    Ok((file, whole))
}

/// Length of the file up to its last line's end.
fn whole_lines(file: &mut File, length: u64) -> io::Result<u64> {
    const BLOCK: u64 = 64 << 10;
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let mut block = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        Read::by_ref(file).take(end - start).read_to_end(&mut block)?;
        if let Some(last) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Rotated;

    #[test]
    fn a_full_file_moves_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signals.jsonl");
        let mut file = Rotated::open(&path, 10, 2).unwrap();
        for line in [
            "one\n",
            "two\n",
            "three\n",
            "four\n",
            "a long line of its own\n",
            "six\n",
        ] {
            file.write(line.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).ok();
        assert_eq!(read("signals.jsonl").as_deref(), Some("six\n"));
        assert_eq!(
            read("signals.jsonl.1").as_deref(),
            Some("a long line of its own\n")
        );
        assert_eq!(read("signals.jsonl.2").as_deref(), Some("four\n"));
        assert_eq!(read("signals.jsonl.3"), None);
    }

    #[test]
    fn a_line_that_was_cut_short_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signals.jsonl");
        fs::write(&path, "{\"a\":1}\n{\"b\":").unwrap();
        let mut file = Rotated::open(&path, 1 << 20, 2).unwrap();
        file.write(b"{\"b\":2}\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{\"b\":2}\n");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Rotated::open(&folder.path().join("none/signals.jsonl"), 1, 1).unwrap_err();
        assert!(error.to_string().contains("none/signals.jsonl"), "{error}");
    }
}
