//! When a NodeSensor is worth a write: at once when something that a person would see changes; otherwise now and then,
//! so that counters and the time of the last report are not forever old.

use yagura_crds::NodeSensorStatus;
use yagura_event::Timestamp;

use super::status::looks_same;

/// Time between writes that only tell that nothing changed.
const REFRESH: i64 = 600_000_000_000;

/// Such writes in one look. With a look every five seconds, 240 nodes are refreshed every ten minutes; 5,000 cost the
/// API server 0.4 writes a second and are refreshed every three and a half hours.
const REFRESHES: usize = 2;

/// What was written of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    /// The status as it was written, or as it was found.
    pub(super) status: NodeSensorStatus,
    /// When it was written, by this operator or the one before.
    pub(super) at: Option<Timestamp>,
}

/// Whether the next status tells a person something new.
pub(super) fn is_news(written: &Written, next: &NodeSensorStatus) -> bool {
    !looks_same(&written.status, next)
}

/// The nodes to refresh in this look: those whose objects are the oldest.
pub(super) fn refreshes<'a>(
    written: impl Iterator<Item = (&'a str, &'a Written)>,
    now: Timestamp,
) -> Vec<&'a str> {
    let mut due: Vec<(Option<Timestamp>, &str)> = written
        .filter(|(_, written)| written.at.is_none_or(|at| now.since(at) >= REFRESH))
        .map(|(name, written)| (written.at, name))
        .collect();
    if due.len() > REFRESHES {
        due.select_nth_unstable(REFRESHES - 1);
        due.truncate(REFRESHES);
    }
    due.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use yagura_crds::NodeSensorStatus;
    use yagura_event::Timestamp;

    use super::{Written, is_news, refreshes};

    fn minute(n: i64) -> Timestamp {
        Timestamp(n * 60_000_000_000)
    }

    #[test]
    fn what_people_see_is_news_and_counters_are_not() {
        let status = NodeSensorStatus {
            kernel: "6.12".into(),
            ..Default::default()
        };
        let written = Written {
            status: status.clone(),
            at: Some(minute(0)),
        };
        assert!(!is_news(&written, &status));
        let counted = NodeSensorStatus {
            counters: [("seen".to_owned(), 1)].into(),
            ..status.clone()
        };
        assert!(!is_news(&written, &counted));
        let upgraded = NodeSensorStatus {
            kernel: "6.13".into(),
            ..status
        };
        assert!(is_news(&written, &upgraded));
    }

    #[test]
    fn the_oldest_objects_are_refreshed_a_few_at_a_time() {
        let at = |at| Written {
            at,
            ..Written::default()
        };
        let objects = [
            ("fresh", at(Some(minute(15)))),
            ("old", at(Some(minute(5)))),
            ("older", at(Some(minute(1)))),
            ("never", at(None)),
        ];
        let now = minute(20);
        let all = || objects.iter().map(|(name, written)| (*name, written));
        let mut due = refreshes(all(), now);
        due.sort_unstable();
        assert_eq!(due, ["never", "older"]);
        let fresh = all().filter(|(name, _)| *name == "fresh");
        assert!(refreshes(fresh, now).is_empty());
    }
}
