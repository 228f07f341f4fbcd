//! Shipped content through versions, people's edits and an uninstall.

use std::fmt::Debug;

use clap::Parser;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, CustomResourceExt as _, ResourceExt as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Duration, sleep, timeout};
use yagura_crds::{DetectionRule, NodeSensor, PostureCheck, PostureFramework, Severity};
use yagura_operator::args::{Args, Command};
use yagura_operator::content::{self, Bundle, LABEL, Packs};
use yagura_operator::context::Context;
use yagura_operator::uninstall::uninstall;

use crate::namespace::{SOON, create, with_namespace};
use crate::written::context;

/// What is not otherwise waited for.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs a test with the definitions of what ships, and takes away those that were not there.
async fn with_definitions<F>(test: impl FnOnce(Client, String) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let client = Client::try_default().await.expect("KUBECONFIG names a cluster");
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let mut made = Vec::new();
    for definition in [
        DetectionRule::crd(),
        PostureCheck::crd(),
        PostureFramework::crd(),
        NodeSensor::crd(),
    ] {
        let name = definition.name_any();
        if definitions.get_opt(&name).await.unwrap().is_none() {
            definitions
                .create(&PostParams::default(), &definition)
                .await
                .unwrap();
            let established = await_condition(definitions.clone(), &name, is_crd_established());
            timeout(SOON, established).await.unwrap().unwrap();
            made.push(name);
        }
    }
    with_namespace(test).await;
    for name in made {
        definitions.delete(&name, &DeleteParams::default()).await.unwrap();
        while definitions.get_opt(&name).await.unwrap().is_some() {
            sleep(PAUSE).await;
        }
    }
}

/// Names of a test's objects begin with its namespace's.
struct Names {
    stem: String,
}

impl Names {
    fn of(&self, what: &str) -> String {
        format!("{}-{what}", self.stem)
    }

    fn rule(&self, what: &str, condition: &str) -> String {
        format!(
            "---\napiVersion: yagura.dev/v1alpha1\nkind: DetectionRule\nmetadata: {{name: {}}}\nspec:\n  title: t\n  \
             severity: high\n  condition: '{condition}'\n  tests:\n    - {{name: n, events: [{{kind: process.exec, \
             process: {{tty: null}}}}], expect: {{signals: 1}}}}\n",
            self.of(what)
        )
    }

    fn posture(&self) -> String {
        format!(
            "---\napiVersion: yagura.dev/v1alpha1\nkind: PostureCheck\nmetadata: {{name: {0}}}\n\
             spec: {{title: t, severity: low, resource: k8s.pod, pass: 'true'}}\n---\n\
             apiVersion: yagura.dev/v1alpha1\nkind: PostureFramework\nmetadata: {{name: {0}}}\nspec: {{title: t, \
             version: '1', requirements: [{{id: a, title: t, controls: [{{id: b, title: t, checks: [{{name: {0}}}]}}]}}]}}\n",
            self.of("posture")
        )
    }

    fn first(&self) -> Bundle {
        let rules = [
            self.rule("changed", "1 == 1"),
            self.rule("dropped", "2 == 2"),
            self.rule("users", "3 == 3"),
        ];
        bundle(&[rules.concat(), self.posture()].concat())
    }

    /// One changed, one removed, one new.
    fn second(&self) -> Bundle {
        let rules = [
            self.rule("changed", "1 == 10"),
            self.rule("users", "3 == 30"),
            self.rule("new", "4 == 4"),
        ];
        bundle(&[rules.concat(), self.posture()].concat())
    }
}

fn bundle(text: &str) -> Bundle {
    Bundle::read([("bundle.yaml", text)]).unwrap()
}

/// An operator that keeps a bundle.
struct Running {
    context: Context,
    task: JoinHandle<()>,
}

impl Running {
    fn start(client: &Client, home: &str, bundle: Bundle) -> Self {
        let context = context(client, home);
        let task = tokio::spawn(content::run(context.clone(), bundle));
        Self { context, task }
    }

    fn writes(&self, result: &'static str) -> u64 {
        self.context.metrics.content_writes.get([result])
    }

    async fn end(self) {
        self.context.stop.cancel();
        self.task.await.unwrap();
    }
}

type Rules = Api<DetectionRule>;

async fn eventually(rules: &Rules, name: &str, holds: impl Fn(Option<&DetectionRule>) -> bool) {
    let wait = async {
        loop {
            let found = rules.get_opt(name).await.unwrap();
            if holds(found.as_ref()) {
                return;
            }
            sleep(PAUSE).await;
        }
    };
    let found = timeout(Duration::from_secs(20), wait).await;
    assert!(
        found.is_ok(),
        "{name} stays {:?}",
        rules.get_opt(name).await.unwrap()
    );
}

