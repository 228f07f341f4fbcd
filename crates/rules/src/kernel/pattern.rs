//! Texts that every value which a pattern matches begins or ends with.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::Look;
use regex_syntax::hir::literal::{ExtractKind, Extractor};

use super::atom::Shape;

/// Texts of which a value that the pattern matches has one, at its beginning or at its end, whichever tells more; `None`
/// when the pattern is open on both sides.
pub(super) fn edges(pattern: &str) -> Option<Vec<(Shape, Vec<u8>)>> {
    // As `regex::bytes` reads it.
    let parsed = ParserBuilder::new().utf8(false).build().parse(pattern).ok()?;
    let properties = parsed.properties();
    let literals = |kind, shape| {
        let mut extractor = Extractor::new();
        let found = extractor.kind(kind).extract(&parsed);
        let literals: Vec<(Shape, Vec<u8>)> = found
            .literals()?
            .iter()
            .map(|literal| (shape, literal.as_bytes().to_vec()))
            .collect();
        (!literals.is_empty() && literals.iter().all(|(_, text)| !text.is_empty())).then_some(literals)
    };
    let front = properties.look_set_prefix().contains(Look::Start);
    let front = front
        .then(|| literals(ExtractKind::Prefix, Shape::Prefix))
        .flatten();
    let end = properties.look_set_suffix().contains(Look::End);
    let end = end
        .then(|| literals(ExtractKind::Suffix, Shape::Suffix))
        .flatten();
    let shortest =
        |found: &Vec<(Shape, Vec<u8>)>| found.iter().map(|(_, text)| text.len()).min().unwrap_or(0);
    match (front, end) {
        (Some(front), Some(end)) if shortest(&end) > shortest(&front) => Some(end),
        (front, end) => front.or(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pattern: &str) -> Option<Vec<String>> {
        let found = edges(pattern)?;
        let shown = found.iter().map(|(shape, text)| {
            let text = String::from_utf8_lossy(text);
            match shape {
                Shape::Prefix => format!("{text}…"),
                Shape::Suffix => format!("…{text}"),
                Shape::Whole => text.into_owned(),
            }
        });
        Some(shown.collect())
    }

    #[test]
    fn anchored_patterns_have_edges() {
        let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(shown("^/(tmp|dev/shm)/[a-z]+"), texts(&["/tmp/…", "/dev/shm/…"]));
        assert_eq!(shown("(?s-u)\\A/etc/[^/]*\\z"), texts(&["/etc/…"]));
        assert_eq!(shown("(?s-u)\\A.*\\x2ephp\\z"), texts(&["….php"]));
        assert_eq!(shown("\\A/e.*/shadow\\z"), texts(&["…/shadow"]));
    }

    #[test]
    fn what_may_stand_anywhere_has_none() {
        for pattern in [
            "/tmp/",
            "(?m)^/tmp/",
            "^[^/]+$",
            "^(/tmp/|.*x)",
            "^/tmp/|x",
            "^a*",
            "(?m)/sh$",
        ] {
            assert_eq!(edges(pattern), None, "{pattern}");
        }
    }
}
