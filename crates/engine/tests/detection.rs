//! Rules from text to matches.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::sync::Arc;

use yagura_engine::testing::run_rule_tests;
use yagura_engine::{Excepted, Match, RuleSet, Scratch};
use yagura_event::lifetime::Lifetime;
use yagura_event::{Event, EventKind, Known, Registry, Text, Timestamp, Tree, build_event};
use yagura_rules::source::{JoinedSource, Selector};
use yagura_rules::{
    ExceptionSource, LetSource, ListType, Lists, NamedList, Rule, RuleSource, RuleTest, Target, compile,
};

fn map(pairs: &[(&str, Tree)]) -> Tree {
    Tree::map(
        pairs
            .iter()
            .map(|(name, value)| (Text::from(*name), value.clone())),
    )
}

fn list(values: &[&str]) -> Tree {
    Tree::List(values.iter().map(|value| Tree::from(*value)).collect())
}

fn exec(pairs: &[(&str, Tree)]) -> Tree {
    let mut all = vec![("kind", Tree::from("process.exec"))];
    all.extend_from_slice(pairs);
    map(&all)
}

fn event(pairs: &[(&str, Tree)]) -> Event {
    build_event(&exec(pairs), Timestamp(5_000_000_000)).unwrap()
}

#[track_caller]
fn rule(source: &RuleSource) -> Arc<Rule> {
    let compiled = compile(source, Registry::workload(), &Lists::default());
    compiled
        .rule
        .unwrap_or_else(|| panic!("{:#?}", compiled.diagnostics))
}

#[track_caller]
fn matches(sources: &[RuleSource], event: &Event) -> Vec<Match> {
    RuleSet::new(sources.iter().map(rule)).evaluate(event, &mut Scratch::default())
}

fn shell_in_container() -> RuleSource {
    let mut source = RuleSource::new(
        "shell-in-container",
        "event.kind == \"process.exec\" && interactive && process.name in shells",
    );
    source.where_.target = Target::Container;
    source.lets = vec![
        LetSource {
            name: "shells".to_owned(),
            value: "[\"sh\", \"bash\", \"dash\", \"ash\", \"zsh\"]".to_owned(),
        },
        LetSource {
            name: "interactive".to_owned(),
            value: "process.tty != null".to_owned(),
        },
    ];
    "Shell {{process.name}} in {{k8s.pod.name}}".clone_into(&mut source.signal.title);
    source.signal.group_by = vec!["container.id".to_owned(), "process.executable".to_owned()];
    source
}

#[test]
fn the_rule_of_the_documentation_works() {
    let shell = [
        (
            "process",
            map(&[
                ("name", "bash".into()),
                ("tty", "pts/0".into()),
                ("executable", "/bin/bash".into()),
            ]),
        ),
        ("container", map(&[("id", "c1".into())])),
    ];
    let found = matches(&[shell_in_container()], &event(&shell));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].title, "Shell bash in none");
    assert_eq!(found[0].group.0[0], ("container.id".to_owned(), "c1".into()));
    assert!(!found[0].incomplete);
    assert_eq!(
        matches(&[shell_in_container()], &event(&shell[..1])),
        vec![],
        "the host is no container"
    );
}

#[test]
fn its_own_tests_run() {
    let bash = |container: &str, name: &str| {
        exec(&[
            ("process", map(&[("name", name.into()), ("tty", "pts/0".into())])),
            ("container", map(&[("id", container.into())])),
        ])
    };
    let tests = [
        RuleTest::new("fires", [bash("c1", "bash")], 1),
        RuleTest::new(
            "groups",
            [bash("c1", "sh"), bash("c1", "sh"), bash("c2", "sh")],
            2,
        ),
        RuleTest::new("silent", [bash("c1", "ls")], 0),
        RuleTest::new("wrong", [bash("c1", "ls"), bash("c1", "sh")], 0),
        RuleTest::new("broken", [exec(&[("proces", Tree::Null)])], 0),
    ];
    let outcomes = run_rule_tests(&rule(&shell_in_container()), &Lifetime::default(), &tests);
    let failures: Vec<String> = outcomes
        .iter()
        .map(|outcome| {
            outcome
                .failure
                .as_ref()
                .map_or(String::new(), ToString::to_string)
        })
        .collect();
    assert_eq!(
        failures,
        [
            "",
            "",
            "",
            "expected 0 signals, got 1; events[1] matched",
            "events[0]: unknown field proces; `yagura fields` lists them"
        ]
    );
}

