//! The groups of one rule, in bounded memory.

use std::hash::RandomState;

use hashlink::LinkedHashMap;
use yagura_event::Timestamp;
use yagura_rules::detect::Method;

use super::{Input, Outcome, State};

/// Groups that a rule keeps. Beyond, the one that had no match for longest makes room.
pub const MAX_GROUPS: usize = 100_000;

/// What became of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// What its group says.
    pub outcome: Outcome,
    /// The case that is told, if the rule has cases.
    pub case: Option<u8>,
    /// Whether another group was forgotten for it.
    pub evicted: bool,
    /// How many values its group forgot for it.
    pub evicted_values: u64,
}

/// The key of a group that changed, and its bytes; `None`: it was forgotten.
pub type Kept = (Box<[u8]>, Option<Vec<u8>>);

/// The groups of one rule.
#[derive(Debug)]
pub struct Groups {
    method: Method,
    /// In order of their last match.
    by_key: LinkedHashMap<Box<[u8]>, Slot, RandomState>,
    limit: usize,
    /// Keys of groups that changed since somebody asked; `None`: nobody asks.
    changed: Option<Vec<Box<[u8]>>>,
}

#[derive(Debug)]
struct Slot {
    state: State,
    changed: bool,
}

impl Groups {
    /// No groups, at most `limit` of them.
    pub fn new(method: Method, limit: usize) -> Self {
        Self {
            method,
            by_key: LinkedHashMap::with_hasher(RandomState::new()),
            limit: limit.max(1),
            changed: None,
        }
    }

    /// The same, remembering which of them change: [`Groups::take_changed`] has to be called.
    pub fn tracked(method: Method, limit: usize) -> Self {
        Self {
            changed: Some(Vec::new()),
            ..Self::new(method, limit)
        }
    }

    /// Puts a group in that was kept elsewhere.
    pub fn restore(&mut self, key: Box<[u8]>, state: State) {
        self.by_key.insert(
            key,
            Slot {
                state,
                changed: false,
            },
        );
    }

    /// Takes a match of the group with that key.
    pub fn add(&mut self, key: &[u8], input: &Input<'_>) -> Added {
        let mut evicted = false;
        if self.by_key.to_back(key).is_none() {
            while self.by_key.len() >= self.limit {
                evicted |= self.forget_oldest();
            }
            let slot = Slot {
                state: State::new(&self.method),
                changed: false,
            };
            self.by_key.insert(key.into(), slot);
        }
        let Some(slot) = self.by_key.get_mut(key) else {
            return Added {
                outcome: Outcome::Waits,
                case: None,
                evicted,
                evicted_values: 0,
            };
        };
        let taken = slot.state.add(&self.method, input);
        let marked = taken.changed && !slot.changed;
        if let Some(changed) = self.changed.as_mut().filter(|_| marked) {
            slot.changed = true;
            changed.push(key.into());
        }
        Added {
            outcome: taken.outcome,
            case: taken.case,
            evicted,
            evicted_values: taken.evicted,
        }
    }

    /// Forgets groups that no match from `now` on can share a window with. Gives how many.
    pub fn forget_over(&mut self, now: Timestamp) -> usize {
        let before = self.by_key.len();
        let limit = now.0.saturating_sub(self.method.remembers());
        while let Some((_, slot)) = self.by_key.front()
            && slot
                .state
                .newest(&self.method)
                .is_none_or(|newest| newest.0 < limit)
        {
            self.forget_oldest();
        }
        before - self.by_key.len()
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((key, slot)) = self.by_key.pop_front() else {
            return false;
        };
        if let Some(changed) = self.changed.as_mut().filter(|_| !slot.changed) {
            changed.push(key);
        }
        true
    }

    /// Groups that changed since this was asked last.
    pub fn take_changed(&mut self) -> Vec<Kept> {
        let Some(changed) = &mut self.changed else {
            return Vec::new();
        };
        let changed = std::mem::take(changed);
        changed
            .into_iter()
            .map(|key| {
                let bytes = self.by_key.get_mut(&key).map(|slot| {
                    slot.changed = false;
                    slot.state.encode()
                });
                (key, bytes)
            })
            .collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use yagura_rules::detect::{Shape, Threshold};

    use super::*;

    fn threshold() -> Method {
        Method::Threshold(Threshold {
            count: 2,
            within: 100,
            shape: Shape::Sliding,
            distinct: None,
            lateness: 10,
        })
    }

    fn at(time: i64) -> Input<'static> {
        Input {
            first: Timestamp(time),
            last: Timestamp(time),
            count: 1,
            values: &[],
            text: &[],
            steps: 0,
        }
    }

    #[test]
    fn the_group_without_a_match_for_longest_makes_room() {
        let mut groups = Groups::new(threshold(), 2);
        groups.add(b"a", &at(1));
        groups.add(b"b", &at(2));
        assert!(matches!(groups.add(b"a", &at(3)).outcome, Outcome::Fires(_)));
        assert!(groups.add(b"c", &at(4)).evicted);
        assert_eq!(groups.len(), 2);
        let b = groups.add(b"b", &at(5));
        assert_eq!((b.outcome, b.evicted), (Outcome::Waits, true));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut groups = Groups::new(threshold(), 10);
        groups.add(b"a", &at(1));
        groups.add(b"b", &at(50));
        assert_eq!(groups.forget_over(Timestamp(111)), 0);
        assert_eq!(groups.forget_over(Timestamp(112)), 1);
        assert_eq!(groups.len(), 1);
    }

    #[test]
    fn what_changed_goes_on_elsewhere() {
        let mut groups = Groups::tracked(threshold(), 2);
        groups.add(b"a", &at(1));
        groups.add(b"a", &at(1));
        groups.add(b"b", &at(2));
        let kept = groups.take_changed();
        assert_eq!(kept.len(), 2);
        assert!(groups.take_changed().is_empty());

        let mut others = Groups::new(threshold(), 2);
        for (key, bytes) in kept {
            others.restore(key, State::decode(&threshold(), &bytes.unwrap()).unwrap());
        }
        assert!(matches!(others.add(b"b", &at(3)).outcome, Outcome::Fires(fired) if fired.count == 2));

        groups.add(b"c", &at(4));
        let kept = groups.take_changed();
        let forgotten: Vec<_> = kept.iter().filter(|(_, bytes)| bytes.is_none()).collect();
        assert_eq!(forgotten.len(), 1);
        assert_eq!(&*forgotten[0].0, b"a");
    }
}
