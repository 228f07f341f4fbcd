//! Every mistake has its code, its place and its help.

use std::collections::BTreeMap;

use yagura_event::{Registry, Tree};
use yagura_rules::source::{
    AnomalySource, CorrelationSource, DetectSource, JoinedSource, MethodSource, NewValueSource,
    SequenceSource, ThresholdSource,
};
use yagura_rules::{
    CATALOGUE, CheckSource, Code, Diagnostic, ExceptionSource, Expr, LetSource, Lists, Part, RuleSource,
    compile, compile_check,
};

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

fn condition(text: &str) -> Vec<Diagnostic> {
    diagnose(&RuleSource::new("r", text))
}

/// One diagnostic a line: code, the text it is about, message, help.
fn shown(text: &str, diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics
        .iter()
        .map(|diagnostic| {
            let help = diagnostic.help.as_deref().unwrap_or("-");
            format!(
                "{} `{}` {} | {help}",
                diagnostic.code,
                diagnostic.span.of(text),
                diagnostic.message
            )
        })
        .collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(shown(text, &condition(text)), expected, "{text}");
}

#[test]
fn mistakes_are_named_and_helped() {
    let (_, cases) = include_str!("mistakes.txt").split_once("\n\n").unwrap();
    let lines: Vec<&str> = cases.lines().collect();
    assert!(lines.len() > 60, "only {} lines were read", lines.len());
    let wrong: Vec<_> = lines
        .chunks(2)
        .map(|case| (case[0], shown(case[0], &condition(case[0])), case[1].trim_start()))
        .filter(|(_, got, expected)| got[..] != [*expected])
        .collect();
    assert_eq!(wrong, vec![]);
}

#[test]
fn several_mistakes_are_reported_at_once() {
    check(
        "process.nmae == \"a\" && process.name.foo() && (process.pid == ) && process.pid == 09",
        &[
            "Y0021 `process.nmae` unknown field process.nmae | did you mean process.name?",
            "Y0022 `foo` unknown function foo | `yagura functions` lists them",
            "Y0010 `)` expected a value, found `)` | -",
            "Y0008 `09` `09` is no number | write no leading zeros; mode(\"0644\") takes an octal mode",
        ],
    );
}

#[test]
fn warnings_do_not_stop_a_rule() {
    check(
        "true || process.pid == 1",
        &["Y0101 `true || process.pid == 1` this always holds | check what was meant"],
    );
    check(
        "process.pid == 1 && false",
        &["Y0102 `process.pid == 1 && false` this never holds | check what was meant"],
    );
    check(
        "event.kind == \"process.exec\" && process.exit_code == 1",
        &[
            "Y0103 `event.kind == \"process.exec\" && process.exit_code == 1` no kind of event can meet this | `yagura fields` says which kinds have a field",
        ],
    );
    check(
        "event.kind == \"process.exec\" && process.exit_code != 0",
        &[
            "Y0104 `process.exit_code != 0` this holds for every process.exec, which lacks the field | add has(field) if that is not meant",
        ],
    );
    check("process.exit_code != 0 && event.kind == \"process.exit\"", &[]);
    // What is calculated from texts that are written out is known beforehand.
    check(
        "\"A\".lowerAscii() == \"b\"",
        &["Y0102 `\"A\".lowerAscii() == \"b\"` this never holds | check what was meant"],
    );
    check(
        "event.kind == \"process.exec\" && !has(process.exit_code) && process.pid == 1",
        &[],
    );
}

