//! What conditions are evaluated on: events and resources.

use yagura_event::{Event, FieldId, Registry, Tree, ValueRef};

use crate::eval::Subject;

impl Subject for Event {
    fn field(&self, id: FieldId) -> ValueRef<'_> {
        Registry::workload().read(id, self)
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
