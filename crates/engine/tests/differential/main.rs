//! The engine against a naive evaluator, over random rules and random events and resources.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use yagura_engine::explain::explain;
use yagura_engine::posture::{Judge, Verdict};
use yagura_engine::{RuleSet, Scratch};
use yagura_event::{Event, Known, Registry, Text, Timestamp, Tree, ValueRef, build_event};
use yagura_rules::{CheckSource, LetSource, RuleSource, compile, compile_check};

mod convert;
mod kernel;
mod oracle;
mod random;

use oracle::{Oracle, Plant};

/// Where engine and oracle differ on an event, in words.
fn differ_on_event(conditions: &[String], event: &Event, plant: Plant) -> Option<String> {
    let registry = Registry::workload();
    let rules: Vec<_> = conditions
        .iter()
        .filter_map(|condition| {
            let mut source = RuleSource::new(condition, "held");
            source.lets = vec![LetSource {
                name: "held".to_owned(),
                value: condition.clone(),
            }];
            compile(&source, registry, &random::lists()).rule
        })
        .collect();
    let set = RuleSet::new(rules.iter().map(Arc::clone));
    let mut scratch = Scratch::default();
    let matches = set.evaluate(event, &mut scratch);
    if matches != set.evaluate_all(event, &mut scratch) {
        return Some("rules that match were not evaluated".to_owned());
    }
    for (index, rule) in rules.iter().enumerate() {
        let engine = match matches.iter().find(|found| found.rule == index) {
            None => Some(false),
            Some(found) if found.incomplete => None,
            Some(_) => Some(true),
        };
        let explained = explain(rule, event).condition[0].value;
        if explained != engine {
            return Some(format!(
                "{}: engine {engine:?}, explained {explained:?}",
                rule.name
            ));
        }
        let field = |id| registry.read(id, event);
        let oracle = Oracle {
            program: &rule.program,
            field,
            plant,
        }
        .condition(rule.condition);
        if engine != oracle {
            return Some(format!("{}: engine {engine:?}, oracle {oracle:?}", rule.name));
        }
    }
    None
}

/// Where engine and oracle differ on a resource, in words.
fn differ_on_resource(condition: &str, resource: &Tree, plant: Plant) -> Option<String> {
    let source = CheckSource::new("c", "any", condition);
    let check = compile_check(&source, &BTreeMap::new(), &random::lists()).check?;
    let judge = Judge::new(Arc::clone(&check));
    let engine = match judge.evaluate(resource, &mut Scratch::default()).verdict {
        Verdict::Pass => Some(true),
        Verdict::Fail => Some(false),
        Verdict::Error(_) | Verdict::NotApplicable => None,
    };
    let field = |_| ValueRef::from(resource);
    let oracle = Oracle {
        program: &check.program,
        field,
        plant,
    }
    .condition(check.pass);
    (engine != oracle).then(|| format!("{condition}: engine {engine:?}, oracle {oracle:?}, on {resource:?}"))
}

fn event() -> impl Strategy<Value = Event> {
    let text = prop::sample::select(random::TEXTS);
    let words = prop::collection::vec(text.clone(), 0..4);
    let knowable = prop_oneof![
        Just(Tree::Null),
        Just(Tree::Unknown),
        text.clone().prop_map(Tree::from)
    ];
    let kind = prop::sample::select(vec!["process.exec", "process.fork", "process.exit"]);
    let ancestors = prop::collection::vec((text.clone(), words.clone()), 0..4);
    (
        kind,
        text,
        0i64..4,
        words,
        knowable.clone(),
        knowable,
        any::<(bool, bool)>(),
        ancestors,
    )
        .prop_map(
            |(kind, name, pid, args, executable, tty, (cut, complete), ancestors)| {
                let list = |words: Vec<&str>| Tree::List(words.into_iter().map(Tree::from).collect());
                let ancestors = ancestors
                    .into_iter()
                    .map(|(name, args)| {
                        Tree::map([("name".into(), name.into()), ("args".into(), list(args))])
                    })
                    .collect();
                let of_host = [("l".into(), list(args.iter().rev().copied().collect()))];
                let fields: [(&str, Tree); 11] = [
                    ("kind", kind.into()),
                    ("process.name", name.into()),
                    ("process.pid", pid.into()),
                    ("process.args", list(args)),
                    ("process.args_truncated", cut.into()),
                    ("process.executable", executable),
                    ("process.marks", Tree::map([("m".into(), tty.clone())])),
                    ("host.marks", Tree::map(of_host)),
                    ("process.tty", tty),
                    ("process.ancestors", Tree::List(ancestors)),
                    ("process.ancestors_complete", complete.into()),
                ];
                let tree = Tree::map(fields.map(|(name, value)| (Text::from(name), value)));
                let mut event = build_event(&tree, Timestamp(2_000_000_000)).unwrap();
                Arc::make_mut(&mut event.process).start = Timestamp(pid * 1_000_000_000);
                if let Some(exit) = &mut event.exit {
                    exit.code = u8::try_from(pid).map_or(Known::Unknown, Known::Present);
                }
                event
            },
        )
}

