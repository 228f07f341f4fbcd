//! Checks from text to verdicts.
#![expect(
    clippy::panic,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::collections::BTreeMap;

use yagura_engine::Scratch;
use yagura_engine::posture::{Judge, Verdict};
use yagura_engine::testing::run_check_tests;
use yagura_event::{Text, Tree};
use yagura_rules::source::{CheckTest, Expected};
use yagura_rules::{CheckSource, Lists, compile_check};

fn map(pairs: &[(&str, Tree)]) -> Tree {
    Tree::map(
        pairs
            .iter()
            .map(|(name, value)| (Text::from(*name), value.clone())),
    )
}

#[track_caller]
fn judge(source: &CheckSource, overrides: &[(&str, Tree)]) -> Judge {
    let overrides: BTreeMap<String, Tree> = overrides
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let compiled = compile_check(source, &overrides, &Lists::default());
    Judge::new(
        compiled
            .check
            .unwrap_or_else(|| panic!("{:#?}", compiled.diagnostics)),
    )
}

fn privileged() -> CheckSource {
    let mut source = CheckSource::new(
        "k8s-container-not-privileged",
        "k8s.container",
        "resource.securityContext.privileged != true",
    );
    source.applies_when = Some("!(resource.namespace in lists[\"system-namespaces\"])".to_owned());
    source.evidence = vec!["resource.securityContext.privileged".to_owned()];
    source
}

#[test]
fn the_check_of_the_documentation_works() {
    let judge = judge(&privileged(), &[]);
    let mut scratch = Scratch::default();
    let mut verdict = |resource: &Tree| judge.evaluate(resource, &mut scratch).verdict;
    let context = |privileged: Tree| map(&[("securityContext", map(&[("privileged", privileged)]))]);
    assert_eq!(verdict(&map(&[])), Verdict::Pass, "absent is not true");
    assert_eq!(verdict(&context(Tree::Bool(false))), Verdict::Pass);
    assert_eq!(verdict(&context(Tree::Bool(true))), Verdict::Fail);
    assert_eq!(
        verdict(&context(Tree::Unknown)),
        Verdict::Error(vec!["resource.securityContext.privileged".to_owned()]),
        "unknown is neither pass nor fail"
    );
    assert_eq!(
        verdict(&map(&[("namespace", "kube-system".into())])),
        Verdict::NotApplicable
    );
    assert_eq!(
        verdict(&map(&[("namespace", Tree::Unknown)])),
        Verdict::Error(vec!["resource.namespace".to_owned()])
    );
    let finding = judge.evaluate(&context(Tree::Bool(true)), &mut scratch);
    assert_eq!(
        finding.evidence,
        vec![("resource.securityContext.privileged".to_owned(), Tree::Bool(true))]
    );
}

#[test]
fn a_path_through_a_list_is_an_error_and_says_where() {
    let judge_of = |pass: &str| judge(&CheckSource::new("c", "k8s.pod", pass), &[]);
    let pod = map(&[(
        "containers",
        Tree::List(vec![
            map(&[("image", Tree::Unknown)]),
            map(&[("image", "b:1".into())]),
        ]),
    )]);
    let verdict = |pass: &str| judge_of(pass).evaluate(&pod, &mut Scratch::default()).verdict;
    assert_eq!(
        verdict("resource.containers.image != \"a\""),
        Verdict::Error(vec!["resource.containers.image".to_owned()])
    );
    assert_eq!(
        verdict("resource.containers.exists(c, c.image == \"b:1\")"),
        Verdict::Pass
    );
    assert_eq!(
        verdict("resource.containers.all(c, c.image != \"a\")"),
        Verdict::Error(vec!["resource.containers[…]".to_owned()])
    );
    assert_eq!(verdict("size(resource.containers) == 2"), Verdict::Pass);
}

#[test]
fn parameters_have_values_of_the_framework_or_their_own() {
    let mut source = CheckSource::new("c", "node.file", "resource.mode <= parameters.most");
    source.parameters = BTreeMap::from([("most".to_owned(), Tree::Int(0o600))]);
    let file = map(&[("mode", Tree::Int(0o644))]);
    let verdict = |judge: &Judge| judge.evaluate(&file, &mut Scratch::default()).verdict;
    assert_eq!(verdict(&judge(&source, &[])), Verdict::Fail);
    assert_eq!(
        verdict(&judge(&source, &[("most", Tree::Int(0o644))])),
        Verdict::Pass
    );
    assert_eq!(
        verdict(&judge(&source, &[("other", Tree::Int(0o644))])),
        Verdict::Fail
    );
}

#[test]
fn its_own_tests_run() {
    let compiled = compile_check(&privileged(), &BTreeMap::new(), &Lists::default());
    let test = |name: &str, resource: Tree, expect| CheckTest {
        name: name.to_owned(),
        resource,
        expect,
    };
    let tests = [
        test("passes", map(&[]), Expected::Pass),
        test("is wrong", map(&[]), Expected::Fail),
        test(
            "does not apply",
            map(&[("namespace", "kube-system".into())]),
            Expected::NotApplicable,
        ),
        test(
            "is open",
            map(&[("securityContext", Tree::Unknown)]),
            Expected::Pass,
        ),
    ];
    let outcomes = run_check_tests(&compiled.check.unwrap(), &tests);
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
            "expected Fail, got Pass",
            "",
            "expected Pass, got Error: not known: resource.securityContext"
        ]
    );
}
