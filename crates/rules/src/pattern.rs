//! Patterns: regular expressions, globs and `like`, all matched in linear time on bytes.

use regex::bytes::{Regex, RegexBuilder};

use crate::limits;

/// How a pattern is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// A regular expression, anchored only where it says so.
    Regex,
    /// `*` within a path segment, `**` across, `?` one byte, `[…]` one of these; matches the whole string.
    Glob,
    /// `*` matches anything, `?` one byte; matches the whole string.
    Like,
}

/// The regular expression for a pattern.
pub(crate) fn translate(pattern: &[u8], syntax: Syntax, ignore_case: bool) -> Result<String, String> {
    let body = match syntax {
        Syntax::Regex => std::str::from_utf8(pattern)
            .map_err(|_invalid| "the pattern is not UTF-8; write a byte as \\xff after (?-u)".to_owned())?
            .to_owned(),
        Syntax::Glob => glob(pattern)?,
        Syntax::Like => like(pattern),
    };
    let flags = match (syntax, ignore_case) {
        (Syntax::Regex, false) => "",
        (Syntax::Regex, true) => "(?i)",
        (_, false) => "(?s-u)",
        (_, true) => "(?is-u)",
    };
    Ok(format!("{flags}{body}"))
}

/// Compiles a translated pattern, which may take so many bytes of memory.
pub(crate) fn compile(source: &str, bytes: usize) -> Result<Regex, String> {
    RegexBuilder::new(source)
        .size_limit(bytes)
        .dfa_size_limit(bytes)
        .nest_limit(u32::try_from(limits::DEPTH).unwrap_or(u32::MAX))
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => match bytes >> 20 {
                0 => format!("it needs more than {} KiB when compiled", bytes >> 10),
                mebibytes => format!("it needs more than {mebibytes} MiB when compiled"),
            },
            other => other
                .to_string()
                .lines()
                .last()
                .unwrap_or("it is not a pattern")
                .trim()
                .to_owned(),
        })
}

fn literal(byte: u8, out: &mut String) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_') {
        out.push(char::from(byte));
    } else {
        out.push_str("\\x");
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
}

fn like(pattern: &[u8]) -> String {
    let mut out = String::from("\\A");
    for byte in pattern {
        match byte {
            b'*' => out.push_str(".*"),
            b'?' => out.push('.'),
            byte => literal(*byte, &mut out),
        }
    }
    out.push_str("\\z");
    out
}

fn glob(pattern: &[u8]) -> Result<String, String> {
    let mut out = String::from("\\A");
    let mut position = 0;
    while let Some(byte) = pattern.get(position) {
        position += 1;
        match byte {
            b'*' if pattern.get(position) == Some(&b'*') => {
                position += 1;
                // `/**/` also stands for a single slash: a/**/b matches a/b.
                let after_slash = position < 3 || pattern[position - 3] == b'/';
                if after_slash && pattern.get(position) == Some(&b'/') {
                    position += 1;
                    out.push_str("(?:.*/)?");
                } else {
                    out.push_str(".*");
                }
            }
            b'*' => out.push_str("[^/]*"),
            b'?' => out.push_str("[^/]"),
            b'[' => position = class(pattern, position, &mut out)?,
            b'\\' => {
                let escaped = pattern.get(position).ok_or("it ends with a backslash")?;
                position += 1;
                literal(*escaped, &mut out);
            }
            byte => literal(*byte, &mut out),
        }
    }
    out.push_str("\\z");
    Ok(out)
}

/// One of several bytes, after the opening bracket; gives the place after the closing one.
fn class(pattern: &[u8], start: usize, out: &mut String) -> Result<usize, String> {
    const UNCLOSED: &str = "a `[` has no `]`";
    let mut position = start;
    let negated = matches!(pattern.get(position), Some(b'!' | b'^'));
    if negated {
        position += 1;
    }
    out.push_str(if negated { "[^/" } else { "[" });
    let first = position;
    loop {
        let low = *pattern.get(position).ok_or(UNCLOSED)?;
        position += 1;
        if low == b']' && position - 1 > first {
            break;
        }
        literal(low, out);
        if pattern.get(position) == Some(&b'-') && pattern.get(position + 1).is_some_and(|high| *high != b']')
        {
            let high = pattern[position + 1];
            if high < low {
                return Err(format!(
                    "the range {}-{} is backwards",
                    char::from(low),
                    char::from(high)
                ));
            }
            out.push('-');
            literal(high, out);
            position += 2;
        }
    }
    out.push(']');
    Ok(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(syntax: Syntax, ignore_case: bool, pattern: &str, text: &[u8]) -> bool {
        compile(
            &translate(pattern.as_bytes(), syntax, ignore_case).unwrap(),
            limits::REGEX_BYTES,
        )
        .unwrap()
        .is_match(text)
    }

    #[test]
    fn globs_keep_to_segments() {
        let glob = |pattern, text: &str| matches(Syntax::Glob, false, pattern, text.as_bytes());
        assert!(glob("/tmp/*", "/tmp/a"));
        assert!(!glob("/tmp/*", "/tmp/a/b"));
        assert!(glob("/tmp/**", "/tmp/a/b"));
        assert!(glob("/usr/**/bash", "/usr/bash"));
        assert!(glob("/usr/**/bash", "/usr/local/bin/bash"));
        assert!(!glob("/usr/**/bash", "/usr/localbash"));
        assert!(glob("/bin/?sh", "/bin/zsh"));
        assert!(glob("/dev/sd[a-c]", "/dev/sdb"));
        assert!(!glob("/dev/sd[!a-c]", "/dev/sdb"));
        assert!(glob("a[]]b", "a]b"));
        assert!(glob("a\\*b", "a*b"));
        assert!(!glob("a\\*b", "axb"));
        assert!(matches(Syntax::Glob, false, "/tmp/*", b"/tmp/\xff"));
    }

    #[test]
    fn like_crosses_slashes_and_lines() {
        assert!(matches(
            Syntax::Like,
            false,
            "curl *|*sh",
            b"curl http://x/y |\n sh"
        ));
        assert!(!matches(Syntax::Like, false, "curl", b"curl x"));
        assert!(matches(Syntax::Like, true, "CURL*", b"curl x"));
        assert!(matches(Syntax::Like, false, "a.c", b"a.c"));
        assert!(!matches(Syntax::Like, false, "a.c", b"abc"));
    }

    #[test]
    fn hostile_patterns_are_refused() {
        let refused = |pattern: &str, syntax| {
            translate(pattern.as_bytes(), syntax, false)
                .and_then(|source| compile(&source, limits::REGEX_BYTES).map(|_| ()))
                .unwrap_err()
        };
        assert!(refused("(a{1000}){1000}", Syntax::Regex).contains("1 MiB"));
        assert!(refused(&"(".repeat(500), Syntax::Regex).len() < 200);
        assert!(refused("[a", Syntax::Glob).contains("no `]`"));
        assert!(refused("[z-a]", Syntax::Glob).contains("backwards"));
    }
}
