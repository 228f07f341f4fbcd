//! Where this language and the `cel` crate disagree on what an expression is, and why.

/// One reason to disagree.
pub(crate) struct Difference {
    pub(crate) why: &'static str,
    /// Whether this language accepts it; `cel` does the opposite.
    pub(crate) accepted: bool,
    /// Each of them shows it.
    pub(crate) examples: &'static [&'static str],
    /// Whether tokens can have it.
    pub(crate) within: fn(&[&str]) -> bool,
}

pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        why: "maps and messages cannot be written: no field is compared with one",
        accepted: false,
        examples: &["{}", "{\"a\": 1}", "a{}", "a.b{c: 1}"],
        within: |tokens| tokens.contains(&"{"),
    },
    Difference {
        why: "there are no containers of names that a leading dot would leave",
        accepted: false,
        examples: &[".a", "!.a", "[.a.b]"],
        within: |tokens| tokens.first() == Some(&".") || follows(tokens, ends_no_operand, |next| next == "."),
    },
    Difference {
        why: "a list may end with a comma, but a comma alone is no list",
        accepted: false,
        examples: &["[,]"],
        within: |tokens| follows(tokens, |token| token == "[", |next| next == ","),
    },
    Difference {
        why: "a whole number with leading zeros is octal elsewhere: mode(\"0644\") says what is meant",
        accepted: false,
        examples: &["007", "00", "0644u"],
        within: |tokens| tokens.contains(&"007"),
    },
    Difference {
        why: "a macro's name is no method's, and map has no filter of its own",
        accepted: false,
        examples: &["l.exists(x)", "l.exists()", "l.exists(x, y, z)", "l.map(x, y, z)"],
        within: |tokens| {
            follows(
                tokens,
                |token| super::random::MACROS.contains(&token),
                |next| next == "(",
            )
        },
    },
    Difference {
        why: "whole numbers above those of 64 bits with a sign need no suffix",
        accepted: true,
        examples: &[
            "9223372036854775808",
            "18446744073709551615",
            "0xFFFFFFFFFFFFFFFF",
        ],
        within: |tokens| tokens.contains(&"18446744073709551615"),
    },
    Difference {
        why: "the X of a hexadecimal number may be a capital",
        accepted: true,
        examples: &["0X1F", "0XFu"],
        within: |tokens| tokens.contains(&"0X1F"),
    },
    Difference {
        why: "the prefixes of a string may stand in any order",
        accepted: true,
        examples: &["rb'x'", "RB'x'", "Rb\"x\""],
        within: |tokens| tokens.contains(&"rb'x'"),
    },
    Difference {
        why: "words that other languages keep for themselves are names",
        accepted: true,
        examples: &["for", "as", "if", "let", "package", "for(a)"],
        within: |tokens| tokens.contains(&"for"),
    },
    Difference {
        why: "fields of resources and records have any name",
        accepted: true,
        examples: &["a.in", "a.true", "a.false.b", "a.null"],
        within: |tokens| {
            let word = |next: &str| ["in", "true", "false", "null"].contains(&next);
            follows(tokens, |token| token == ".", word)
        },
    },
    Difference {
        why: "negations of both sorts may stand before one operand",
        accepted: true,
        examples: &["!-a", "-!a", "!--a"],
        within: |tokens| {
            follows(tokens, |token| token == "!", |next| next == "-")
                || follows(tokens, |token| token == "-", |next| next == "!")
        },
    },
    Difference {
        why: "has(x) is x != null for whatever x",
        accepted: true,
        examples: &["has(a)", "has(a[0])", "has(1)", "has(f(a))"],
        within: |tokens| follows(tokens, |token| token == "has", |next| next == "("),
    },
];

/// Whether some token is `first` and the one after it `second`.
fn follows(tokens: &[&str], first: fn(&str) -> bool, second: fn(&str) -> bool) -> bool {
    tokens.windows(2).any(|pair| first(pair[0]) && second(pair[1]))
}

/// Whether nothing that could have members ends with this token.
fn ends_no_operand(token: &str) -> bool {
    let word = |character: char| character.is_ascii_alphanumeric() || "_\"')]}".contains(character);
    token == "in" || !token.ends_with(word)
}
