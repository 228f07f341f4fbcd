//! Whatever the bytes: no panic, and what was redacted once does not change again.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{process, redactor, with};
use crate::redact::Redactor;
use yagura_event::{Record, Text, Timestamp, Tree};

/// Pieces of which texts are made that have something to hide, or nearly.
const PIECES: &[&str] = &[
    "--password",
    "password",
    "pass",
    "PWD",
    "token",
    "api_key",
    "secret",
    "Authorization",
    "authorization: Basic ",
    "Cookie: ",
    "Bearer ",
    "basic ",
    "=",
    ":",
    " ",
    "  ",
    "\"",
    "'",
    "\\\"",
    "://",
    "@",
    "user",
    "hunter2",
    "/",
    "?sig=",
    "&",
    "$X",
    "${Y}",
    "ghp_",
    "0123456789abcdef0123456789",
    "AKIA",
    "ABCDEFGHIJKLMNOP",
    "eyJ",
    ".",
    "-----BEGIN ",
    "RSA PRIVATE KEY",
    "-----",
    "-----END",
    "mysql",
    "-p",
    "-u",
    "curl",
    "<password>",
    ">",
    "[redacted:token]",
    "[redacted:",
    "]",
    "[redacted:password:0123456789ab]",
    ";",
    "|",
    "\n",
    "é",
    "…",
    "dXNlcjpwYXNz",
];

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    vec(select(PIECES), 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![pieces(), vec(any::<u8>(), 0..200)]
}

fn record(program: &str, args: &[Vec<u8>]) -> Record {
    let mut fields = process(program, &[]);
    if let Tree::Map(pairs) = &mut fields
        && let Tree::Map(process) = &mut pairs[0].1
    {
        process[0].1 = Tree::List(
            args.iter()
                .map(|arg| Tree::Text(Text::from(arg.clone())))
                .collect(),
        );
    }
    Record {
        time: Timestamp(0),
        fields,
    }
}

fn stable(redactor: &Redactor, record: Record) -> Result<(), TestCaseError> {
    let once = redactor.record(record);
    let twice = redactor.record(once.get().clone());
    prop_assert_eq!(once.get(), twice.get());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_500) })]

    #[test]
    fn redacting_twice_is_redacting_once(program in select(&["mysql", "curl", "x"][..]), args in vec(bytes(), 0..5)) {
        stable(redactor(), record(program, &args))?;
    }

    #[test]
    fn so_it_is_with_patterns_of_the_user(args in vec(bytes(), 0..3)) {
        static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| with(&["[a-z]{4,}", "e(.)"]).unwrap());
        stable(&REDACTOR, record("x", &args))?;
    }
}
