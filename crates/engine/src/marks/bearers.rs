//! Everything of one sort that bears marks, within bounds.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use yagura_event::Timestamp;

use super::set::Set;

/// Bytes that a bearer takes beside its marks.
const OVERHEAD: usize = 128;

/// Sets of marks by their bearer. When there are too many, the one that has not changed for longest goes first.
#[derive(Debug)]
pub(super) struct Bearers<K> {
    most: usize,
    most_bytes: usize,
    sets: HashMap<K, Entry>,
    /// Bearers by when they changed last.
    order: BTreeMap<u64, K>,
    next: u64,
    /// Of all sets; one that several bearers share counts once.
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    /// Shared by a process and those that took it over, until one of them changes.
    set: Arc<Set>,
    changed: u64,
}

impl Entry {
    /// The bytes that go with this bearer.
    fn own_bytes(&self) -> usize {
        if Arc::strong_count(&self.set) == 1 {
            OVERHEAD + self.set.bytes()
        } else {
            OVERHEAD
        }
    }
}

impl<K: Clone + Eq + Hash> Bearers<K> {
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            most,
            most_bytes,
            sets: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            bytes: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }

    pub(super) fn get(&self, key: &K) -> Option<&Set> {
        self.sets.get(key).map(|entry| entry.set.as_ref())
    }

    /// Changes the marks of a bearer. Gives how many marks had to make room.
    pub(super) fn change(&mut self, key: K, now: Timestamp, change: impl FnOnce(&mut Set) -> u64) -> u64 {
        let mut set = self.remove(&key).unwrap_or_default();
        let lost = change(Arc::make_mut(&mut set));
        self.insert(key, set);
        lost + self.make_room(now)
    }

    /// Lets `child`, which was started just now, take over from `parent`. Gives how many marks had to make room.
    pub(super) fn inherit(&mut self, parent: &K, child: K, now: Timestamp) -> u64 {
        // Whoever had its identity before is no more.
        self.remove(&child);
        let Some(entry) = self.sets.get(parent) else {
            return 0;
        };
        let set = match entry.set.inherited(now) {
            None => Arc::clone(&entry.set),
            Some(set) if set.is_empty() => return 0,
            Some(set) => Arc::new(set),
        };
        self.insert(child, set);
        self.make_room(now)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<Arc<Set>> {
        let entry = self.sets.remove(key)?;
        self.bytes = self.bytes.saturating_sub(entry.own_bytes());
        self.order.remove(&entry.changed);
        Some(entry.set)
    }

    /// Forgets bearers all of whose marks are over.
    pub(super) fn forget_over(&mut self, now: Timestamp) {
        let over = self.sets.iter().filter(|(_, entry)| entry.set.living(now) == 0);
        let over: Vec<K> = over.map(|(key, _)| key.clone()).collect();
        for key in over {
            self.remove(&key);
        }
    }

    fn insert(&mut self, key: K, set: Arc<Set>) {
        self.next += 1;
        let entry = Entry {
            set,
            changed: self.next,
        };
        self.bytes += entry.own_bytes();
        self.order.insert(entry.changed, key.clone());
        self.sets.insert(key, entry);
    }

    fn make_room(&mut self, now: Timestamp) -> u64 {
        let mut lost = 0;
        while (self.sets.len() > self.most || self.bytes > self.most_bytes) && self.sets.len() > 1 {
            let Some((_, key)) = self.order.pop_first() else {
                break;
            };
            lost += self.remove(&key).map_or(0, |set| set.living(now));
        }
        lost
    }
}
