//! What a rule sets and asks for of marks, and what of it is refused.
#![expect(
    clippy::panic,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::sync::Arc;

use yagura_event::{Bearer, Registry};
use yagura_rules::source::{DetectSource, JoinedSource, MethodSource, SequenceSource, StepSource};
use yagura_rules::{
    ExceptionSource, LetSource, Lists, MarkName, MarkScope, MarkSource, Rule, RuleSource, compile,
};

const SECOND: i64 = 1_000_000_000;

fn mark(name: &str) -> MarkSource {
    MarkSource {
        name: name.to_owned(),
        scope: MarkScope::ProcessTree,
        ttl: 60 * SECOND,
        ..MarkSource::default()
    }
}

fn marking(mark: MarkSource) -> RuleSource {
    RuleSource {
        mark: Some(mark),
        ..RuleSource::new("r", "process.pid == 1")
    }
}

#[track_caller]
fn rule(source: &RuleSource) -> Arc<Rule> {
    let compiled = compile(source, Registry::workload(), &Lists::default());
    compiled
        .rule
        .unwrap_or_else(|| panic!("{:#?}", compiled.diagnostics))
}

/// What is wrong: part, text and message.
#[track_caller]
fn wrong(source: &RuleSource) -> Vec<String> {
    let compiled = compile(source, Registry::workload(), &Lists::default());
    assert!(compiled.rule.is_none(), "it compiles");
    let show = |one: &yagura_rules::Diagnostic| {
        let text = one.span.of(source.text_of(one.part));
        format!("{} {} `{text}` {}", one.code, one.part, one.message)
    };
    compiled.diagnostics.iter().map(show).collect()
}

fn reads(source: &RuleSource) -> Vec<(Bearer, String)> {
    let rule = rule(source);
    let name = |MarkName { bearer, name }: &MarkName| (*bearer, name.to_string());
    rule.reads.iter().map(name).collect()
}