#[test]
fn a_pattern_that_nothing_speeds_up_is_named() {
    let warning = |pattern: &str| {
        format!(
            "Y0105 `{pattern}` this is tried on every event: no text has to be there for it to match | write out a part of the pattern, or test a name or path beside it"
        )
    };
    let slow = "process.name.matches(\"^[a-z]{16}$\")";
    check(slow, &[&warning(slow)]);
    let globbed = "process.executable.glob(\"**\")";
    let either = format!("event.kind == \"process.exec\" && ({slow} || {globbed}) && process.pid > 1");
    check(&either, &[&warning(slow), &warning(globbed)]);
    let not = format!("!({slow} || process.name == \"sh\")");
    check(&not, &[&warning(slow)]);
    let element = "a.matches(\"^[0-9]+$\")";
    check(
        &format!("process.args.exists(a, {element})"),
        &[&warning(element)],
    );

    for aided in [
        "process.name.matches(\"^[a-z]{16}\\\\.sh$\")".to_owned(),
        format!("{slow} && process.executable.startsWith(\"/tmp/\")"),
        format!("{slow} && process.user.name in [\"www\", \"nginx\"]"),
        format!("{slow} && process.parent.name in lists[\"shells\"]"),
        format!("{slow} && process.ancestors.exists(p, p.name == \"nginx\")"),
        format!("{slow} && !(process.name != \"sh\")"),
    ] {
        check(&aided, &[]);
    }
}

#[test]
fn macros_beside_each_other_cost_what_each_costs() {
    let cost = |text: &str| {
        let compiled = compile(
            &RuleSource::new("r", text),
            Registry::workload(),
            &Lists::builtin(),
        );
        assert_eq!(compiled.diagnostics, vec![], "{text}");
        compiled.rule.unwrap().cost
    };
    let arguments = "process.args.exists(a, a.contains(\"-e\") || a.contains(\"-c\"))";
    let ancestors = "process.ancestors.exists(p, p.name.contains(\"nginx\"))";
    let inner = "process.ancestors.exists(p, p.args.exists(a, a == \"-g\"))";
    for (left, right) in [
        (arguments, ancestors),
        (ancestors, arguments),
        (inner, arguments),
        (arguments, inner),
    ] {
        let both = cost(&format!("{left} && {right}"));
        assert_eq!(both, cost(left) + cost(right) + 1, "{left} && {right}");
    }
}

#[test]
fn calls_with_nothing_but_literals_are_values() {
    let nodes = |text: &str| {
        let compiled = compile(
            &RuleSource::new("r", text),
            Registry::workload(),
            &Lists::builtin(),
        );
        let rule = compiled.rule.unwrap();
        let calls = rule
            .program
            .nodes()
            .iter()
            .filter(|node| matches!(node, Expr::Call(..)));
        (calls.count(), compiled.diagnostics.len())
    };
    for text in [
        "process.name == \"BASH\".lowerAscii()",
        "process.name == \"/bin/sh\".base()",
        "process.command_line.contains(base64.decode(\"Y3VybA==\"))",
        "process.pid == int(\"7\") + size(\"ab\")",
        "process.pid == bits.and(7, 3)",
        "age(process.start) < duration(\"5m\")",
        "cidr(\"10.0.0.0/8\").containsIP(\"10.1.2.3\") || process.pid == 1",
    ] {
        let (calls, _) = nodes(text);
        let expected = usize::from(text.contains("command_line"));
        assert_eq!(calls, expected, "{text}");
    }
    // What gives nothing, a list, or is large, is left to the engine.
    let large = format!("process.name == \"{}\".lowerAscii()", "x".repeat(300));
    for text in [
        "process.pid == int(\"x\")",
        "process.name in \"a,b\".split(\",\")",
        &large,
    ] {
        assert_eq!(nodes(text).0, 1, "{text}");
    }
}

#[test]
fn an_exception_that_is_decided_beforehand_is_named() {
    let mut source = RuleSource::new("r", "process.name == \"sh\"");
    source.exceptions = ["true || process.pid == 1", "\"a\" == \"b\"", "process.pid == 1"]
        .map(|condition| ExceptionSource {
            name: condition.to_owned(),
            condition: condition.to_owned(),
            expires: None,
        })
        .to_vec();
    let said: Vec<String> = diagnose(&source)
        .iter()
        .map(|one| format!("{}: {one}", one.part))
        .collect();
    assert_eq!(
        said,
        [
            "exceptions[0].condition: warning[Y0101]: this always holds: the rule reports nothing (check what was meant)",
            "exceptions[1].condition: warning[Y0102]: this never holds: it excepts nothing (check what was meant)",
        ]
    );
}

