//! What stands where something was hidden, and how marks are told from other text.

use std::fmt::Write as _;
use std::ops::Range;

use memchr::memmem;
use sha2::{Digest, Sha256};

/// What was hidden, in words of a small fixed set: part of a mark and of a metric.
pub type Kind = &'static str;

/// How a mark begins.
const OPEN: &[u8] = b"[redacted:";

/// Longest name of a kind.
const MAX_KIND: usize = 40;

/// Hexadecimal digits that keep hidden group values apart: of 100,000 on one node, two are mistaken for each other
/// with a chance of 1 in 50,000.
const DIGITS: usize = 12;

/// What makes marks of one node differ from those of another. Who does not have it cannot try out what a mark hides.
#[derive(Clone)]
pub struct Key([u8; Self::BYTES]);

impl Key {
    /// Length of a key.
    pub const BYTES: usize = 32;

    /// A key of random bytes.
    pub fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The start of a keyed hash. The whole hash never leaves, so that nothing can be appended to what was hashed.
    pub(super) fn digest(&self, secret: &[u8], digits: usize) -> String {
        let hash = Sha256::new().chain_update(self.0).chain_update(secret).finalize();
        let mut text = String::with_capacity(digits);
        for byte in hash.iter().take(digits.div_ceil(2)) {
            write!(text, "{byte:02x}").expect("writing to a string does not fail");
        }
        text.truncate(digits);
        text
    }

    /// A mark that differs for what differs.
    pub(super) fn mark(&self, kind: Kind, secret: &[u8]) -> String {
        format!("[redacted:{kind}:{}]", self.digest(secret, DIGITS))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A mark that says what kind of thing was here, and nothing more.
pub(super) fn plain(kind: Kind) -> String {
    format!("[redacted:{kind}]")
}

/// Where the marks of a text are.
pub(super) fn find(text: &[u8]) -> Vec<Range<usize>> {
    memmem::find_iter(text, OPEN)
        .filter_map(|start| Some(start..start + length(&text[start..])?))
        .collect()
}

/// Length of the mark that the text begins with, or 0.
pub(super) fn leading(text: &[u8]) -> usize {
    length(text).unwrap_or_default()
}

fn length(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(OPEN)?;
    let kind = rest
        .iter()
        .take(MAX_KIND + 1)
        .take_while(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        .count();
    if kind == 0 || kind > MAX_KIND {
        return None;
    }
    match &rest[kind..] {
        [b']', ..] => Some(OPEN.len() + kind + 1),
        [b':', rest @ ..] => {
            let digits = rest.get(..DIGITS)?;
            let hex = digits
                .iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            (hex && rest.get(DIGITS) == Some(&b']')).then_some(OPEN.len() + kind + 1 + DIGITS + 1)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, find, plain};

    #[test]
    fn marks_are_found_and_what_looks_like_them_is_not() {
        let key = Key::new([7; Key::BYTES]);
        let text = format!("a {} b {} c", plain("jwt"), key.mark("password", b"x"));
        assert_eq!(find(text.as_bytes()).len(), 2);
        for text in [
            "[redacted:]",
            "[redacted:a b]",
            "[redacted:a:12]",
            "[redacted:jwt",
            "[redacted:A]",
        ] {
            assert!(find(text.as_bytes()).is_empty(), "{text}");
        }
    }

    #[test]
    fn marks_of_one_node_are_stable_and_differ_from_anothers() {
        let (one, other) = (Key::new([1; Key::BYTES]), Key::new([2; Key::BYTES]));
        assert_eq!(one.mark("password", b"a"), one.mark("password", b"a"));
        assert_ne!(one.mark("password", b"a"), one.mark("password", b"b"));
        assert_ne!(one.mark("password", b"a"), other.mark("password", b"a"));
        assert_eq!(format!("{one:?}"), "Key(…)");
    }
}
