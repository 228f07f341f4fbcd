//! Objects of the domain with members of their own: the processes that another descends from.

use std::fmt;
use std::sync::Arc;

use super::convert::{Mismatch, known, text, texts, whole};
use super::{Access, Field, Type};
use crate::process::Ancestor;
use crate::value::{Items, ListRef};
use crate::{Event, Tree, ValueRef};

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// A process that others descend from.
    Ancestor,
}

impl ObjectKind {
    /// Its name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ancestor => "process",
        }
    }

    /// The members that such an object has.
    pub fn members(self) -> impl Iterator<Item = (MemberId, &'static Member)> {
        let members = match self {
            Self::Ancestor => ANCESTOR,
        };
        (0u16..)
            .zip(members)
            .map(|(index, member)| (MemberId(index), member))
    }

    /// The member of that name.
    pub fn find(self, name: &str) -> Option<(MemberId, &'static Member)> {
        self.members().find(|(_, member)| member.name == name)
    }
}

/// A member by its place among the members of its kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u16);

/// What is known of a member of an object.
pub struct Member {
    /// Its name within the object; it may contain dots, as in `user.name`.
    pub name: &'static str,
    /// The type of its values.
    pub ty: Type,
    /// A value as it may appear.
    pub example: &'static str,
    /// What it means, in a sentence.
    pub doc: &'static str,
    /// Whether it may be unknown.
    pub may_be_unknown: bool,
    path_of_parent: &'static str,
    get: fn(&Ancestor) -> ValueRef<'_>,
    set: fn(&mut Ancestor, &Tree) -> Result<(), Mismatch>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A borrowed object.
#[derive(Clone, Copy, Debug)]
pub enum ObjectRef<'a> {
    /// A process that others descend from.
    Ancestor(&'a Ancestor),
}

impl<'a> ObjectRef<'a> {
    /// The value of a member.
    pub fn member(self, id: MemberId) -> ValueRef<'a> {
        match self {
            Self::Ancestor(ancestor) => ANCESTOR
                .get(usize::from(id.0))
                .map_or(ValueRef::Absent, |member| (member.get)(ancestor)),
        }
    }

    /// An owned copy: the members that are present, nested by the dots of their names.
    pub fn to_tree(self) -> Tree {
        let mut pairs = Vec::new();
        for (id, member) in ObjectKind::Ancestor.members() {
            if let Some(tree) = self.member(id).to_tree() {
                pairs.push((member.name, tree));
            }
        }
        super::record::nest(&pairs)
    }
}

const ANCESTOR: &[Member] = &[
    Member {
        name: "pid",
        ty: Type::INT,
        example: "812",
        doc: "Process id in the initial pid namespace.",
        may_be_unknown: false,
        path_of_parent: "process.parent.pid",
        get: |ancestor| ancestor.id.pid.into(),
        set: |ancestor, tree| whole(tree).map(|pid| ancestor.id.pid = pid),
    },
    Member {
        name: "name",
        ty: Type::STRING,
        example: "nginx",
        doc: "Base name of the path given to exec, at most 15 bytes.",
        may_be_unknown: false,
        path_of_parent: "process.parent.name",
        get: |ancestor| (&ancestor.name).into(),
        set: |ancestor, tree| text(tree).map(|name| ancestor.name = name),
    },
    Member {
        name: "executable",
        ty: Type::STRING,
        example: "/usr/sbin/nginx",
        doc: "Resolved path of the file that it runs.",
        may_be_unknown: true,
        path_of_parent: "process.parent.executable",
        get: |ancestor| ancestor.executable.as_ref().into(),
        set: |ancestor, tree| known(tree, text).map(|path| ancestor.executable = path),
    },
    Member {
        name: "args",
        ty: Type::STRINGS,
        example: "[\"-g\", \"daemon off;\"]",
        doc: "Arguments, without the program's own name.",
        may_be_unknown: false,
        path_of_parent: "process.parent.args",
        get: |ancestor| {
            ValueRef::List(ListRef {
                items: Items::Texts(&ancestor.args),
                complete: true,
            })
        },
        set: |ancestor, tree| texts(tree).map(|args| ancestor.args = args),
    },
    Member {
        name: "user.id",
        ty: Type::INT,
        example: "33",
        doc: "Effective user id in the initial user namespace.",
        may_be_unknown: false,
        path_of_parent: "process.parent.user.id",
        get: |ancestor| ancestor.user.id.into(),
        set: |ancestor, tree| whole(tree).map(|id| ancestor.user.id = id),
    },
    Member {
        name: "user.name",
        ty: Type::STRING,
        example: "www-data",
        doc: "Effective user's name.",
        may_be_unknown: true,
        path_of_parent: "process.parent.user.name",
        get: |ancestor| ancestor.user.name.as_ref().into(),
        set: |ancestor, tree| known(tree, text).map(|name| ancestor.user.name = name),
    },
];

