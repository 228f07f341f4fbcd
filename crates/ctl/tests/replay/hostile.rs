//! Events and rules that are meant to harm whoever replays them, or that a bad clock has dated.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{exec, replay};

/// What `su` of users at these seconds becomes: for each signal its user and its count.
fn su(times: &[(i64, &str)]) -> Vec<(String, u64)> {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> = times
        .iter()
        .map(|(second, user)| exec(&(second * 1_000_000_000).to_string(), "su", user, "c"))
        .collect();
    let answer = replay(
        folder.path(),
        &["--strict", "--", "-"],
        lines.join("\n").as_bytes(),
    );
    answer
        .signals
        .iter()
        .map(|signal| {
            let user = signal["group"]["process.user.name"].as_str().unwrap();
            (user.to_owned(), signal["count"].as_u64().unwrap())
        })
        .collect()
}

#[test]
fn a_clock_that_is_set_back_or_is_ahead_harms_no_other_group() {
    // Three within ten seconds, in whatever order they come.
    assert_eq!(su(&[(20, "a"), (15, "a"), (12, "a")]), [("a".to_owned(), 3)]);
    assert_eq!(su(&[(500, "a"), (20, "a"), (501, "a"), (22, "a"), (23, "a")]), []);
    // The last second that a time can be in.
    let end = i64::MAX / 1_000_000_000;
    assert_eq!(
        su(&[(end, "a"), (1, "b"), (2, "b"), (end, "a"), (3, "b"), (end, "a")]),
        [("b".to_owned(), 3), ("a".to_owned(), 3)]
    );
    assert_eq!(
        su(&[(-end, "a"), (1, "a"), (-end, "a"), (2, "a"), (3, "a")]),
        [("a".to_owned(), 3)]
    );
}

