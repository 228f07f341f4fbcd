//! A stored signal as notifications see it.

use yagura_store::signals::Stored;

use super::detail::{Detail, time};
use crate::notify::subject::Subject;

/// The signal; none when its detail is not what this build writes.
pub fn subject(signal: &Stored) -> Option<Subject> {
    let detail: Detail = serde_json::from_slice(&signal.detail).ok()?;
    let mut status = detail.status;
    status.count = i64::try_from(signal.count).unwrap_or(i64::MAX);
    status.first_seen = time(signal.first);
    status.last_seen = time(signal.last);
    status.origin_namespace.clone_from(&signal.origin_namespace);
    let node = detail.node.as_deref();
    Some(Subject::new(
        &signal.name,
        &signal.namespace,
        node,
        detail.spec,
        status,
    ))
}
