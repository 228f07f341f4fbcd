//! Tokens, literals and limits.

use super::*;

fn tokens(source: &str) -> (Vec<Token>, Vec<String>) {
    let mut sink = Sink::default();
    let tokens = lex(source, Part::Condition, &mut sink).unwrap_or_default();
    let codes = sink
        .finish()
        .iter()
        .map(|diagnostic| diagnostic.code.to_string())
        .collect();
    (tokens.into_iter().map(|spanned| spanned.token).collect(), codes)
}

fn only(source: &str) -> Token {
    let (mut tokens, codes) = tokens(source);
    assert_eq!(codes, Vec::<String>::new(), "{source}");
    assert_eq!(tokens.len(), 2, "{source}");
    tokens.swap_remove(0)
}

fn codes(source: &str) -> Vec<String> {
    tokens(source).1
}

#[test]
fn literals_have_their_values() {
    assert_eq!(only("42"), Token::Int(42));
    assert_eq!(only("0x1fU"), Token::Int(31));
    assert_eq!(only("18446744073709551615"), Token::Int(u64::MAX));
    assert_eq!(only("1.5e3"), Token::Double(1500.0));
    assert_eq!(only(".5"), Token::Double(0.5));
    assert_eq!(only("'a\\n\\x41\\u00e9'"), Token::Str("a\nAé".into()));
    assert_eq!(only("b'\\xff\\377'"), Token::Str(Text::from(&[0xff, 0xff][..])));
    assert_eq!(only("'\\xff'"), Token::Str("ÿ".into()));
    assert_eq!(only("r'\\d+'"), Token::Str("\\d+".into()));
    assert_eq!(
        only("\"\"\"two\nlines \"quoted\" \"\"\""),
        Token::Str("two\nlines \"quoted\" ".into())
    );
    assert_eq!(only("rb'\\x'"), Token::Str("\\x".into()));
}

#[test]
fn mistakes_have_their_codes() {
    assert_eq!(codes("0123"), ["Y0008"]);
    assert_eq!(codes("12ab"), ["Y0008"]);
    assert_eq!(codes("18446744073709551616"), ["Y0008"]);
    assert_eq!(codes("'abc"), ["Y0006"]);
    assert_eq!(codes("'a\nb'"), ["Y0006", "Y0006"]);
    assert_eq!(
        codes("'\\q' '\\é' '\\ud800' b'\\u0041'"),
        ["Y0007", "Y0007", "Y0007", "Y0007"]
    );
    assert_eq!(codes("a = b # é"), ["Y0005", "Y0005", "Y0005"]);
}

#[test]
fn comments_and_space_are_skipped() {
    let (tokens, codes) = tokens("a // one && two\n\t== /* */");
    assert_eq!(codes, Vec::<String>::new());
    assert_eq!(tokens.len(), 7);
}

#[test]
fn limits_end_the_source() {
    assert_eq!(codes(&" ".repeat(limits::SOURCE_BYTES + 1)), ["Y0001"]);
    assert_eq!(codes(&"1,".repeat(limits::TOKENS / 2 + 1)), ["Y0002"]);
    assert_eq!(codes(&"(".repeat(limits::DEPTH + 1)), ["Y0003"]);
    assert_eq!(codes(&"(".repeat(limits::DEPTH)), Vec::<String>::new());
    let chain = usize::from(limits::CHAIN);
    for link in [".b", " + 1", "[0]", " && a", " == 1", " ? 1 : 2", "()"] {
        assert_eq!(
            codes(&format!("a{}", link.repeat(chain))),
            Vec::<String>::new(),
            "{link}"
        );
        assert_eq!(
            codes(&format!("a{}", link.repeat(chain + 1))),
            ["Y0004"],
            "{link}"
        );
    }
    for prefix in ["!", "-"] {
        assert_eq!(
            codes(&format!("{}a", prefix.repeat(chain + 1))),
            ["Y0004"],
            "{prefix}"
        );
    }
}

#[test]
fn a_long_disjunction_of_comparisons_is_no_chain_of_dots() {
    let many = vec!["process.parent.name == 'a'"; 900].join(" || ");
    assert_eq!(codes(&many), Vec::<String>::new());
}