fn shipped(condition: &str) -> impl Fn(Option<&DetectionRule>) -> bool {
    move |rule| {
        rule.is_some_and(|rule| {
            rule.spec.condition == condition
                && rule.labels().get(LABEL).is_some_and(|pack| pack == "workload")
        })
    }
}

async fn edit(rules: &Rules, name: &str, change: Value) {
    let params = PatchParams {
        field_manager: Some("kubectl-edit".to_owned()),
        ..PatchParams::default()
    };
    rules.patch(name, &params, &Patch::Merge(&change)).await.unwrap();
}

async fn revision(rules: &Rules, name: &str) -> Option<String> {
    rules.get(name).await.unwrap().resource_version()
}

/// Notes of Events about an object, which are removed.
async fn told(client: &Client, name: &str, reason: &str) -> Vec<String> {
    let events: Api<Event> = Api::namespaced(client.clone(), "default");
    let mut notes = Vec::new();
    for event in events.list(&ListParams::default()).await.unwrap() {
        let about = event
            .regarding
            .as_ref()
            .and_then(|regarding| regarding.name.as_deref());
        if about == Some(name) && event.reason.as_deref() == Some(reason) {
            notes.push(event.note.clone().unwrap_or_default());
            let removed = events.delete(&event.name_any(), &DeleteParams::default()).await;
            removed.unwrap();
        }
    }
    notes
}

