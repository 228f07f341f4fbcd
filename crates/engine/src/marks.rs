//! Marks: what matches of some rules tell others, kept until it is over.
//!
//! A mark belongs to a process, a container or a node, and is there for a time of the events' own clock. That of a process
//! dies with it; that of a process tree is also taken over by each process that one with it starts from then on: those
//! that are there already are not asked. Everything is bounded, and what has to make room is counted.

mod bearers;
mod set;

use yagura_event::{Bearer, Event, EventKind, Known, ProcessId, Registry, Text, Timestamp, Tree};
use yagura_rules::Mark;

use bearers::Bearers;
use set::Set;

pub use set::{MAX_MARKS, MAX_VALUE_BYTES, MAX_VALUES};

/// Most processes that bear marks.
pub const MAX_PROCESSES: usize = 32_768;
/// Most containers that do.
pub const MAX_CONTAINERS: usize = 4_096;
/// Bytes of marks of all processes together. What a process took over unchanged counts once.
pub const MAX_PROCESS_BYTES: usize = 8 << 20;
/// The same of containers.
pub const MAX_CONTAINER_BYTES: usize = 4 << 20;

/// How often it is looked for what is over, in nanoseconds of the events' time.
const SWEEP: i64 = 60 * 1_000_000_000;

/// What was set and lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Marks that were set, or set again.
    pub set: u64,
    /// Marks and values of marks that were forgotten before their time, because there were too many.
    pub evicted: u64,
}

/// The marks of one node.
#[derive(Debug)]
pub struct Marks {
    processes: Bearers<ProcessId>,
    containers: Bearers<Text>,
    node: Set,
    /// Of containers that have no name: it is not known which of them it was.
    nameless: Set,
    swept: Timestamp,
    tally: Tally,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            processes: Bearers::new(MAX_PROCESSES, MAX_PROCESS_BYTES),
            containers: Bearers::new(MAX_CONTAINERS, MAX_CONTAINER_BYTES),
            node: Set::default(),
            nameless: Set::default(),
            swept: Timestamp(0),
            tally: Tally::default(),
        }
    }
}

impl Marks {
    /// Learns of an event before it is judged: who is started takes over.
    pub fn begin(&mut self, event: &Event) {
        if event.time.since(self.swept) >= SWEEP {
            self.swept = event.time;
            self.processes.forget_over(event.time);
            self.containers.forget_over(event.time);
        }
        if event.kind != EventKind::ProcessFork {
            return;
        }
        let child = event.process.id;
        if let Some(parent) = event.process.ancestors.first().map(|parent| parent.id)
            && parent != child
        {
            self.tally.evicted += self.processes.inherit(&parent, child, event.time);
        }
    }

    /// Learns that an event was judged: who ended has no marks any more.
    pub fn end(&mut self, event: &Event) {
        if event.kind == EventKind::ProcessExit {
            self.processes.remove(&event.process.id);
        }
    }

    /// Sets the mark of a rule that matched an event.
    pub fn set(&mut self, mark: &Mark, event: &Event) {
        let value = match mark.value {
            None => Tree::Bool(true),
            Some(field) => match Registry::workload().shown(field, event) {
                // What has no value tells none.
                None | Some(Tree::Null) => return,
                Some(value) => value,
            },
        };
        let now = event.time;
        let change = |set: &mut Set| set.put(mark, value.clone(), now);
        let lost = match (mark.name.bearer, event.container.as_deref()) {
            (Bearer::Process, _) => self.processes.change(event.process.id, now, change),
            (Bearer::Host, _) => change(&mut self.node),
            (Bearer::Container, None) => return,
            (Bearer::Container, Some(container)) => match &container.id {
                Known::Present(id) => self.containers.change(id.clone(), now, change),
                Known::Absent | Known::Unknown => change(&mut self.nameless),
            },
        };
        self.tally.set += 1;
        self.tally.evicted += lost;
    }

    /// The marks of what an event is about, beside those that it has; `None` when they change nothing about it.
    pub fn of(&self, event: &Event) -> Option<yagura_event::Marks> {
        let now = event.time;
        let mut found = yagura_event::Marks::default();
        if let Some(set) = self.processes.get(&event.process.id) {
            found.process = set.read(now);
        }
        match event.container.as_deref().map(|container| &container.id) {
            None => {}
            Some(Known::Present(id)) => {
                if let Some(set) = self.containers.get(id) {
                    found.container = set.read(now);
                }
            }
            Some(Known::Absent | Known::Unknown) => {
                found.container = self.nameless.read(now);
                for (_, value) in &mut found.container {
                    *value = Tree::Unknown;
                }
            }
        }
        found.host = self.node.read(now);
        if found.is_empty() {
            return None;
        }
        if let Some(given) = &event.marks {
            for bearer in Bearer::ALL {
                add(found.of_mut(bearer), given.of(bearer));
            }
        }
        Some(found)
    }

    /// How many processes and containers bear marks.
    pub fn bearers(&self) -> usize {
        self.processes.len() + self.containers.len()
    }

    /// What was set and lost since this was asked last.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }
}

/// Adds marks to others, which stay as they are and in the order of their names.
fn add(marks: &mut Vec<(Text, Tree)>, more: &[(Text, Tree)]) {
    for (name, value) in more {
        if let Err(place) = marks.binary_search_by(|(known, _)| known.cmp(name)) {
            marks.insert(place, (name.clone(), value.clone()));
        }
    }
}
