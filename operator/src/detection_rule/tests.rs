//! The pure steps on rules read from YAML.

use std::sync::Arc;

use kube::core::DeserializeGuard;
use serde_json::json;
use yagura_crds::detection_rule::Exceptable;
use yagura_crds::source::{Object, read};
use yagura_crds::{DetectionRule, DetectionRuleStatus};
use yagura_event::Timestamp;
use yagura_proto::v1::{Hello, PolicyAck, RuleFailure};
use yagura_rules::Lists;
use yagura_store::signals::RuleSummary;

use super::apply::{applied, apply};
use super::build::build;
use super::rules::{Rules, Told};
use super::status::{Outcome, Pace, compute};
use super::validate::{Invalid, validate};
use crate::content::{LABEL, Pack};
use crate::index::nodes::Call;
use crate::index::{Index, SharedIndex};
use crate::value_list::shelf::{Content, Refused, Shelf};
use crate::watch::Change;

const RULE: &str = r#"
apiVersion: yagura.dev/v1alpha1
kind: DetectionRule
metadata: {name: shell}
spec:
  title: A shell
  description: prose
  severity: high
  where: {target: container, nodeSelector: {matchLabels: {pool: web}}}
  let:
    - {name: shells, value: '["sh", "bash"]'}
  condition: |
    event.kind == "process.exec" &&
      process.name in shells
  signal: {title: "Shell {{process.name}}", groupBy: [container.id]}
  tests:
    - name: fires
      events: [{kind: process.exec, process: {name: sh}, container: {id: c}}]
      expect: {signals: 1}
"#;

fn rule(yaml: &str) -> DetectionRule {
    let mut file = read("rule.yaml", yaml);
    assert_eq!(file.faults, []);
    let Some(Object::DetectionRule(rule)) = file.documents.pop().map(|document| document.object) else {
        panic!("a rule was written")
    };
    let mut rule = *rule;
    rule.metadata.uid = Some("uid-1".to_owned());
    rule.metadata.generation = Some(4);
    rule
}

fn at(second: i64) -> Timestamp {
    Timestamp(second * 1_000_000_000)
}

/// An index with connected nodes of a pool.
fn index(nodes: &[(&str, &str)]) -> Index {
    let mut index = Index::new(1);
    for (name, pool) in nodes {
        index
            .policy
            .apply_node(name, [("pool".to_owned(), (*pool).to_owned())].into());
        index.nodes.open(name, Call::Subscribe, at(1));
        index.nodes.hello(name, Hello::default(), at(1));
    }
    index
}

fn ack(index: &mut Index, node: &str, failures: Vec<RuleFailure>) {
    let revision = index.policy.revision_of_node(node).unwrap();
    index.nodes.ack(node, PolicyAck { revision, failures }, at(2));
}

fn condition<'a>(status: &'a DetectionRuleStatus, kind: &str) -> (&'a str, &'a str, &'a str) {
    let found = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind)
        .unwrap();
    (&found.status, &found.reason, &found.message)
}

/// What the status says after the agents' answers.
fn status(
    rule: &DetectionRule,
    index: &mut Index,
    old: &DetectionRuleStatus,
    second: i64,
) -> DetectionRuleStatus {
    let verdict = validate(rule, &Lists::builtin());
    apply(
        index,
        "uid-1",
        verdict
            .as_ref()
            .ok()
            .and_then(|valid| build(rule, valid, &[], &[])),
    );
    let outcome = Outcome {
        verdict: verdict.as_ref().map(|valid| &*valid.warnings),
        enabled: rule.spec.enabled,
        scope: None,
        takes_name: index.shipped.taken_by("DetectionRule", &rule.metadata),
        applied: &applied(index, "uid-1"),
        signals: &RuleSummary {
            open: 2,
            last: Some(at(50)),
        },
    };
    compute(old, rule.metadata.generation, &outcome, at(second))
}

