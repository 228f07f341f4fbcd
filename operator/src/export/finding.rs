//! A change of a signal with everything that is said about it: what formats are made from.

use yagura_crds::security_signal::Triage;
use yagura_crds::{SecuritySignalSpec, SecuritySignalStatus};
use yagura_event::Timestamp;
use yagura_store::signals::{Change, ChangeKind};

use crate::signals::{self, UnreadableDetail};

/// A change of a signal.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// What happened.
    pub(super) kind: ChangeKind,
    /// When.
    pub(super) at: Timestamp,
    /// Its place in the order of all changes.
    pub(super) revision: i64,
    /// Name of the signal's object, which no other signal ever has.
    pub(super) name: String,
    /// Namespace of the signal's object.
    pub(super) namespace: String,
    /// The node that it is about.
    pub(super) node: Option<String>,
    /// Its identity.
    pub(super) spec: SecuritySignalSpec,
    /// What was observed.
    pub(super) status: SecuritySignalStatus,
    /// What people said of it.
    pub(super) triage: Triage,
}

impl Finding {
    pub(super) fn read(change: &Change) -> Result<Self, UnreadableDetail> {
        let signal = &change.signal;
        let parts = signals::parts(signal)?;
        // People write it, through a schema: what is no triage is as good as none.
        let triage = serde_json::from_slice(&signal.triage).unwrap_or_default();
        Ok(Self {
            kind: change.kind,
            at: change.at,
            revision: change.revision,
            name: signal.name.clone(),
            namespace: signal.namespace.clone(),
            node: parts.node,
            spec: parts.spec,
            status: parts.status,
            triage,
        })
    }

    /// What tells this change from every other: the same each time it is sent.
    pub(super) fn uid(&self) -> String {
        format!("{}.{}", self.name, self.revision)
    }

    /// The namespace of what it is about.
    pub(super) fn origin(&self) -> &str {
        self.status.origin_namespace.as_deref().unwrap_or(&self.namespace)
    }
}
