//! Why the agent does not run.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use yagura_telemetry::admin::AdminError;

use super::redaction::RedactionError;
use crate::bpf::SensorError;
use crate::facts::HostRootError;
use crate::host::HostError;
use crate::journal::JournalError;
use crate::rules::files::FilesError;
use crate::uplink::credentials::AddressError;

/// Why the agent did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The asynchronous runtime.
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    /// A thread.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// Signals.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    /// The administrative endpoints.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The node's identity.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The host's root folder.
    #[error(transparent)]
    HostRoot(#[from] HostRootError),
    /// The operator's address.
    #[error(transparent)]
    Operator(#[from] AddressError),
    /// The rules.
    #[error(transparent)]
    Rules(#[from] FilesError),
    /// The folder for state.
    #[error("cannot use the state folder {}; give another one with --state-dir", path.display())]
    StateDir {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// What is not to be shown.
    #[error(transparent)]
    Redaction(#[from] RedactionError),
    /// The spool.
    #[error("cannot keep what is found until the operator has it")]
    Journal(#[from] JournalError),
    /// The kernel side.
    #[error("cannot watch this kernel; `yagura-agent check` says what is missing")]
    Sensor(#[from] SensorError),
    /// The sensor's thread ended although nobody asked for it.
    #[error("the sensor stopped by itself; see the log above, and please report it")]
    SensorStopped,
    /// A thread of the agent panicked.
    #[error("a thread of the agent failed; see the log above, and please report it")]
    ThreadFailed,
}

impl RunError {
    /// 2 for what the caller can put right on the command line, 1 for the rest.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Operator(_)
            | Self::Rules(_)
            | Self::Redaction(
                RedactionError::Pattern(_) | RedactionError::File { .. } | RedactionError::TooLarge { .. },
            ) => ExitCode::from(2),
            _ => ExitCode::from(1),
        }
    }
}