#[test]
fn a_mistake_is_told_with_line_and_column() {
    let broken = rule(&RULE.replace("process.name in shells", "process.nmae in shells"));
    let Err(invalid @ Invalid::Condition(_)) = validate(&broken, &Lists::builtin()) else {
        panic!("process.nmae is no field")
    };
    let message = invalid.to_string();
    assert!(message.contains("spec.condition:2:3"), "{message}");
    assert!(message.contains("did you mean process.name?"), "{message}");
    let status = status(
        &broken,
        &mut index(&[("n1", "web")]),
        &DetectionRuleStatus::default(),
        10,
    );
    assert_eq!(
        condition(&status, "Accepted"),
        ("False", "InvalidCondition", message.as_str())
    );
    assert_eq!(condition(&status, "Programmed").1, "NotAccepted");
    assert_eq!(status.conditions[0].observed_generation, Some(4));
}

#[test]
fn a_rule_whose_own_test_fails_does_not_run() {
    let failing = rule(&RULE.replace("signals: 1", "signals: 3"));
    let mut index = index(&[("n1", "web")]);
    let status = status(&failing, &mut index, &DetectionRuleStatus::default(), 10);
    let (answer, reason, message) = condition(&status, "Accepted");
    assert_eq!((answer, reason), ("False", "TestsFailed"));
    assert!(message.contains("spec.tests[0] \"fires\""), "{message}");
    assert_eq!(index.nodes_of_rule("uid-1").desired, 0);
}

