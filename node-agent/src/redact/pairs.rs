//! Secrets that their surroundings announce: names with values, headers, addresses with passwords, private keys.
//!
//! Everything here goes through a text once. A name is found by an expression, its value is read by hand: what a
//! value is made of depends on how it is quoted.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem;
use regex::bytes::{Regex, RegexBuilder};

use super::Span;
use super::mark;
use super::words::{self, Class};

/// A word that may announce a secret, and what stands between it and the value.
const NAME: &str = concat!(
    r"(passw(?:or)?d|passphrase|passcode|passkey|pass|pwd|secret|token|key|_auth|authorization|cookie|signature|[?&]sig)",
    r#"(\\*["']?\]?[ \t]{0,2}(?::=|=>|==?|:|>)[ \t]{0,2})"#
);

/// A scheme of HTTP authentication without the header's name.
const SCHEME: &str = r"\b(bearer|basic)[ \t]+([a-z0-9._~+/=-]{8,})";

/// Schemes that are followed by one word.
const SCHEMES: [&str; 9] = [
    "bearer",
    "basic",
    "token",
    "negotiate",
    "ntlm",
    "apikey",
    "bot",
    "key",
    "splunk",
];

/// Schemes that are followed by parameters.
const PARAMETER_SCHEMES: [&str; 4] = ["digest", "aws4-hmac-sha256", "oauth", "hawk"];

/// How far before a word its name may begin.
const MAX_NAME: usize = 64;

#[derive(Debug)]
pub(super) struct Pairs {
    name: Regex,
    scheme: Regex,
}

impl Pairs {
    pub(super) fn new() -> Self {
        let compile = |pattern: &str| {
            RegexBuilder::new(pattern)
                .unicode(false)
                .case_insensitive(true)
                .build()
                .expect("the expression is a constant, and a test compiles it")
        };
        Self {
            name: compile(NAME),
            scheme: compile(SCHEME),
        }
    }

    /// Names with values.
    pub(super) fn named(&self, text: &[u8], spans: &mut Vec<Span>) {
        let mut from = 0;
        while let Some(found) = self.name.captures_at(text, from) {
            let (Some(word), Some(separator)) = (found.get(1), found.get(2)) else {
                return;
            };
            // Unless the value is hidden, it may hold another name.
            from = separator.end().max(from + 1);
            let hidden = if word.as_bytes().last() == Some(&b'g') {
                signature(text, separator.end())
            } else {
                pair(text, word.end(), separator.range())
            };
            if let Some(span) = hidden {
                from = from.max(span.end);
                spans.push(span);
            }
        }
    }

    /// `Bearer …` and `Basic …` where no header's name stands before them.
    pub(super) fn schemes(&self, text: &[u8], spans: &mut Vec<Span>) {
        for found in self.scheme.captures_iter(text) {
            let (Some(scheme), Some(value)) = (found.get(1), found.get(2)) else {
                continue;
            };
            let basic = scheme.as_bytes().eq_ignore_ascii_case(b"basic");
            let secret = if basic {
                is_basic(value.as_bytes())
            } else {
                value.len() >= 16 && value.as_bytes().iter().any(u8::is_ascii_digit)
            };
            if secret {
                spans.push(Span {
                    start: value.start(),
                    end: value.end(),
                    kind: if basic { "basic-auth" } else { "bearer-token" },
                });
            }
        }
    }
}

/// Whether this is `user:password` in base64.
fn is_basic(value: &[u8]) -> bool {
    let end = value
        .iter()
        .rposition(|byte| *byte != b'=')
        .map_or(0, |last| last + 1);
    STANDARD_NO_PAD
        .decode(&value[..end])
        .is_ok_and(|decoded| decoded.contains(&b':') && decoded.iter().all(|byte| *byte >= b' '))
}

/// The part of a shared access signature that proves it.
fn signature(text: &[u8], start: usize) -> Option<Span> {
    let end = start
        + run(&text[start..], |byte| {
            byte.is_ascii_alphanumeric() || b"%+/=_-".contains(&byte)
        });
    (end - start >= 20).then_some(Span {
        start,
        end,
        kind: "sas-signature",
    })
}

/// The value of a name that ends at `name_end`.
fn pair(text: &[u8], name_end: usize, separator: Range<usize>) -> Option<Span> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./".contains(byte);
    let longest = name_end.saturating_sub(MAX_NAME);
    let length = text[longest..name_end]
        .iter()
        .rev()
        .take_while(|byte| is_name(byte))
        .count();
    let start = name_end - length;
    let name = &text[start..name_end];
    let before = start.checked_sub(1).map(|at| text[at]);
    let class = words::class(name)?;
    let sign = text[separator.clone()]
        .iter()
        .copied()
        .find(|byte| b":=>".contains(byte))?;
    let value_start = separator.end;
    let close = text.get(value_start).copied();
    match sign {
        // `<password>…</password>`
        b'>' if before != Some(b'<') => return None,
        // An image with a tag, a part of a resource's name, a scheme, a path of a program.
        b':' if separator.len() == 1 && (name.contains(&b'/') || before == Some(b':')) => return None,
        b':' if matches!(close, Some(b'/' | b':')) => return None,
        b':' if matches!(close, Some(b'{' | b'[')) && !text[value_start..].starts_with(b"[redacted:") => {
            return None;
        }
        b':' if class == Class::Pass && separator.len() > 1 => return None,
        b':' if class == Class::Signature => return None,
        _ => {}
    }
    if class == Class::Authorization {
        return authorization(text, value_start);
    }
    let range = if class == Class::Cookie && sign == b':' {
        value_start..value_start + run(&text[value_start..], |byte| !b"\"'\r\n".contains(&byte))
    } else {
        value(text, value_start, sign)
    };
    let hidden = &text[range.clone()];
    let version = sign == b':' && separator.len() == 1 && is_version(hidden);
    (!version && !words::harmless(class, name, hidden)).then_some(Span {
        start: range.start,
        end: range.end,
        kind: class.kind(),
    })
}

