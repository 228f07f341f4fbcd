//! What kernel programs know of fields at the moment when they decide whether to deliver an event.
//!
//! Each entry says at which hooks the kernel has the very bytes that the agent makes the field of, and where they are
//! read. What user space joins is not here: names of users and pods, labels, ancestors. Nor is what the process did
//! before, at hooks whose record does not carry it: an exit has no name, because the name of the task may have changed
//! since the exec that the field speaks of.

use super::KindSet;
use crate::EventKind;

/// Bytes of a thread's name that the kernel keeps, with the zero at its end (`TASK_COMM_LEN`, `include/linux/sched.h`).
pub const COMM_BYTES: usize = 16;
/// Bytes of a file's base name that are compared: one more than the longest there is (`NAME_MAX`,
/// `include/uapi/linux/limits.h`), so that a key never stands for a longer name.
pub const BASE_BYTES: usize = 256;
/// Bytes of a path's front that are compared: the most that a longest-prefix map takes (`LPM_DATA_SIZE_MAX`,
/// `kernel/bpf/lpm_trie.c`, the same since 4.11).
pub const FRONT_BYTES: usize = 256;
/// Bytes of a path's end that are compared. The end has to be turned around for a longest-prefix map, byte by byte, and
/// verifiers before 5.17 (`bpf_loop`) follow each turn of that loop.
pub const END_BYTES: usize = 128;

/// How far what the kernel knows and the field agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Bit-identical.
    Exact,
    /// What the kernel holds to be true is, but it may hold something to be false that is true. Only a test that it is
    /// false may keep an event back.
    TrueIsSure,
}

/// What kind of test the kernel can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelTest {
    /// Which hook it is decides it.
    Hook,
    /// Whether it is there at all.
    Presence,
    /// Whether it is true.
    Flag,
    /// Comparisons of a whole number, and of its bits.
    Number,
    /// Whether capabilities are among those that a set of bits stands for.
    Capabilities,
    /// Equality with one of a few known words, which stand for numbers.
    Word,
    /// Equality, beginnings and ends of a text that is never longer than [`COMM_BYTES`] less one.
    Comm,
    /// The same of a path and of its base name.
    Path,
}

impl KernelTest {
    /// What it compares, in a word or two.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hook => "hook",
            Self::Presence => "presence",
            Self::Flag => "flag",
            Self::Number => "number and bits",
            Self::Capabilities => "capabilities",
            Self::Word => "equality",
            Self::Comm => "text",
            Self::Path => "path and base name",
        }
    }
}

/// When a program has a fact: what costs less comes first, and spares what costs more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// With the record's header.
    Header,
    /// With the task and its credentials.
    Task,
    /// With the file and its inode.
    Inode,
    /// With the file's base name.
    BaseName,
    /// Once the path is resolved.
    Path,
}

/// What kernel programs know of a field.
#[derive(Clone, Copy, Debug)]
pub struct InKernel {
    /// The kinds at whose hooks they know it.
    pub kinds: KindSet,
    /// What they can test.
    pub test: KernelTest,
    /// How far they agree with the field.
    pub precision: Precision,
    /// When they have it.
    pub stage: Stage,
    /// Where it is read: a member of the kernel's structures, or what the program derives it from.
    pub from: &'static str,
}

impl InKernel {
    pub(super) const fn new(kinds: &[EventKind], test: KernelTest, stage: Stage, from: &'static str) -> Self {
        Self {
            kinds: KindSet::of(kinds),
            test,
            precision: Precision::Exact,
            stage,
            from,
        }
    }

    pub(super) const fn true_is_sure(self) -> Self {
        Self {
            precision: Precision::TrueIsSure,
            ..self
        }
    }
}

/// The hook of an exec alone.
pub(super) const EXEC: &[EventKind] = &[EventKind::ProcessExec];
/// The hook of an exit alone.
pub(super) const EXIT: &[EventKind] = &[EventKind::ProcessExit];
/// The hooks of exec and fork, whose records both carry it.
pub(super) const EXEC_FORK: &[EventKind] = &[EventKind::ProcessExec, EventKind::ProcessFork];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;
    use crate::field::Type;

    #[test]
    fn what_the_kernel_tests_fits_the_type_of_the_field() {
        let mut seen = 0;
        for (_, field) in Registry::workload().fields() {
            let Some(known) = field.in_kernel else { continue };
            seen += 1;
            let fits = match known.test {
                KernelTest::Presence => true,
                KernelTest::Flag => field.ty == Type::BOOL,
                KernelTest::Number => field.ty == Type::INT,
                KernelTest::Capabilities => field.ty == Type::STRINGS,
                KernelTest::Hook | KernelTest::Word | KernelTest::Comm | KernelTest::Path => {
                    field.ty == Type::STRING
                }
            };
            assert!(fits, "{}", field.path);
            assert!(!known.kinds.is_empty(), "{}", field.path);
            for kind in known.kinds.iter() {
                assert!(
                    field.kinds.contains(kind),
                    "{}: the kernel has it where the field is not",
                    field.path
                );
            }
            if known.precision == Precision::TrueIsSure {
                assert_eq!(
                    known.test,
                    KernelTest::Flag,
                    "{}: only flags have two sides",
                    field.path
                );
            }
        }
        assert!(seen > 20, "{seen}");
    }

    #[test]
    fn what_user_space_joins_is_never_known_in_the_kernel() {
        for (_, field) in Registry::workload().fields() {
            let joined = [
                "container.",
                "k8s.",
                "host.",
                "process.parent",
                "process.ancestors",
            ];
            let joined = joined.iter().any(|start| field.path.starts_with(start));
            let name = field.path.ends_with("user.name");
            assert!(
                !(joined || name) || field.in_kernel.is_none(),
                "{} is joined in user space",
                field.path
            );
        }
    }
}