#[test]
fn agents_get_the_rule_without_prose_and_tests() {
    let rule = rule(RULE);
    let served = build(&rule, &validate(&rule, &Lists::builtin()).unwrap(), &[], &[]).unwrap();
    assert!(yagura_proto::content::is_sealed(&served.body));
    assert_eq!(served.body.title, "Shell {{process.name}}");
    assert_eq!(served.body.group_by, ["container.id"]);
    assert_eq!(served.body.r#where.as_ref().unwrap().target, "container");
    assert_eq!((served.meta.name.as_str(), served.meta.generation), ("shell", 4));
    let mut reworded = rule.clone();
    reworded.spec.description = "other prose".to_owned();
    reworded.spec.tests.clear();
    let same = build(
        &reworded,
        &validate(&reworded, &Lists::builtin()).unwrap(),
        &[],
        &[],
    )
    .unwrap();
    assert_eq!(same.body.hash, served.body.hash);
    let mut off = rule;
    off.spec.enabled = false;
    assert!(build(&off, &validate(&off, &Lists::builtin()).unwrap(), &[], &[]).is_none());
}

#[test]
fn agents_get_the_mark_of_a_rule() {
    let marking = RULE
        .replace("  signal:", "  mark: {name: shell, scope: processTree, value: process.name, append: true, ttl: 1m30s}\n  silent: true\n  signal:")
        .replace("expect: {signals: 1}", "expect: {signals: 0, marks: 1}");
    let rule = rule(&marking);
    let served = build(&rule, &validate(&rule, &Lists::builtin()).unwrap(), &[], &[]).unwrap();
    let expected = yagura_proto::v1::Mark {
        name: "shell".to_owned(),
        scope: "processTree".to_owned(),
        value: "process.name".to_owned(),
        append: true,
        ttl: 90_000_000_000,
    };
    assert_eq!(served.body.mark, Some(expected));
    assert!(served.body.silent);
    assert_eq!(served.body.language_version, 2);

    // A mistake in it has its place, and a test that expects another mark fails.
    let mut wrong = rule.clone();
    wrong.spec.mark.as_mut().unwrap().value = Some("process.args".to_owned());
    let message = validate(&wrong, &Lists::builtin()).unwrap_err().to_string();
    assert!(message.contains("spec.mark.value:1:1"), "{message}");
    let mut wrong = rule;
    wrong.spec.tests[0].expect.marks = Some(0);
    let message = validate(&wrong, &Lists::builtin()).unwrap_err().to_string();
    assert!(message.contains("expected 0 marks, got 1"), "{message}");
}

#[test]
fn overrides_apply_are_checked_with_their_places_and_break_no_test_of_the_rule() {
    let overridden = |overrides: serde_json::Value| {
        let mut rule = rule(RULE);
        rule.spec.overrides = serde_json::from_value(overrides).unwrap();
        rule
    };
    // The exception holds for the event of the rule's own test.
    let good = overridden(json!({
        "severity": "low",
        "exceptions": [{"name": "mine", "condition": "process.name == \"sh\"", "reason": "agreed"}],
        "where": {"target": "host", "nodeSelector": {"matchLabels": {"pool": "batch"}}},
    }));
    let served = build(&good, &validate(&good, &Lists::builtin()).unwrap(), &[], &[]).unwrap();
    assert_eq!(served.meta.severity, yagura_event::Severity::Low);
    assert_eq!(served.body.severity, "low");
    assert_eq!(served.body.exceptions[0].condition, "process.name == \"sh\"");
    assert_eq!(served.body.r#where.as_ref().unwrap().target, "host");
    let mut index = index(&[("n1", "web"), ("n3", "batch")]);
    apply(&mut index, "uid-1", Some(served));
    assert_eq!(index.policy.nodes_of_rule("uid-1").collect::<Vec<_>>(), ["n3"]);

    let refused = |overrides| {
        validate(&overridden(overrides), &Lists::builtin())
            .unwrap_err()
            .to_string()
    };
    let message = refused(json!({"exceptions": [
        {"name": "a", "condition": "true", "reason": "r"},
        {"name": "b", "condition": "process.nmae == 1", "reason": "r"},
    ]}));
    assert!(
        message.contains("spec.overrides.exceptions[1].condition:1:1"),
        "{message}"
    );
    let selector = json!({"matchExpressions": [{"key": "k", "operator": "Near"}]});
    let message = refused(json!({"where": {"nodeSelector": selector}}));
    assert!(
        message.starts_with("spec.overrides.where.nodeSelector:"),
        "{message}"
    );
}

#[test]
fn the_status_follows_the_nodes_and_keeps_its_times() {
    let rule = rule(RULE);
    let mut index = index(&[("n1", "web"), ("n2", "web"), ("n3", "batch")]);
    let first = status(&rule, &mut index, &DetectionRuleStatus::default(), 10);
    assert_eq!(condition(&first, "Accepted").0, "True");
    assert_eq!(condition(&first, "Programmed").1, "Pending");
    assert_eq!(first.nodes.as_ref().unwrap().summary, "0/2");

    ack(&mut index, "n1", Vec::new());
    let failure = RuleFailure {
        uid: "uid-1".into(),
        reason: "MissingHook".into(),
        message: "no hook".into(),
    };
    ack(&mut index, "n2", vec![failure]);
    let second = status(&rule, &mut index, &first, 20);
    let (answer, reason, message) = condition(&second, "Programmed");
    assert_eq!((answer, reason), ("False", "NodesFailed"));
    assert_eq!(message, "1 of 2 nodes cannot: n2: MissingHook: no hook");
    assert_eq!(second.nodes.as_ref().unwrap().summary, "1/2");
    // False before, False now: the answer did not flip.
    assert_eq!(
        second.conditions[1].last_transition_time,
        first.conditions[1].last_transition_time
    );

    ack(&mut index, "n2", Vec::new());
    let third = status(&rule, &mut index, &second, 30);
    assert_eq!(
        condition(&third, "Programmed"),
        ("True", "Running", "every selected node runs it")
    );
    assert_eq!(
        third.conditions[1].last_transition_time,
        yagura_crds::convert::time(at(30))
    );
    assert_eq!(
        third.conditions[0].last_transition_time,
        first.conditions[0].last_transition_time
    );
    assert_eq!(third.signals.as_ref().unwrap().open, 2);
    assert_eq!(
        status(&rule, &mut index, &third, 99),
        third,
        "nothing changed, so nothing is written"
    );
}

#[test]
fn a_rule_with_a_shipped_name_says_so_while_it_is_the_users() {
    let mut index = index(&[("n1", "web")]);
    index.shipped = [("DetectionRule", "shell".to_owned(), Pack::Workload)]
        .into_iter()
        .collect();
    let mut rule = rule(RULE);
    let taken = status(&rule, &mut index, &DetectionRuleStatus::default(), 10);
    let (answer, _, message) = condition(&taken, "NameTaken");
    assert_eq!(answer, "True");
    assert!(message.contains("yagura.dev/bundle=workload"), "{message}");
    rule.metadata.labels = Some([(LABEL.to_owned(), "workload".to_owned())].into());
    let handed_over = status(&rule, &mut index, &taken, 20);
    assert!(handed_over.conditions.iter().all(|one| one.type_ != "NameTaken"));
}

#[test]
fn a_switched_off_rule_and_one_without_nodes_say_so() {
    let mut off = rule(RULE);
    off.spec.enabled = false;
    let status_off = status(
        &off,
        &mut index(&[("n1", "web")]),
        &DetectionRuleStatus::default(),
        10,
    );
    assert_eq!(condition(&status_off, "Programmed").1, "Disabled");
    let nowhere = status(
        &rule(RULE),
        &mut index(&[("n3", "batch")]),
        &DetectionRuleStatus::default(),
        10,
    );
    assert_eq!(condition(&nowhere, "Programmed").1, "NoNodes");
}

#[test]
fn a_status_is_prompt_after_a_change_and_patient_later() {
    let written = |changed, looked, written| Pace {
        changed: Some(at(changed)),
        looked: Some(at(looked)),
        written: Some(at(written)),
    };
    assert!(
        written(100, 120, 120).is_due(at(121)),
        "a change is followed at once"
    );
    assert!(!written(100, 120, 120).is_due(at(131)));
    assert!(!written(100, 176, 120).is_due(at(180)), "a look costs something");
    assert!(written(100, 120, 120).is_due(at(180)));
}

#[test]
fn a_status_that_an_earlier_operator_wrote_waits_for_the_agents_to_come_back() {
    let told = status(
        &rule(RULE),
        &mut index(&[("n1", "web")]),
        &DetectionRuleStatus::default(),
        10,
    );
    let generation = told.conditions[0].observed_generation;
    let pace = |told, generation, verdict, taken| Pace::of(told, generation, verdict, taken, at(100));
    let waits = pace(&told, generation, Ok(&[]), None);
    assert!(!waits.is_due(at(101)) && !waits.is_due(at(159)) && waits.is_due(at(160)));
    let refused = Invalid::Tests("1 of 1 tests fail".to_owned());
    for prompt in [
        pace(&told, generation.map(|n| n + 1), Ok(&[]), None),
        pace(&DetectionRuleStatus::default(), generation, Ok(&[]), None),
        pace(&told, generation, Err(&refused), None),
        pace(&told, generation, Ok(&["a warning".to_owned()]), None),
        pace(&told, generation, Ok(&[]), Some(Pack::Workload)),
    ] {
        assert!(prompt.is_due(at(100)) && prompt.is_due(at(129)));
    }
}

/// A namespaced exception as a watch tells of it.
fn exception(generation: i64, condition: &str, expires: &str) -> Told {
    let object = json!({
        "apiVersion": "yagura.dev/v1alpha1", "kind": "Exception",
        "metadata": {"name": "e", "namespace": "shop", "uid": "uid-e", "generation": generation},
        "spec": {"reason": "r", "expires": expires, "rules": ["shell"], "condition": condition},
    });
    Told::Exception(Change::Apply(serde_json::from_value(object).unwrap()))
}

#[test]
fn a_rule_is_handed_out_with_its_exceptions_and_follows_them() {
    let shared = SharedIndex::new(index(&[("n1", "web")]));
    let carried = || -> Option<Vec<String>> {
        let index = shared.read();
        let served = index.policy.rule_of_node("n1", "uid-1")?;
        assert!(yagura_proto::content::is_sealed(&served.body));
        let joined = served.body.joined.iter();
        Some(
            joined
                .map(|joined| format!("{}: {}", joined.namespace, joined.condition))
                .collect(),
        )
    };
    let mut rules = Rules::default();
    let mut exceptable = rule(RULE);
    exceptable.spec.exceptable = Exceptable::Namespace;
    let far = "2027-01-01T00:00:00Z";
    rules.take(
        &shared,
        Told::Rule(Change::Apply(DeserializeGuard(Ok(exceptable.clone())))),
    );
    rules.take(&shared, Told::Rule(Change::Synced));
    rules.take(&shared, exception(1, "process.pid == 1", far));
    rules.take(&shared, Told::Exception(Change::Synced));
    assert!(!rules.hand_out(&shared, at(10)));
    assert_eq!(
        carried(),
        None,
        "an exception of the cluster may be on its way: nothing runs without it"
    );
    rules.take(&shared, Told::ClusterException(Change::Synced));
    assert!(rules.hand_out(&shared, at(10)));
    assert_eq!(carried().unwrap(), ["shop: process.pid == 1"]);
    assert!(shared.read().exceptions.settled);
    assert_eq!(
        shared.read().exceptions.judged["uid-e"].outcome.carried,
        ["shell"]
    );

    rules.take(&shared, exception(2, "\"sh\" in shells", "1970-01-01T00:01:00Z"));
    rules.hand_out(&shared, at(20));
    assert_eq!(carried().unwrap(), ["shop: \"sh\" in shells"]);
    // Its time passes, and nobody edits anything.
    rules.hand_out(&shared, at(60));
    assert_eq!(carried().unwrap(), [""; 0]);

    rules.take(&shared, exception(3, "process.pid == 3", far));
    let mut forbids = exceptable;
    forbids.spec.exceptable = Exceptable::Never;
    forbids.metadata.generation = Some(5);
    rules.take(&shared, Told::Rule(Change::Apply(DeserializeGuard(Ok(forbids)))));
    rules.hand_out(&shared, at(61));
    assert_eq!(carried().unwrap(), [""; 0]);
    let outcome = shared.read().exceptions.judged["uid-e"].outcome.clone();
    assert_eq!(outcome.refused[0].1.reason(), "NotExceptable");
}

/// A shelf with one list of these strings.
fn shelf(generation: i64, values: &[&str]) -> Arc<Shelf> {
    let spec = yagura_crds::ValueListSpec {
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        ..yagura_crds::ValueListSpec::default()
    };
    let object = crate::value_list::shelf::Object {
        uid: "uid-l".to_owned(),
        name: "tools".to_owned(),
        generation: Some(generation),
        created: 0,
        content: Content::of(&spec).map_err(|message| Refused {
            reason: "InvalidValues",
            message,
        }),
        told: yagura_crds::ValueListStatus::default(),
    };
    Arc::new(Shelf::new([&Arc::new(object)]))
}

#[test]
fn a_rule_is_handed_out_with_its_lists_and_follows_them() {
    let shared = SharedIndex::new(index(&[("n1", "web")]));
    let served = || {
        let index = shared.read();
        let list = index.policy.watch("n1").unwrap();
        let list = list.borrow();
        let body = list.rules.first()?;
        assert!(yagura_proto::content::is_sealed(body));
        let named: Vec<&str> = body.lists.iter().map(|named| named.hash.as_str()).collect();
        let sent: Vec<&str> = list.lists.iter().map(|list| list.hash.as_str()).collect();
        assert_eq!(named, sent);
        let values = list.lists.iter().map(|list| list.values.join(" "));
        Some((body.hash.clone(), values.collect::<Vec<_>>()))
    };
    let accepted = |rules: &mut Rules| {
        let (_, entry) = rules.entries().next().unwrap();
        match &entry.verdict {
            Ok(warnings) => warnings.join("\n"),
            Err(invalid) => format!("{}: {invalid}", invalid.reason()),
        }
    };
    let with_list = RULE.replace("'[\"sh\", \"bash\"]'", "'lists[\"tools\"]'");
    let mut rules = Rules::default();
    rules.relist(shelf(1, &["sh", "bash"]));
    rules.take(
        &shared,
        Told::Rule(Change::Apply(DeserializeGuard(Ok(rule(&with_list))))),
    );
    for synced in [
        Told::Rule(Change::Synced),
        Told::Exception(Change::Synced),
        Told::ClusterException(Change::Synced),
    ] {
        rules.take(&shared, synced);
    }
    assert!(rules.hand_out(&shared, at(10)));
    let (first, values) = served().unwrap();
    assert_eq!(values, ["bash sh"]);
    assert_eq!(accepted(&mut rules), "");
    assert!(shared.read().list_uses.by_rules("tools").eq(["shell"]));

    // The same values in another order are the same.
    rules.relist(shelf(2, &["bash", "sh", "sh"]));
    rules.hand_out(&shared, at(11));
    assert_eq!(served().unwrap().0, first);

    // Others are another edit of the rule, which runs though one of its tests does not know them.
    rules.relist(shelf(3, &["zsh"]));
    rules.hand_out(&shared, at(12));
    let (second, values) = served().unwrap();
    assert_ne!(second, first);
    assert_eq!(values, ["zsh"]);
    let warning = accepted(&mut rules);
    assert!(
        warning.starts_with("with what is in lists such as tools now, 1 of 1 tests fail"),
        "{warning}"
    );

    // A list that is gone, or cannot be used, stops it.
    for (gone, reason) in [
        (Arc::new(Shelf::new([])), "unknown list"),
        (shelf(4, &[""]), "cannot be used: values[0]: it is empty"),
    ] {
        rules.relist(gone);
        rules.hand_out(&shared, at(13));
        assert_eq!(served(), None);
        let refused = accepted(&mut rules);
        assert!(refused.starts_with("ListUnavailable: "), "{refused}");
        assert!(refused.contains(reason), "{refused}");
        assert!(shared.read().list_uses.by_rules("tools").eq(["shell"]));
    }
    rules.relist(shelf(5, &["sh", "bash"]));
    rules.hand_out(&shared, at(14));
    assert_eq!(served().unwrap().0, first);
}

#[test]
fn the_lists_of_an_exception_go_with_the_rule() {
    let shared = SharedIndex::new(index(&[("n1", "web")]));
    let values = || -> Vec<String> {
        let index = shared.read();
        let list = index.policy.watch("n1").unwrap();
        list.borrow()
            .lists
            .iter()
            .map(|list| list.values.join(" "))
            .collect()
    };
    let mut rules = Rules::default();
    rules.relist(shelf(1, &["sh"]));
    let mut exceptable = rule(RULE);
    exceptable.spec.exceptable = Exceptable::Namespace;
    rules.take(
        &shared,
        Told::Rule(Change::Apply(DeserializeGuard(Ok(exceptable)))),
    );
    rules.take(
        &shared,
        exception(1, "process.name in lists[\"tools\"]", "2027-01-01T00:00:00Z"),
    );
    for synced in [
        Told::Rule(Change::Synced),
        Told::Exception(Change::Synced),
        Told::ClusterException(Change::Synced),
    ] {
        rules.take(&shared, synced);
    }
    rules.hand_out(&shared, at(10));
    assert_eq!(values(), ["sh"]);
    assert!(shared.read().list_uses.by_rules("tools").eq(["shell"]));
    rules.relist(shelf(2, &["bash"]));
    rules.hand_out(&shared, at(11));
    assert_eq!(values(), ["bash"]);
    // Without the list the exception holds nothing back, and the rule runs.
    rules.relist(Arc::new(Shelf::new([])));
    rules.hand_out(&shared, at(12));
    assert_eq!(values(), [""; 0]);
    assert!(shared.read().policy.hash_of_rule("uid-1").is_some());
    let outcome = shared.read().exceptions.judged["uid-e"].outcome.clone();
    assert!(outcome.refused[0].1.message().contains("unknown list"));
}
