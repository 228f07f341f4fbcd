//! Which texts stand where a pattern matches.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::{ExtractKind, Extractor, Seq};
use regex_syntax::hir::{Hir, HirKind, Look};

use super::Shape;

/// From how many parts of a pattern on no others are looked at.
const PARTS: usize = 16;

/// Texts one of which stands in every value that a pattern matches, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Required {
    pub(super) shape: Shape,
    pub(super) texts: Vec<Vec<u8>>,
}

/// What every match of a regular expression has: a beginning, an end, and what stands between. Each follows by itself.
pub(super) fn required(pattern: &str) -> Vec<Required> {
    // As `regex::bytes` reads it.
    let Ok(parsed) = ParserBuilder::new().utf8(false).build().parse(pattern) else {
        return Vec::new();
    };
    let looks = parsed.properties();
    let from_start = looks.look_set_prefix().contains(Look::Start);
    let to_end = looks.look_set_suffix().contains(Look::End);
    let mut all = Vec::new();
    let beginnings = Extractor::new().extract(&parsed);
    let shape = match (from_start, to_end && beginnings.is_exact()) {
        (true, true) => Shape::Whole,
        (true, false) => Shape::Prefix,
        (false, _) => Shape::Within,
    };
    all.extend(texts(&beginnings, shape));
    let ends = Extractor::new().kind(ExtractKind::Suffix).extract(&parsed);
    all.extend(texts(&ends, if to_end { Shape::Suffix } else { Shape::Within }));
    if let HirKind::Concat(parts) = uncaptured(&parsed).kind() {
        for start in 1..parts.len().min(PARTS) {
            if !matches!(parts[start].kind(), HirKind::Look(_)) {
                let rest = Hir::concat(parts[start..].to_vec());
                all.extend(texts(&Extractor::new().extract(&rest), Shape::Within));
            }
        }
    }
    all
}

fn uncaptured(mut hir: &Hir) -> &Hir {
    while let HirKind::Capture(capture) = hir.kind() {
        hir = &capture.sub;
    }
    hir
}

fn texts(found: &Seq, shape: Shape) -> Option<Required> {
    let literals = found.literals()?;
    let texts = literals.iter().map(|literal| literal.as_bytes().to_vec());
    Some(Required {
        shape,
        texts: texts.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pattern: &str) -> Vec<String> {
        let shown = |required: Required| {
            let texts = required.texts.iter().map(|text| String::from_utf8_lossy(text));
            format!("{:?} {}", required.shape, texts.collect::<Vec<_>>().join("|"))
        };
        let mut all: Vec<String> = required(pattern).into_iter().map(shown).collect();
        all.sort();
        all.dedup();
        all
    }

    #[test]
    fn a_match_has_a_beginning_an_end_and_what_is_between() {
        assert_eq!(
            shown("^/(tmp|dev/shm)/[a-z0-9]+/xmrig$"),
            [
                "Prefix /tmp/|/dev/shm/",
                "Suffix /xmrig",
                "Within /",
                "Within /tmp/|/dev/shm/",
                "Within /xmrig",
                "Within tmp/|dev/shm/",
            ]
        );
        assert_eq!(shown("(xmrig.* -o)"), ["Within  -o", "Within xmrig"]);
        assert_eq!(shown("\\A\\x2dc\\z"), ["Suffix -c", "Whole -c", "Within -c"]);
        assert_eq!(shown("^a|b$"), ["Within a|b"]);
        assert_eq!(shown("(?m)^a$"), ["Within a"]);
        assert_eq!(shown("[^/]+/sh.*x"), ["Within /sh", "Within x"]);
    }

    #[test]
    fn what_may_be_anything_has_nothing() {
        // An empty text is in everything, which is as good as none.
        for pattern in ["[^/]+", "a*", "(", "\\b"] {
            for required in required(pattern) {
                assert!(required.texts.iter().any(Vec::is_empty), "{pattern}");
            }
        }
    }
}
