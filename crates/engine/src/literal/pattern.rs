//! Which texts stand where a pattern matches.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::Extractor;

/// Texts with one of which every match of a regular expression begins; `None` when it may begin otherwise.
pub(super) fn beginnings(pattern: &str) -> Option<Vec<Vec<u8>>> {
    // As `regex::bytes` reads it.
    let parsed = ParserBuilder::new().utf8(false).build().parse(pattern).ok()?;
    let found = Extractor::new().extract(&parsed);
    let literals = found.literals()?;
    Some(
        literals
            .iter()
            .map(|literal| literal.as_bytes().to_vec())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pattern: &str) -> Option<Vec<String>> {
        let texts = beginnings(pattern)?;
        Some(
            texts
                .iter()
                .map(|text| String::from_utf8_lossy(text).into_owned())
                .collect(),
        )
    }

    #[test]
    fn every_match_begins_with_one() {
        let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(
            shown("^/(tmp|dev/shm)/[a-z0-9]+$"),
            texts(&["/tmp/", "/dev/shm/"])
        );
        assert_eq!(shown("xmrig.* -o"), texts(&["xmrig"]));
        assert_eq!(shown("\\A\\x2dc.*\\z"), texts(&["-c"]));
    }

    #[test]
    fn what_may_begin_with_anything_has_none() {
        // An empty text is in everything, which is as good as none.
        for pattern in ["[^/]+/sh$", ".*x", "a*"] {
            let texts = beginnings(pattern);
            assert!(
                texts.is_none_or(|texts| texts.iter().any(Vec::is_empty)),
                "{pattern}"
            );
        }
    }
}
