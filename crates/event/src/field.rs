//! The registry of fields that rules may name.
//!
//! Every field says what it is called, what type it has, what it means and where its value lives in an
//! [`Event`]. The rule compiler checks against it, the engine reads through it, tests write through it, and the
//! reference documentation is printed from it: a field exists in one place only.
//!
//! Names follow the Elastic Common Schema for processes, users and hosts, OpenTelemetry for `k8s.*` and
//! `container.*`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use crate::value::MapRef;
use crate::{Bearer, Event, EventKind, Timestamp, Tree, ValueRef};

mod arguments;
mod build;
pub mod capability;
mod context;
mod convert;
pub mod kernel;
mod object;
mod process;
mod record;

pub use build::{BuildEventError, build_event, build_recorded_event};
pub use kernel::InKernel;
pub use object::{Member, MemberId, ObjectKind, ObjectRef};

use convert::Mismatch;

/// The type of a single value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// The literal `null`.
    Null,
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A floating point number.
    Double,
    /// A string of bytes.
    String,
    /// Labels and the like: strings by name.
    StringMap,
    /// An IP address, in the one form that it is written in.
    Address,
    /// An IP network.
    Network,
    /// A length of time, kept in nanoseconds.
    Duration,
    /// A point in time, kept in nanoseconds since the Unix epoch.
    Timestamp,
    /// An amount of a resource of Kubernetes, kept as bytes that order as amounts do.
    Quantity,
    /// An object of the domain with members known beforehand.
    Object(ObjectKind),
    /// Anything, known only when it is read: what lies below a dynamic root.
    Dynamic,
}

/// The type of a field or of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// One value.
    One(Scalar),
    /// A list of values.
    List(Scalar),
}

impl Type {
    /// True or false.
    pub const BOOL: Self = Self::One(Scalar::Bool);
    /// A whole number.
    pub const INT: Self = Self::One(Scalar::Int);
    /// A floating point number.
    pub const DOUBLE: Self = Self::One(Scalar::Double);
    /// A string of bytes.
    pub const STRING: Self = Self::One(Scalar::String);
    /// An IP address.
    pub const ADDRESS: Self = Self::One(Scalar::Address);
    /// An IP network.
    pub const NETWORK: Self = Self::One(Scalar::Network);
    /// A length of time.
    pub const DURATION: Self = Self::One(Scalar::Duration);
    /// A point in time.
    pub const TIMESTAMP: Self = Self::One(Scalar::Timestamp);
    /// An amount of a resource.
    pub const QUANTITY: Self = Self::One(Scalar::Quantity);
    /// Anything.
    pub const DYNAMIC: Self = Self::One(Scalar::Dynamic);
    /// A list of strings.
    pub const STRINGS: Self = Self::List(Scalar::String);
}

impl Scalar {
    /// Whether its values only mean something among their own kind, such as durations, though they are kept as numbers
    /// or strings.
    pub fn stands_apart(self) -> bool {
        matches!(
            self,
            Self::Address | Self::Network | Self::Duration | Self::Timestamp | Self::Quantity
        )
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::String => "string",
            Self::StringMap => "map of strings",
            Self::Address => "ip",
            Self::Network => "cidr",
            Self::Duration => "duration",
            Self::Timestamp => "timestamp",
            Self::Quantity => "quantity",
            Self::Object(kind) => kind.as_str(),
            Self::Dynamic => "any value",
        })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(scalar) => scalar.fmt(f),
            Self::List(Scalar::Dynamic) => f.write_str("list"),
            Self::List(scalar) => write!(f, "list of {scalar}"),
        }
    }
}

/// A set of event kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindSet(u64);

impl KindSet {
    /// No kind.
    pub const NONE: Self = Self(0);
    /// Every kind.
    pub const ALL: Self = Self::of(&EventKind::ALL);

    /// Exactly these kinds.
    pub const fn of(kinds: &[EventKind]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < kinds.len() {
            bits |= 1 << kinds[index] as u64;
            index += 1;
        }
        Self(bits)
    }

