//! Events as tests write them: a tree whose paths are names of fields.

use std::fmt;
use std::sync::Arc;

use super::object::set_parent_member;
use super::{Access, Registry};
use crate::{Event, EventKind, Host, Origin, Outcome, Process, Timestamp, Tree};

/// A tree does not describe an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildEventError {
    /// It is not a map of fields.
    NotAMap,
    /// It does not say which kind of event it is.
    NoKind,
    /// It says so with a name that no kind has.
    UnknownKind(String),
    /// There is no field of that name.
    UnknownField(String),
    /// The field is derived from others and cannot be given.
    Derived(&'static str),
    /// Events of that kind do not have the field.
    NotInKind {
        /// The field.
        path: &'static str,
        /// The kind.
        kind: EventKind,
    },
    /// The value has another type than the field.
    Mismatch {
        /// The field.
        path: &'static str,
        /// What the field takes.
        expected: &'static str,
    },
}

impl fmt::Display for BuildEventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAMap => f.write_str("an event is a map of fields, such as {kind: process.exec}"),
            Self::NoKind => f.write_str("the event has no kind; add one such as kind: process.exec"),
            Self::UnknownKind(name) => write!(f, "unknown event kind {name:?}; use one such as process.exec"),
            Self::UnknownField(path) => write!(f, "unknown field {path}; `yagura fields` lists them"),
            Self::Derived(path) => write!(f, "field {path} is derived from others and cannot be given"),
            Self::NotInKind { path, kind } => write!(f, "field {path} is not in events of kind {kind}"),
            Self::Mismatch { path, expected } => write!(f, "field {path} takes {expected}"),
        }
    }
}

impl std::error::Error for BuildEventError {}

/// The event that a tree describes: `kind`, and any fields of the workload registry, nested or with dots.
///
/// Lineage counts as complete unless the tree says otherwise, the outcome as success, and everything else that
/// it does not name as absent.
pub fn build_event(tree: &Tree, time: Timestamp) -> Result<Event, BuildEventError> {
    build(tree, time, Derived::Refused)
}

/// The same for an event that was recorded with every field it had: those that are derived from others are passed over,
/// since they follow from them again.
pub fn build_recorded_event(tree: &Tree, time: Timestamp) -> Result<Event, BuildEventError> {
    build(tree, time, Derived::PassedOver)
}

/// What becomes of fields that are derived from others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Derived {
    Refused,
    PassedOver,
}

fn build(tree: &Tree, time: Timestamp, derived: Derived) -> Result<Event, BuildEventError> {
    let Tree::Map(members) = tree else {
        return Err(BuildEventError::NotAMap);
    };
    let kind = match tree.get(b"kind").or_else(|| tree.at("event.kind")) {
        Some(Tree::Text(name)) => EventKind::ALL
            .into_iter()
            .find(|kind| kind.as_str().as_bytes() == name.as_bytes())
            .ok_or_else(|| BuildEventError::UnknownKind(name.to_string()))?,
        Some(_) => {
            return Err(BuildEventError::UnknownKind(
                "a value that is no string".to_owned(),
            ));
        }
        None => return Err(BuildEventError::NoKind),
    };
    let mut event = Event {
        kind,
        time,
        origin: Origin::Live,
        outcome: Outcome::Success,
        process: Arc::new(Process {
            ancestors_complete: true,
            ..Process::default()
        }),
        container: None,
        host: Arc::new(Host::default()),
        exit: (kind == EventKind::ProcessExit).then(Default::default),
        marks: None,
    };
    for (name, value) in members {
        if name.as_bytes() != b"kind" {
            set(&mut event, &name.to_string(), value, derived)?;
        }
    }
    Ok(event)
}

/// Sets the field at `path`, or those below it. Trees nest at most as deep as names have segments.
fn set(event: &mut Event, path: &str, value: &Tree, derived: Derived) -> Result<(), BuildEventError> {
    let registry = Registry::workload();
    if let (Tree::Map(members), true) = (value, registry.is_prefix(path)) {
        for (name, value) in members {
            set(event, &format!("{path}.{name}"), value, derived)?;
        }
        return Ok(());
    }
    let Some(id) = registry.find(path) else {
        return Err(BuildEventError::UnknownField(path.to_owned()));
    };
    let field = registry.field(id);
    if !field.kinds.contains(event.kind) {
        return Err(BuildEventError::NotInKind {
            path: field.path,
            kind: event.kind,
        });
    }
    let result = match field.access {
        Access::Event(_, Some(set)) => set(event, value),
        Access::Parent(member) => set_parent_member(event, member, value),
        Access::Event(_, None) if derived == Derived::PassedOver => return Ok(()),
        Access::Event(_, None) | Access::Resource => return Err(BuildEventError::Derived(field.path)),
    };
    result.map_err(|mismatch| BuildEventError::Mismatch {
        path: field.path,
        expected: mismatch.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, Tree)]) -> Tree {
        Tree::map(pairs.iter().map(|(name, value)| ((*name).into(), value.clone())))
    }

    fn read(event: &Event, path: &str) -> Option<Tree> {
        let registry = Registry::workload();
        registry.read(registry.find(path).unwrap(), event).to_tree()
    }

    #[test]
    fn nested_and_dotted_names_set_fields() {
        let tree = map(&[
            ("kind", "process.exec".into()),
            (
                "process",
                map(&[
                    ("name", "bash".into()),
                    ("parent", map(&[("name", "nginx".into())])),
                ]),
            ),
            ("container.id", "c1".into()),
            (
                "k8s",
                map(&[("pod", map(&[("labels", map(&[("app", "cart".into())]))]))]),
            ),
        ]);
        let event = build_event(&tree, Timestamp(5)).unwrap();
        assert_eq!(read(&event, "process.name"), Some("bash".into()));
        assert_eq!(read(&event, "process.parent.name"), Some("nginx".into()));
        assert_eq!(read(&event, "container.id"), Some("c1".into()));
        assert_eq!(read(&event, "process.in_container"), Some(true.into()));
        assert_eq!(
            read(&event, "k8s.pod.labels"),
            Some(map(&[("app", "cart".into())]))
        );
        assert_eq!(read(&event, "process.tty"), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let build = |name: &str, value: Tree| {
            build_event(
                &map(&[("kind", "process.exec".into()), (name, value)]),
                Timestamp(0),
            )
            .unwrap_err()
            .to_string()
        };
        assert_eq!(
            build("process.nmae", "x".into()),
            "unknown field process.nmae; `yagura fields` lists them"
        );
        assert_eq!(
            build("process.pid", "x".into()),
            "field process.pid takes a whole number in the range of the field"
        );
        assert_eq!(
            build("process.exit_code", 1.into()),
            "field process.exit_code is not in events of kind process.exec"
        );
        assert_eq!(
            build_event(&Tree::Null, Timestamp(0)),
            Err(BuildEventError::NotAMap)
        );
        assert_eq!(build_event(&map(&[]), Timestamp(0)), Err(BuildEventError::NoKind));
    }
}
