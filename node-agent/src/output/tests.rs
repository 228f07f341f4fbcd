//! Lines as they leave, for tame and for hostile processes.

use std::sync::Arc;

use yagura_event::process::Executable;
use yagura_event::{
    Event, EventKind, Fold, GroupKey, Host, Known, Origin, Outcome, Process, Record, Severity, Text,
    Timestamp, Tree,
};

use super::{Gap, Line, Loss, Signal, View, json, table};
use crate::args::OutputFormat;
use crate::metrics::Metrics;
use crate::redact::{Key, Redactor};

fn redactor() -> Redactor {
    Redactor::new(Key::new([3; Key::BYTES]), &[]).unwrap()
}

fn view(format: OutputFormat) -> View {
    let metrics = Metrics::register(&mut yagura_telemetry::Registry::default());
    View::new(format, Arc::new(redactor()), metrics)
}

fn exec(args: Vec<Text>) -> Event {
    Event {
        kind: EventKind::ProcessExec,
        time: Timestamp(1_700_000_000_123_456_789),
        origin: Origin::Live,
        outcome: Outcome::Success,
        process: Arc::new(Process {
            name: Text::from("sh"),
            executable: Known::Present(Executable {
                path: Text::from("/bin/sh"),
                ..Executable::default()
            }),
            args,
            ..Process::default()
        }),
        container: None,
        host: Arc::new(Host::default()),
        exit: None,
        marks: None,
    }
}

fn signal(rule: &str, title: &str) -> Line {
    Line::Signal(Box::new(Signal {
        rule: rule.to_owned(),
        severity: Severity::High,
        fold: redactor().fold(Fold {
            rule: rule.to_owned(),
            rule_hash: String::new(),
            group: GroupKey(vec![("process.name".to_owned(), Tree::from("sh"))]),
            title: title.to_owned(),
            count: 3,
            first: Timestamp(1_700_000_000_000_000_000),
            last: Timestamp(1_700_000_000_123_456_789),
            samples: vec![Record {
                time: Timestamp(1_700_000_000_000_000_000),
                fields: Tree::map([("process.args".into(), Tree::Text(Text::from(&b"\xff"[..])))]),
            }],
            incomplete: false,
            pending: true,
            case: None,
        }),
    }))
}

fn printed(line: &Line) -> String {
    let mut out = Vec::new();
    let shown = view(OutputFormat::Table).of(line.clone());
    table::line(&shown, false, table::WIDTH, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn parsed(line: &Line) -> serde_json::Value {
    let mut out = Vec::new();
    let shown = view(OutputFormat::Json).of(line.clone());
    json::line(&shown, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches('\n').count(), 1);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_signal_is_one_line_of_at_most_80_columns() {
    let line = printed(&signal("shell-in-container", "Shell sh in cart"));
    assert!(
        line.contains("high     shell-in-container           3 Shell sh in cart"),
        "{line}"
    );
    let rule = "a".repeat(63);
    let line = printed(&signal(&rule, &"é".repeat(500)));
    assert_eq!(line.trim_end_matches('\n').chars().count(), table::WIDTH);
}

#[test]
fn arguments_with_newlines_and_escapes_stay_on_one_line() {
    let hostile = exec(vec![
        Text::from("a\nb"),
        Text::from("\x1b[2J\u{202e}"),
        Text::from(&b"\xff"[..]),
    ]);
    let line = printed(&Line::Event(hostile));
    assert_eq!(line.matches('\n').count(), 1);
    assert!(!line.contains('\x1b') && !line.contains('\u{202e}'));
    assert!(line.contains("/bin/sh a\\nb"), "{line}");
    let title = printed(&signal("r\nr", "t\n\x1b[31mt"));
    assert_eq!(title.matches('\n').count(), 1);
    assert!(!title.contains('\x1b'));
}

#[test]
fn thirty_kibibytes_of_arguments_are_cut_in_the_table_and_whole_in_json() {
    let long = exec(vec![Text::from("x".repeat(30 << 10))]);
    assert_eq!(
        printed(&Line::Event(long.clone())).trim_end().chars().count(),
        table::WIDTH
    );
    let object = parsed(&Line::Event(long));
    assert_eq!(object["process"]["args"][0].as_str().unwrap().len(), 30 << 10);
}

#[test]
fn json_has_the_names_that_replay_has() {
    let object = parsed(&signal("shell", "Shell"));
    for name in [
        "rule", "severity", "title", "group", "count", "first", "last", "samples",
    ] {
        assert!(object.get(name).is_some(), "{name}");
    }
    assert_eq!(object["first"], "2023-11-14T22:13:20.000000000Z");
    assert_eq!(object["group"]["process.name"], "sh");
    assert_eq!(object["samples"][0]["process.args"], "\\xff");
    assert_eq!(object["pending"], true);
}

#[test]
fn no_line_shows_a_secret() {
    let event = exec(vec![Text::from("--password=hunter2x"), Text::from("-v")]);
    let (table, json) = (printed(&Line::Event(event.clone())), parsed(&Line::Event(event)));
    assert!(
        table.contains("/bin/sh --password=[redacted:password] -v"),
        "{table}"
    );
    assert!(!json.to_string().contains("hunter2x"), "{json}");
    assert_eq!(json["redacted"], serde_json::json!(["password"]));
    assert_eq!(json["process"]["args"][0], "--password=[redacted:password]");
}

#[test]
fn losses_and_gaps_are_lines_of_their_own() {
    let loss = Line::Loss(Loss {
        cause: "sensor-ring-full",
        events: 7,
    });
    assert!(printed(&loss).contains("7 events were lost before any rule saw them: sensor-ring-full"));
    assert_eq!(
        parsed(&loss),
        serde_json::json!({"type": "loss", "cause": "sensor-ring-full", "events": 7})
    );
    let gap = |explanation: Option<&str>| {
        Line::Gap(Gap {
            since: Timestamp(1_700_000_000_000_000_000),
            until: Timestamp(1_700_000_090_000_000_000),
            explanation: explanation.map(str::to_owned),
        })
    };
    assert!(
        printed(&gap(None))
            .trim_end()
            .ends_with("nobody watched for 90 s before")
    );
    assert!(
        printed(&gap(Some("Rebooted")))
            .trim_end()
            .ends_with("before (Rebooted)")
    );
    assert_eq!(parsed(&gap(None))["since"], "2023-11-14T22:13:20.000000000Z");
}