    /// Whether `kind` is in it.
    pub const fn contains(self, kind: EventKind) -> bool {
        self.0 & (1 << kind as u64) != 0
    }

    /// This set and `kind`.
    #[must_use]
    pub const fn with(self, kind: EventKind) -> Self {
        Self(self.0 | (1 << kind as u64))
    }

    /// Whether there is none in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kinds in it.
    pub fn iter(self) -> impl Iterator<Item = EventKind> {
        EventKind::ALL
            .into_iter()
            .filter(move |kind| self.contains(*kind))
    }
}

/// A field by its place in its registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(pub u16);

/// What is known of a field before any event is seen.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name, such as `process.parent.name`.
    pub path: &'static str,
    /// The type of its values.
    pub ty: Type,
    /// What it means, in a sentence.
    pub doc: &'static str,
    /// A value as it may appear.
    pub example: &'static str,
    /// The unit of a number.
    pub unit: Option<&'static str>,
    /// The event kinds that have it; in others it is absent.
    pub kinds: KindSet,
    /// Whether it may be unknown.
    pub may_be_unknown: bool,
    /// Whether signals show it without being asked.
    pub shown: bool,
    /// Whether what shares its value happened on one node.
    pub of_one_node: bool,
    /// What kernel programs know of it when they decide whether an event is delivered; `None`: nothing.
    pub in_kernel: Option<InKernel>,
    access: Access,
}

type Get = fn(&Event) -> ValueRef<'_>;
type Set = fn(&mut Event, &Tree) -> Result<(), Mismatch>;

#[derive(Clone, Copy, Debug)]
enum Access {
    /// Read from an event; written by tests where that makes sense.
    Event(Get, Option<Set>),
    /// A member of the parent process.
    Parent(MemberId),
    /// The root of a resource.
    Resource,
}

impl Field {
    const fn new(
        path: &'static str,
        ty: Type,
        example: &'static str,
        doc: &'static str,
        get: Get,
        set: Set,
    ) -> Self {
        Self {
            access: Access::Event(get, Some(set)),
            ..Self::derived(path, ty, example, doc, get)
        }
    }

    const fn derived(
        path: &'static str,
        ty: Type,
        example: &'static str,
        doc: &'static str,
        get: Get,
    ) -> Self {
        Self {
            path,
            ty,
            doc,
            example,
            unit: None,
            kinds: KindSet::ALL,
            may_be_unknown: false,
            shown: false,
            of_one_node: false,
            in_kernel: None,
            access: Access::Event(get, None),
        }
    }

    const fn unknowable(self) -> Self {
        Self {
            may_be_unknown: true,
            ..self
        }
    }

    const fn shown(self) -> Self {
        Self { shown: true, ..self }
    }

    /// A node, or what exists on one only. Process ids come again on others, but a process that is counted by its id
    /// is meant.
    const fn of_one_node(self) -> Self {
        Self {
            of_one_node: true,
            ..self
        }
    }

    const fn in_kernel(self, known: InKernel) -> Self {
        Self {
            in_kernel: Some(known),
            ..self
        }
    }

    const fn unit(self, unit: &'static str) -> Self {
        Self {
            unit: Some(unit),
            ..self
        }
    }

    const fn only(self, kinds: &[EventKind]) -> Self {
        Self {
            kinds: KindSet::of(kinds),
            ..self
        }
    }
}

/// The fields of one source of events, or of a resource.
#[derive(Debug)]
pub struct Registry {
    name: &'static str,
    fields: Vec<Field>,
    by_path: BTreeMap<&'static str, FieldId>,
    has_kinds: bool,
}