#[test]
fn every_condition_of_the_rule_itself_is_asked_for_its_marks() {
    let mut source = RuleSource::new("r", "has(process.marks[\"a\"]) && held && m.b == \"x\"");
    let one = |name: &str, value: &str| LetSource {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    source.lets = vec![
        one("held", "\"x\" in container.marks[\"c-1\"]"),
        one("m", "process.marks"),
    ];
    source.exceptions = vec![ExceptionSource {
        condition: "host.marks[\"maintenance\"]".to_owned(),
        ..ExceptionSource::default()
    }];
    source.detect = Some(DetectSource {
        group_by: Vec::new(),
        method: MethodSource::Sequence(SequenceSource {
            within: SECOND,
            steps: vec![StepSource {
                condition: "process.marks[\"step\"] != null".to_owned(),
                count: 2,
            }],
            until: Some("size(process.marks[\"until\"]) > 3".to_owned()),
        }),
    });
    let expected = [
        (Bearer::Process, "a"),
        (Bearer::Process, "b"),
        (Bearer::Process, "step"),
        (Bearer::Process, "until"),
        (Bearer::Container, "c-1"),
        (Bearer::Host, "maintenance"),
    ];
    assert_eq!(
        reads(&source),
        expected.map(|(bearer, name)| (bearer, name.to_owned()))
    );
    assert_eq!(source.language_version(), 2);
    assert!(reads(&RuleSource::new("r", "process.name == \"process.marks\"")).is_empty());
}

#[test]
fn a_mark_is_asked_for_by_a_name_that_is_written_out() {
    let of = |condition: &str| wrong(&RuleSource::new("r", condition));
    let message = "marks are asked for by names that are written out";
    for (condition, text) in [
        ("process.marks[process.name] == \"x\"", "process.marks"),
        ("\"x\" in host.marks", "host.marks"),
        ("size(container.marks) > 1", "container.marks"),
        (
            "process.name == \"x\" && process.marks == process.name",
            "process.marks",
        ),
    ] {
        assert_eq!(
            of(condition),
            [format!("Y0052 condition `{text}` {message}")],
            "{condition}"
        );
    }
    // Few and short values: to look for something in them costs little.
    let searches =
        "process.marks[\"a\"].exists(a, a == process.executable) && process.name in host.marks[\"b\"]";
    assert_eq!(reads(&RuleSource::new("r", searches)).len(), 2);
    let mut both = RuleSource::new("r", "m[\"a\"] == 1 && size(m) == 1");
    both.lets = vec![LetSource {
        name: "m".to_owned(),
        value: "process.marks".to_owned(),
    }];
    assert_eq!(
        wrong(&both),
        [format!("Y0052 let[0].value `process.marks` {message}")]
    );
}

#[test]
fn marks_are_neither_shown_nor_grouped_by() {
    let mut source = RuleSource::new("r", "process.pid == 1");
    "{{process.marks}}".clone_into(&mut source.signal.title);
    source.signal.group_by = vec!["container.marks".to_owned()];
    source.signal.fields = vec!["host.marks".to_owned()];
    assert_eq!(
        wrong(&source),
        [
            "Y0040 signal.title `process.marks` process.marks cannot be used here",
            "Y0041 signal.groupBy[0] `container.marks` container.marks cannot be used here",
            "Y0041 signal.fields[0] `host.marks` host.marks cannot be used here",
        ]
    );
}

#[test]
fn who_writes_an_exception_cannot_ask_for_marks_but_by_a_name_that_the_rule_gives() {
    let mut source = RuleSource::new("r", "process.pid == 1 && held != true");
    source.lets = vec![LetSource {
        name: "held".to_owned(),
        value: "process.marks[\"a\"]".to_owned(),
    }];
    let joined = |condition: &str| JoinedSource {
        condition: condition.to_owned(),
        ..JoinedSource::default()
    };
    source.joined = vec![joined("held == \"x\"")];
    assert_eq!(reads(&source).len(), 1);
    source.joined = vec![joined("has(process.marks[\"a\"])")];
    assert_eq!(
        wrong(&source),
        ["Y0052 joined[0].condition `process.marks[\"a\"]` an Exception object cannot ask for marks"]
    );
}

#[test]
fn what_is_set_has_a_name_a_time_and_one_value() {
    let compiled = rule(&marking(MarkSource {
        value: Some("process.executable".to_owned()),
        append: true,
        ..mark("written")
    }));
    let set = compiled.mark.as_ref().map(|mark| {
        let name = mark.name.name.to_string();
        (mark.name.bearer, name, mark.inherited, mark.append, mark.ttl)
    });
    let expected = (Bearer::Process, "written".to_owned(), true, true, 60 * SECOND);
    assert_eq!(set, Some(expected));

    let refused = |change: fn(&mut MarkSource), expected: &str| {
        let mut mark = mark("m");
        change(&mut mark);
        assert_eq!(wrong(&marking(mark)), [expected]);
    };
    let name = "the name of a mark has 1 to 63 lower-case letters, digits and -, and begins with a letter";
    refused(|mark| mark.name.clear(), &format!("Y0052 mark.name `` {name}"));
    refused(
        |mark| mark.name.push('M'),
        &format!("Y0052 mark.name `mM` {name}"),
    );
    refused(
        |mark| mark.name.insert(0, '1'),
        &format!("Y0052 mark.name `1m` {name}"),
    );
    let ttl = "Y0052 mark.ttl `` a mark is there for a second to 24 hours";
    refused(|mark| mark.ttl = SECOND - 1, ttl);
    refused(|mark| mark.ttl = 24 * 3_600 * SECOND + 1, ttl);
    refused(
        |mark| mark.append = true,
        "Y0052 mark.append `` without a value there is nothing to append",
    );
    refused(
        |mark| mark.value = Some("process.args".to_owned()),
        "Y0052 mark.value `process.args` process.args is a list of string, which no mark can have as its value",
    );
    refused(
        |mark| mark.value = Some("process.marks".to_owned()),
        "Y0041 mark.value `process.marks` process.marks cannot be used here",
    );
    refused(
        |mark| mark.value = Some("process.nam".to_owned()),
        "Y0041 mark.value `process.nam` unknown field process.nam",
    );
}

#[test]
fn a_silent_rule_marks_and_does_nothing_else() {
    let mut silent = marking(mark("m"));
    silent.silent = true;
    assert!(rule(&silent).silent);
    silent.mark = None;
    assert_eq!(
        wrong(&silent),
        ["Y0052 silent `` a silent rule only marks, and this one does not"]
    );
    silent.mark = Some(mark("m"));
    silent.detect = Some(DetectSource {
        group_by: Vec::new(),
        method: MethodSource::Threshold(yagura_rules::source::ThresholdSource {
            count: 2,
            within: SECOND,
            ..Default::default()
        }),
    });
    assert_eq!(
        wrong(&silent),
        ["Y0052 silent `` a rule that only marks has nothing to detect over time"]
    );
}
