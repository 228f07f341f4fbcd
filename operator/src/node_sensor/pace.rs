//! When a NodeSensor is worth a write: at once when something that a person would see changes,
//! and every ten minutes otherwise (a cluster of 5,000 nodes then costs 8 writes a second).

use yagura_crds::NodeSensorStatus;
use yagura_event::Timestamp;

use super::status::looks_same;

/// Time between writes that only tell that nothing changed.
const REFRESH: i64 = 600_000_000_000;

/// What was written of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    /// The status as it was written, or as it was found.
    pub(super) status: NodeSensorStatus,
    /// When this operator wrote it.
    pub(super) at: Option<Timestamp>,
}

/// Whether the next status should be written now.
pub(super) fn is_due(written: &Written, next: &NodeSensorStatus, now: Timestamp) -> bool {
    !looks_same(&written.status, next)
        || (written.status != *next && written.at.is_none_or(|at| now.since(at) >= REFRESH))
}

#[cfg(test)]
mod tests {
    use yagura_crds::NodeSensorStatus;
    use yagura_event::Timestamp;

    use super::{Written, is_due};

    #[test]
    fn what_people_see_is_written_at_once_and_the_rest_after_ten_minutes() {
        let minute = |n: i64| Timestamp(n * 60_000_000_000);
        let status = NodeSensorStatus {
            kernel: "6.12".into(),
            ..Default::default()
        };
        let written = Written {
            status: status.clone(),
            at: Some(minute(0)),
        };
        assert!(!is_due(&written, &status, minute(60)));
        let counted = NodeSensorStatus {
            counters: [("seen".to_owned(), 1)].into(),
            ..status.clone()
        };
        assert!(!is_due(&written, &counted, minute(9)));
        assert!(is_due(&written, &counted, minute(10)));
        assert!(is_due(
            &written,
            &NodeSensorStatus {
                kernel: "6.13".into(),
                ..status
            },
            minute(1)
        ));
    }
}
