//! Checks read from YAML, real objects, and what comes of them.

use k8s_openapi::api::core::v1::Pod;
use kube::api::DynamicObject;
use kube::core::DeserializeGuard;
use serde_json::json;
use yagura_crds::posture_check::ResourceType;
use yagura_crds::{PostureCheck, PostureFramework, SecuritySignal};
use yagura_event::facts::{FileFact, FileStat, Kubelet, NodeFacts};
use yagura_event::{Known, Timestamp, Tree};

use super::work::{Outcome, Work};
use crate::index::Index;
use crate::index::nodes::Call;
use crate::signals::{PostureChange, Scope};

const PRIVILEGED: &str = r"
apiVersion: yagura.dev/v1alpha1
kind: PostureCheck
metadata: {name: not-privileged, uid: c1, generation: 1}
spec:
  title: Containers do not run privileged
  severity: critical
  resource: k8s.container
  appliesWhen: resource.pod.metadata.namespace != 'kube-system'
  pass: resource.securityContext.privileged != true
  evidence: [resource.securityContext.privileged]
";

const KUBELET: &str = r#"
apiVersion: yagura.dev/v1alpha1
kind: PostureCheck
metadata: {name: anonymous, uid: c2, generation: 1}
spec:
  title: The kubelet refuses requests without a name
  severity: high
  resource: node.kubelet
  pass: resource.flags["anonymous-auth"] == "false"
"#;

const ROLES: &str = r#"
apiVersion: yagura.dev/v1alpha1
kind: PostureCheck
metadata: {name: no-wildcards, uid: c3, generation: 1}
spec:
  title: Roles name what they allow
  severity: low
  resource: k8s.clusterrole
  pass: resource.rules.all(r, !("*" in r.verbs))
"#;

const FRAMEWORK: &str = r"
apiVersion: yagura.dev/v1alpha1
kind: PostureFramework
metadata: {name: base, uid: f1, generation: 1}
spec:
  title: Base
  version: '1'
  requirements:
    - id: a
      title: A
      controls:
        - {id: a-1, title: t, checks: [{name: not-privileged}]}
        - {id: a-2, title: t, checks: [{name: anonymous}]}
        - {id: a-3, title: t, checks: [{name: no-wildcards}]}
        - {id: a-4, title: t, checks: [{name: missing}]}
        - {id: a-5, title: t, mode: manual, checks: [{name: not-privileged}]}
";

fn guard<T: serde::de::DeserializeOwned>(yaml: &str) -> DeserializeGuard<T> {
    let mut documents = yagura_crds::source::read("fixture.yaml", yaml);
    assert_eq!(documents.faults, []);
    let object = match documents.documents.remove(0).object {
        yagura_crds::source::Object::PostureCheck(check) => serde_json::to_value(check),
        yagura_crds::source::Object::PostureFramework(framework) => serde_json::to_value(framework),
        yagura_crds::source::Object::DetectionRule(rule) => serde_json::to_value(rule),
        other => panic!("{} ships", other.kind()),
    };
    DeserializeGuard(Ok(serde_json::from_value(object.unwrap()).unwrap()))
}

/// Posture with all of the above.
fn work(open: Vec<SecuritySignal>) -> Work {
    let mut work = Work::new(open);
    for check in [PRIVILEGED, KUBELET, ROLES] {
        assert!(work.catalog.apply_check(&guard::<PostureCheck>(check)));
    }
    assert!(work.catalog.apply_framework(guard::<PostureFramework>(FRAMEWORK)));
    assert_eq!(work.reload().len(), 3);
    work
}

