//! What exceptions held back, counted until it is told.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, PoisonError};

use yagura_event::{Excepted, Timestamp};

/// Matches that exceptions held back since they were told last. Locked for a few instructions at a time: the sensor's
/// thread counts here, and a match that is held back costs no place in a queue.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<Counts>);

/// By uid of the rule and of the exception: no more than the active rules carry.
type Counts = BTreeMap<String, BTreeMap<String, Count>>;

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    matches: u64,
    last: Timestamp,
}

impl Held {
    /// Counts a match. True when there was nothing to tell before.
    pub(super) fn count(&self, rule: &str, exception: &str, time: Timestamp) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = counts.is_empty();
        let count = if let Some(count) = counts.get_mut(rule).and_then(|of| of.get_mut(exception)) {
            count
        } else {
            counts
                .entry(rule.to_owned())
                .or_default()
                .entry(exception.to_owned())
                .or_default()
        };
        count.matches += 1;
        count.last = count.last.max(time);
        was_empty
    }

    /// Whether there is something to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Takes what there is to tell.
    pub(super) fn take(&self) -> Vec<Excepted> {
        let counts = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let of_rule = |(rule, of): (String, BTreeMap<String, Count>)| {
            of.into_iter().map(move |(exception, count)| Excepted {
                rule: rule.clone(),
                exception,
                count: count.matches,
                last: count.last,
            })
        };
        counts.into_iter().flat_map(of_rule).collect()
    }
}