impl Registry {
    /// Fields of the source `workload`: what an agent sees on its node.
    pub fn workload() -> &'static Self {
        static WORKLOAD: LazyLock<Registry> = LazyLock::new(|| {
            let mut fields = Vec::new();
            fields.extend_from_slice(context::EVENT);
            fields.extend_from_slice(process::FIELDS);
            fields.extend(object::parent_fields());
            fields.extend_from_slice(context::FIELDS);
            Registry::new("workload", fields, true)
        });
        &WORKLOAD
    }

    /// The one dynamic root of a posture check: `resource`.
    pub fn resource() -> &'static Self {
        static RESOURCE: LazyLock<Registry> = LazyLock::new(|| {
            Registry::new(
                "posture",
                vec![Field {
                    path: "resource",
                    ty: Type::DYNAMIC,
                    doc: "What is judged: the resource as its source gives it.",
                    example: "resource.spec.hostNetwork",
                    unit: None,
                    kinds: KindSet::NONE,
                    may_be_unknown: true,
                    shown: false,
                    of_one_node: false,
                    in_kernel: None,
                    access: Access::Resource,
                }],
                false,
            )
        });
        &RESOURCE
    }

    fn new(name: &'static str, fields: Vec<Field>, has_kinds: bool) -> Self {
        let by_path = (0u16..)
            .zip(&fields)
            .map(|(index, field)| (field.path, FieldId(index)))
            .collect();
        Self {
            name,
            fields,
            by_path,
            has_kinds,
        }
    }

    /// What the fields belong to: the name of a source, or `posture`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether there are event kinds, which a field may be limited to.
    pub fn has_kinds(&self) -> bool {
        self.has_kinds
    }

    /// Every field, in the order that people read them.
    pub fn fields(&self) -> impl Iterator<Item = (FieldId, &Field)> {
        (0u16..)
            .zip(&self.fields)
            .map(|(index, field)| (FieldId(index), field))
    }

    /// The field of that name.
    pub fn find(&self, path: &str) -> Option<FieldId> {
        self.by_path.get(path).copied()
    }

    /// Whether names below `path.` exist.
    pub fn is_prefix(&self, path: &str) -> bool {
        let start = format!("{path}.");
        self.by_path
            .range(start.as_str()..)
            .next()
            .is_some_and(|(name, _)| name.starts_with(&start))
    }

    /// What is known of a field.
    ///
    /// # Panics
    /// When the id comes from another registry.
    pub fn field(&self, id: FieldId) -> &Field {
        &self.fields[usize::from(id.0)]
    }

    /// An owned copy of a field of the workload registry in an event, as signals show it: a point in time is a text.
    /// `None` when it is absent.
    pub fn shown(&self, id: FieldId, event: &Event) -> Option<Tree> {
        let field = self.field(id);
        // They are what rules tell each other, and were told from events that show where they come from.
        if Bearer::of_path(field.path).is_some() {
            return None;
        }
        match (field.ty, self.read(id, event)) {
            (Type::TIMESTAMP, ValueRef::Int(nanoseconds)) => {
                Some(Tree::from(Timestamp(nanoseconds).to_string().as_str()))
            }
            // Only the whole command line tells which of them are secrets; signals show that one, without them.
            (_, ValueRef::Map(MapRef::Options(_))) => None,
            (_, value) => value.to_tree(),
        }
    }

    /// The value of a field of the workload registry in an event.
    pub fn read<'a>(&self, id: FieldId, event: &'a Event) -> ValueRef<'a> {
        match self.field(id).access {
            Access::Event(get, _) => get(event),
            Access::Parent(member) => match object::parent(event) {
                ValueRef::Object(parent) => parent.member(member),
                other => other,
            },
            Access::Resource => ValueRef::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_and_documented() {
        let registry = Registry::workload();
        for (id, field) in registry.fields() {
            assert_eq!(
                registry.find(field.path),
                Some(id),
                "{} is there twice",
                field.path
            );
            assert!(
                field.doc.ends_with('.'),
                "{}: the meaning is a sentence",
                field.path
            );
            assert!(!field.example.is_empty(), "{}: has an example", field.path);
        }
    }

    #[test]
    fn prefixes_of_names_are_known() {
        let registry = Registry::workload();
        assert!(registry.is_prefix("process"));
        assert!(registry.is_prefix("process.parent"));
        assert!(!registry.is_prefix("process.name"));
        assert!(!registry.is_prefix("proc"));
    }
}