fn pod(uid: &str, namespace: &str, deployment: &str, privileged: Option<bool>) -> Pod {
    serde_json::from_value(json!({
        "metadata": {
            "name": format!("{deployment}-6f-{uid}"), "namespace": namespace, "uid": uid,
            "labels": {"pod-template-hash": "6f"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{deployment}-6f"), "uid": "o", "controller": true}],
        },
        "spec": {"containers": [{"name": "main", "image": "i", "securityContext": {"privileged": privileged}}]},
        "status": {"phase": "Running"},
    }))
    .unwrap()
}

fn apply(work: &mut Work, pod: &Pod) {
    let active = work.active().clone();
    work.pod(pod, &active);
}

fn at(second: i64) -> Timestamp {
    Timestamp(second * 1_000_000_000)
}

/// What signals are told of a check, as (scope, failing).
fn told(outcome: &Outcome, check: &str) -> Vec<(String, u64)> {
    let mut told: Vec<(String, u64)> = outcome
        .signals
        .iter()
        .filter(|(name, _)| name == check)
        .map(|(_, change)| {
            let scope = match &change.scope {
                Scope::Cluster => "cluster".to_owned(),
                Scope::Namespace(name) => name.clone(),
            };
            (scope, change.failing)
        })
        .collect();
    told.sort();
    told
}

fn expect(scopes: &[(&str, u64)]) -> Vec<(String, u64)> {
    scopes
        .iter()
        .map(|(scope, failing)| ((*scope).to_owned(), *failing))
        .collect()
}

#[test]
fn the_first_evaluation_is_summed_up_and_later_failures_open_in_their_namespace() {
    let mut work = work(Vec::new());
    apply(&mut work, &pod("u1", "shop", "cart", Some(true)));
    apply(&mut work, &pod("u2", "shop", "web", None));
    let first = work.settle(at(1));
    assert_eq!(told(&first, "not-privileged"), expect(&[("cluster", 1)]));
    let change = &first
        .signals
        .iter()
        .find(|(name, _)| name == "not-privileged")
        .unwrap()
        .1;
    assert_eq!(change.controls, ["base/a-1", "base/a-5"]);
    assert_eq!(change.resources[0].owner.as_deref(), Some("Deployment/cart"));
    assert_eq!(
        change.resources[0].evidence["resource.securityContext.privileged"],
        "true"
    );
    assert!(
        told(&first, "no-wildcards").is_empty(),
        "low is below the framework's limit"
    );

    apply(&mut work, &pod("u3", "bank", "vault", Some(true)));
    assert_eq!(
        told(&work.settle(at(2)), "not-privileged"),
        expect(&[("bank", 1)])
    );
    assert!(work.settle(at(3)).signals.is_empty(), "nothing changed");
    // A rollout of the same Deployment is nothing new, in the sum as in the namespace.
    apply(&mut work, &pod("u4", "bank", "vault", Some(true)));
    apply(&mut work, &pod("u5", "shop", "cart", Some(true)));
    work.pod_gone("u3");
    work.pod_gone("u1");
    let rolled = work.settle(at(4));
    let counts: Vec<u64> = rolled.signals.iter().map(|(_, change)| change.failing).collect();
    assert_eq!(counts, [1, 1], "other pods to show, as many resources");
    // Deleted, and changed to pass: both resolve.
    work.pod_gone("u4");
    apply(&mut work, &pod("u5", "shop", "cart", Some(false)));
    let resolved = work.settle(at(5));
    assert_eq!(
        told(&resolved, "not-privileged"),
        expect(&[("bank", 0), ("cluster", 0)])
    );
    let shown = |change: &PostureChange| change.resources.len();
    assert!(
        resolved.signals.iter().all(|(_, change)| shown(change) == 1),
        "what it was about"
    );
    // Failing again after it passed is no baseline any more.
    apply(&mut work, &pod("u5", "shop", "cart", Some(true)));
    assert_eq!(
        told(&work.settle(at(6)), "not-privileged"),
        expect(&[("shop", 1)])
    );
    // A pod that has ended is as good as gone.
    let mut ended = pod("u5", "shop", "cart", Some(true));
    ended.status.as_mut().unwrap().phase = Some("Failed".to_owned());
    apply(&mut work, &ended);
    assert_eq!(
        told(&work.settle(at(7)), "not-privileged"),
        expect(&[("shop", 0)])
    );
}

#[test]
fn a_resource_in_an_open_signal_stays_there_when_the_operator_starts_anew() {
    let open: SecuritySignal = serde_json::from_value(json!({
        "apiVersion": "yagura.dev/v1alpha1", "kind": "SecuritySignal",
        "metadata": {"name": "s", "namespace": "bank"},
        "spec": {
            "rule": {"kind": "PostureCheck", "name": "not-privileged", "uid": "c1", "generation": 1},
            "source": "posture", "group": {"scope": "namespace/bank"}, "opened": "2026-11-24T12:00:00Z",
        },
        "status": {
            "severity": "critical", "severityRank": 5, "count": 2,
            "firstSeen": "2026-11-24T12:00:00Z", "lastSeen": "2026-11-24T12:00:00Z",
            "resources": [
                {"kind": "Container", "namespace": "bank", "name": "main", "owner": "Deployment/vault"},
                {"kind": "Container", "namespace": "bank", "name": "main", "owner": "Deployment/gone"},
            ],
        },
    }))
    .unwrap();
    let mut work = work(vec![open]);
    apply(&mut work, &pod("u1", "bank", "vault", Some(true)));
    apply(&mut work, &pod("u2", "shop", "cart", Some(true)));
    assert_eq!(
        told(&work.settle(at(1)), "not-privileged"),
        expect(&[("bank", 1), ("cluster", 1)])
    );
}

#[test]
fn an_unwritten_signal_is_told_again_even_when_it_resolves() {
    let mut work = work(Vec::new());
    work.settle(at(1));
    apply(&mut work, &pod("u1", "bank", "vault", Some(true)));
    work.settle(at(2));
    work.pod_gone("u1");
    assert_eq!(
        told(&work.settle(at(3)), "not-privileged"),
        expect(&[("bank", 0)])
    );
    work.untold("not-privileged", &Scope::Namespace("bank".to_owned()));
    assert_eq!(
        told(&work.settle(at(4)), "not-privileged"),
        expect(&[("bank", 0)])
    );
    assert!(work.settle(at(5)).signals.is_empty());
}

fn facts(anonymous: &str) -> NodeFacts {
    NodeFacts {
        node: "n1".into(),
        kubelet: Known::Present(Kubelet {
            flags: vec![("anonymous-auth".into(), anonymous.into())],
            config_path: Known::Absent,
            config: Known::Absent,
        }),
        files: Vec::new(),
    }
}

/// Judges the nodes that must be; how many those are.
fn judge_nodes(work: &mut Work, index: &Index, now: Timestamp) -> usize {
    let changed = work.changed_nodes(index, now);
    let count = changed.len();
    for node in changed {
        work.node(node);
    }
    count
}

#[test]
fn what_a_silent_node_said_becomes_an_error_and_resolves_nothing() {
    let mut work = work(Vec::new());
    let mut index = Index::new(1);
    let session = index.nodes.open("n1", Call::Subscribe, at(1));
    index.nodes.facts("n1", facts("true"), at(1));
    assert_eq!(judge_nodes(&mut work, &index, at(2)), 1);
    let first = work.settle(at(2));
    assert_eq!(told(&first, "anonymous"), expect(&[("cluster", 1)]));
    index.nodes.facts("n1", facts("true"), at(2));
    let again = judge_nodes(&mut work, &index, at(3));
    assert_eq!(again, 0, "the same facts are judged once");

    index.nodes.close("n1", Call::Subscribe, session.id);
    assert_eq!(judge_nodes(&mut work, &index, at(300)), 0);
    assert_eq!(judge_nodes(&mut work, &index, at(700)), 1);
    let silent = work.settle(at(700));
    assert!(told(&silent, "anonymous").is_empty());
    let status = &silent
        .checks
        .iter()
        .find(|(name, _)| name == "anonymous")
        .unwrap()
        .1;
    let results = status.results.unwrap();
    assert_eq!((results.pass, results.fail, results.error), (0, 0, 1));

    index.nodes.open("n1", Call::Subscribe, at(800));
    index.nodes.facts("n1", facts("false"), at(800));
    assert_eq!(judge_nodes(&mut work, &index, at(801)), 1);
    assert_eq!(
        told(&work.settle(at(801)), "anonymous"),
        expect(&[("cluster", 0)])
    );
    index.nodes.delete("n1");
    assert_eq!(judge_nodes(&mut work, &index, at(802)), 0);
    let gone = work.settle(at(802));
    let (_, status) = gone.checks.iter().find(|(name, _)| name == "anonymous").unwrap();
    assert_eq!(status.results.unwrap().pass, 0);
}

#[test]
fn what_a_node_failed_stays_a_signal_until_it_speaks_to_an_operator_that_started_anew() {
    let open = || -> SecuritySignal {
        serde_json::from_value(json!({
            "apiVersion": "yagura.dev/v1alpha1", "kind": "SecuritySignal",
            "metadata": {"name": "s", "namespace": "sec"},
            "spec": {
                "rule": {"kind": "PostureCheck", "name": "anonymous", "uid": "c2", "generation": 1},
                "source": "posture", "group": {"scope": "cluster"}, "opened": "2026-11-24T12:00:00Z",
            },
            "status": {
                "severity": "high", "severityRank": 4, "count": 2,
                "firstSeen": "2026-11-24T12:00:00Z", "lastSeen": "2026-11-24T12:00:00Z",
                "resources": [{"kind": "Kubelet", "name": "n1"}, {"kind": "Kubelet", "name": "gone"}],
            },
        }))
        .unwrap()
    };
    let mut index = Index::new(1);
    index.policy.apply_node("n1", std::collections::BTreeMap::new());
    assert!(index.policy.nodes().is_none(), "there may be more");
    index.policy.nodes_are_listed();

    for (anonymous, news) in [("true", expect(&[])), ("false", expect(&[("cluster", 0)]))] {
        let mut work = work(vec![open()]);
        judge_nodes(&mut work, &index, at(1));
        let first = work.settle(at(1));
        assert_eq!(
            told(&first, "anonymous"),
            expect(&[("cluster", 1)]),
            "one node is gone"
        );
        assert!(told(&work.settle(at(2)), "anonymous").is_empty());

        index.nodes.open("n1", Call::Subscribe, at(3));
        judge_nodes(&mut work, &index, at(3));
        assert!(
            told(&work.settle(at(3)), "anonymous").is_empty(),
            "it has not said anything yet"
        );
        index.nodes.facts("n1", facts(anonymous), at(4));
        judge_nodes(&mut work, &index, at(4));
        assert_eq!(told(&work.settle(at(4)), "anonymous"), news, "{anonymous}");
        index.nodes.delete("n1");
    }
}

#[test]
fn a_framework_counts_controls_and_never_lets_an_unknown_pass() {
    let mut work = work(Vec::new());
    apply(&mut work, &pod("u1", "shop", "cart", Some(true)));
    apply(&mut work, &pod("u2", "shop", "web", None));
    let role: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "reader", "uid": "r1"}, "rules": [{"verbs": ["get"], "resources": ["pods"], "apiGroups": [""]}],
    }))
    .unwrap();
    let active = work.active().clone();
    work.object(ResourceType::ClusterRole, "ClusterRole", &role, &active);
    let outcome = work.settle(at(1_000));
    let status = outcome.frameworks[0].1.clone();
    let controls = status.controls.unwrap();
    // a-1 fails, a-2 has no node to speak about, a-3 passes, a-4's check is missing, a-5 is manual.
    assert_eq!(
        (
            controls.pass,
            controls.fail,
            controls.manual,
            controls.error,
            controls.not_applicable
        ),
        (1, 1, 1, 1, 1)
    );
    // critical (10) half passing, low (1) passing, missing (info, 0.5) nothing: 6 of 11.5.
    assert_eq!(status.score, Some(52.2));
    let coverage = status.coverage.unwrap();
    assert_eq!((coverage.automated, coverage.of), (3, 5));
    assert_eq!(status.conditions[0].reason, "ChecksMissing");
    assert!(status.conditions[0].message.ends_with("missing"));

    work.framework_written("base", status);
    assert!(work.settle(at(1_100)).frameworks.is_empty(), "nothing changed");
    let later = work.settle(at(1_601));
    assert_eq!(
        later.frameworks.len(),
        1,
        "after ten minutes the time of evaluation follows"
    );
}

