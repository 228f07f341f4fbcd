//! From the bytes of a ring to typed records. Every length is checked against what is there;
//! nothing panics, whatever the bytes are.

use thiserror::Error;
use yagura_node_agent_ebpf_common::{
    CgroupRecord, ExecLineageRecord, ExecRecord, ExitRecord, ForkRecord, Header, kind,
};

/// A record as a kernel program wrote it, borrowing its tail from the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A new process.
    Fork(ForkRecord),
    /// A program was executed.
    Exec(ExecRecord, ExecTail<'a>),
    /// A process ended.
    Exit(ExitRecord),
    /// A program was executed, without the details.
    ExecLineage(ExecLineageRecord),
    /// The path of a cgroup that later records name by id.
    Cgroup(CgroupRecord, &'a [u8]),
}

/// What follows an [`ExecRecord`], taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecTail<'a> {
    /// Resolved path of the executable.
    pub path: &'a [u8],
    /// Working directory.
    pub cwd: &'a [u8],
    /// Arguments, each ended by a zero byte, the last one perhaps cut.
    pub args: &'a [u8],
}

/// A header and what it announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// Who, when and where.
    pub header: Header,
    /// What.
    pub record: Record<'a>,
}

/// Why bytes from a ring are no record.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Fewer bytes than a header has.
    #[error("{0} bytes are too few for a header")]
    Header(usize),
    /// The header's size is not what the ring delivered.
    #[error("the header says {said} bytes but {there} are there")]
    Size {
        /// What the header says.
        said: u32,
        /// What is there.
        there: usize,
    },
    /// The agent knows no such kind.
    #[error("unknown kind {0}")]
    Kind(u32),
    /// Fewer bytes than a record of this kind has.
    #[error("{there} bytes are too few for a record of kind {kind}")]
    Record {
        /// Number of the kind.
        kind: u32,
        /// What is there behind the header.
        there: usize,
    },
    /// The lengths in the record do not add up to the tail.
    #[error("the tail of a record of kind {kind} has {there} bytes, not as many as its lengths say")]
    Tail {
        /// Number of the kind.
        kind: u32,
        /// What is there behind the record.
        there: usize,
    },
}

impl<'a> TryFrom<&'a [u8]> for Decoded<'a> {
    type Error = DecodeError;

    fn try_from(bytes: &'a [u8]) -> Result<Self, Self::Error> {
        let (header, body) = Header::take(bytes).ok_or(DecodeError::Header(bytes.len()))?;
        if usize::try_from(header.size) != Ok(bytes.len()) {
            return Err(DecodeError::Size {
                said: header.size,
                there: bytes.len(),
            });
        }
        let kind = header.kind;
        let short = DecodeError::Record {
            kind,
            there: body.len(),
        };
        let (record, rest) = match kind {
            kind::FORK => {
                let (fork, rest) = ForkRecord::take(body).ok_or(short)?;
                (Record::Fork(fork), rest)
            }
            kind::EXEC => {
                let (exec, tail) = ExecRecord::take(body).ok_or(short)?;
                let (tail, rest) = exec_tail(&exec, tail).ok_or(DecodeError::Tail {
                    kind,
                    there: tail.len(),
                })?;
                (Record::Exec(exec, tail), rest)
            }
            kind::EXIT => {
                let (exit, rest) = ExitRecord::take(body).ok_or(short)?;
                (Record::Exit(exit), rest)
            }
            kind::EXEC_LINEAGE => {
                let (exec, rest) = ExecLineageRecord::take(body).ok_or(short)?;
                (Record::ExecLineage(exec), rest)
            }
            kind::CGROUP => {
                let (cgroup, tail) = CgroupRecord::take(body).ok_or(short)?;
                let (path, rest) = piece(tail, cgroup.path_len).ok_or(DecodeError::Tail {
                    kind,
                    there: tail.len(),
                })?;
                (Record::Cgroup(cgroup, path), rest)
            }
            unknown => return Err(DecodeError::Kind(unknown)),
        };
        if !rest.is_empty() {
            return Err(DecodeError::Tail {
                kind,
                there: rest.len(),
            });
        }
        Ok(Self { header, record })
    }
}

fn exec_tail<'a>(exec: &ExecRecord, tail: &'a [u8]) -> Option<(ExecTail<'a>, &'a [u8])> {
    let (path, tail) = piece(tail, exec.path_len)?;
    let (cwd, tail) = piece(tail, exec.cwd_len)?;
    let (args, tail) = piece(tail, exec.args_len)?;
    Some((ExecTail { path, cwd, args }, tail))
}

fn piece(bytes: &[u8], length: u32) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(usize::try_from(length).ok()?)
}

#[cfg(test)]
mod tests;