async fn delete<K>(api: &Api<K>, name: &str)
where
    K: Clone + serde::de::DeserializeOwned + Debug,
{
    api.delete(name, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a cluster; cargo xtask test runs it"]
async fn the_users_part_of_shipped_content_stays_and_other_edits_are_taken_back_apiserver() {
    with_definitions(|client, home| async move {
        let names = Names { stem: home.clone() };
        let rules: Rules = Api::all(client.clone());
        let operator = Running::start(&client, &home, names.first());
        for (what, condition) in [("changed", "1 == 1"), ("dropped", "2 == 2"), ("users", "3 == 3")] {
            eventually(&rules, &names.of(what), shipped(condition)).await;
        }
        let frameworks: Api<PostureFramework> = Api::all(client.clone());
        while frameworks.get_opt(&names.of("posture")).await.unwrap().is_none() {
            sleep(PAUSE).await;
        }
        operator.end().await;

        // A restart writes nothing; what is edited afterwards shows that it has looked.
        let users = names.of("users");
        let before = revision(&rules, &names.of("changed")).await;
        let operator = Running::start(&client, &home, names.first());
        let part = json!({"enabled": false, "overrides": {"severity": "low"}});
        edit(&rules, &users, json!({"spec": part})).await;
        edit(
            &rules,
            &users,
            json!({"spec": {"condition": "true", "references": ["https://example.com"]}}),
        )
        .await;
        eventually(&rules, &users, |rule| {
            rule.is_some_and(|rule| rule.spec.condition == "3 == 3" && rule.spec.references.is_empty())
        })
        .await;
        let rule = rules.get(&users).await.unwrap();
        assert!(!rule.spec.enabled);
        assert_eq!(rule.spec.severity_in_effect(), Severity::Low);
        while operator.writes("reverted") == 0 {
            sleep(PAUSE).await;
        }
        assert_eq!(operator.writes("created") + operator.writes("updated"), 0);
        assert_eq!(operator.writes("reverted"), 1);
        assert_eq!(revision(&rules, &names.of("changed")).await, before);
        let notes = told(&client, &users, "EditReverted").await;
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(
            notes[0].starts_with("What kubectl-edit wrote to condition, references is taken back")
                && notes[0].contains("spec.overrides"),
            "{notes:?}"
        );

        // What somebody deletes is there again.
        let dropped = names.of("dropped");
        delete(&rules, &dropped).await;
        eventually(&rules, &dropped, shipped("2 == 2")).await;
        while operator.writes("created") == 0 {
            sleep(PAUSE).await;
        }
        assert_eq!(told(&client, &dropped, "Restored").await.len(), 1);
        operator.end().await;

        // Nothing is wanted any more.
        let operator = Running::start(&client, &home, names.first().selected(&Packs::default()));
        for what in ["changed", "dropped", "users"] {
            eventually(&rules, &names.of(what), |rule| rule.is_none()).await;
        }
        while operator.writes("removed") < 5 {
            sleep(PAUSE).await;
        }
        assert!(frameworks.get_opt(&names.of("posture")).await.unwrap().is_none());
        operator.end().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a cluster; cargo xtask test runs it"]
async fn upgrade_and_downgrade_change_what_ships_and_nothing_else_apiserver() {
    with_definitions(|client, home| async move {
        let names = Names { stem: home.clone() };
        let rules: Rules = Api::all(client.clone());
        let operator = Running::start(&client, &home, names.first());
        eventually(&rules, &names.of("users"), shipped("3 == 3")).await;
        eventually(&rules, &names.of("dropped"), shipped("2 == 2")).await;
        let users = names.of("users");
        edit(
            &rules,
            &users,
            json!({"spec": {"enabled": false, "overrides": {"severity": "low"}}}),
        )
        .await;
        operator.end().await;

        // A rule of the user with a name that will ship, and a copy that kept the label.
        let mut own = rules.get(&users).await.unwrap();
        own.metadata = kube::api::ObjectMeta {
            name: Some(names.of("new")),
            ..Default::default()
        };
        "5 == 5".clone_into(&mut own.spec.condition);
        rules.create(&PostParams::default(), &own).await.unwrap();
        let mut copy = own.clone();
        copy.metadata.name = Some(names.of("copy"));
        copy.metadata.labels = Some([(LABEL.to_owned(), "workload".to_owned())].into());
        rules.create(&PostParams::default(), &copy).await.unwrap();
        let revisions = [
            revision(&rules, &names.of("new")).await,
            revision(&rules, &names.of("copy")).await,
        ];

        let operator = Running::start(&client, &home, names.second());
        eventually(&rules, &names.of("changed"), shipped("1 == 10")).await;
        eventually(&rules, &users, shipped("3 == 30")).await;
        eventually(&rules, &names.of("dropped"), |rule| rule.is_none()).await;
        let rule = rules.get(&users).await.unwrap();
        assert!(!rule.spec.enabled);
        assert_eq!(rule.spec.severity_in_effect(), Severity::Low);
        while operator.context.metrics.content_taken_names.get() == 0 {
            sleep(PAUSE).await;
        }
        assert_eq!(operator.writes("reverted"), 0);
        let untouched = || async {
            [
                revision(&rules, &names.of("new")).await,
                revision(&rules, &names.of("copy")).await,
            ]
        };
        assert_eq!(untouched().await, revisions);
        operator.end().await;

        let operator = Running::start(&client, &home, names.first());
        eventually(&rules, &names.of("changed"), shipped("1 == 1")).await;
        eventually(&rules, &names.of("dropped"), shipped("2 == 2")).await;
        eventually(&rules, &users, |rule| {
            rule.is_some_and(|rule| rule.spec.condition == "3 == 3" && !rule.spec.enabled)
        })
        .await;
        assert_eq!(untouched().await, revisions);
        operator.end().await;

        // Handed over, the shipped one takes its place.
        edit(
            &rules,
            &names.of("new"),
            json!({"metadata": {"labels": {LABEL: "workload"}}}),
        )
        .await;
        let operator = Running::start(&client, &home, names.second());
        eventually(&rules, &names.of("new"), shipped("4 == 4")).await;
        assert_eq!(operator.context.metrics.content_taken_names.get(), 0);
        operator.end().await;

        uninstalled(&client, &home, &names).await;
        delete(&rules, &names.of("copy")).await;
    })
    .await;
}

/// What the operator made goes, the copy stays; twice, because an uninstall may be tried again.
async fn uninstalled(client: &Client, home: &str, names: &Names) {
    let sensors: Api<NodeSensor> = Api::all(client.clone());
    let sensor = json!({
        "apiVersion": "yagura.dev/v1alpha1", "kind": "NodeSensor", "metadata": {"name": names.of("node")}, "spec": {},
    });
    let sensor = serde_json::from_value(sensor).unwrap();
    sensors.create(&PostParams::default(), &sensor).await.unwrap();
    let _: Lease = create(
        client,
        home,
        json!({"metadata": {"name": "yagura-operator"}, "spec": {}}),
    )
    .await;
    let args = Args::parse_from(["x", "--namespace", home, "--pod-name", "p", "uninstall"]);
    let Some(Command::Uninstall(what)) = &args.command else {
        panic!("it was asked for")
    };
    for _ in 0..2 {
        uninstall(client, &args, what).await.unwrap();
    }
    let rules: Rules = Api::all(client.clone());
    let left: Vec<String> = rules
        .list(&ListParams::default())
        .await
        .unwrap()
        .iter()
        .map(kube::ResourceExt::name_any)
        .filter(|name| name.starts_with(&names.stem))
        .collect();
    assert_eq!(left, [names.of("copy")]);
    assert!(sensors.get_opt(&names.of("node")).await.unwrap().is_none());
    let leases: Api<Lease> = Api::namespaced(client.clone(), home);
    assert!(leases.get_opt("yagura-operator").await.unwrap().is_none());
}