#[test]
fn an_exception_excepts_until_it_expires() {
    let mut source = RuleSource::new("r", "process.name == \"nc\"");
    source.exceptions = vec![
        ExceptionSource {
            name: "old".to_owned(),
            condition: "process.pid == 7".to_owned(),
            expires: Some(5),
        },
        ExceptionSource {
            name: "unknown".to_owned(),
            condition: "container.name == \"x\"".to_owned(),
            expires: None,
        },
        ExceptionSource {
            name: "live".to_owned(),
            condition: "process.pid == 7".to_owned(),
            expires: Some(6),
        },
    ];
    let base = [("process.name", "nc".into()), ("container.name", Tree::Unknown)];
    let other = matches(std::slice::from_ref(&source), &event(&base));
    assert_eq!(other[0].excepted, None, "what is unknown excepts nothing");
    let seven = matches(
        &[source],
        &event(&[&base[..], &[("process.pid", 7.into())]].concat()),
    );
    assert_eq!(seven[0].excepted, Some(Excepted::Own(2)), "the first has expired");
}

#[test]
fn an_exception_object_reaches_its_namespace_only_and_comes_after_the_rules_own() {
    let joined = |namespace: &str, condition: &str, expires| JoinedSource {
        uid: format!("uid-{namespace}"),
        namespace: namespace.to_owned(),
        condition: condition.to_owned(),
        expires,
    };
    let mut source = RuleSource::new("r", "process.name == \"nc\"");
    source.lets = vec![LetSource {
        name: "seven".to_owned(),
        value: "7".to_owned(),
    }];
    source.joined = vec![
        joined("shop", "true", Some(5)),
        joined("shop", "process.pid == seven", None),
        joined("", "process.pid == 8", None),
    ];
    let excepted = |source: &RuleSource, namespace: Option<&str>, pid: i64| {
        let fields = [
            ("process.name", "nc".into()),
            ("k8s.namespace.name", namespace.unwrap_or("shop").into()),
            ("process.pid", pid.into()),
        ];
        let mut event = event(&fields);
        if namespace.is_none() {
            Arc::make_mut(event.container.as_mut().unwrap()).pod = Known::Unknown;
        }
        matches(std::slice::from_ref(source), &event)[0].excepted
    };
    assert_eq!(excepted(&source, Some("shop"), 7), Some(Excepted::Joined(1)));
    assert_eq!(excepted(&source, Some("shopping"), 7), None);
    assert_eq!(excepted(&source, Some("sho"), 7), None);
    let unknown = "whose pod it is, is unknown";
    assert_eq!(excepted(&source, None, 7), None, "{unknown}");
    assert_eq!(
        excepted(&source, None, 8),
        Some(Excepted::Joined(2)),
        "everywhere"
    );
    assert_eq!(excepted(&source, Some("bank"), 8), Some(Excepted::Joined(2)));

    let on_host = event(&[("process.name", "nc".into()), ("process.pid", 7.into())]);
    assert_eq!(matches(std::slice::from_ref(&source), &on_host)[0].excepted, None);

    source.exceptions = vec![ExceptionSource {
        condition: "process.pid == 7".to_owned(),
        ..ExceptionSource::default()
    }];
    assert_eq!(excepted(&source, Some("shop"), 7), Some(Excepted::Own(0)));
}

#[test]
fn unknown_is_a_match_that_says_so() {
    let source = RuleSource::new("r", "process.executable == \"/bin/sh\"");
    let found = matches(&[source], &event(&[("process.executable", Tree::Unknown)]));
    assert!(found[0].incomplete);
}

#[test]
fn selectors_wait_for_labels() {
    let mut source = RuleSource::new("r", "process.name == \"nc\"");
    source.where_.pods = Some(Selector {
        labels: [("app".to_owned(), "cart".to_owned())].into(),
        ..Selector::default()
    });
    let with = |labels: Tree| {
        let event = event(&[("process.name", "nc".into()), ("k8s.pod.labels", labels)]);
        matches(std::slice::from_ref(&source), &event)
            .first()
            .map(|found| found.pending)
    };
    assert_eq!(with(map(&[("app", "cart".into())])), Some(false));
    assert_eq!(with(map(&[("app", "shop".into())])), None);
    assert_eq!(with(Tree::Unknown), Some(true));
}

