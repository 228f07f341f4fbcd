//! What is hidden, what stays, and that nothing that a container can write makes the redactor fail.

mod corpus;
mod property;

use std::sync::LazyLock;

use yagura_event::facts::{Kubelet, NodeFacts};
use yagura_event::{Fold, GroupKey, Known, Record, Text, Timestamp, Tree};

use super::{Key, LIMIT, PatternError, Redactor};

/// Made once: its expressions take a while to compile.
fn redactor() -> &'static Redactor {
    static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| with(&[]).unwrap());
    &REDACTOR
}

fn with(patterns: &[&str]) -> Result<Redactor, PatternError> {
    let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    Redactor::new(Key::new([9; Key::BYTES]), &patterns)
}

fn process(name: &str, args: &[&str]) -> Tree {
    let args = args.iter().map(|arg| Tree::from(*arg)).collect();
    Tree::map([(
        "process".into(),
        Tree::map([("name".into(), name.into()), ("args".into(), Tree::List(args))]),
    )])
}

fn fold(group: Vec<(&str, Tree)>, title: &str, fields: Tree) -> Fold {
    let group = group.into_iter().map(|(field, value)| (field.to_owned(), value));
    Fold {
        rule: "r".to_owned(),
        rule_hash: "h".to_owned(),
        group: GroupKey(group.collect()),
        title: title.to_owned(),
        count: 1,
        first: Timestamp(1),
        last: Timestamp(1),
        samples: vec![Record {
            time: Timestamp(1),
            fields,
        }],
        incomplete: false,
        pending: false,
        case: None,
    }
}

