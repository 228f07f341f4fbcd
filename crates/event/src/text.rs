//! Byte strings as kernels and people write them.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// An immutable, cheaply cloned byte string. File names, arguments and process names may hold any
/// byte but NUL, so this is not `str`; it shows itself with invalid UTF-8 and control characters
/// escaped, so that a hostile name cannot write to a terminal or break a line-based log.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Arc<[u8]>);

impl Text {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The text after the last `/`, or all of it.
    pub fn base_name(&self) -> &[u8] {
        self.0.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Arc::from(&b""[..]))
    }
}

/// A set of texts is asked for bytes: both have the same hash, equality and order.
impl Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::from(bytes))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(&self.0, f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Writes bytes for a person: valid UTF-8 as it is, control characters (C0, C1, DEL, line and
/// paragraph separators, bidirectional overrides) and invalid bytes as `\n`, `\x1b`, `\u{202e}`.
pub fn write_escaped(bytes: &[u8], out: &mut impl fmt::Write) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.write_str("\\n")?,
                '\r' => out.write_str("\\r")?,
                '\t' => out.write_str("\\t")?,
                c if c.is_ascii_control() => write!(out, "\\x{:02x}", c as u32)?,
                c if c.is_control() || is_reordering(c) => write!(out, "\\u{{{:x}}}", c as u32)?,
                c => out.write_char(c)?,
            }
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

/// Characters that reorder or hide what stands around them (Unicode technical report 36).
fn is_reordering(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn hostile_bytes_are_shown_escaped() {
        let text = Text::from(&b"a\n\x1b[2J\xff\xe2\x80\xae\xc3\xa9"[..]);
        assert_eq!(text.to_string(), "a\\n\\x1b[2J\\xff\\u{202e}é");
    }

    #[test]
    fn the_base_name_is_what_follows_the_last_slash() {
        assert_eq!(Text::from("/usr/bin/bash").base_name(), b"bash");
        assert_eq!(Text::from("bash").base_name(), b"bash");
        assert_eq!(Text::from("/").base_name(), b"");
    }
}