#[test]
fn a_check_follows_the_lists_that_it_names() {
    use yagura_rules::{ListType, Lists, NamedList};

    let mut work = work(Vec::new());
    let lists = |values: &[&str]| {
        let list = NamedList::new(ListType::String, values.iter().copied()).unwrap();
        Lists::builtin().with("ours", list)
    };
    let with_list = PRIVILEGED.replace("generation: 1", "generation: 2").replace(
        "appliesWhen: resource.pod.metadata.namespace != 'kube-system'",
        "appliesWhen: '!(resource.pod.metadata.namespace in lists[\"ours\"])'",
    );
    let accepted = |work: &mut Work| {
        let check = work.settle(at(9)).checks.into_iter();
        let mut status = check.filter(|(name, _)| name == "not-privileged");
        let condition = status.next().unwrap().1.conditions.remove(0);
        (condition.status, condition.reason, condition.message)
    };
    assert!(work.catalog.apply_check(&guard(&with_list)));
    assert!(work.reload().is_empty());
    let (status, reason, message) = accepted(&mut work);
    assert_eq!((&*status, &*reason), ("False", "ListUnavailable"));
    assert!(message.contains("unknown list"), "{message}");

    assert!(work.catalog.relist(lists(&["shop"])));
    let fresh = work.reload();
    assert!(fresh.keys().eq(["not-privileged"]));
    work.pod(&pod("u1", "shop", "cart", Some(true)), &fresh);
    work.pod(&pod("u2", "bank", "vault", Some(true)), &fresh);
    assert_eq!(
        told(&work.settle(at(2)), "not-privileged"),
        expect(&[("cluster", 1)])
    );
    assert_eq!(work.catalog.list_uses()["not-privileged"].len(), 1);

    // Lists that it does not name, or the same values again, evaluate nothing anew.
    let others = NamedList::new(ListType::String, ["x"]).unwrap();
    assert!(!work.catalog.relist(lists(&["shop"]).with("others", others)));
    assert!(work.catalog.relist(lists(&["shop", "bank"])));
    let fresh = work.reload();
    work.pod(&pod("u2", "bank", "vault", Some(true)), &fresh);
    work.pod(&pod("u1", "shop", "cart", Some(true)), &fresh);
    assert_eq!(
        told(&work.settle(at(3)), "not-privileged"),
        expect(&[("cluster", 0)])
    );

    assert!(work.catalog.relist(Lists::builtin()));
    assert!(work.reload().is_empty());
    assert_eq!(accepted(&mut work).1, "ListUnavailable");
}

