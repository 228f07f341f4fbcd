//! The domain: events, facts and signals, and the registry of fields that rules may name.
//!
//! Nothing here knows how an event was captured, stored, sent or shown. There is no I/O, no
//! clock and no serialisation: the kernel's bytes, the wire and the custom resources each have a
//! shape of their own and convert at their edge.

#![forbid(unsafe_code)]

pub mod container;
pub mod event;
pub mod facts;
pub mod field;
pub mod known;
pub mod lifetime;
pub mod marks;
pub mod process;
pub mod report;
pub mod severity;
pub mod text;
pub mod time;
pub mod tree;
pub mod value;

pub use container::{Container, Pod};
pub use event::{Event, EventKind, Exit, Host, Origin, Outcome};
pub use field::{
    BuildEventError, Field, FieldId, KindSet, Registry, Type, build_event, build_recorded_event,
};
pub use known::Known;
pub use marks::{Bearer, Marks};
pub use process::{Ancestor, Process, ProcessId};
pub use report::{Excepted, Fold, GroupKey, Loss, Record};
pub use severity::Severity;
pub use text::Text;
pub use time::Timestamp;
pub use tree::Tree;
pub use value::ValueRef;
