//! A reader for BTF, the kernel's description of its own types: as much as the manifest needs.
//!
//! The bytes may be cut or made up (`--btf` takes any file), so every access is checked.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

mod lookup;
mod parse;

pub use lookup::Position;

/// The types of a kernel, or of one of its modules on top of the kernel's.
#[derive(Debug)]
pub struct Btf<'base> {
    base: Option<&'base Btf<'base>>,
    bytes: Vec<u8>,
    /// Where the strings are in `bytes`.
    strings: std::ops::Range<usize>,
    /// Where each type is in `bytes`, in the order of ids.
    types: Vec<u32>,
}

/// Why a file does not describe a kernel.
#[derive(Debug, Error)]
pub enum BtfError {
    /// It cannot be read.
    #[error(
        "the kernel's type information at {} cannot be read; the kernel needs CONFIG_DEBUG_INFO_BTF=y, \
         or give the path of its BTF with --btf",
        path.display()
    )]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not BTF, or cut, or of a version that is not known.
    #[error("{} is not usable type information (BTF) of a kernel", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
}

/// What is wrong with BTF.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ParseError {
    /// It does not begin as BTF of this machine's byte order does.
    #[error("it does not begin with BTF's magic number")]
    Magic,
    /// A later version.
    #[error("version {0} is not known")]
    Version(u8),
    /// The file ends before what it announces.
    #[error("it is cut short: {needed} bytes are announced and {there} are there")]
    Truncated {
        /// Bytes that the header speaks of.
        needed: u64,
        /// Bytes in the file.
        there: usize,
    },
    /// A type of a kind that has no known size, so that nothing behind it can be read.
    #[error("type {id} is of unknown kind {kind}")]
    Kind {
        /// Which type.
        id: u32,
        /// Its kind.
        kind: u8,
    },
    /// A type runs over the end of the type section.
    #[error("type {0} runs over the end of the types")]
    Overrun(u32),
}

impl<'base> Btf<'base> {
    /// Reads a kernel's own types.
    pub fn read(path: &Path) -> Result<Self, BtfError> {
        Self::read_with(path, None)
    }

    /// Reads a module's types, which continue those of the kernel.
    pub fn read_module(path: &Path, base: &'base Btf<'base>) -> Result<Self, BtfError> {
        Self::read_with(path, Some(base))
    }

    fn read_with(path: &Path, base: Option<&'base Btf<'base>>) -> Result<Self, BtfError> {
        let bytes = fs::read(path).map_err(|source| BtfError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(bytes, base).map_err(|source| BtfError::Parse {
            path: path.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests;
