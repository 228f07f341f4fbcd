//! The objects that ship with this version.

use std::collections::BTreeMap;

use kube::api::ApiResource;
use serde_json::{Map, Value};
use yagura_crds::source::{Fault, Object, read};
use yagura_crds::{
    DetectionRule, DetectionRuleSpec, PostureCheck, PostureCheckSpec, PostureFramework, PostureFrameworkSpec,
};

use super::embedded;
use super::packs::{Pack, Packs};
use super::taken::Names;

/// Path of the generated module that holds the shipped files, from the root of the repository.
pub const FILES_SOURCE: &str = "operator/src/content/embedded.rs";

/// Members of `spec` that are the user's.
pub(super) const USERS: [&str; 2] = ["enabled", "overrides"];

/// Files that are no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file has a mistake.
    #[error("shipped content cannot be read: {0}")]
    Fault(Fault),
    /// Two objects are called the same.
    #[error("shipped content has two objects {kind} {name}")]
    Twice {
        /// Their kind.
        kind: &'static str,
        /// Their name.
        name: String,
    },
    /// A kind that only users write.
    #[error("shipped content has {kind} {name}, and exceptions are the user's to make")]
    NotShipped {
        /// The kind.
        kind: &'static str,
        /// The object's name.
        name: String,
    },
}

/// A kind that ships, in the order in which objects are applied: a framework refers to checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `DetectionRule`.
    Rule,
    /// `PostureCheck`.
    Check,
    /// `PostureFramework`.
    Framework,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Rule, Self::Check, Self::Framework];

    /// The name as it stands in objects.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "DetectionRule",
            Self::Check => "PostureCheck",
            Self::Framework => "PostureFramework",
        }
    }

    /// How the API server calls it.
    pub fn resource(self) -> ApiResource {
        match self {
            Self::Rule => ApiResource::erase::<DetectionRule>(&()),
            Self::Check => ApiResource::erase::<PostureCheck>(&()),
            Self::Framework => ApiResource::erase::<PostureFramework>(&()),
        }
    }
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) name: String,
}

/// A shipped object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) pack: Pack,
    pub(super) spec: Spec,
}

/// The `spec` of a shipped object, or of one that is to be compared with it, without what is the user's.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Spec {
    Rule(Box<DetectionRuleSpec>),
    Check(Box<PostureCheckSpec>),
    Framework(Box<PostureFrameworkSpec>),
}

impl Spec {
    /// Reads a `spec`; `None` when it is not one of this version.
    pub(super) fn read(kind: Kind, spec: &Value) -> Option<Self> {
        let spec = spec.clone();
        let parsed = match kind {
            Kind::Rule => serde_json::from_value(spec).ok().map(Self::Rule),
            Kind::Check => serde_json::from_value(spec).ok().map(Self::Check),
            Kind::Framework => serde_json::from_value(spec).ok().map(Self::Framework),
        };
        parsed.map(Self::without_users)
    }

    fn without_users(mut self) -> Self {
        match &mut self {
            Self::Rule(rule) => {
                rule.enabled = true;
                rule.overrides = None;
            }
            Self::Check(check) => check.overrides = None,
            Self::Framework(_) => {}
        }
        self
    }

    /// The members of `spec` that are applied.
    pub(super) fn members(&self) -> Map<String, Value> {
        let value = match self {
            Self::Rule(spec) => serde_json::to_value(spec),
            Self::Check(spec) => serde_json::to_value(spec),
            Self::Framework(spec) => serde_json::to_value(spec),
        };
        // Types of custom resources are structs whose members have names: this is always an object.
        let mut members = match value {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        };
        for member in USERS {
            members.remove(member);
        }
        members
    }
}

/// A set of shipped objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bundle {
    items: BTreeMap<Key, Item>,
}

impl Bundle {
    /// What ships with this version.
    pub fn embedded() -> Result<Self, BundleError> {
        Self::read(embedded::FILES.iter().copied())
    }

    /// Reads a bundle from files: their names and what stands in them.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, BundleError> {
        let mut bundle = Self::default();
        for (name, text) in files {
            let file = read(name, text);
            if let Some(fault) = file.faults.into_iter().next() {
                return Err(BundleError::Fault(fault));
            }
            for document in file.documents {
                bundle.add(document.object)?;
            }
        }
        Ok(bundle)
    }

    fn add(&mut self, object: Object) -> Result<(), BundleError> {
        let name = object.name().to_owned();
        let (kind, pack, spec) = match object {
            Object::DetectionRule(rule) => {
                let pack = match rule.spec.source {
                    yagura_crds::detection_rule::Source::Workload => Pack::Workload,
                };
                (Kind::Rule, pack, Spec::Rule(Box::new(rule.spec)))
            }
            Object::PostureCheck(check) => (Kind::Check, Pack::Posture, Spec::Check(Box::new(check.spec))),
            Object::PostureFramework(framework) => (
                Kind::Framework,
                Pack::Posture,
                Spec::Framework(Box::new(framework.spec)),
            ),
            Object::Exception(_) | Object::ClusterException(_) | Object::ValueList(_) => {
                return Err(BundleError::NotShipped {
                    kind: object.kind(),
                    name,
                });
            }
        };
        let spec = spec.without_users();
        let key = Key { kind, name };
        if self.items.contains_key(&key) {
            return Err(BundleError::Twice {
                kind: kind.as_str(),
                name: key.name,
            });
        }
        self.items.insert(key, Item { pack, spec });
        Ok(())
    }

    /// The part of it that is wanted.
    #[must_use]
    pub fn selected(mut self, packs: &Packs) -> Self {
        self.items.retain(|_, item| packs.contains(item.pack));
        self
    }

    /// The names that it takes.
    pub fn names(&self) -> Names {
        self.items
            .iter()
            .map(|(key, item)| (key.kind.as_str(), key.name.clone(), item.pack))
            .collect()
    }

    /// How many objects it has.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Item> {
        self.items.get(key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.items.keys()
    }
}
