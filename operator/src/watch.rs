//! Watches of the API server as changes: what a restarted watch finds gone is told as a deletion,
//! and the first complete list as `Synced`.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;

use futures::{Stream, StreamExt as _, stream};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use yagura_telemetry::chain;

/// A change of the objects of a kind.
#[derive(Debug, PartialEq, Eq)]
pub enum Change<K> {
    /// An object is there, new or changed.
    Apply(K),
    /// An object is gone.
    Delete(Gone),
    /// Everything that was there has been told.
    Synced,
}

/// An object that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its uid.
    pub uid: String,
    /// Its namespace; empty for a cluster-scoped one.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The changes of all objects that an API shows. Errors are logged and retried with growing
/// pauses; the stream never ends.
pub fn changes<K>(api: Api<K>) -> impl Stream<Item = Change<K>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let url = api.resource_url().to_owned();
    let mut known = Known::default();
    watcher(api, watcher::Config::default())
        .default_backoff()
        .flat_map(move |result| {
            stream::iter(match result {
                Ok(event) => known.take(event),
                Err(error) => {
                    tracing::warn!(url, error = %chain(&error), "watch failed, trying again");
                    Vec::new()
                }
            })
        })
}

/// The objects that were told of, so that a new list shows which of them are gone.
#[derive(Debug, Default)]
struct Known {
    objects: HashMap<String, (String, String)>,
    /// Uids of the list that is being read.
    listed: HashSet<String>,
}

impl Known {
    fn take<K: Resource>(&mut self, event: Event<K>) -> Vec<Change<K>> {
        match event {
            Event::Apply(object) => {
                self.learn(&object);
                vec![Change::Apply(object)]
            }
            Event::Delete(object) => {
                let gone = gone(&object);
                self.objects.remove(&gone.uid);
                vec![Change::Delete(gone)]
            }
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                let uid = self.learn(&object);
                self.listed.insert(uid);
                vec![Change::Apply(object)]
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let lost: Vec<String> = self
                    .objects
                    .keys()
                    .filter(|uid| !listed.contains(*uid))
                    .cloned()
                    .collect();
                let mut changes: Vec<Change<K>> = lost
                    .into_iter()
                    .filter_map(|uid| {
                        let (namespace, name) = self.objects.remove(&uid)?;
                        Some(Change::Delete(Gone { uid, namespace, name }))
                    })
                    .collect();
                changes.push(Change::Synced);
                changes
            }
        }
    }

    fn learn(&mut self, object: &impl Resource) -> String {
        let Gone { uid, namespace, name } = gone(object);
        self.objects.insert(uid.clone(), (namespace, name));
        uid
    }
}

fn gone(object: &impl Resource) -> Gone {
    let meta = object.meta();
    Gone {
        uid: meta.uid.clone().unwrap_or_default(),
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::watcher::Event;

    use super::{Change, Gone, Known};

    fn object(uid: &str) -> ConfigMap {
        ConfigMap {
            metadata: kube::api::ObjectMeta {
                uid: Some(uid.to_owned()),
                name: Some(format!("{uid}-name")),
                namespace: Some("ns".to_owned()),
                ..Default::default()
            },
            ..Default::default()
        }
    }

    #[test]
    fn what_a_restarted_watch_does_not_list_is_told_as_gone() {
        let mut known = Known::default();
        assert!(known.take(Event::<ConfigMap>::Init).is_empty());
        known.take(Event::InitApply(object("a")));
        assert_eq!(known.take(Event::<ConfigMap>::InitDone), [Change::Synced]);
        known.take(Event::Apply(object("b")));
        known.take(Event::<ConfigMap>::Init);
        known.take(Event::InitApply(object("b")));
        let gone = Gone {
            uid: "a".into(),
            namespace: "ns".into(),
            name: "a-name".into(),
        };
        assert_eq!(
            known.take(Event::<ConfigMap>::InitDone),
            [Change::Delete(gone), Change::Synced]
        );
        assert!(
            matches!(&known.take(Event::Delete(object("b")))[..], [Change::Delete(gone)] if gone.uid == "b")
        );
        assert!(known.objects.is_empty());
    }
}