#[test]
fn a_changed_check_is_evaluated_anew_and_a_broken_one_says_where() {
    let mut work = work(Vec::new());
    apply(&mut work, &pod("u1", "shop", "cart", None));
    work.settle(at(1));
    let stricter = PRIVILEGED
        .replace("generation: 1", "generation: 2")
        .replace("!= true", "== false");
    assert!(work.catalog.apply_check(&guard(&stricter)));
    assert!(
        !work.catalog.apply_check(&guard(&stricter)),
        "the same edit again"
    );
    let fresh = work.reload();
    assert_eq!(fresh.keys().collect::<Vec<_>>(), ["not-privileged"]);
    work.pod(&pod("u1", "shop", "cart", None), &fresh);
    assert_eq!(
        told(&work.settle(at(2)), "not-privileged"),
        expect(&[("cluster", 1)]),
        "a new baseline"
    );

    let broken = PRIVILEGED
        .replace("generation: 1", "generation: 3")
        .replace("!= true", "!= ");
    work.catalog.apply_check(&guard(&broken));
    assert!(work.reload().is_empty());
    let outcome = work.settle(at(3));
    let status = &outcome
        .checks
        .iter()
        .find(|(name, _)| name == "not-privileged")
        .unwrap()
        .1;
    assert_eq!(status.conditions[0].reason, "InvalidCondition");
    assert!(
        status.conditions[0].message.contains("spec.pass:1:"),
        "{}",
        status.conditions[0].message
    );
    assert_eq!(status.results, None);
    assert!(outcome.signals.is_empty(), "a broken check resolves nothing");
}