#[test]
fn windows_outlast_an_event_that_is_far_ahead() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = vec![
        exec("1000000000", "su", "a", "c"),
        exec("2000000000", "su", "a", "c"),
    ];
    // Windows that are over are forgotten now and then; this event comes when they are.
    lines.resize(99_999, r#"{"time":2000000000,"kind":"process.exec"}"#.to_owned());
    lines.push(r#"{"time":"2262-01-01T00:00:00Z","kind":"process.exec"}"#.to_owned());
    lines.push(exec("3000000000", "su", "a", "c"));
    let answer = replay(
        folder.path(),
        &["--strict", "--", "-"],
        lines.join("\n").as_bytes(),
    );
    assert_eq!(answer.signals.len(), 1, "{}", answer.errors);
    assert_eq!(answer.signals[0]["events"].to_string(), "[0,1,100000]");
}

#[test]
fn hostile_lines_are_passed_over_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let line = |member: &str| format!(r#"{{"kind":"process.exec",{member}}}"#).into_bytes();
    let mut not_text = line(r#""process":{"name":"X"}"#);
    let place = not_text.iter().position(|byte| *byte == b'X').unwrap();
    not_text[place] = 0xff;
    let lines: Vec<(Vec<u8>, &str)> = vec![
        (not_text, "column"),
        (line(r#""process":{"name":"\ud800"}"#), "column"),
        (
            line(r#""process":{"pid":18446744073709551615}"#),
            "field process.pid takes",
        ),
        (
            line(r#""process":{"pid":18446744073709551616}"#),
            "field process.pid takes",
        ),
        (line(r#""process":{"pid":-1}"#), "field process.pid takes"),
        (line(r#""process":{"pid":1e999}"#), "column"),
        (line(r#""process":{"pid":NaN}"#), "column"),
        (line(r#""process":{"pid":1.5}"#), "field process.pid takes"),
        (
            line(r#""time":9223372036854775808"#),
            "time 9223372036854775808 is neither",
        ),
        (
            line(r#""time":"9999-12-31T23:59:59Z""#),
            "time \"9999-12-31T23:59:59Z\" is neither",
        ),
        (line(r#""time":null"#), "time null is neither"),
        ("[".repeat(100_000).into_bytes(), "column"),
        (
            line(&format!(r#""process":{}"#, "{\"x\":".repeat(100_000))),
            "column",
        ),
        (b"\0\0\0".to_vec(), "column"),
    ];
    for (bytes, why) in &lines {
        let good = exec("", "sh", "a", "c");
        let input = [bytes.as_slice(), b"\n", good.as_bytes()].concat();
        let answer = replay(folder.path(), &["--", "-"], &input);
        let shown = String::from_utf8_lossy(bytes);
        let shown: String = shown.chars().take(60).collect();
        assert!(
            answer.errors.contains("-:1: ") && answer.errors.contains(why),
            "{shown}: {}",
            answer.errors
        );
        assert_eq!(answer.signals.len(), 1, "{shown}");
        assert_eq!(answer.signals[0]["events"].to_string(), "[1]", "{shown}");
    }
    // Of two members of a name the last counts, as for the agents' own JSON everywhere.
    let twice = line(r#""process":{"name":"cat","name":"sh"}"#);
    assert_eq!(replay(folder.path(), &["--", "-"], &twice).signals.len(), 1);
}

#[test]
fn a_bomb_is_read_piece_by_piece() {
    let folder = tempfile::tempdir().unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    let piece = vec![b' '; 1 << 20];
    for _ in 0..64 {
        packed.write_all(&piece).unwrap();
    }
    packed.write_all(b"\n").unwrap();
    packed.write_all(exec("", "sh", "a", "c").as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 100_000);
    let answer = replay(folder.path(), &["--", "-"], &packed);
    assert!(
        answer
            .errors
            .contains("-:1: the line is longer than 1048576 bytes"),
        "{}",
        answer.errors
    );
    assert_eq!(answer.signals.len(), 1);
}

#[test]
fn rules_that_exceed_a_limit_are_named_and_nothing_is_replayed() {
    let rule = |more: &str, condition: &str| {
        format!(
            "apiVersion: yagura.dev/v1alpha1\nkind: DetectionRule\nmetadata: {{name: r}}\nspec:\n  title: t\n  severity: low\n{more}  condition: {condition}\n"
        )
    };
    let lets: Vec<String> = (0..65)
        .map(|name| format!("    - {{name: n{name}, value: \"1\"}}\n"))
        .collect();
    let costly =
        "process.args.exists(a, process.args.exists(b, a == b && process.args.exists_one(c, c == a)))";
    for (text, why) in [
        (
            rule("", "process.pid == 1").replace("title: t", "title: &t t\n  description: *t"),
            "aliases are not read",
        ),
        (
            rule("", "process.pid == 1\n  severity: high"),
            "severity: stands here twice",
        ),
        (
            rule(&format!("  let:\n{}", lets.concat()), "n0 == 1"),
            "has 65 items; 0 to 64 are allowed",
        ),
        (
            rule("", &format!("process.pid == 1{}", " + 1".repeat(1_001))),
            "more than 1,000",
        ),
        (
            rule("", &format!("\"{}\"", "x".repeat(65_537))),
            "65537 characters; 65536 at most",
        ),
        (rule("", costly), "macros may be nested once"),
        (
            rule("", "process.args.exists(a, process.args.exists(b, a == b))"),
            "it may take",
        ),
        (" ".repeat(9 << 20), "the file has 8388609 bytes"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("more.yaml"), &text).unwrap();
        let answer = replay(
            folder.path(),
            &["more.yaml", "--", "-"],
            exec("", "sh", "a", "c").as_bytes(),
        );
        let shown: String = text
            .chars()
            .rev()
            .take(60)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        assert_eq!((answer.status, answer.signals.len()), (Some(2), 0), "{shown}");
        assert!(answer.errors.contains(why), "{shown}: {}", answer.errors);
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("more.yaml"), b"spec: \xff\n").unwrap();
    let answer = replay(folder.path(), &["more.yaml", "--", "-"], b"");
    assert_eq!(answer.status, Some(2));
    assert!(
        answer.errors.contains("more.yaml is not UTF-8"),
        "{}",
        answer.errors
    );
}
