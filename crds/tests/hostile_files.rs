//! Files that are meant to harm whoever reads them: an answer, with a place, and no more work than the file is long.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::thread;

use yagura_crds::source::{MAX_FILE_BYTES, read};

const RULE: &str = "apiVersion: yagura.dev/v1alpha1
kind: DetectionRule
metadata: {name: r}
spec:
  title: t
  severity: low
  condition: process.pid == 1
";

/// What is wrong with a file, read on a stack of 512 KiB.
fn faults(text: String) -> Vec<String> {
    let work = move || {
        let file = read("f.yaml", &text);
        file.faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    thread::Builder::new()
        .stack_size(512 * 1024)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap()
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    let lines: Vec<String> = (0..count).map(line).collect();
    lines.concat()
}

#[track_caller]
fn first(text: String) -> String {
    faults(text).first().unwrap().clone()
}

#[test]
fn a_file_is_what_stands_in_it_and_no_multiple_of_that() {
    // Each level would be nine times the one before.
    let laughs = lines(10, |level| match level {
        0 => "a0: &a0 [lol, lol]\n".to_owned(),
        level => {
            let names = vec![format!("*a{}", level - 1); 9].join(", ");
            format!("a{level}: &a{level} [{names}]\n")
        }
    });
    assert_eq!(
        first(laughs),
        "f.yaml:2:10: aliases are not read: write the value out"
    );
    assert_eq!(
        first("a: &a {b: 1}\nc:\n  <<: *a\n".to_owned()),
        "f.yaml:3:7: aliases are not read: write the value out"
    );
    // An anchor that nothing refers to is a mark on a value like any other.
    assert_eq!(
        faults(RULE.replace("title: t", "title: &t t")),
        Vec::<String>::new()
    );
    assert_eq!(
        first("a: !!python/object/apply:os.system [id]\nb: !x y\n".to_owned()),
        "f.yaml:2:4: tags are not read: write the value without it"
    );
}

#[test]
fn deep_wide_and_long_files_end() {
    for piece in ["[", "{a: ", "- ", "? "] {
        let fault = first(piece.repeat(100_000));
        // The parser counts brackets before it tells of them.
        assert!(
            fault.contains("nested deeper than 64")
                || fault.contains("recursion limit exceeded")
                || fault.contains("cannot be a key"),
            "{piece}: {fault}"
        );
    }
    // What is nested a little deeper than any object, we count ourselves.
    assert_eq!(
        first("[".repeat(100)),
        "f.yaml:1:65: values are nested deeper than 64"
    );
    let wide = lines(240_000, |key| format!("k{key}: 1\n"));
    assert!(first(format!("{wide}k0: 2\n")).contains("k0: stands here twice"));
    assert!(first(format!("{RULE}{wide}")).contains("unknown field"));
    let members = lines(200_000, |key| format!("  k{key}: 1\n"));
    let unknown = faults(format!("{RULE}{members}"));
    assert_eq!(unknown.len(), 100, "nobody reads more");
    let items = vec!["a"; 200_000].join(", ");
    let long = faults(format!("{RULE}  signal: {{groupBy: [{items}]}}\n"));
    assert!(
        long.first()
            .unwrap()
            .contains("has 200000 items; 0 to 8 are allowed"),
        "{:?}",
        long.first()
    );
    assert!(first("- 1\n".repeat(600_000)).contains("the file has too many values: split it"));
    let documents = "apiVersion: yagura.dev/v1alpha1\nkind: DetectionRule\n---\n".repeat(20_000);
    assert!(first(documents).contains("metadata.name: missing"));
    assert_eq!(
        first(" ".repeat(MAX_FILE_BYTES + 1)),
        "f.yaml:1:1: the file has 8388609 bytes; 8388608 at most are read: split it"
    );
}

#[test]
fn keys_stand_once() {
    for (text, fault) in [
        ("a: 1\na: 2\n", "f.yaml:2:1: a: stands here twice"),
        ("{a: 1, \"a\": 2}", "f.yaml:1:8: a: stands here twice"),
        ("a: {b: {c: 1, c: 2}}", "f.yaml:1:15: c: stands here twice"),
        ("? [a]\n: 1\n", "f.yaml:1:3: a list or a map cannot be a key"),
    ] {
        assert_eq!(first(text.to_owned()), fault, "{text}");
    }
}

#[test]
fn numbers_are_whole_in_64_bits_or_no_numbers() {
    let rule = |count: &str| {
        let detect = format!("  detect: {{threshold: {{count: {count}, within: 1m}}}}\n");
        faults(format!("{RULE}{detect}"))
    };
    assert_eq!(rule("3"), Vec::<String>::new());
    for (number, wrong) in [
        ("18446744073709551615", "is not between 1 and 1000000"),
        ("9223372036854775808", "is not between 1 and 1000000"),
        ("-9223372036854775808", "is not between 1 and 1000000"),
        ("0xffffffffffffffff", "is not between 1 and 1000000"),
        ("1e3", "must be a whole number"),
        ("18446744073709551616", "must be a whole number"),
        ("1e999", "must be an integer, not a text"),
        (".nan", "must be an integer, not a text"),
        (".inf", "must be an integer, not a text"),
        ("NaN", "must be an integer, not a text"),
        ("0x1ffffffffffffffff", "must be an integer, not a text"),
        ("1_000", "must be an integer, not a text"),
    ] {
        let found = rule(number);
        assert!(
            found.first().is_some_and(|fault| fault.contains(wrong)),
            "{number}: {found:?}"
        );
    }
}

#[test]
fn texts_may_hold_what_they_like_and_are_shown_harmless() {
    let title = |escaped: &str| faults(RULE.replace("title: t", &format!("title: \"{escaped}\"")));
    for text in ["\\0", "\\u200b\\u202e", "\\U0001f980", "\\x1b[2J"] {
        assert_eq!(title(text), Vec::<String>::new(), "{text}");
    }
    // Half of a pair is no character.
    assert!(title("\\ud800").first().unwrap().contains("not YAML"));
    let shown = faults(RULE.replace("severity: low", "severity: \"\\e[2J\\u202e\""));
    assert_eq!(
        shown,
        ["f.yaml:6:13: spec.severity: \"\\u{1b}[2J\\u{202e}\" is none of info, low, medium, high, critical"]
    );
}