#[test]
fn containers_of_every_kind_are_judged_and_a_file_that_is_unknown_stays_unknown() {
    let mut many = pod("u1", "shop", "cart", None);
    let extra = json!({"name": "x", "image": "i", "securityContext": {"privileged": true}});
    let spec = many.spec.as_mut().unwrap();
    spec.init_containers = Some(vec![serde_json::from_value(extra.clone()).unwrap()]);
    spec.ephemeral_containers = Some(vec![serde_json::from_value(extra).unwrap()]);
    let resources = super::resources::of_pod(&many);
    let kinds: Vec<_> = resources
        .iter()
        .map(|resource| resource.shown.kind.as_str())
        .collect();
    assert_eq!(kinds, ["Pod", "Container", "Container", "Container"]);
    assert_eq!(
        resources[1].tree.at("pod.metadata.namespace"),
        Some(&Tree::from("shop"))
    );
    assert_eq!(resources[1].tree.at("pod.spec.containers"), None);

    let file = |stat| NodeFacts {
        node: "n1".into(),
        kubelet: Known::Absent,
        files: vec![FileFact {
            key: "kubelet-config".into(),
            path: "/k".into(),
            stat,
        }],
    };
    let mode = |stat, stale| {
        let resources = super::resources::of_node(&file(stat), stale);
        resources[0].tree.get(b"mode").cloned()
    };
    let known = Known::Present(FileStat {
        mode: 0o600,
        ..FileStat::default()
    });
    assert_eq!(mode(known.clone(), false), Some(Tree::Int(0o600)));
    assert_eq!(mode(known, true), Some(Tree::Unknown));
    assert_eq!(mode(Known::Unknown, false), Some(Tree::Unknown));
    assert_eq!(mode(Known::Absent, false), None);
}
