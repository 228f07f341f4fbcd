//! What the parser accepts is what the `cel` crate accepts, but for the listed differences.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test like the tests themselves"
)]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the oracle runs in a child process, which the test starts"
)]

mod differences;
mod oracle;
mod random;

use differences::DIFFERENCES;
use oracle::{Answer, Oracle};
use random::Random;
use yagura_event::Registry;
use yagura_rules::{Code, Lists, RuleSource, compile, functions};

/// Whether the expression is one, whatever its names and types.
fn accepts(expression: &str) -> bool {
    let source = RuleSource::new("r", expression);
    compile(&source, Registry::workload(), &Lists::default())
        .diagnostics
        .iter()
        .all(|found| found.code > Code::UNSUPPORTED_SYNTAX && found.code != Code::BAD_MACRO)
}

/// What both accept, one a line; what holds a line break is in `SPACE`.
const ACCEPTED: &str = include_str!("accepted.txt");

/// What both refuse.
const REFUSED: &str = include_str!("refused.txt");

/// What holds line breaks or other space, and whether both accept it.
const SPACE: &[(&str, bool)] = &[
    ("a\r\n&&\tb\u{c}", true),
    ("a // b || c\n&& d", true),
    ("a // b || c", true),
    ("'''a\nb'''", true),
    ("r\"\"\"a\nb\"\"\"", true),
    ("'a\nb'", false),
    ("r'a\nb'", false),
    ("a\n// b\n== // c", false),
    ("a\u{a0}== b", false),
    ("// a", false),
    (" \n", false),
    ("", false),
];

#[test]
fn both_accept_and_refuse_the_same() {
    let lines = |text: &'static str, accepted| text.lines().map(move |line| (line, accepted));
    let mut oracle = Oracle::default();
    let mut compared = 0;
    let mut wrong = Vec::new();
    for (expression, accepted) in lines(ACCEPTED, true)
        .chain(lines(REFUSED, false))
        .chain(SPACE.iter().copied())
        .chain(functions().iter().map(|function| (function.example, true)))
    {
        compared += 1;
        let said = (accepts(expression), oracle.ask(expression));
        let wanted = if accepted {
            Answer::Accepts
        } else {
            Answer::Refuses
        };
        if said != (accepted, wanted) {
            wrong.push((expression, said));
        }
    }
    assert_eq!(wrong, vec![]);
    assert!(compared > 150, "only {compared} expressions were compared");
}

#[test]
fn every_difference_is_one() {
    let mut oracle = Oracle::default();
    for difference in DIFFERENCES {
        let theirs = if difference.accepted {
            Answer::Refuses
        } else {
            Answer::Accepts
        };
        for example in difference.examples {
            assert_eq!(
                (accepts(example), oracle.ask(example)),
                (difference.accepted, theirs),
                "{example}: {}",
                difference.why
            );
        }
    }
}

/// Nests and chains have limits in this language; in the other the stack is theirs.
#[test]
fn limits_are_no_question_of_syntax() {
    let mut oracle = Oracle::default();
    for (prefix, middle, suffix, limit) in [
        ("(", "a", ")", 64),
        ("[", "1", "]", 64),
        ("f(", "1", ")", 64),
        ("", "a", ".b", 1_000),
        ("", "1", "+1", 1_000),
        ("!", "a", "", 1_000),
    ] {
        let nested = |count| format!("{}{middle}{}", prefix.repeat(count), suffix.repeat(count));
        assert!(accepts(&nested(limit)), "{}", nested(1));
        assert!(!accepts(&nested(limit + 1)), "{}", nested(1));
        // Whatever becomes of the oracle, the next question is answered.
        oracle.ask(&nested(5_000));
        assert_eq!(oracle.ask(&nested(2)), Answer::Accepts, "{}", nested(2));
    }
}

#[test]
fn both_agree_on_random_expressions() {
    let mut oracle = Oracle::default();
    let mut random = Random::new(20_260_101);
    let (mut accepted, mut refused, mut excused) = (0, 0, 0);
    for _ in 0..1_500 {
        let tokens = random.expression();
        let expression = tokens.join(" ");
        match (accepts(&expression), oracle.ask(&expression)) {
            (true, Answer::Accepts) => accepted += 1,
            (false, Answer::Refuses) => refused += 1,
            (ours, theirs) => {
                let why = DIFFERENCES
                    .iter()
                    .find(|difference| difference.accepted == ours && (difference.within)(&tokens));
                assert!(
                    why.is_some() && theirs != Answer::Dies,
                    "accepted: {ours}, by cel: {theirs:?}: {expression}"
                );
                excused += 1;
            }
        }
    }
    assert!(
        accepted > 500 && refused > 400 && excused < 75,
        "{accepted} accepted, {refused} refused, {excused} excused"
    );
}
