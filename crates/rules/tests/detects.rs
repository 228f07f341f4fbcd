//! What is wrong with how matches become detections, and where they are looked at.

use yagura_event::Registry;
use yagura_rules::detect::Scope;
use yagura_rules::source::{
    AnomalySource, CaseSource, ContentAnomalySource, CorrelationSource, DetectSource, MeasureSource,
    MethodSource, NewValueSource, QuerySource, SequenceSource, StepSource, ThresholdSource, WindowSource,
};
use yagura_rules::{Diagnostic, Lists, RuleSource, compile};

fn diagnose(source: &RuleSource) -> Vec<Diagnostic> {
    let compiled = compile(source, Registry::workload(), &Lists::default());
    let errors = compiled.diagnostics.iter().any(Diagnostic::is_error);
    assert_eq!(
        compiled.rule.is_none(),
        errors,
        "a rule without errors runs, one with errors does not"
    );
    compiled.diagnostics
}

fn method(method: MethodSource) -> DetectSource {
    DetectSource {
        group_by: Vec::new(),
        method,
    }
}

#[test]
fn thresholds_are_checked_in_their_own_parts() {
    let mut source = RuleSource::new("r", "process.pid == 1");
    source.signal.group_by = vec!["container.id".to_owned()];
    source.detect = Some(DetectSource {
        group_by: vec!["process.user.nam".to_owned()],
        method: MethodSource::Threshold(ThresholdSource {
            count: 1_025,
            within: 60,
            distinct: Some("process.args".to_owned()),
            window: WindowSource::Session { gap: 61 },
        }),
    });
    let found: Vec<(String, String)> = diagnose(&source)
        .iter()
        .map(|diagnostic| (diagnostic.part.to_string(), diagnostic.to_string()))
        .collect();
    let expected = [
        (
            "detect.threshold.groupBy[0]",
            "error[Y0041]: unknown field process.user.nam (did you mean process.user.name?)",
        ),
        (
            "detect.threshold.distinct",
            "error[Y0041]: process.args is a list (group by fields with one value)",
        ),
        (
            "detect.threshold.count",
            "error[Y0042]: a threshold of 1025 is not between 1 and 1024",
        ),
        (
            "detect.threshold.within",
            "error[Y0042]: the pause that ends a session is longer than the session may be, or none (let gap be at most as long as within)",
        ),
        (
            "signal.groupBy[0]",
            "error[Y0043]: matches of this rule are grouped by detect already (leave signal.groupBy out)",
        ),
    ];
    assert_eq!(
        found,
        expected.map(|(part, text)| (part.to_owned(), text.to_owned()))
    );
}

