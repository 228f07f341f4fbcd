//! Joining rules and exceptions, and what is said of it.

use std::collections::BTreeMap;

use yagura_crds::ExceptionStatus;
use yagura_crds::detection_rule::Exceptable;
use yagura_crds::exception::{AnyException, RuleSelector};
use yagura_event::Timestamp;
use yagura_rules::source::{LetSource, RuleSource};
use yagura_store::signals::Excepted;

use super::join::{Join, Joined};
use super::known::{KnownRule, Object};
use super::status::{compute, decides_otherwise};

fn rule(name: &str, exceptable: Exceptable) -> KnownRule {
    let source = RuleSource {
        lets: vec![LetSource {
            name: "shells".to_owned(),
            value: "[\"sh\"]".to_owned(),
        }],
        ..RuleSource::new(name, "event.kind == \"process.exec\" && process.name in shells")
    };
    KnownRule {
        labels: [("team".to_owned(), "shop".to_owned())].into(),
        exceptable,
        hash: source.hash(),
        source,
    }
}

fn rules(named: &[(&str, Exceptable)]) -> Join {
    let mut join = Join::default();
    for (name, exceptable) in named {
        assert!(join.apply_rule(&format!("uid-{name}"), rule(name, *exceptable)));
    }
    join
}

fn exception(uid: &str, namespace: Option<&str>, rules: &[&str], condition: &str) -> Object {
    let exception = AnyException {
        uid: uid.to_owned(),
        name: uid.to_owned(),
        namespace: namespace.map(str::to_owned),
        rules: rules.iter().map(|text| RuleSelector::read(text)).collect(),
        condition: condition.to_owned(),
        expires: None,
    };
    Object {
        uid: exception.uid.clone(),
        name: exception.name.clone(),
        namespace: exception.namespace.clone(),
        exception: Ok(exception),
        generation: Some(1),
        created: 0,
        told: ExceptionStatus::default(),
    }
}

/// Uids of what a rule carries.
fn carried<'a>(joined: &'a Joined, rule: &str) -> Vec<&'a str> {
    let carried = joined.carried.get(&format!("uid-{rule}"));
    let carried = carried.into_iter().flatten();
    carried.map(|source| source.uid.as_str()).collect()
}

/// Status, reason and message of the condition `Accepted`.
fn accepted(joined: &Joined, uid: &str) -> (String, String, String) {
    let status = compute(
        &ExceptionStatus::default(),
        &joined.judged[uid],
        None,
        Timestamp(0),
    );
    let condition = status.conditions.into_iter().next().unwrap();
    assert_eq!(condition.type_, "Accepted");
    assert_eq!(condition.observed_generation, Some(1));
    (condition.status, condition.reason, condition.message)
}

#[test]
fn a_rule_carries_what_names_it_and_what_it_allows() {
    use Exceptable::{Cluster, Namespace, Never};
    let mut join = rules(&[("open", Namespace), ("urgent", Cluster), ("fixed", Never)]);
    for object in [
        exception("by-name", Some("shop"), &["open"], "\"sh\" in shells"),
        exception("by-label", Some("shop"), &["team=shop"], "process.pid == 1"),
        exception("of-cluster", None, &["team=shop"], "process.pid == 2"),
        exception("forbidden", Some("shop"), &["urgent", "fixed"], "true"),
        exception("lost", Some("shop"), &["gone", "team=bank"], "true"),
        exception("broken", None, &["open"], "process.nmae == 1"),
    ] {
        assert!(join.apply_exception(object));
    }
    let joined = join.join(0);
    // Those of the cluster come first.
    assert_eq!(carried(&joined, "open"), ["of-cluster", "by-label", "by-name"]);
    assert_eq!(carried(&joined, "urgent"), ["of-cluster"]);
    assert_eq!(carried(&joined, "fixed"), [""; 0]);
    assert_eq!(joined.carried["uid-open"][1].namespace, "shop");
    assert_eq!(joined.carried["uid-open"][0].namespace, "");

    let (status, reason, message) = accepted(&joined, "by-name");
    assert_eq!((&*status, &*reason), ("True", "Carried"));
    assert_eq!(message, "rule open carries it");
    let (status, reason, message) = accepted(&joined, "by-label");
    assert_eq!((&*status, &*reason), ("True", "PartlyCarried"));
    assert!(
        message.starts_with("rule open carries it\nrule fixed: NotExceptable: "),
        "{message}"
    );
    assert!(message.contains("rule urgent: NotExceptable: its spec.exceptable is cluster"));
    let (status, reason, _) = accepted(&joined, "forbidden");
    assert_eq!((&*status, &*reason), ("False", "NotExceptable"));
    let (status, reason, message) = accepted(&joined, "lost");
    assert_eq!((&*status, &*reason), ("False", "NoSuchRule"));
    assert!(
        message.contains("DetectionRule gone") && message.contains("label team=bank"),
        "{message}"
    );
    let (status, reason, message) = accepted(&joined, "broken");
    assert_eq!((&*status, &*reason), ("False", "InvalidCondition"));
    assert!(message.contains("spec.condition:1:1"), "{message}");
}

