//! Signals as a real API server takes them: with hostile content, and when their namespace is gone.

use std::sync::Arc;

use clap::Parser;
use jiff::SignedDuration;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::{Condition, await_condition};
use kube::{Api, Client, CustomResourceExt};
use serde_json::json;
use tokio::time::{Duration, sleep, timeout};
use tokio_util::sync::CancellationToken;
use yagura_crds::SecuritySignal;
use yagura_event::{Fold, GroupKey, Record, Severity, Text, Timestamp, Tree};
use yagura_operator::args::Args;
use yagura_operator::budget::WriteBudget;
use yagura_operator::context::Context;
use yagura_operator::index::pods::{ContainerRecord, PodRecord};
use yagura_operator::index::policy::{RuleMeta, ServedRule};
use yagura_operator::index::{Index, SharedIndex};
use yagura_operator::metrics::Metrics;
use yagura_operator::signals::{self, Ledger, Placement, place};
use yagura_operator::tls::{Authority, Identity, names};
use yagura_proto::content::seal;
use yagura_proto::v1::RuleBody;
use yagura_store::signals::{Entry, Incoming, Limits, SignalStore};
use yagura_telemetry::{Readiness, Registry};

use crate::namespace::{SOON, with_namespace};

pub(crate) fn context(client: &Client, home: &str) -> Context {
    let args = Args::parse_from(["x", "--namespace", home, "--pod-name", "op"]);
    let (now, day) = (jiff::Timestamp::now(), SignedDuration::from_hours(24));
    let leaf = Authority::generate(now, day)
        .unwrap()
        .issue(names(&args), now, day)
        .unwrap();
    let metrics = Metrics::new(&mut Registry::default());
    let store = SignalStore::in_memory(Limits::default()).unwrap();
    Context {
        client: client.clone(),
        index: SharedIndex::new(Index::new(0)),
        signals: Ledger::new(store, home, metrics.clone()),
        writes: WriteBudget::new(100),
        identity: Identity::new(leaf).unwrap(),
        readiness: Readiness::default(),
        stop: CancellationToken::new(),
        args: Arc::new(args),
        metrics,
    }
}

/// A rule, a node and a pod in `namespace`, and a match of it full of what a process may choose.
pub(crate) fn hostile(context: &Context, namespace: &str, rule: &str) -> Vec<Incoming> {
    let mut index = context.index.write();
    index.policy.apply_node("n1", std::collections::BTreeMap::new());
    index.policy.apply_rule(ServedRule {
        meta: Arc::new(RuleMeta {
            kind: "DetectionRule",
            uid: format!("uid-{rule}"),
            name: rule.into(),
            generation: 1,
            severity: Severity::Critical,
            source: "workload".into(),
            title: "Title".into(),
            description: "d\u{1}é".repeat(10_000),
            remediation: "r".repeat(20_000),
            attack: vec![("TA0002".into(), Some("T1059.004".into()))],
            lifetime: yagura_store::signals::Lifetime::default(),
            windows: None,
        }),
        body: Arc::new(seal(RuleBody {
            uid: format!("uid-{rule}"),
            ..RuleBody::default()
        })),
        lists: Vec::new(),
        nodes: kube::core::Selector::default(),
    });
    index.pods.apply(PodRecord {
        uid: "p1".into(),
        name: "cart".into(),
        namespace: namespace.into(),
        node: "n1".into(),
        live: true,
        containers: vec![ContainerRecord {
            id: "c1".into(),
            name: "cart".into(),
            ..ContainerRecord::default()
        }],
        ..PodRecord::default()
    });
    let long = vec![b'\xf0'; 30 * 1_024];
    let args = [&b"\xff\xfe\n\r\x1b[2J"[..], &long, "\u{202e}".as_bytes()];
    let args = args.map(|arg| Tree::Text(Text::from(arg)));
    let fields = Tree::map([
        (
            "process".into(),
            Tree::map([("args".into(), Tree::List(args.into()))]),
        ),
        ("container".into(), Tree::map([("id".into(), "c1".into())])),
    ]);
    let fold = Fold {
        rule: format!("uid-{rule}"),
        rule_hash: String::new(),
        group: GroupKey(vec![
            ("container.id".into(), "c1".into()),
            ("process.args".into(), Text::from(&[b'\x80'; 9_000][..]).into()),
        ]),
        title: "t\u{7}".repeat(2_000),
        count: 3,
        first: Timestamp(1_700_000_000_123_456_789),
        last: Timestamp(1_700_000_001_000_000_000),
        samples: vec![
            Record {
                time: Timestamp(1_700_000_000_123_456_789),
                fields,
            };
            3
        ],
        incomplete: true,
        pending: false,
        case: None,
    };
    let from = Placement {
        node: "n1",
        home: context.signals.home(),
        now: signals::now(),
    };
    let found = place(&fold, &index, from).unwrap();
    vec![Incoming {
        sequence: 1,
        further: 0,
        entry: Entry::Match(Box::new(found)),
    }]
}