#[test]
fn new_values_and_sequences_are_checked_in_their_own_parts() {
    let found = |detect: DetectSource| {
        let mut source = RuleSource::new("r", "event.kind == \"process.exec\"");
        source.detect = Some(detect);
        let found = diagnose(&source);
        found
            .iter()
            .map(|diagnostic| format!("{}: {diagnostic}", diagnostic.part))
            .collect::<Vec<_>>()
    };
    let new = |fields: &[&str], learn_for, forget_after| {
        method(MethodSource::NewValue(NewValueSource {
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            learn_for,
            learn_matches: 0,
            forget_after,
        }))
    };
    assert_eq!(found(new(&["process.name", "process.args"], 1, 2)), [""; 0]);
    assert_eq!(
        found(new(&["process.nam"], 3, 2)),
        [
            "detect.newValue.fields[0]: error[Y0041]: unknown field process.nam (did you mean process.name?)",
            "detect.newValue.forgetAfter: error[Y0046]: values are forgotten before learning ends (let forgetAfter be at least learnFor)",
        ]
    );
    assert_eq!(
        found(new(&["process.name"; 6], 0, 1)),
        ["detect.newValue.fields[0]: error[Y0046]: a value of 6 fields is not one of 1 to 5"]
    );

    let sequence = |steps: &[(&str, u64)], until: Option<&str>| {
        let steps = steps.iter().map(|(condition, count)| StepSource {
            condition: (*condition).to_owned(),
            count: *count,
        });
        method(MethodSource::Sequence(SequenceSource {
            within: 60,
            steps: steps.collect(),
            until: until.map(str::to_owned),
        }))
    };
    let (curl, sh) = ("process.name == \"curl\"", "process.name == \"sh\"");
    assert_eq!(
        found(sequence(&[(curl, 63), (sh, 1)], Some("process.pid == 1"))),
        [""; 0]
    );
    assert_eq!(
        found(sequence(
            &[(curl, 60), ("process.name", 5), (sh, 0)],
            Some("process.pdi == 1")
        )),
        [
            "detect.sequence.steps[1].condition: error[Y0025]: the result is a string, not true or false (compare it with something, or use has(…))",
            "detect.sequence.steps[1].count: error[Y0047]: up to this step the sequence takes 65 matches, more than 64 (count fewer of them)",
            "detect.sequence.until: error[Y0021]: unknown field process.pdi (did you mean process.pid?)",
        ]
    );
    assert_eq!(
        found(sequence(&[(curl, 1)], None)),
        [
            "detect.sequence.steps[0].condition: error[Y0047]: one match is no sequence (leave detect out, or add a step)"
        ]
    );
    assert_eq!(
        found(sequence(&[(curl, 1), ("process.exit_code == 1", 1)], None)),
        [
            "detect.sequence.steps[1].condition: warning[Y0103]: no kind of event can meet this (`yagura fields` says which kinds have a field)"
        ]
    );
}

#[test]
fn correlations_are_checked_in_their_own_parts() {
    let query = |name: &str, condition: &str, measure| QuerySource {
        name: name.to_owned(),
        condition: condition.to_owned(),
        measure,
    };
    let case = |when: &str, title: &str| CaseSource {
        when: when.to_owned(),
        severity: None,
        title: title.to_owned(),
    };
    let mut source = RuleSource::new("r", "event.kind == \"process.exec\"");
    source.detect = Some(DetectSource {
        group_by: vec!["container.id".to_owned()],
        method: MethodSource::Correlation(CorrelationSource {
            within: 60,
            queries: vec![
                query("a", "process.name == \"a\"", MeasureSource::Count),
                query(
                    "a",
                    "process.name == \"b\"",
                    MeasureSource::Sum("process.name".to_owned()),
                ),
                query(
                    "1",
                    "process.nam == \"c\"",
                    MeasureSource::Distinct("process.args".to_owned()),
                ),
            ],
            cases: vec![
                case("a > 1 && b > 2", "{{container.id}} {{process.name}}"),
                case("a > true", "{{container.ids}}"),
                case("a", ""),
            ],
        }),
    });
    let found: Vec<String> = diagnose(&source)
        .iter()
        .map(|diagnostic| format!("{}: {diagnostic}", diagnostic.part))
        .collect();
    let expected = [
        "queries[1].name: error[Y0048]: there are two queries a",
        "queries[2].name: error[Y0048]: \"1\" cannot be the name of a query (use letters, digits and _, at most 63 and a letter first)",
        "queries[2].condition: error[Y0021]: unknown field process.nam (did you mean process.name?)",
        "queries[1].sum: error[Y0048]: process.name is no whole number (measure how many different ones there are: distinct)",
        "queries[2].distinct: error[Y0041]: process.args is a list (group by fields with one value)",
        "cases[0].when: error[Y0048]: there is no query \"b\" (did you mean a?)",
        "cases[1].when: error[Y0048]: this is made of what is true or false, not a number",
        "cases[2].when: error[Y0048]: the result is not true or false (compare it with something)",
        "cases[0].title: error[Y0048]: matches of a case may differ in process.name (name fields of groupBy only)",
        "cases[1].title: error[Y0040]: unknown field container.ids (did you mean container.id?)",
    ];
    let expected = expected.map(|line| format!("detect.correlation.{line}"));
    assert_eq!(found, expected);
}

