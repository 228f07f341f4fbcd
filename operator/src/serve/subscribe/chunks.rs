//! Messages of bounded size from lists of any length. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message;
use yagura_proto::v1::{Pod, PodContainer, PodUpdate};

use crate::index::pods::PodRecord;

/// Bytes of one message; a single item larger than this goes alone.
const MAX_CHUNK: usize = 1_024 * 1_024;

/// Splits items into lists of at most [`MAX_CHUNK`] bytes.
pub(super) fn of<T: Message>(items: impl Iterator<Item = T>) -> Vec<Vec<T>> {
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    let mut size = 0;
    for item in items {
        let length = item.encoded_len();
        if !chunk.is_empty() && size + length > MAX_CHUNK {
            chunks.push(std::mem::take(&mut chunk));
            size = 0;
        }
        size += length;
        chunk.push(item);
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

/// What leads from the pods `before` to those `now`. `full` makes the agent forget all others.
pub(super) fn pods(
    full: bool,
    before: &BTreeMap<String, Arc<PodRecord>>,
    now: &BTreeMap<String, Arc<PodRecord>>,
) -> Vec<PodUpdate> {
    let changed = now
        .iter()
        .filter(|(uid, pod)| !before.get(*uid).is_some_and(|old| Arc::ptr_eq(old, pod)))
        .map(|(_, pod)| message(pod));
    let deletes: Vec<String> = before
        .keys()
        .filter(|uid| !now.contains_key(*uid))
        .cloned()
        .collect();
    let mut updates: Vec<PodUpdate> = of(changed)
        .into_iter()
        .map(|upserts| PodUpdate {
            upserts,
            ..PodUpdate::default()
        })
        .collect();
    if updates.is_empty() && (full || !deletes.is_empty()) {
        updates.push(PodUpdate::default());
    }
    if let Some(first) = updates.first_mut() {
        first.full = full;
        first.deletes = deletes;
    }
    updates
}

fn message(pod: &Arc<PodRecord>) -> Pod {
    Pod {
        uid: pod.uid.clone(),
        name: pod.name.clone(),
        namespace: pod.namespace.clone(),
        labels: pod.labels.clone(),
        namespace_labels: pod.namespace_labels.clone(),
        owner_kind: pod.owner_kind.clone(),
        owner_name: pod.owner_name.clone(),
        containers: pod
            .containers
            .iter()
            .map(|container| PodContainer {
                name: container.name.clone(),
                id: container.id.clone(),
                image: container.image.clone(),
                image_digest: container.image_digest.clone(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use prost::Message;
    use yagura_proto::v1::RuleBody;

    use super::{MAX_CHUNK, of, pods};
    use crate::index::pods::PodRecord;

    #[test]
    fn chunks_are_bounded_and_lose_nothing() {
        let body = |n: usize| RuleBody {
            uid: n.to_string(),
            condition: "x".repeat(60_000),
            ..RuleBody::default()
        };
        let chunks = of((0..40).map(body));
        assert!(chunks.len() > 1);
        for chunk in &chunks {
            assert!(chunk.iter().map(Message::encoded_len).sum::<usize>() <= MAX_CHUNK);
        }
        let uids: Vec<_> = chunks.concat().into_iter().map(|body| body.uid).collect();
        assert_eq!(uids, (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
        assert!(of(std::iter::empty::<RuleBody>()).is_empty());
    }

    #[test]
    fn updates_carry_what_changed() {
        let pod = |uid: &str| {
            let record = PodRecord {
                uid: uid.into(),
                ..PodRecord::default()
            };
            (uid.to_owned(), Arc::new(record))
        };
        let none = BTreeMap::new();
        let before: BTreeMap<_, _> = [pod("a"), pod("b")].into();
        let first = pods(true, &none, &before);
        assert!(first[0].full && first[0].upserts.len() == 2);
        assert!(pods(true, &none, &none)[0].full, "none at all is news at first");

        let mut now = before.clone();
        now.remove("a");
        now.extend([pod("c")]);
        let update = pods(false, &before, &now).remove(0);
        assert_eq!(update.deletes, ["a"]);
        assert_eq!(update.upserts.len(), 1);
        assert!(!update.full && update.upserts[0].uid == "c");
        assert!(pods(false, &now, &now).is_empty());
    }
}
