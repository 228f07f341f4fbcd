//! Examples of the reference, on events and resources for which they hold and for which they do not.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use yagura_engine::posture::{Judge, Verdict};
use yagura_engine::{RuleSet, Scratch};
use yagura_event::{Registry, Text, Timestamp, Tree, build_event};
use yagura_rules::{CheckSource, Lists, RuleSource, compile, compile_check, functions};

/// When the events happen.
const NOW: Timestamp = Timestamp(1_780_000_000_000_000_000);

fn map(pairs: &[(&str, Tree)]) -> Tree {
    Tree::map(
        pairs
            .iter()
            .map(|(name, value)| (Text::from(*name), value.clone())),
    )
}

fn args(values: &[&str]) -> Tree {
    let values = values.iter().map(|value| Tree::from(*value)).collect();
    map(&[("process.args", Tree::List(values))])
}

/// Whether the condition holds, on an event with these fields or on this resource.
fn holds(condition: &str, subject: &Tree) -> bool {
    if condition.contains("resource.") {
        let source = CheckSource::new("c", "any", condition);
        let check = compile_check(&source, &BTreeMap::new(), &Lists::default()).check;
        let judge = Judge::new(Arc::clone(&check.unwrap()));
        return judge.evaluate(subject, &mut Scratch::default()).verdict == Verdict::Pass;
    }
    let mut event = vec![(Text::from("kind"), Tree::from("process.exec"))];
    if let Tree::Map(fields) = subject {
        event.extend(fields.clone());
    }
    let event = build_event(&Tree::map(event), NOW).unwrap();
    let compiled = compile(
        &RuleSource::new("r", condition),
        Registry::workload(),
        &Lists::default(),
    );
    assert!(compiled.rule.is_some(), "{:?}", compiled.diagnostics);
    let set = RuleSet::new(compiled.rule);
    !set.evaluate(&event, &mut Scratch::default()).is_empty()
}

#[track_caller]
fn check(function: &str, yes: &Tree, no: &Tree) {
    let doc = functions().iter().find(|doc| doc.name == function).unwrap();
    assert!(holds(doc.example, yes), "{}", doc.example);
    assert!(!holds(doc.example, no), "{}", doc.example);
}

#[test]
fn addresses_and_networks() {
    check("ip", &args(&["2001:DB8:0::1"]), &args(&["2001:db8::2", "x"]));
    check(
        "containsIP",
        &args(&["::ffff:10.1.2.3"]),
        &args(&["11.0.0.0", "10.0.0.0/8"]),
    );
    let egress = |cidr: &str| {
        let rule = map(&[("cidr", cidr.into())]);
        map(&[("egress", Tree::List(vec![rule]))])
    };
    check("cidr", &egress("169.254.0.1/16"), &egress("10.0.0.0/8"));
    check("isPublic", &args(&["8.8.8.8"]), &args(&["10.0.0.1"]));
    assert!(holds(
        "process.args.exists(a, isPublic(ip(a)))",
        &args(&["::ffff:8.8.8.8"])
    ));
}

#[test]
fn durations_and_points_in_time() {
    let started = |text: &str| map(&[("process.start", text.into())]);
    // Events are of 2026-05-28T20:26:40Z.
    check(
        "age",
        &started("2026-05-28T20:26:11Z"),
        &started("2026-05-28T20:26:10Z"),
    );
    let idle = |text: &str| map(&[("streamingConnectionIdleTimeout", text.into())]);
    check("duration", &idle("4h0m0s"), &idle("90m"));
    check("duration", &idle("1.51h"), &idle("4 hours"));
    let valid = |from: &str, to: &str| map(&[("notBefore", from.into()), ("notAfter", to.into())]);
    check(
        "timestamp",
        &valid("2026-01-01T00:00:00Z", "2027-01-01T00:00:01Z"),
        &valid("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    );
}

#[test]
fn amounts_of_resources() {
    let limit = |memory: Tree| {
        let limits = map(&[("memory", memory)]);
        map(&[("resources", map(&[("limits", limits)]))])
    };
    check("quantity", &limit("1024Mi".into()), &limit("1025Mi".into()));
    check("quantity", &limit("1G".into()), &limit("1.1Gi".into()));
    check(
        "quantity",
        &limit(Tree::Int(1_073_741_824)),
        &limit(Tree::Int(1_073_741_825)),
    );
    check("quantity", &limit("500m".into()), &limit("much".into()));
}

#[test]
fn options_of_a_command_line() {
    let condition = "process.args_options[\"output\"] == \"/tmp/x\"";
    for yes in [
        &["--output=/tmp/x"][..],
        &["-v", "--output", "/tmp/x", "url"],
        &["-output=/tmp/x"],
    ] {
        assert!(holds(condition, &args(yes)), "{yes:?}");
    }
    for no in [
        &["--output"][..],
        &["--", "--output", "/tmp/x"],
        &["--output=/tmp/x", "--output=/tmp/y"],
    ] {
        assert!(!holds(condition, &args(no)), "{no:?}");
    }
    assert!(holds(
        "process.args_options.p == \"4444\"",
        &args(&["-lvp", "4444"])
    ));
    assert!(holds("\"e\" in process.args_options", &args(&["-e", "/bin/sh"])));
    assert!(holds(
        "size(process.args_options) == 2",
        &args(&["-e", "1", "-f=2", "-e=3"])
    ));
    // What was cut may have given it another value: the match says that it is not sure.
    let cut = map(&[
        ("process.args", Tree::List(vec!["--output=/tmp/y".into()])),
        ("process.args_truncated", true.into()),
    ]);
    assert!(holds(condition, &cut));
}
