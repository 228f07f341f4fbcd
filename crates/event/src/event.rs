//! What happened on a node.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Container, Known, Marks, Process, Text, Timestamp};

/// What kind of act an event reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A process replaced its program.
    ProcessExec,
    /// A process started another.
    ProcessFork,
    /// A process ended.
    ProcessExit,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::ProcessExec, Self::ProcessFork, Self::ProcessExit];

    /// The name that rules compare `event.kind` with.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProcessExec => "process.exec",
            Self::ProcessFork => "process.fork",
            Self::ProcessExit => "process.exit",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no event kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEventKind(pub String);

impl fmt::Display for UnknownEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown event kind {:?}", self.0)
    }
}

impl std::error::Error for UnknownEventKind {}

impl FromStr for EventKind {
    type Err = UnknownEventKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownEventKind(text.to_owned()))
    }
}

/// How an event came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Seen as it happened.
    Live,
    /// State that was there when the agent started.
    Snapshot,
}

impl Origin {
    /// The name that rules compare `event.source` with.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Snapshot => "snapshot",
        }
    }
}

/// Whether the act succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It did.
    Success,
    /// It was tried and refused.
    Failure,
    /// The hook could not tell.
    Unknown,
}

impl Outcome {
    /// The name that rules compare `event.outcome` with (Elastic Common Schema).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Unknown => "unknown",
        }
    }
}

/// The node an event happened on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Its name: the Kubernetes node name, or the host name where there is no Kubernetes.
    pub name: Text,
    /// Boot id (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: Text,
    /// Kernel release.
    pub kernel: Text,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, when it ended by itself.
    pub code: Known<u8>,
    /// Number of the signal that ended it.
    pub signal: Known<u8>,
    /// Whether it dumped core.
    pub core_dumped: bool,
}

/// Something that happened on a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// When, by the node's clock.
    pub time: Timestamp,
    /// Seen live or found at start.
    pub origin: Origin,
    /// Whether it succeeded.
    pub outcome: Outcome,
    /// Who did it. For a fork this is the child.
    pub process: Arc<Process>,
    /// The container it happened in; absent on the host. Never unknown: the kernel decides it.
    pub container: Option<Arc<Container>>,
    /// The node.
    pub host: Arc<Host>,
    /// How the process ended, for [`EventKind::ProcessExit`].
    pub exit: Option<Exit>,
    /// What rules told each other of its process, its container and its node; whoever captures an event knows of none.
    pub marks: Option<Arc<Marks>>,
}

#[cfg(test)]
mod tests {
    use super::EventKind;

    #[test]
    fn kinds_parse_back() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("process".parse::<EventKind>().is_err());
    }
}
