//! What conditions are evaluated on: events and resources.

use std::cell::{Cell, OnceCell};
use std::sync::LazyLock;

use yagura_event::{Event, FieldId, Registry, Tree, ValueRef};

use crate::eval::Subject;
use crate::unit::Scratch;

impl Subject for Event {
    fn field(&self, id: FieldId) -> ValueRef<'_> {
        Registry::workload().read(id, self)
    }
}

static COMMAND_LINE: LazyLock<Option<FieldId>> =
    LazyLock::new(|| Registry::workload().find("process.command_line"));

/// An event of which what is derived is made once, in memory that is used again and again.
pub(crate) struct View<'e> {
    pub(crate) event: &'e Event,
    registry: &'static Registry,
    command_line: Option<FieldId>,
    line: OnceCell<Vec<u8>>,
    memory: Cell<Vec<u8>>,
}

impl<'e> View<'e> {
    pub(crate) fn new(event: &'e Event, scratch: &mut Scratch) -> Self {
        Self {
            event,
            registry: Registry::workload(),
            command_line: *COMMAND_LINE,
            line: OnceCell::new(),
            memory: Cell::new(std::mem::take(&mut scratch.line)),
        }
    }

    /// Gives the memory back.
    pub(crate) fn leave(self, scratch: &mut Scratch) {
        scratch.line = self.line.into_inner().unwrap_or_else(|| self.memory.take());
    }
}

impl Subject for View<'_> {
    fn field(&self, id: FieldId) -> ValueRef<'_> {
        if Some(id) == self.command_line {
            return ValueRef::bytes(self.line.get_or_init(|| {
                let mut line = self.memory.take();
                line.clear();
                self.event.process.write_command_line(&mut line);
                line
            }));
        }
        self.registry.read(id, self.event)
    }
}

/// A resource that a posture check judges; its only field is `resource` itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resource<'a>(pub(crate) &'a Tree);

impl Subject for Resource<'_> {
    fn field(&self, _id: FieldId) -> ValueRef<'_> {
        ValueRef::from(self.0)
    }
}
