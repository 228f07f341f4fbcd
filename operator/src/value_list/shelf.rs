//! Which names stand for which values: pure.
//!
//! Every agent holds what its rules use, so all lists together have a budget. The order decides who gets a place: older objects come
//! first.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use kube::ResourceExt as _;
use kube::core::DeserializeGuard;
use yagura_crds::value_list::summary;
use yagura_crds::{ValueList, ValueListSpec, ValueListStatus};
use yagura_proto::{content, v1};
use yagura_rules::{Lists, NamedList};

/// Most lists.
const MAX_LISTS: usize = 500;
/// Bytes of all lists, as they are counted for one.
const MAX_BYTES: usize = 4 << 20;
/// Values of all lists.
const MAX_VALUES: usize = 100_000;
/// Globs of all lists for which a matcher must be compiled.
const MAX_PATTERNS: usize = 1_000;

/// An object that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Its generation.
    pub generation: Option<i64>,
    /// When it was created, in seconds since the Unix epoch.
    pub created: i64,
    /// What it holds, or why nobody can use it.
    pub content: Result<Content, Refused>,
    /// What its status said when it was seen.
    pub told: ValueListStatus,
}

/// The values of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// For the compiler.
    pub list: Arc<NamedList>,
    /// For agents, sealed by [`content::seal_list`].
    pub body: Arc<v1::NamedList>,
}

/// Why a list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// For the condition `Accepted`.
    pub reason: &'static str,
    /// For a person.
    pub message: String,
}

impl Object {
    /// An object as it is watched.
    pub(super) fn read(guard: &DeserializeGuard<ValueList>) -> Self {
        let refused = |reason, message| Refused { reason, message };
        let content = match &guard.0 {
            Ok(object) => Content::of(&object.spec).map_err(|why| refused("InvalidValues", why)),
            Err(error) => {
                let why = format!("the object cannot be read: {}", error.error);
                Err(refused("InvalidObject", why))
            }
        };
        let meta = kube::Resource::meta(guard);
        let created = meta.creation_timestamp.as_ref();
        Self {
            uid: guard.uid().unwrap_or_default(),
            name: guard.name_any(),
            generation: meta.generation,
            created: created.map_or(0, |time| time.0.as_second()),
            content,
            told: guard
                .0
                .as_ref()
                .ok()
                .and_then(|object| object.status.clone())
                .unwrap_or_default(),
        }
    }
}

impl Content {
    /// The values of a list, or what is wrong with them.
    pub fn of(spec: &ValueListSpec) -> Result<Self, String> {
        let list = spec.list().map_err(|faults| summary(&faults))?;
        let mut values = spec.values.clone();
        // Their order means nothing, and must not make agents get them again.
        values.sort_unstable();
        values.dedup();
        let body = content::seal_list(v1::NamedList {
            hash: String::new(),
            r#type: list.kind().as_str().to_owned(),
            values,
        });
        Ok(Self {
            list: Arc::new(list),
            body: Arc::new(body),
        })
    }

    fn bytes(&self) -> usize {
        self.body.values.iter().map(|value| value.len() + 3).sum()
    }
}

/// An object and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The object.
    pub object: Arc<Object>,
    /// What it holds, or why nobody can use it.
    pub content: Result<Content, Refused>,
}

/// The lists at one time.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// Whether all objects that were there have been looked at.
    pub settled: bool,
    /// What conditions may name.
    pub lists: Lists,
    /// What agents get, by name.
    pub bodies: BTreeMap<String, Arc<v1::NamedList>>,
    /// The objects, older ones first.
    pub judged: Vec<Judged>,
}

impl Shelf {
    /// Puts objects on the shelf.
    pub fn new<'o>(objects: impl IntoIterator<Item = &'o Arc<Object>>) -> Self {
        let mut objects: Vec<&Arc<Object>> = objects.into_iter().collect();
        objects.sort_by(|a, b| (a.created, &a.uid).cmp(&(b.created, &b.uid)));
        let mut shelf = Self {
            settled: true,
            ..Self::default()
        };
        let mut taken = Taken::default();
        for object in objects {
            let content = object
                .content
                .clone()
                .and_then(|content| taken.take(&content).map(|()| content));
            let lists = std::mem::take(&mut shelf.lists);
            shelf.lists = match &content {
                Ok(content) => {
                    shelf
                        .bodies
                        .insert(object.name.clone(), Arc::clone(&content.body));
                    lists.with(&object.name, Arc::clone(&content.list))
                }
                Err(refused) => lists.with_unusable(&object.name, &refused.message),
            };
            shelf.judged.push(Judged {
                object: Arc::clone(object),
                content,
            });
        }
        shelf
    }
}

/// Places that are taken.
#[derive(Default)]
struct Taken {
    lists: usize,
    bytes: usize,
    values: usize,
    patterns: usize,
}

impl Taken {
    fn take(&mut self, content: &Content) -> Result<(), Refused> {
        let next = Self {
            lists: self.lists + 1,
            bytes: self.bytes + content.bytes(),
            values: self.values + content.list.len(),
            patterns: self.patterns + content.list.patterns(),
        };
        let limits = [
            (next.lists, MAX_LISTS, "lists"),
            (next.bytes, MAX_BYTES, "bytes"),
            (next.values, MAX_VALUES, "values"),
            (
                next.patterns,
                MAX_PATTERNS,
                "globs with wildcards other than ** at their end",
            ),
        ];
        for (wanted, most, what) in limits {
            if wanted > most {
                return Err(Refused {
                    reason: "BudgetExceeded",
                    message: format!(
                        "with older lists there would be {wanted} {what}, and {most} are the most: make lists shorter, or delete some"
                    ),
                });
            }
        }
        *self = next;
        Ok(())
    }
}