#[test]
fn what_learns_is_checked_in_its_own_parts() {
    const HOUR: i64 = 3_600 * 1_000_000_000;
    let found = |source: MethodSource| {
        let mut rule = RuleSource::new("r", "event.kind == \"process.exec\"");
        rule.detect = Some(method(source));
        let found = diagnose(&rule);
        let shown = found
            .iter()
            .map(|diagnostic| format!("{}: {diagnostic}", diagnostic.part));
        shown.collect::<Vec<_>>()
    };
    let anomaly = |bucket, history, learn_for, tolerance, min_count| {
        MethodSource::Anomaly(AnomalySource {
            bucket,
            history,
            learn_for,
            tolerance,
            min_count,
        })
    };
    assert_eq!(found(anomaly(HOUR / 4, 336 * HOUR, 24 * HOUR, 2, 10)), [""; 0]);
    assert_eq!(
        found(anomaly(HOUR / 60 * 7, 337 * HOUR, HOUR / 60, 101, 1)),
        [
            "detect.anomaly.bucket: error[Y0049]: the bucket divides no day and no hour, or is no number of hours (use 1m, 5m, 15m, 1h or 6h)",
            "detect.anomaly.tolerance: error[Y0049]: a tolerance is at most 100",
            "detect.anomaly.minCount: error[Y0049]: fewer than 2 or more than 1000000 matches cannot be asked for",
            "detect.anomaly.learnFor: error[Y0049]: learning takes at least one bucket and at most the history",
        ]
    );
    assert_eq!(
        found(anomaly(HOUR / 60, 100 * HOUR, HOUR, 1, 2)),
        [
            "detect.anomaly.history: error[Y0049]: with such buckets the history is between 24 and 67 hours long"
        ]
    );
    let content = |field: &str, similarity, similar, learn_matches| {
        MethodSource::ContentAnomaly(ContentAnomalySource {
            field: field.to_owned(),
            similarity,
            similar,
            learn_for: HOUR,
            learn_matches,
            forget_after: HOUR,
        })
    };
    assert_eq!(found(content("process.command_line", 70, 1, 1)), [""; 0]);
    assert_eq!(
        found(content("process.args", 0, 0, 0)),
        [
            "detect.contentAnomaly.field: error[Y0041]: process.args is a list (group by fields with one value)",
            "detect.contentAnomaly.similarity: error[Y0049]: similarity is between 1 and 100 hundredths",
            "detect.contentAnomaly.similar: error[Y0049]: similar texts are between 1 and 1000000",
            "detect.contentAnomaly.learnMatches: error[Y0049]: the first text of a group is always learned",
        ]
    );
}

#[test]
fn windows_are_on_nodes_when_what_they_group_by_is() {
    let scope = |group_by: &[&str]| {
        let mut source = RuleSource::new("r", "process.pid == 1");
        source.detect = Some(DetectSource {
            group_by: group_by.iter().map(|field| (*field).to_owned()).collect(),
            method: MethodSource::Threshold(ThresholdSource {
                count: 2,
                within: 60,
                ..ThresholdSource::default()
            }),
        });
        let rule = compile(&source, Registry::workload(), &Lists::default())
            .rule
            .unwrap();
        rule.detect.as_ref().unwrap().scope
    };
    assert_eq!(scope(&[]), Scope::Cluster);
    assert_eq!(
        scope(&["process.user.name", "k8s.namespace.name"]),
        Scope::Cluster
    );
    for field in [
        "container.id",
        "k8s.pod.uid",
        "host.name",
        "process.pid",
        "process.parent.pid",
    ] {
        assert_eq!(scope(&["process.user.name", field]), Scope::Node, "{field}");
    }
}
