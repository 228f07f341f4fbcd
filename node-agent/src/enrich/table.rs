//! The process table: who lives, and whom they descend from.
//!
//! Lineage is recorded when a process is forked: each process holds its ancestors as they were
//! then. So an ancestor that exits stays with its descendants, and nothing that a process or its
//! parents do later changes the past. Live processes are never evicted: there is one entry for
//! each process id, and ids end at `pid_max`. Processes that have exited stay a while for records
//! that come late, and the oldest of them goes first.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use yagura_event::{
    Known, Process, ProcessId, Text,
    process::{Ancestor, User},
};

use super::container::Slot;

/// Most ancestors of a process that are kept.
pub(super) const MOST_ANCESTORS: usize = 64;
/// Bytes of arguments that an ancestor keeps.
const ANCESTOR_ARGS: usize = 4096;
/// Exited processes that are kept.
const MOST_EXITED: usize = 4096;

/// A process and what is not part of the domain's picture of it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) process: Arc<Process>,
    /// The container that it belongs to, decided at the first exec in one and inherited.
    pub(super) container: Option<Arc<Slot>>,
    /// The process as its descendants remember it; made when the first one is forked.
    ancestor: Option<Arc<Ancestor>>,
}

impl Entry {
    pub(super) fn new(process: Process, container: Option<Arc<Slot>>) -> Self {
        Self {
            process: Arc::new(process),
            container,
            ancestor: None,
        }
    }

    fn ancestor(&mut self) -> Arc<Ancestor> {
        let process = &self.process;
        Arc::clone(self.ancestor.get_or_insert_with(|| Arc::new(remember(process))))
    }
}

/// A process as its descendants remember it.
fn remember(process: &Process) -> Ancestor {
    let mut room = ANCESTOR_ARGS;
    let args = process
        .args
        .iter()
        .take_while(|arg| {
            let fits = arg.len() < room;
            room = room.saturating_sub(arg.len() + 1);
            fits
        })
        .cloned()
        .collect();
    Ancestor {
        id: process.id,
        name: process.name.clone(),
        executable: process
            .executable
            .as_ref()
            .map(|executable| executable.path.clone()),
        args,
        user: process.user.clone(),
    }
}

/// Ancestors of a process, nearest first, and whether they reach the first process.
#[derive(Clone, Debug, Default)]
pub(super) struct Lineage {
    pub(super) ancestors: Vec<Arc<Ancestor>>,
    pub(super) complete: bool,
}

/// Live and lately exited processes.
#[derive(Debug, Default)]
pub(super) struct Table {
    live: HashMap<u32, Entry>,
    exited: HashMap<ProcessId, Entry>,
    order: VecDeque<ProcessId>,
}

impl Table {
    /// Live processes.
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// The process that has this process id now.
    pub(super) fn live_id(&self, pid: u32) -> Option<ProcessId> {
        self.live.get(&pid).map(|entry| entry.process.id)
    }

    /// A process, alive or lately exited.
    pub(super) fn get_mut(&mut self, id: ProcessId) -> Option<&mut Entry> {
        match self.live.get_mut(&id.pid) {
            Some(entry) if entry.process.id == id => Some(entry),
            _ => self.exited.get_mut(&id),
        }
    }

    /// Adds a live process. Another one with its process id must have exited without a record.
    pub(super) fn insert(&mut self, entry: Entry) {
        let id = entry.process.id;
        if let Some(old) = self.live.insert(id.pid, entry)
            && old.process.id != id
        {
            self.bury(old);
        }
    }

    /// A live process exits. `None` when it is not known or has exited already.
    pub(super) fn exit(&mut self, id: ProcessId) -> Option<Entry> {
        if self.live.get(&id.pid)?.process.id != id {
            return None;
        }
        let entry = self.live.remove(&id.pid)?;
        self.bury(entry.clone());
        Some(entry)
    }

    /// Whether a process exited lately.
    pub(super) fn has_exited(&self, id: ProcessId) -> bool {
        self.exited.contains_key(&id)
    }

    /// Lineage of a child of `parent`. When that is not known, its identity is all there is.
    pub(super) fn lineage_below(&mut self, parent: ProcessId) -> Lineage {
        if parent.pid == 0 {
            return Lineage {
                ancestors: Vec::new(),
                complete: true,
            };
        }
        let Some(entry) = self.get_mut(parent) else {
            return Lineage {
                ancestors: vec![Arc::new(unknown(parent))],
                complete: false,
            };
        };
        let nearest = entry.ancestor();
        let above = &entry.process.ancestors;
        let mut ancestors = Vec::with_capacity((above.len() + 1).min(MOST_ANCESTORS));
        ancestors.push(nearest);
        ancestors.extend(above.iter().take(MOST_ANCESTORS - 1).cloned());
        Lineage {
            complete: entry.process.ancestors_complete && above.len() < MOST_ANCESTORS,
            ancestors,
        }
    }

    /// Buries every process that is not in `alive`: after exits were lost.
    pub(super) fn retain(&mut self, alive: &HashSet<u32>) {
        let gone = self
            .live
            .extract_if(|pid, _| !alive.contains(pid))
            .map(|(_, entry)| entry)
            .collect::<Vec<_>>();
        for entry in gone {
            self.bury(entry);
        }
    }

    fn bury(&mut self, entry: Entry) {
        let id = entry.process.id;
        if self.exited.insert(id, entry).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > MOST_EXITED
            && let Some(oldest) = self.order.pop_front()
        {
            self.exited.remove(&oldest);
        }
    }
}

/// An ancestor of which nothing but its identity is known.
fn unknown(id: ProcessId) -> Ancestor {
    Ancestor {
        id,
        name: Text::default(),
        executable: Known::Unknown,
        args: Vec::new(),
        user: User {
            id: u32::MAX,
            name: Known::Unknown,
        },
    }
}

#[cfg(test)]
mod tests;