#[test]
fn parts_of_a_rule_have_places_of_their_own() {
    let mut source = RuleSource::new("r", "a && process.pid == 1");
    source.lets = vec![
        LetSource {
            name: "a".to_owned(),
            value: "process.nmae == \"x\"".to_owned(),
        },
        LetSource {
            name: "unused".to_owned(),
            value: "1".to_owned(),
        },
        LetSource {
            name: "process".to_owned(),
            value: "1".to_owned(),
        },
        LetSource {
            name: "a".to_owned(),
            value: "later".to_owned(),
        },
    ];
    source.exceptions = vec![ExceptionSource {
        condition: "process.pid".to_owned(),
        ..ExceptionSource::default()
    }];
    "{{process.nam}} {{container".clone_into(&mut source.signal.title);
    source.signal.group_by = vec!["process".to_owned(), "process.args".to_owned()];
    source.signal.fields = vec!["process.argss".to_owned()];
    let found: Vec<(Part, String)> = diagnose(&source)
        .into_iter()
        .map(|diagnostic| (diagnostic.part, diagnostic.to_string()))
        .collect();
    let expected = [
        (
            Part::LetName(1),
            "warning[Y0100]: `unused` is not used (remove it)",
        ),
        (Part::LetName(2), "error[Y0032]: `process` is the name of a field"),
        (Part::LetName(3), "error[Y0032]: `a` is there twice"),
        (
            Part::Let(0),
            "error[Y0021]: unknown field process.nmae (did you mean process.name?)",
        ),
        (
            Part::Let(3),
            "error[Y0020]: unknown name later (text stands in quotes: \"later\"; `yagura fields` lists the fields)",
        ),
        (
            Part::Exception(0),
            "error[Y0025]: the result is an int, not true or false (compare it with something, or use has(…))",
        ),
        (
            Part::Title,
            "error[Y0040]: unknown field process.nam (did you mean process.name?)",
        ),
        (Part::Title, "error[Y0040]: `{{` has no `}}` (write {{field}})"),
        (
            Part::GroupBy(0),
            "error[Y0041]: unknown field process (process is a group of fields; name one of them)",
        ),
        (
            Part::GroupBy(1),
            "error[Y0041]: process.args is a list (group by fields with one value)",
        ),
        (
            Part::Field(0),
            "error[Y0041]: unknown field process.argss (did you mean process.args?)",
        ),
    ];
    let expected: Vec<(Part, String)> = expected
        .into_iter()
        .map(|(part, text)| (part, text.to_owned()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(Part::Exception(3).to_string(), "exceptions[3].condition");
}

#[test]
fn hostile_sizes_are_refused() {
    let code = |text: &str| condition(text).first().map(|diagnostic| diagnostic.code);
    assert_eq!(code(&"x".repeat(70_000)), Some(Code::TOO_LONG));
    assert_eq!(code(&"!".repeat(2_000)), Some(Code::CHAIN_TOO_LONG));
    assert_eq!(code(&"(".repeat(100)), Some(Code::TOO_DEEP));
    let deep = "process.args.exists(a, process.args.exists(b, process.args.exists(c, c == a)))";
    assert_eq!(code(deep), Some(Code::MACROS_TOO_DEEP));
    let costly = "process.args.exists(a, process.args.exists(b, a.matches(\"x\")))";
    assert_eq!(code(costly), Some(Code::TOO_COSTLY));
    let cheap = "process.args.exists(a, a.matches(\"x\"))";
    assert_eq!(code(cheap), None);

    let mut doubling = RuleSource::new("r", "l40 && process.pid == 1");
    doubling.lets.push(LetSource {
        name: "l0".to_owned(),
        value: "process.pid == 1".to_owned(),
    });
    for level in 1..=40 {
        let before = level - 1;
        doubling.lets.push(LetSource {
            name: format!("l{level}"),
            value: format!("(l{before} ? l{before} : !l{before})"),
        });
    }
    assert_eq!(
        diagnose(&doubling).first().map(|diagnostic| diagnostic.code),
        Some(Code::TOO_LARGE)
    );

    let patterns: Vec<String> = (0..65)
        .map(|n| format!("process.name.matches(\"a{n}\")"))
        .collect();
    assert_eq!(code(&patterns.join(" || ")), Some(Code::BAD_PATTERN));

    let mut many = RuleSource::new("r", "process.pid == 1");
    many.signal.fields = vec!["process.pid".to_owned(); 65];
    assert_eq!(
        diagnose(&many).first().map(|diagnostic| diagnostic.code),
        Some(Code::TOO_MANY_PARTS)
    );
}

#[test]
fn examples_of_the_catalogue_have_their_codes() {
    // Those in brackets describe what is too large to be written there.
    for entry in CATALOGUE {
        if entry.example.starts_with('(') && entry.example.ends_with(')') || entry.example.contains('…') {
            continue;
        }
        let mut source = RuleSource::new("r", entry.example);
        if let Some((field, value)) = entry.example.split_once(": ") {
            "process.pid == 1".clone_into(&mut source.condition);
            match field {
                "source" => value.clone_into(&mut source.source),
                "title" => value.trim_matches('"').clone_into(&mut source.signal.title),
                "groupBy" => source.signal.group_by = vec![value.trim_matches(['[', ']']).to_owned()],
                "let" => {
                    source.lets = vec![LetSource {
                        name: "a".to_owned(),
                        value: "1".to_owned(),
                    }];
                }
                "threshold" => source.detect = Some(threshold(value)),
                "newValue" => source.detect = Some(method(MethodSource::NewValue(NewValueSource::default()))),
                "correlation" => {
                    source.detect = Some(method(MethodSource::Correlation(CorrelationSource::default())));
                }
                "anomaly" => source.detect = Some(method(MethodSource::Anomaly(AnomalySource::default()))),
                "sequence" => source.detect = Some(method(MethodSource::Sequence(SequenceSource::default()))),
                _ => entry.example.clone_into(&mut source.condition),
            }
        }
        let codes: Vec<Code> = diagnose(&source)
            .iter()
            .map(|diagnostic| diagnostic.code)
            .collect();
        if entry.code == Code::MACROS_TOO_DEEP {
            // `l` stands for any list there.
            continue;
        }
        assert!(
            codes.contains(&entry.code),
            "{}: {} gives {codes:?}",
            entry.code,
            entry.example
        );
    }
}

#[test]
fn examples_of_functions_compile() {
    for function in yagura_rules::functions() {
        let text = function.example;
        let diagnostics = if text.contains("resource.") {
            compile_check(
                &CheckSource::new("c", "k8s.pod", text),
                &BTreeMap::new(),
                &Lists::default(),
            )
            .diagnostics
        } else {
            condition(text)
        };
        assert_eq!(diagnostics, vec![], "{}: {}", function.name, function.usage());
        assert!(function.doc.ends_with('.'), "{}", function.name);
    }
}

#[test]
fn checks_have_parameters_and_their_own_parts() {
    let mut source = CheckSource::new(
        "c",
        "k8s.pod",
        "resource.spec.replicas >= parameters.min && resource.x in lists[\"shells\"]",
    );
    source.parameters = BTreeMap::from([("min".to_owned(), Tree::Int(2))]);
    source.applies_when = Some("!(resource.namespace in lists[\"system-namespaces\"])".to_owned());
    source.evidence = vec!["resource.spec.replicas".to_owned()];
    let compiled = compile_check(&source, &BTreeMap::new(), &Lists::default());
    assert_eq!(compiled.diagnostics, vec![]);
    assert!(compiled.check.is_some());

    source.pass = "resource.spec.replicas >= parameters.mni".to_owned();
    source.evidence = vec!["process.pid".to_owned()];
    let compiled = compile_check(&source, &BTreeMap::new(), &Lists::default());
    let found: Vec<String> = compiled
        .diagnostics
        .iter()
        .map(|d| format!("{} {d}", d.part))
        .collect();
    assert_eq!(
        found,
        [
            "pass error[Y0020]: unknown parameter mni (did you mean min?)",
            "evidence[0] error[Y0020]: unknown name process (text stands in quotes: \"process\"; `yagura fields` lists the fields)"
        ]
    );
    assert!(compiled.check.is_none());

    let old = CheckSource::new(
        "c",
        "k8s.pod",
        "age(timestamp(resource.since)) < duration(\"1h\")",
    );
    let found = compile_check(&old, &BTreeMap::new(), &Lists::default()).diagnostics;
    assert_eq!(
        shown(&old.pass, &found),
        ["Y0022 `age` `age` is of events; there is none here | compare two timestamps"]
    );

    let mut shows = CheckSource::new("c", "k8s.pod", "has(resource.cpu)");
    shows.evidence = vec!["quantity(resource.cpu)".to_owned(), "ip(resource.ip)".to_owned()];
    let found = compile_check(&shows, &BTreeMap::new(), &Lists::default()).diagnostics;
    assert_eq!(
        shown(&shows.evidence[0], &found),
        [
            "Y0024 `quantity(resource.cpu)` a quantity is only compared, and cannot be shown | show the text that it is read from"
        ]
    );
}

#[test]
fn what_this_version_lacks_says_so() {
    for text in ["entropy(process.name) > 3", "bits.xor(process.pid, 1) == 1"] {
        let diagnostics = condition(text);
        let Some(first) = diagnostics.first() else {
            panic!("{text} compiles")
        };
        assert!(
            [Code::UNKNOWN_FUNCTION, Code::UNKNOWN_NAME, Code::UNKNOWN_FIELD].contains(&first.code),
            "{text}: {first}"
        );
    }
}

#[test]
fn exception_objects_are_limited_one_by_one_and_together_they_fit() {
    let joined = |condition: &str| JoinedSource {
        uid: "e".to_owned(),
        condition: condition.to_owned(),
        ..JoinedSource::default()
    };
    let with = |conditions: &[&str]| {
        let mut source = RuleSource::new("r", "process.name == \"sh\"");
        source.joined = conditions.iter().map(|condition| joined(condition)).collect();
        source
    };
    let refused = |condition: &str| {
        let found = diagnose(&with(&["true", condition]));
        assert_eq!(found.len(), 1, "{condition}: {found:?}");
        assert_eq!(found[0].part, Part::Joined(1), "{condition}");
        found[0].to_string()
    };
    assert!(refused("process.nmae == 1").contains("did you mean process.name?"));
    assert!(refused("process.pid").contains("Y0"));
    let three = ["a", "b", "c"]
        .map(|name| format!("process.name.matches(\"{name}\")"))
        .join(" || ");
    assert!(
        refused(&three).contains("too many different ones"),
        "{}",
        refused(&three)
    );
    assert!(refused("process.name.matches(\"[a-z]{3000}\")").contains("128 KiB"));
    let costly = ["process.command_line.contains(process.command_line)"; 4].join(" || ");
    assert!(refused(&costly).contains("steps"), "{}", refused(&costly));
    let large = ["process.pid == 1"; 400].join(" || ");
    assert!(refused(&large).contains("parts"), "{}", refused(&large));

    // As many as there may be, each as large as one may be, beside a rule that uses up its own limits.
    let patterns: Vec<String> = (0..64)
        .map(|n| format!("process.name.matches(\"own{n}\")"))
        .collect();
    let mut full = RuleSource::new("r", &patterns.join(" || "));
    full.joined = (0..256)
        .map(|n| {
            joined(&format!(
                "process.name.matches(\"a{n}\") && process.name.matches(\"b{n}\")"
            ))
        })
        .collect();
    assert_eq!(diagnose(&full), []);
    full.joined.push(joined("true"));
    let found = diagnose(&full);
    assert_eq!((found.len(), found[0].part), (1, Part::Joined(0)));
    assert!(
        found[0].message.contains("257 exceptions"),
        "{}",
        found[0].message
    );
}

/// What `{count: N, within: Ns}` says, as the objects' own reader would.
fn threshold(text: &str) -> DetectSource {
    let number = |name: &str| {
        let rest = text
            .split_once(name)
            .map_or("", |(_, rest)| rest.trim_start_matches([':', ' ']));
        let digits = rest.chars().take_while(char::is_ascii_digit);
        digits.collect::<String>().parse::<i64>().unwrap_or(-1)
    };
    method(MethodSource::Threshold(ThresholdSource {
        count: number("count").unsigned_abs(),
        within: number("within") * 1_000_000_000,
        ..ThresholdSource::default()
    }))
}

fn method(method: MethodSource) -> DetectSource {
    DetectSource {
        group_by: Vec::new(),
        method,
    }
}
