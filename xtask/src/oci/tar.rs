//! A tar archive in the format of POSIX.1-1988 (ustar), owned by root and without times, so that it depends on its
//! content alone.

use anyhow::{Result, bail};

const BLOCK: usize = 512;

/// An archive under construction.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
}

impl Archive {
    /// Adds a folder.
    pub(super) fn folder(&mut self, path: &str, mode: u32) -> Result<()> {
        self.header(&format!("{path}/"), mode, 0, b'5', "")
    }

    /// Adds a file.
    pub(super) fn file(&mut self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        self.header(path, mode, content.len(), b'0', "")?;
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        Ok(())
    }

    /// Adds a symbolic link.
    pub(super) fn link(&mut self, path: &str, points_at: &str) -> Result<()> {
        self.header(path, 0o777, 0, b'2', points_at)
    }

    /// Two empty blocks end an archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        self.bytes
    }

    fn header(&mut self, path: &str, mode: u32, size: usize, kind: u8, points_at: &str) -> Result<()> {
        // 8 GiB is what eleven octal digits hold.
        if path.len() > 100 || points_at.len() > 100 || size >= 8 << 30 {
            bail!("{path} does not fit into a tar header");
        }
        let mut header = [0_u8; BLOCK];
        let mut put =
            |offset: usize, text: &str| header[offset..offset + text.len()].copy_from_slice(text.as_bytes());
        put(0, path);
        put(100, &format!("{mode:07o}"));
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{size:011o}"));
        put(136, "00000000000");
        // The sum is taken with its own field full of spaces.
        put(148, "        ");
        put(157, points_at);
        put(257, "ustar");
        put(263, "00");
        header[156] = kind;
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend_from_slice(&header);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_refused_and_not_cut() {
        let mut archive = Archive::default();
        assert!(archive.file(&"a".repeat(101), b"", 0o644).is_err());
        assert!(archive.file(&"a".repeat(100), b"x", 0o644).is_ok());
        assert_eq!(archive.finish().len(), 4 * BLOCK);
    }
}
