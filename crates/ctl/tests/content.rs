//! What ships is right: it compiles without a doubt, passes its tests, and is proven both ways. So is what the
//! documentation shows.

#![expect(clippy::unwrap_used, reason = "helpers of tests are as blunt as tests")]

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use yagura_crds::detection_rule::Exceptable;
use yagura_crds::posture_check::CheckResult;
use yagura_crds::rule_test::RuleExpectation;
use yagura_crds::source::{self, Object};
use yagura_crds::{DetectionRule, PostureCheck, Severity};
use yagura_ctl::files::{self, Source};
use yagura_ctl::{lint, test};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content")
}

fn sources() -> Vec<Source> {
    files::read(&[root()], io::empty()).unwrap()
}

fn objects() -> Vec<(String, Object)> {
    let mut objects = Vec::new();
    for source in sources() {
        for document in source::read(&source.name, &source.text).documents {
            objects.push((source.name.clone(), document.object));
        }
    }
    objects
}

#[test]
fn it_compiles_without_a_doubt_and_passes_its_tests() {
    let sources = sources();
    let report = lint::check(&sources);
    assert_eq!(report.findings, []);
    assert_eq!(report.objects, sources.len(), "one object a file");
    let report = test::run(&sources);
    let failed: Vec<String> = report
        .objects
        .iter()
        .flat_map(|object| object.tests.iter().map(move |test| (object, test)))
        .filter_map(|(object, test)| {
            let failure = test.failure.as_ref()?;
            Some(format!("{}: {}: {failure}", object.name, test.name))
        })
        .collect();
    assert_eq!(failed, Vec::<String>::new());
    assert!(report.passed());
}

#[test]
fn a_file_is_named_after_its_object() {
    for (file, object) in objects() {
        assert!(
            file.ends_with(&format!("/{}.yaml", object.name())),
            "{file} holds {}",
            object.name()
        );
    }
}

#[test]
fn every_rule_explains_itself_and_is_proven_both_ways() {
    let mut number = 0;
    for (_, object) in objects() {
        let Object::DetectionRule(rule) = object else {
            continue;
        };
        let DetectionRule { spec, .. } = *rule;
        number += 1;
        let name = &spec.title;
        for part in ["**Goal.**", "**How it works.**", "**Known benign causes.**"] {
            assert!(spec.description.contains(part), "{name}: {part}");
        }
        assert!(
            spec.remediation.contains("1. ") && spec.remediation.contains("2. "),
            "{name}"
        );
        assert!(!spec.attack.is_empty() && !spec.references.is_empty(), "{name}");
        let grouped = spec.detect.is_some() || !spec.signal.group_by.is_empty();
        assert!(grouped && !spec.signal.fields.is_empty(), "{name}");
        let opens = |expect: &RuleExpectation| {
            expect.signals.is_some_and(|number| number > 0)
                || expect
                    .security_signals
                    .as_ref()
                    .is_some_and(|list| !list.is_empty())
        };
        let finds = spec.tests.iter().filter(|test| opens(&test.expect)).count();
        let stays_silent = spec.tests.len() - finds;
        assert!(
            finds >= 2 && stays_silent >= 2,
            "{name}: {finds} and {stays_silent}"
        );
    }
    assert!(number >= 9);
}

#[test]
fn no_namespace_can_hold_back_what_is_urgent() {
    for (file, object) in objects() {
        if let Object::DetectionRule(rule) = object {
            let expected = if rule.spec.severity >= Severity::High {
                Exceptable::Cluster
            } else {
                Exceptable::Namespace
            };
            assert_eq!(rule.spec.exceptable, expected, "{file}");
        }
    }
}

#[test]
fn every_check_explains_itself_is_proven_both_ways_and_belongs_to_a_framework() {
    let mut used = BTreeSet::new();
    let mut checks = BTreeSet::new();
    for (_, object) in objects() {
        match object {
            Object::DetectionRule(_)
            | Object::Exception(_)
            | Object::ClusterException(_)
            | Object::ValueList(_) => {}
            Object::PostureFramework(framework) => {
                let requirements = &framework.spec.requirements;
                let controls = requirements.iter().flat_map(|requirement| &requirement.controls);
                used.extend(
                    controls
                        .flat_map(|control| &control.checks)
                        .map(|check| check.name.clone()),
                );
            }
            Object::PostureCheck(check) => {
                let PostureCheck { metadata, spec, .. } = *check;
                let name = metadata.name.unwrap();
                assert!(
                    !spec.description.is_empty() && spec.remediation.contains("1. "),
                    "{name}"
                );
                assert!(!spec.evidence.is_empty() && !spec.references.is_empty(), "{name}");
                for status in [CheckResult::Pass, CheckResult::Fail] {
                    let number = spec
                        .tests
                        .iter()
                        .filter(|test| test.expect.status == status)
                        .count();
                    assert!(number >= 1, "{name}: no test expects {status:?}");
                }
                checks.insert(name);
            }
        }
    }
    assert_eq!(checks.len(), 12);
    assert_eq!(used, checks);
}

#[test]
fn the_rule_in_the_documentation_is_right_and_proven_both_ways() {
    let sources = block("how-to/write-a-rule.md");
    assert_eq!(lint::check(&sources).findings, []);
    let report = test::run(&sources);
    assert!(report.passed(), "{report:?}");
    assert_eq!(report.objects[0].tests.len(), 2);
}

/// The YAML of a page that stands in its first block.
fn block(page: &str) -> [Source; 1] {
    let text = std::fs::read_to_string(root().join("../docs").join(page)).unwrap();
    let block = text
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    [Source {
        name: page.to_owned(),
        text: block.unwrap().to_owned(),
    }]
}

#[test]
fn the_marks_in_the_documentation_are_right_and_proven_both_ways() {
    let sources = block("reference/marks.md");
    assert_eq!(lint::check(&sources).findings, []);
    let report = test::run(&sources);
    assert!(report.passed(), "{report:?}");
    assert_eq!(report.objects.len(), 2);
    assert!(report.objects.iter().all(|object| object.tests.len() == 2));
}
