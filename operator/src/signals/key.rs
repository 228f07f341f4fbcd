//! The canonical form of a group's key: equal bytes exactly when the groups are equal.

use prost::Message;
use sha2::{Digest, Sha256};
use yagura_event::GroupKey;
use yagura_proto::convert::tree_to_message;

/// A longer key is replaced by its digest, so that an object can carry it.
const MAX_KEY: usize = 2_048;

/// First byte of a key in full, and of one that is a digest.
const FULL: u8 = 1;
const DIGEST: u8 = 2;

/// The key of a group on a node. The node is part of it: an agent cannot add to the signal of another node. Without a
/// node it is the key of a group that is counted across nodes.
pub(super) fn of_group(node: &str, group: &GroupKey) -> Vec<u8> {
    let mut key = vec![FULL];
    part(&mut key, node.as_bytes());
    for (field, value) in &group.0 {
        part(&mut key, field.as_bytes());
        part(&mut key, &tree_to_message(value).encode_to_vec());
    }
    bounded(key)
}

/// The key of a posture signal's scope.
pub(super) fn of_scope(scope: &str) -> Vec<u8> {
    of_parts([scope])
}

/// The key made of some parts in this order.
pub(super) fn of_parts<'a>(parts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut key = vec![FULL];
    for text in parts {
        part(&mut key, text.as_bytes());
    }
    bounded(key)
}

fn part(key: &mut Vec<u8>, bytes: &[u8]) {
    key.extend_from_slice(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    key.extend_from_slice(bytes);
}

fn bounded(key: Vec<u8>) -> Vec<u8> {
    if key.len() <= MAX_KEY {
        return key;
    }
    let mut digest = vec![DIGEST];
    digest.extend_from_slice(&Sha256::digest(&key));
    digest
}

#[cfg(test)]
mod tests {
    use yagura_event::{GroupKey, Tree};

    use super::of_group;

    fn group(parts: &[(&str, Tree)]) -> GroupKey {
        GroupKey(
            parts
                .iter()
                .map(|(field, value)| ((*field).to_owned(), value.clone()))
                .collect(),
        )
    }

    #[test]
    fn keys_differ_by_node_field_value_and_type() {
        let base = group(&[("a", "1".into())]);
        assert_eq!(of_group("n", &base), of_group("n", &base));
        for (node, other) in [
            ("m", base.clone()),
            ("n", group(&[("b", "1".into())])),
            ("n", group(&[("a", "2".into())])),
            ("n", group(&[("a", 1.into())])),
            ("n", group(&[("a", "1".into()), ("b", Tree::Null)])),
        ] {
            assert_ne!(of_group("n", &base), of_group(node, &other), "{other:?}");
        }
    }

    #[test]
    fn a_long_key_is_short_and_still_its_own() {
        let long = |last: &str| group(&[("a", format!("{}{last}", "x".repeat(10_000)).as_str().into())]);
        assert!(of_group("n", &long("1")).len() < 64);
        assert_ne!(of_group("n", &long("1")), of_group("n", &long("2")));
    }
}