/// A tag of an image: `latest`, `v1.4.2`, `1.27-alpine`.
fn is_version(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"v").unwrap_or(value);
    value == b"latest"
        || (digits.first().is_some_and(u8::is_ascii_digit)
            && value.contains(&b'.')
            && value
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(byte)))
}

/// Where a value is: within its quotes, or up to what ends it.
fn value(text: &[u8], start: usize, sign: u8) -> Range<usize> {
    let rest = &text[start..];
    let escaped = run(rest, |byte| byte == b'\\');
    match rest.get(escaped) {
        Some(quote @ (b'"' | b'\'')) => {
            let begin = start + escaped + 1;
            begin..begin + quoted(&text[begin..], *quote, escaped > 0)
        }
        _ if sign == b'>' => start..start + run(rest, |byte| byte != b'<'),
        _ => {
            start
                ..start
                    + run(rest, |byte| {
                        !byte.is_ascii_whitespace() && !b"\"'`&;,<>|".contains(&byte)
                    })
        }
    }
}

/// Length of what stands before the closing quote. In a text that is quoted itself, quotes are escaped.
fn quoted(text: &[u8], quote: u8, is_escaped: bool) -> usize {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'\\' if is_escaped && text.get(at + 1) == Some(&quote) => return at,
            b'\\' if quote == b'"' => at += 1,
            byte if byte == quote => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// What follows `Authorization:`, without the name of the scheme.
fn authorization(text: &[u8], start: usize) -> Option<Span> {
    let mut start = start + run(&text[start..], |byte| b"\"'\\".contains(&byte));
    if matches!(text.get(start), None | Some(b'{' | b'[')) {
        // An object with settings, or a mark.
        return None;
    }
    let in_word = |byte: u8| !byte.is_ascii_whitespace() && !b"\"'\\,".contains(&byte);
    let word = run(&text[start..], in_word);
    let scheme = &text[start..start + word];
    let is_one_of = |schemes: &[&str]| {
        schemes
            .iter()
            .any(|name| scheme.eq_ignore_ascii_case(name.as_bytes()))
    };
    let gap = run(&text[start + word..], |byte| byte == b' ' || byte == b'\t');
    let next = start + word + gap;
    let end = if is_one_of(&SCHEMES) {
        start = next;
        next + run(&text[next..], in_word)
    } else if is_one_of(&PARAMETER_SCHEMES) {
        start = next;
        next + run(&text[next..], |byte| !b"\r\n".contains(&byte))
    } else if gap > 0 && text.get(next).is_some_and(|byte| *byte != b'-' && in_word(*byte)) {
        // A scheme of somebody's own.
        next + run(&text[next..], in_word)
    } else {
        start + word
    };
    let harmless = words::harmless(Class::Authorization, b"authorization", &text[start..end]);
    (!harmless).then_some(Span {
        start,
        end,
        kind: Class::Authorization.kind(),
    })
}

/// `scheme://user:password@host`, or a long token in the user's place.
pub(super) fn address(text: &[u8], authority: usize) -> Option<Span> {
    let length = run(&text[authority..], |byte| {
        !byte.is_ascii_whitespace() && !b"/?#\"'`<>\\".contains(&byte)
    });
    let user = &text[authority..authority + length];
    let at = memchr::memrchr(b'@', user)?;
    let name = mark::leading(user).min(at);
    let (start, kind) = match memchr::memchr(b':', &user[name..at]) {
        Some(colon) => (name + colon + 1, "url-password"),
        None if name == 0 && at >= 20 && user[..at].iter().any(u8::is_ascii_digit) => (0, "url-token"),
        None => return None,
    };
    let harmless = words::harmless(Class::Password, b"password", &user[start..at]);
    (!harmless).then_some(Span {
        start: authority + start,
        end: authority + at,
        kind,
    })
}

/// A private key in PEM or `OpenPGP` armour, to its end or as far as it goes.
pub(super) fn private_key(text: &[u8], start: usize) -> Option<Span> {
    const LABEL: usize = 64;
    let rest = &text[start..];
    let label = &rest[..rest.len().min(LABEL)];
    memmem::find(label, b"PRIVATE KEY")?;
    let end = memmem::find(rest, b"-----END").map_or(rest.len(), |at| {
        let label = at + b"-----END".len();
        memmem::find(&rest[label..], b"-----").map_or(rest.len(), |close| label + close + 5)
    });
    Some(Span {
        start,
        end: start + end,
        kind: "private-key",
    })
}

/// How many bytes from the start are of a kind.
fn run(text: &[u8], of: impl Fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| of(**byte)).count()
}