#[test]
fn an_exception_follows_its_rules_and_its_own_edits() {
    let mut join = rules(&[("open", Exceptable::Namespace)]);
    join.apply_exception(exception("e", Some("shop"), &["team=shop"], "\"sh\" in shells"));
    assert_eq!(carried(&join.join(0), "open"), ["e"]);

    // The rule's `let` that it uses goes away, and comes back.
    let renamed = KnownRule {
        hash: "other".to_owned(),
        source: RuleSource::new("open", "event.kind == \"process.exec\" && process.name == \"sh\""),
        ..rule("open", Exceptable::Namespace)
    };
    assert!(join.apply_rule("uid-open", renamed));
    let joined = join.join(0);
    assert_eq!(carried(&joined, "open"), [""; 0]);
    assert_eq!(accepted(&joined, "e").1, "InvalidCondition");
    assert!(join.apply_rule("uid-open", rule("open", Exceptable::Namespace)));
    assert_eq!(carried(&join.join(0), "open"), ["e"]);

    assert!(!join.apply_rule("uid-open", rule("open", Exceptable::Namespace)));
    assert!(join.relabel("uid-open", &BTreeMap::new()));
    assert_eq!(accepted(&join.join(0), "e").1, "NoSuchRule");

    let status_only = exception("e", Some("shop"), &["open"], "true");
    assert!(
        !join.apply_exception(status_only),
        "of the same generation is the same"
    );
    let edited = Object {
        generation: Some(2),
        ..exception("e", Some("shop"), &["open"], "process.nmae == 1")
    };
    assert!(join.apply_exception(edited));
    assert_eq!(carried(&join.join(0), "open"), [""; 0]);
    assert!(join.delete_exception("e"));
    assert!(join.join(0).judged.is_empty());
}

#[test]
fn a_namespace_has_its_share_and_takes_nothing_from_others() {
    let mut join = rules(&[("open", Exceptable::Namespace)]);
    let mut add = |uid: String, namespace: Option<&str>, created| {
        let object = Object {
            created,
            ..exception(&uid, namespace, &["open"], "true")
        };
        join.apply_exception(object);
    };
    for n in 0..70 {
        add(format!("cluster-{n:03}"), None, 1_000 + n);
    }
    // A greedy one was there first, and 30 others come later.
    for n in 0..200 {
        add(format!("greedy-{n:03}"), Some("greedy"), n);
    }
    for namespace in 0..30 {
        for n in 0..8 {
            add(
                format!("fair-{namespace:02}-{n}"),
                Some(&format!("fair-{namespace:02}")),
                2_000 + namespace * 10 + n,
            );
        }
    }
    let joined = join.join(0);
    let of = |prefix: &str| {
        let carried = carried(&joined, "open");
        carried.iter().filter(|uid| uid.starts_with(prefix)).count()
    };
    assert_eq!(
        (of("cluster-"), of("greedy-")),
        (64, 8),
        "each within its own places"
    );
    assert_eq!(of("fair-"), 192 - 8, "until all places of namespaces are taken");
    assert_eq!(
        of("fair-00") + of("fair-22"),
        16,
        "the older namespaces have all of theirs"
    );
    let (status, reason, message) = accepted(&joined, "greedy-008");
    assert_eq!((&*status, &*reason), ("False", "BudgetExceeded"));
    assert!(
        message.contains("8 older exceptions of this namespace"),
        "{message}"
    );
    assert!(accepted(&joined, "greedy-150").2.contains("are 128 already"));
    assert!(
        accepted(&joined, "cluster-064")
            .2
            .contains("64 older ClusterExceptions")
    );
    assert!(
        accepted(&joined, "fair-29-0")
            .2
            .contains("192 older exceptions of namespaces")
    );
    // What is refused leaves its place to the next as soon as one is free.
    assert!(join.delete_exception("greedy-003"));
    assert_eq!(accepted(&join.join(0), "greedy-008").0, "True");
}