/// Runs a test where signals can be written, and leaves the cluster without the custom resource if
/// it was without.
pub(crate) async fn with_signals<F>(test: impl FnOnce(Client, String) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let client = Client::try_default().await.expect("KUBECONFIG names a cluster");
    let crds: Api<CustomResourceDefinition> = Api::all(client);
    let crd = SecuritySignal::crd();
    let name = crd.metadata.name.clone().unwrap();
    let made = crds.get_opt(&name).await.unwrap().is_none();
    if made {
        crds.create(&PostParams::default(), &crd).await.unwrap();
        let established = await_condition(crds.clone(), &name, is_crd_established());
        timeout(SOON, established).await.unwrap().unwrap();
    }
    with_namespace(test).await;
    if made {
        crds.delete(&name, &DeleteParams::default()).await.unwrap();
        let gone = await_condition(crds, &name, is_deleted_or_none());
        timeout(SOON, gone).await.unwrap().unwrap();
    }
}

fn is_deleted_or_none() -> impl Condition<CustomResourceDefinition> {
    |found: Option<&CustomResourceDefinition>| found.is_none()
}

pub(crate) async fn the_signal(client: &Client, namespace: &str) -> SecuritySignal {
    let api: Api<SecuritySignal> = Api::namespaced(client.clone(), namespace);
    loop {
        let mut found = api.list(&ListParams::default()).await.unwrap().items;
        match found.pop() {
            Some(signal) if signal.status.is_some() => return signal,
            _ => sleep(Duration::from_millis(50)).await,
        }
    }
}

#[tokio::test]
#[ignore = "needs a cluster; cargo xtask test runs it"]
async fn hostile_content_is_taken_counted_on_and_triaged_apiserver() {
    with_signals(|client, namespace| async move {
        let context = context(&client, &namespace);
        let writer = tokio::spawn(signals::write(context.clone()));
        let triage = tokio::spawn(signals::watch_triage(context.clone()));
        let mut records = hostile(&context, &namespace, "test-rule");
        let apply = |records: Vec<Incoming>| context.signals.apply("spool".into(), "n1".into(), records);
        apply(records.clone()).await.unwrap();
        let signal = the_signal(&client, &namespace).await;
        let status = signal.status.clone().unwrap();
        assert_eq!(status.count, 3);
        assert!(serde_json::to_vec(&signal).unwrap().len() <= 32 * 1_024);

        // People write triage; the operator's writes leave it alone.
        let api: Api<SecuritySignal> = Api::namespaced(client.clone(), &namespace);
        let name = signal.metadata.name.clone().unwrap();
        let archive = json!({"spec": {"triage": {"state": "archived", "reason": "testing"}}});
        let params = PatchParams::default();
        api.patch(&name, &params, &Patch::Merge(&archive)).await.unwrap();
        let uid = signal.spec.rule.uid.clone();
        while context.signals.summary(uid.clone()).await.unwrap().open > 0 {
            sleep(Duration::from_millis(20)).await;
        }
        records[0].sequence = 2;
        apply(records.clone()).await.unwrap();
        let second = loop {
            let found = api.list(&ListParams::default()).await.unwrap().items;
            let other = found
                .into_iter()
                .find(|s| s.metadata.name.as_ref() != Some(&name));
            match other {
                Some(signal) if signal.status.is_some() => break signal,
                _ => sleep(Duration::from_millis(50)).await,
            }
        };
        let previous = second.status.unwrap().previous;
        assert_eq!(previous, Some(format!("{namespace}/{name}")));
        let first = api.get(&name).await.unwrap();
        assert_eq!(serde_json::to_value(first.spec.triage.state).unwrap(), "archived");

        // A deletion counts as triage.
        let second = second.metadata.name.unwrap();
        api.delete(&second, &DeleteParams::default()).await.unwrap();
        while context.signals.summary(uid.clone()).await.unwrap().open > 0 {
            sleep(Duration::from_millis(20)).await;
        }

        // What an empty store reads back is what was written.
        let again = self::context(&client, &namespace);
        signals::seed(&client, &again.signals).await.unwrap();
        assert!(again.signals.summary(uid).await.unwrap().last.is_some());
        context.stop.cancel();
        writer.await.unwrap().unwrap();
        triage.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a cluster; cargo xtask test runs it"]
async fn a_signal_whose_namespace_is_gone_goes_to_the_operators_apiserver() {
    with_signals(|client, namespace| async move {
        let context = context(&client, &namespace);
        let writer = tokio::spawn(signals::write(context.clone()));
        let gone = format!("{namespace}-gone");
        let records = hostile(&context, &gone, "test-rule");
        context
            .signals
            .apply("spool".into(), "n1".into(), records)
            .await
            .unwrap();
        let signal = the_signal(&client, &namespace).await;
        context.stop.cancel();
        writer.await.unwrap().unwrap();
        assert_eq!(signal.status.unwrap().origin_namespace, Some(gone));
    })
    .await;
}
