//! Nodes whose objects wait to be looked at: each once, in the order in which they came.

use std::collections::{HashMap, VecDeque};

/// A queue of node names; bounded by the number of nodes.
#[derive(Debug, Default)]
pub(super) struct Queue {
    order: VecDeque<String>,
    /// Whether the object is to be written even if only counters changed.
    refresh: HashMap<String, bool>,
}

impl Queue {
    /// Adds a node, unless it waits already.
    pub(super) fn push(&mut self, name: String, refresh: bool) {
        if let Some(waiting) = self.refresh.get_mut(&name) {
            *waiting |= refresh;
        } else {
            self.order.push_back(name.clone());
            self.refresh.insert(name, refresh);
        }
    }

    /// The node that waits longest, and whether its object is to be refreshed.
    pub(super) fn pop(&mut self) -> Option<(String, bool)> {
        let name = self.order.pop_front()?;
        let refresh = self.refresh.remove(&name).unwrap_or_default();
        Some((name, refresh))
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;

    #[test]
    fn a_node_that_changes_all_the_time_waits_once_and_behind_the_others() {
        let mut queue = Queue::default();
        for name in ["a", "b", "a", "a"] {
            queue.push(name.to_owned(), false);
        }
        queue.push("b".to_owned(), true);
        assert_eq!(queue.pop(), Some(("a".to_owned(), false)));
        queue.push("a".to_owned(), false);
        assert_eq!(queue.pop(), Some(("b".to_owned(), true)));
        assert_eq!(queue.pop(), Some(("a".to_owned(), false)));
        assert!(queue.is_empty() && queue.pop().is_none());
    }
}