fn resource() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        Just(Tree::Unknown),
        any::<bool>().prop_map(Tree::Bool),
        (-2i64..4).prop_map(Tree::Int),
        prop::sample::select(vec![0.0, 0.5, 1.0, 2.0]).prop_map(Tree::Double),
        prop::sample::select(random::TEXTS).prop_map(Tree::from),
    ];
    let tree = leaf.prop_recursive(2, 12, 4, |inner| {
        let member = (prop::sample::select(random::MEMBERS), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Tree::List),
            prop::collection::vec(member, 0..4).prop_map(|pairs| Tree::map(
                pairs.into_iter().map(|(name, value)| (Text::from(name), value))
            )),
        ]
    });
    let members = prop::collection::vec((prop::sample::select(random::MEMBERS), tree), 0..5);
    members.prop_map(|pairs| Tree::map(pairs.into_iter().map(|(name, value)| (Text::from(name), value))))
}

/// Six times what `PROPTEST_CASES` or the default says.
fn config() -> Config {
    Config {
        cases: Config::default().cases.saturating_mul(6),
        failure_persistence: None,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn events_are_judged_alike(conditions in prop::collection::vec(random::on_events(), 1..5), event in event()) {
        prop_assert_eq!(differ_on_event(&conditions, &event, Plant::Nothing), None);
    }

    #[test]
    fn many_rules_that_need_literals_are_judged_alike(
        conditions in prop::collection::vec(random::needing_literals(), 1..8),
        event in event(),
    ) {
        prop_assert_eq!(differ_on_event(&conditions, &event, Plant::Nothing), None);
    }

    #[test]
    fn resources_are_judged_alike(condition in random::on_resources(), resource in resource()) {
        prop_assert_eq!(differ_on_resource(&condition, &resource, Plant::Nothing), None);
    }
}

/// Most random conditions compile, or the comparison would compare nothing.
#[test]
fn most_random_conditions_compile() {
    let mut runner = TestRunner::deterministic();
    for conditions in [random::on_events(), random::needing_literals()] {
        let mut compiled = 0;
        for _ in 0..300 {
            let condition = conditions.new_tree(&mut runner).unwrap().current();
            let source = RuleSource::new("r", &condition);
            compiled += usize::from(
                compile(&source, Registry::workload(), &random::lists())
                    .rule
                    .is_some(),
            );
        }
        assert!(compiled > 200, "only {compiled} of 300");
    }
}

#[test]
fn planted_mistakes_are_found() {
    let plants = [
        Plant::OrDropsUnknown,
        Plant::AndDropsUnknown,
        Plant::AbsentIsUnequalToNothing,
        Plant::UnknownEqualsAbsent,
        Plant::LessOrEqualIsLess,
        Plant::ExistsIgnoresCutLists,
        Plant::AllOfNothingFails,
        Plant::PrefixOfCase,
        Plant::DivisionByZeroIsZero,
        Plant::NullIsPresent,
        Plant::ElseOnUnknown,
    ];
    let mut runner = TestRunner::deterministic();
    let mut missed: Vec<Plant> = plants.to_vec();
    for _ in 0..6_000 {
        if missed.is_empty() {
            break;
        }
        let conditions = vec![random::on_events().new_tree(&mut runner).unwrap().current()];
        let event = event().new_tree(&mut runner).unwrap().current();
        missed.retain(|plant| differ_on_event(&conditions, &event, *plant).is_none());
        let condition = random::on_resources().new_tree(&mut runner).unwrap().current();
        let resource = resource().new_tree(&mut runner).unwrap().current();
        missed.retain(|plant| differ_on_resource(&condition, &resource, *plant).is_none());
    }
    assert_eq!(missed, vec![], "the comparison does not notice these");
}