#[test]
fn ancestors_are_tested_one_by_one() {
    let ancestors = Tree::List(vec![
        map(&[("name", "sh".into()), ("args", list(&["-c", "id"]))]),
        map(&[("name", "nginx".into()), ("args", list(&["-g", "daemon off;"]))]),
    ]);
    let event = event(&[("process.ancestors", ancestors)]);
    let holds = |condition: &str| matches(&[RuleSource::new("r", condition)], &event).len() == 1;
    assert!(holds(
        "process.ancestors.exists(a, a.name == \"nginx\" && \"-g\" in a.args)"
    ));
    assert!(!holds(
        "process.ancestors.exists(a, a.name == \"sh\" && \"-g\" in a.args)"
    ));
    assert!(holds(
        "process.ancestors[1].name == \"nginx\" && process.parent.name == \"sh\""
    ));
    assert!(holds(
        "process.ancestors.exists_one(a, a.args.exists(x, x.startsWith(\"daemon\")))"
    ));
    assert!(holds("size(process.ancestors.filter(a, a.name != \"sh\")) == 1"));
    assert!(holds("\"nginx\" in process.ancestors.map(a, a.name)"));
}

#[test]
fn rules_meet_only_the_kinds_they_can_match_and_share_tests() {
    let sources = [
        RuleSource::new("a", "event.kind == \"process.exec\" && process.name == \"sh\""),
        RuleSource::new("b", "process.exit_code == 1 && process.name == \"sh\""),
        RuleSource::new("c", "process.name == \"sh\""),
    ];
    let set = RuleSet::new(sources.iter().map(rule));
    assert_eq!(set.rules_for(EventKind::ProcessExec), 2);
    assert_eq!(set.rules_for(EventKind::ProcessExit), 2);
    assert_eq!(set.rules_for(EventKind::ProcessFork), 1);
    assert_eq!(set.distinct_tests(), 3, "the name, the kind and the exit code");
}

#[test]
fn bytes_that_are_no_text_match_as_bytes() {
    let name = Tree::Text(Text::from(&b"a\xffb"[..]));
    let event = event(&[("process.name", name)]);
    let holds = |condition: &str| matches(&[RuleSource::new("r", condition)], &event).len() == 1;
    assert!(holds("process.name == b\"a\\xffb\""));
    assert!(holds("process.name.contains(b\"\\xff\")"));
    assert!(holds("process.name.matches(\"(?-u)^a\\\\xffb$\")"));
    assert!(holds("process.name.glob(\"a?b\")"));
    assert!(holds("size(process.name) == 3"));
}

#[test]
fn a_named_list_is_one_node_however_many_rules_use_it_and_under_whatever_name() {
    let list = || NamedList::new(ListType::Glob, ["/tmp/*", "/dev/shm/**"]).unwrap();
    let lists = Lists::none().with("a", list()).with("b", list());
    let compiled = |condition: &str| {
        let source = RuleSource::new("r", condition);
        compile(&source, Registry::workload(), &lists).rule.unwrap()
    };
    let set = RuleSet::new([
        compiled("process.executable in lists[\"a\"]"),
        compiled("process.executable in lists[\"b\"]"),
        compiled("!(process.executable in lists[\"a\"])"),
    ]);
    assert_eq!(set.distinct_tests(), 1);
    let matched = |executable: Tree| {
        let event = event(&[("process", map(&[("executable", executable)]))]);
        let matches = set.evaluate(&event, &mut Scratch::default());
        let matches = matches.iter().map(|one| (one.rule, one.incomplete));
        matches.collect::<Vec<_>>()
    };
    assert_eq!(matched("/tmp/x".into()), [(0, false), (1, false)]);
    assert_eq!(matched("/tmp/x/y".into()), [(2, false)]);
    assert_eq!(matched(Tree::Null), [(2, false)]);
    assert_eq!(matched(Tree::Unknown), [(0, true), (1, true), (2, true)]);
}