/// The members of the parent as fields of their own.
pub(super) fn parent_fields() -> impl Iterator<Item = Field> {
    ObjectKind::Ancestor.members().map(|(id, member)| Field {
        access: Access::Parent(id),
        may_be_unknown: true,
        shown: matches!(member.name, "name" | "executable" | "args"),
        of_one_node: member.name == "pid",
        ..Field::derived(
            member.path_of_parent,
            member.ty,
            member.example,
            member.doc,
            |_| ValueRef::Absent,
        )
    })
}

/// The process that started this one: absent for the first process, unknown when its lineage is cut.
pub(super) fn parent(event: &Event) -> ValueRef<'_> {
    match event.process.ancestors.first() {
        Some(parent) => ValueRef::Object(ObjectRef::Ancestor(parent)),
        None if event.process.ancestors_complete => ValueRef::Absent,
        None => ValueRef::Unknown,
    }
}

/// The lineage of the process, nearest first.
pub(super) fn ancestors(event: &Event) -> ValueRef<'_> {
    ValueRef::List(ListRef {
        items: Items::Ancestors(&event.process.ancestors),
        complete: event.process.ancestors_complete,
    })
}

/// Writes one member of the parent, which comes to be where there was none.
pub(super) fn set_parent_member(event: &mut Event, id: MemberId, tree: &Tree) -> Result<(), Mismatch> {
    let process = Arc::make_mut(&mut event.process);
    if process.ancestors.is_empty() {
        process.ancestors.push(Arc::default());
    }
    match (process.ancestors.first_mut(), ANCESTOR.get(usize::from(id.0))) {
        (Some(parent), Some(member)) => (member.set)(Arc::make_mut(parent), tree),
        _ => Ok(()),
    }
}

/// Replaces the whole lineage by a list of maps.
pub(super) fn set_ancestors(event: &mut Event, tree: &Tree) -> Result<(), Mismatch> {
    const EXPECTED: Mismatch = Mismatch("a list of processes, each with members such as name and executable");
    let Tree::List(values) = tree else {
        return Err(EXPECTED);
    };
    let mut ancestors = Vec::with_capacity(values.len());
    for value in values {
        let Tree::Map(pairs) = value else {
            return Err(EXPECTED);
        };
        let mut ancestor = Ancestor::default();
        let mut known_names = 0;
        for member in ANCESTOR {
            if let Some(value) = value.at(member.name) {
                (member.set)(&mut ancestor, value)?;
            }
            known_names +=
                usize::from(!member.name.contains('.') && value.get(member.name.as_bytes()).is_some());
        }
        known_names += usize::from(value.get(b"user").is_some());
        if known_names != pairs.len() {
            return Err(EXPECTED);
        }
        ancestors.push(Arc::new(ancestor));
    }
    Arc::make_mut(&mut event.process).ancestors = ancestors;
    Ok(())
}
