//! Content addresses: what makes two rules, or two lists of rules, the same.
//!
//! Both sides hash the message as it goes over the wire with its fields in order and its maps
//! sorted, which the generated encoder guarantees (maps are B-trees).

use prost::Message;
use sha2::{Digest, Sha256};

use crate::v1::{NamedList, RuleBody};

/// The hash of everything in `body` but its `hash`, in hexadecimal.
pub fn body_hash(body: &RuleBody) -> String {
    let unsealed = RuleBody {
        hash: String::new(),
        ..body.clone()
    };
    let mut hasher = Sha256::new();
    hasher.update(b"yagura rule\0");
    hasher.update(unsealed.encode_to_vec());
    hex(&hasher.finalize())
}

/// The body with its hash filled in.
#[must_use]
pub fn seal(mut body: RuleBody) -> RuleBody {
    body.hash = body_hash(&body);
    body
}

/// Whether the body is what its hash says.
pub fn is_sealed(body: &RuleBody) -> bool {
    body.hash == body_hash(body)
}

/// The hash of everything in a named list but its `hash`, in hexadecimal.
pub fn list_hash(list: &NamedList) -> String {
    let NamedList {
        hash: _,
        r#type,
        values,
    } = list;
    let mut hasher = Sha256::new();
    hasher.update(b"yagura values\0");
    for part in std::iter::once(r#type).chain(values) {
        // Lengths keep ("ab", "c") and ("a", "bc") apart.
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hex(&hasher.finalize())
}

/// The list with its hash filled in.
#[must_use]
pub fn seal_list(mut list: NamedList) -> NamedList {
    list.hash = list_hash(&list);
    list
}

/// Whether the list is what its hash says.
pub fn is_sealed_list(list: &NamedList) -> bool {
    list.hash == list_hash(list)
}

/// By which a certificate in DER is named.
pub fn certificate_fingerprint(der: &[u8]) -> String {
    hex(&Sha256::digest(der))
}

/// The revision of a list: the hash of its (uid, hash) pairs, whatever their order.
pub fn revision<'a>(rules: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut rules: Vec<_> = rules.into_iter().collect();
    rules.sort_unstable();
    let mut hasher = Sha256::new();
    hasher.update(b"yagura list\0");
    for part in rules.iter().flat_map(|(uid, hash)| [uid, hash]) {
        // Lengths keep ("ab", "c") and ("a", "bc") apart.
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{body_hash, is_sealed, is_sealed_list, revision, seal, seal_list};
    use crate::v1::{NamedList, RuleBody};

    #[test]
    fn a_sealed_list_shows_any_change() {
        let list = |kind: &str, values: &[&str]| NamedList {
            r#type: kind.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            ..NamedList::default()
        };
        let sealed = seal_list(list("string", &["ab", "c"]));
        assert!(is_sealed_list(&sealed));
        for other in [
            list("glob", &["ab", "c"]),
            list("string", &["a", "bc"]),
            list("string", &["ab"]),
        ] {
            let hash = sealed.hash.clone();
            assert!(!is_sealed_list(&NamedList { hash, ..other }));
        }
    }

    #[test]
    fn a_sealed_body_shows_any_change() {
        let body = seal(RuleBody {
            uid: "u".into(),
            condition: "true".into(),
            ..RuleBody::default()
        });
        assert!(is_sealed(&body));
        assert_eq!(body_hash(&body), body.hash);
        let changed = RuleBody {
            condition: "false".into(),
            ..body
        };
        assert!(!is_sealed(&changed));
    }

    #[test]
    fn a_revision_depends_on_content_and_not_on_order() {
        assert_eq!(
            revision([("a", "1"), ("b", "2")]),
            revision([("b", "2"), ("a", "1")])
        );
        assert_ne!(revision([("ab", "c")]), revision([("a", "bc")]));
        assert_ne!(revision([("a", "1")]), revision([("a", "2")]));
    }
}