#[test]
fn a_namespace_has_so_many_places_in_all_rules_together() {
    let names: Vec<String> = (0..20).map(|n| format!("rule-{n:02}")).collect();
    let open: Vec<(&str, Exceptable)> = names
        .iter()
        .map(|name| (name.as_str(), Exceptable::Namespace))
        .collect();
    let mut join = rules(&open);
    for n in 0..5 {
        let object = Object {
            created: n,
            ..exception(&format!("e-{n}"), Some("shop"), &["team=shop"], "true")
        };
        join.apply_exception(object);
    }
    let joined = join.join(0);
    assert_eq!(joined.carried.values().map(Vec::len).sum::<usize>(), 64);
    let (status, reason, message) = accepted(&joined, "e-3");
    assert_eq!((&*status, &*reason), ("True", "PartlyCarried"));
    assert!(
        message.starts_with("4 rules carry it: ") && message.contains("in 64 places of rules"),
        "{message}"
    );
}

#[test]
fn what_all_carry_compiles_together() {
    let mut join = rules(&[("open", Exceptable::Namespace)]);
    let condition = "process.name.matches(\"^a[0-9]+$\") || process.name.glob(\"b*\")";
    for n in 0..64 {
        join.apply_exception(exception(&format!("c-{n}"), None, &["open"], condition));
    }
    for n in 0..192 {
        let namespace = format!("ns-{}", n / 8);
        join.apply_exception(exception(
            &format!("n-{n}"),
            Some(&namespace),
            &["open"],
            condition,
        ));
    }
    let mut joined = join.join(0);
    let whole = RuleSource {
        joined: joined.carried.remove("uid-open").unwrap(),
        ..rule("open", Exceptable::Namespace).source
    };
    assert_eq!(whole.joined.len(), 256);
    let compiled = yagura_rules::compile(
        &whole,
        yagura_event::Registry::workload(),
        &yagura_rules::Lists::builtin(),
    );
    assert!(compiled.rule.is_some(), "{:?}", compiled.diagnostics);
}

#[test]
fn what_expired_is_carried_no_more_and_says_so() {
    let mut join = rules(&[("open", Exceptable::Namespace)]);
    let mut object = exception("e", Some("shop"), &["open"], "true");
    object.exception.as_mut().unwrap().expires = Some(100);
    join.apply_exception(object);
    let before = join.join(99);
    assert_eq!(carried(&before, "open"), ["e"]);
    assert_eq!(before.carried["uid-open"][0].expires, Some(100));
    assert!(!join.has_expired(99) && join.has_expired(100));
    let after = join.join(100);
    assert_eq!(carried(&after, "open"), [""; 0]);
    assert!(!join.has_expired(1_000), "it expires once");
    assert_eq!(accepted(&after, "e").1, "Expired");
    let expired = |joined: &Joined| {
        let status = compute(
            &ExceptionStatus::default(),
            &joined.judged["e"],
            None,
            Timestamp(0),
        );
        let condition = status.conditions.into_iter().nth(1).unwrap();
        (condition.type_, condition.status)
    };
    let is = |answer: &str| ("Expired".to_owned(), answer.to_owned());
    assert_eq!((expired(&before), expired(&after)), (is("False"), is("True")));
}

#[test]
fn an_unreadable_object_says_so_and_harms_no_other() {
    let mut join = rules(&[("open", Exceptable::Namespace)]);
    join.apply_exception(exception("good", Some("shop"), &["open"], "true"));
    let unreadable = Object {
        exception: Err("the object cannot be read: x".to_owned()),
        ..exception("bad", Some("shop"), &["open"], "true")
    };
    join.apply_exception(unreadable);
    let joined = join.join(0);
    assert_eq!(carried(&joined, "open"), ["good"]);
    let (status, reason, message) = accepted(&joined, "bad");
    assert_eq!((&*status, &*reason), ("False", "InvalidObject"));
    assert!(message.ends_with('x'), "{message}");
}

#[test]
fn a_status_tells_what_was_held_back_and_is_the_same_when_nothing_changed() {
    let mut join = rules(&[("open", Exceptable::Namespace)]);
    join.apply_exception(exception("e", Some("shop"), &["open"], "true"));
    let joined = join.join(0);
    let judged = &joined.judged["e"];
    let first = compute(&ExceptionStatus::default(), judged, None, Timestamp(0));
    assert_eq!((first.matched, first.rules), (0, 1));
    assert_eq!(first.last_matched, None);
    let held = Excepted {
        exception: "e".to_owned(),
        count: 12,
        last: Timestamp(5_000_000_000),
    };
    let second = compute(&first, judged, Some(&held), Timestamp(9_000_000_000));
    assert_eq!(second.matched, 12);
    assert_eq!(second.last_matched.as_ref().unwrap().0.as_second(), 5);
    assert!(!decides_otherwise(&first, &second), "only counted on");
    assert!(decides_otherwise(&ExceptionStatus::default(), &first));
    let third = compute(&second, judged, Some(&held), Timestamp(99_000_000_000));
    assert_eq!(third, second);
}
