//! Whatever the text: an answer, no panic, no deep stack, bounded time.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::thread;

use proptest::prelude::*;
use yagura_event::Registry;
use yagura_rules::{LetSource, Lists, RuleSource, compile, render};

const STACK: usize = 512 * 1024;

/// Compiles, renders and drops on a thread with a small stack; gives the number of diagnostics.
fn on_small_stack(source: RuleSource) -> usize {
    let work = move || {
        let compiled = compile(&source, Registry::workload(), &Lists::default());
        for diagnostic in &compiled.diagnostics {
            render(
                diagnostic,
                "rule.yaml",
                &source.condition,
                &yagura_rules::Origin::default(),
            );
        }
        compiled.diagnostics.len()
    };
    thread::Builder::new()
        .stack_size(STACK)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap()
}

/// A text of `piece`s up to 64 KiB, around `middle`.
fn filled(prefix: &str, piece: &str, middle: &str, suffix: &str) -> String {
    let room = 64 * 1024 - middle.len();
    let count = room / (piece.len() + suffix.len() + prefix.len()).max(1);
    format!(
        "{}{middle}{}",
        format!("{prefix}{piece}").repeat(count),
        suffix.repeat(count)
    )
}

#[test]
fn chains_of_64_kib_need_little_stack() {
    let shapes = [
        filled("", "!", "true", ""),
        filled("", "-", "1", ""),
        filled("", "(", "true", ")"),
        filled("", "[", "1", "]"),
        filled("", "", "process", ".parent"),
        filled("", "", "1", "+1"),
        filled("", "", "true", "&&true"),
        filled("", "", "true", "==true"),
        filled("", "", "true", "?1:1"),
        filled("", "", "process.args", "[0]"),
        filled("", "", "process.name", ".trim()"),
        filled("", "size(", "process.args", ")"),
        filled("", "process.args.exists(a,", "true", ")"),
        filled("", "{", "1", "}"),
        filled("", "{1:", "1", "}"),
        filled("", "true?", "1", ":1"),
        filled("", "has(", "process", ")"),
        filled("", "process.name.matches(\"", "x", "\")"),
        format!("process.name.matches(\"{}\")", "(".repeat(60_000)),
        format!("process.name.glob(\"{}\")", "[".repeat(60_000)),
        format!("process.name.glob(\"{}\")", "**/".repeat(20_000)),
        format!("[{}]==process.args", "\"x\",".repeat(9_000)),
        format!("process.name in [{}\"y\"]", "\"x\",".repeat(9_000)),
        filled("", "unknown&&", "true", ""),
        filled("", "process.args.all(abc,abd)&&", "true", ""),
        "\u{1f980}".repeat(16_000),
        "'".repeat(64_000),
        "\\".repeat(64_000),
    ];
    for shape in shapes {
        let start: String = shape.chars().take(40).collect();
        let found = on_small_stack(RuleSource::new("r", &shape));
        assert!(found <= 51, "{start}: {found} diagnostics");
    }
}

#[test]
fn the_longest_allowed_chains_and_nests_work_on_a_small_stack() {
    let chain = 1_000;
    let shapes = [
        format!("{}(process.pid == 1)", "!".repeat(chain)),
        format!("process.pid == {}1", "-".repeat(chain)),
        format!("{}process.pid == 1{}", "(".repeat(64), ")".repeat(64)),
        format!("process.pid == 1{}", " + 1".repeat(chain)),
        format!("process.pid == 1{}", " && process.pid == 1".repeat(chain)),
        format!("process.name{} == \"x\"", ".trim()".repeat(chain - 1)),
        format!("process.pid == 0{}", " ? true : process.pid == 1".repeat(chain)),
        format!("{}true{}", "size([".repeat(31), "]) == 1".repeat(31)),
        format!("{}1{} == process.args", "[".repeat(64), "]".repeat(64)),
    ];
    for shape in shapes {
        on_small_stack(RuleSource::new("r", &shape));
    }
    let mut lets = RuleSource::new("r", "l63 || process.pid == 1");
    lets.lets.push(LetSource {
        name: "l0".to_owned(),
        value: "process.pid == 1".to_owned(),
    });
    for level in 1..64 {
        let value = format!("{}l{}{}", "!(".repeat(60), level - 1, ")".repeat(60));
        lets.lets.push(LetSource {
            name: format!("l{level}"),
            value,
        });
    }
    assert_eq!(on_small_stack(lets), 0);
}

/// Pieces of the language, so that texts get past the lexer.
const PIECES: &[&str] = &[
    "process",
    ".",
    "name",
    "pid",
    "args",
    "parent",
    "ancestors",
    "container.id",
    "event.kind",
    "\"process.exec\"",
    "\"sh\"",
    "b\"\\xff\"",
    "1",
    "0",
    "-",
    "1.5",
    "18446744073709551615",
    "true",
    "false",
    "null",
    "in",
    "==",
    "!=",
    "<",
    "<=",
    "&&",
    "||",
    "!",
    "+",
    "*",
    "/",
    "%",
    "?",
    ":",
    ",",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "has(",
    "size(",
    "exists(",
    "all(a,",
    "a",
    ".matches(",
    "\"(a+\"",
    ".glob(",
    ".split(",
    "lists[",
    "\"shells\"",
    "mode(\"0644\")",
    "int(",
    " ",
    "process.args.exists(x, ",
    "process.ancestors.exists(y, y.name == ",
    "x",
    "y.args",
    "é",
    "\n",
    "//",
    "'",
];

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gives_an_answer(text in "\\PC{0,200}") {
        compile(&RuleSource::new("r", &text), Registry::workload(), &Lists::default());
    }

    #[test]
    fn any_bytes_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        compile(&RuleSource::new("r", &text), Registry::workload(), &Lists::default());
    }

    #[test]
    fn pieces_of_the_language_give_an_answer(text in soup(), value in soup(), title in soup()) {
        let mut source = RuleSource::new("r", &text);
        source.lets = vec![LetSource { name: "x".to_owned(), value }];
        source.signal.title = title;
        let compiled = compile(&source, Registry::workload(), &Lists::default());
        for diagnostic in &compiled.diagnostics {
            prop_assert!(!render(diagnostic, "r", &text, &yagura_rules::Origin::default()).is_empty());
            prop_assert!(diagnostic.span.start <= diagnostic.span.end);
        }
    }
}