/// The text of the redacted value.
fn text(redactor: &Redactor, text: &str) -> String {
    let fields = Tree::map([("text".into(), text.into())]);
    let clean = redactor.record(Record {
        time: Timestamp(0),
        fields,
    });
    match clean.get().fields.get(b"text") {
        Some(Tree::Text(text)) => String::from_utf8(text.as_bytes().to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_match_tells_what_was_hidden_in_it() {
    let clean = redactor().record(Record {
        time: Timestamp(0),
        fields: process("mysql", &["-uroot", "-phunter2", "shop"]),
    });
    let fields = &clean.get().fields;
    let args = Tree::List(vec![
        "-uroot".into(),
        "-p[redacted:password]".into(),
        "shop".into(),
    ]);
    assert_eq!(fields.at("process.args"), Some(&args));
    assert_eq!(fields.at("redacted"), Some(&Tree::List(vec!["password".into()])));
    assert_eq!(clean.hidden(), ["password"]);

    let plain = Record {
        time: Timestamp(0),
        fields: process("mysql", &["-uroot", "shop"]),
    };
    assert_eq!(*redactor().record(plain.clone()).get(), plain);
}

#[test]
fn groups_stay_apart_by_what_is_hidden_in_them() {
    let redactor = redactor();
    let group = |secret: &str| {
        let line = format!("login --password={secret}");
        let fold = fold(
            vec![("process.command_line", line.as_str().into())],
            "t",
            process("login", &[]),
        );
        redactor.fold(fold).get().group.clone()
    };
    let (one, other) = (group("correct-horse"), group("battery-staple"));
    assert_eq!(one, group("correct-horse"));
    assert_ne!(one, other);
    let shown = format!("{one:?}");
    assert!(shown.contains("--password=[redacted:password:"), "{shown}");
    assert!(!shown.contains("correct-horse"), "{shown}");

    let elsewhere = Redactor::new(Key::new([1; Key::BYTES]), &[]).unwrap();
    let fold = fold(
        vec![("process.command_line", "login --password=correct-horse".into())],
        "t",
        process("login", &[]),
    );
    assert_ne!(
        elsewhere.fold(fold).get().group,
        one,
        "another node's marks are others"
    );
}

#[test]
fn a_group_that_was_cut_shows_no_hash_that_can_be_tried_out() {
    let cut = |hash: &str| {
        let value = format!("{}…#{hash}", "x".repeat(1_024));
        let fold = fold(
            vec![("process.arg0", value.as_str().into())],
            "t",
            Tree::default(),
        );
        redactor().fold(fold)
    };
    let one = cut("0123456789abcdef");
    assert!(!format!("{one:?}").contains("0123456789abcdef"));
    assert_ne!(one, cut("0123456789abcdee"));
    assert_eq!(redactor().fold(one.get().clone()).get(), one.get());
}

#[test]
fn a_title_hides_what_its_arguments_hide() {
    let fold = fold(
        vec![],
        "Ran -uroot -phunter2 shop",
        process("mysql", &["-uroot", "-phunter2", "shop"]),
    );
    let clean = redactor().fold(fold);
    assert_eq!(clean.get().title, "Ran -uroot -p[redacted:password] shop");

    // The title alone may hold one, and the sample tells of it.
    let fold = self::fold(vec![], "Ran --token=abcdef", process("x", &[]));
    let clean = redactor().fold(fold);
    assert_eq!(
        clean.get().samples[0].fields.at("redacted"),
        Some(&Tree::List(vec!["token".into()]))
    );
}

#[test]
fn a_title_stays_below_what_the_operator_takes() {
    let fold = fold(vec![], &"pwd=1 ".repeat(80), Tree::default());
    let clean = redactor().fold(fold);
    assert!(clean.get().title.len() <= 4_096, "{}", clean.get().title.len());
    assert_eq!(redactor().fold(clean.get().clone()).get(), clean.get());
}

#[test]
fn marks_do_not_blow_a_record_up() {
    let args: Vec<String> = (0..5_000).map(|_| "pwd=1".to_owned()).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let clean = redactor().record(Record {
        time: Timestamp(0),
        fields: process("x", &args),
    });
    let Some(Tree::List(items)) = clean.get().fields.at("process.args") else {
        panic!("{clean:?}");
    };
    assert!(items.len() <= 257, "{}", items.len());
    assert!(clean.hidden().contains(&"unscanned"));
    assert!(text(redactor(), &"pwd=1 ".repeat(10_000)).len() < LIMIT);
}

#[test]
fn what_is_too_long_to_look_at_is_hidden() {
    let long = format!("{} --password=hunter2x", "x".repeat(LIMIT));
    let clean = text(redactor(), &long);
    assert!(clean.len() <= LIMIT && clean.ends_with("[redacted:unscanned]"));
    assert!(!clean.contains("hunter2x"));
}

#[test]
fn facts_keep_settings_and_lose_secrets() {
    let flags = [
        ("anonymous-auth", "false"),
        ("authentication-token-webhook", "true"),
        ("bootstrap-token", "abcdef.0123456789abcdef"),
        ("cloud-config", "https://admin:hunter2x@example.com/config"),
        ("tls-private-key-file", "/var/lib/kubelet/pki/kubelet.key"),
    ];
    let flags = flags.map(|(name, value)| (Text::from(name), Text::from(value)));
    let config = Tree::map([
        ("readOnlyPort".into(), 0.into()),
        ("password".into(), "hunter2x".into()),
        (
            "authentication".into(),
            Tree::map([("anonymous".into(), Tree::map([("enabled".into(), false.into())]))]),
        ),
    ]);
    let clean = redactor().facts(NodeFacts {
        node: "n".into(),
        kubelet: Known::Present(Kubelet {
            flags: flags.to_vec(),
            config_path: Known::Present("/var/lib/kubelet/config.yaml".into()),
            config: Known::Present(config),
        }),
        files: Vec::new(),
    });
    let shown = format!("{clean:?}");
    for secret in ["0123456789abcdef", "hunter2x"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    for kept in [
        "/var/lib/kubelet/pki/kubelet.key",
        "admin:[redacted:url-password]@example.com",
    ] {
        assert!(shown.contains(kept), "{shown}");
    }
    let Known::Present(kubelet) = &clean.get().kubelet else {
        panic!("{shown}")
    };
    assert_eq!(kubelet.flags[1].1, Text::from("true"));
}

#[test]
fn the_users_patterns_hide_their_group_or_all_they_match() {
    let redactor = with(&["employee-[0-9]{6}", "ticket=(?P<number>[A-Z]+-[0-9]+)"]).unwrap();
    assert_eq!(
        text(&redactor, "employee-123456 ticket=OPS-77 employee-1"),
        "[redacted:custom] ticket=[redacted:custom] employee-1"
    );
}

#[test]
fn patterns_that_cannot_be_used_are_named() {
    let many = vec!["x"; 65];
    for (patterns, expected) in [
        (
            vec!["a", "("],
            "pattern 2 to redact is no regular expression: `(`",
        ),
        (vec!["a*"], "pattern 1 to redact matches an empty text"),
        (
            vec![r"\w{1000}{1000}"],
            "pattern 1 to redact is no regular expression",
        ),
        (many, "there are 65 patterns to redact, the limit is 64"),
    ] {
        let error = with(&patterns).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let long = "x".repeat(1_025);
    assert!(with(&[&long]).unwrap_err().to_string().contains("1025 bytes"));
}
