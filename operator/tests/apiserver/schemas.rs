//! The schemas on a real API server: what it refuses, fills in and shows.
//!
//! The definitions are installed under a group of their own, so that the test touches nothing that
//! is installed.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Error};
use serde_json::{Value, json};
use tokio::time::timeout;

mod detect;
mod marks;

const GROUP: &str = "schema-test.yagura.dev";
const NAMESPACE: &str = "default";
const DEADLINE: Duration = Duration::from_mins(1);

#[tokio::test]
#[ignore = "needs an API server"]
async fn schemas_hold_apiserver() {
    let client = Client::try_default().await.unwrap();
    let crds = install(&client).await;
    let outcome = AssertUnwindSafe(async {
        rules(&client).await;
        detect::thresholds(&client).await;
        detect::new_values_and_sequences(&client).await;
        detect::correlations(&client).await;
        detect::anomalies(&client).await;
        marks::marks(&client).await;
        exceptions(&client).await;
        lists(&client).await;
        checks(&client).await;
        signals(&client).await;
        sensors(&client).await;
        notifications(&client).await;
        columns(&client).await;
    })
    .catch_unwind()
    .await;
    for crd in crds {
        Api::<CustomResourceDefinition>::all(client.clone())
            .delete(&crd, &DeleteParams::default())
            .await
            .unwrap();
    }
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

async fn install(client: &Client) -> Vec<String> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut names = Vec::new();
    for mut crd in yagura_crds::all() {
        let name = format!("{}.{GROUP}", crd.spec.names.plural);
        crd.metadata.name = Some(name.clone());
        GROUP.clone_into(&mut crd.spec.group);
        // Names of a group that others use, too, would be refused as taken.
        crd.spec.names.short_names = None;
        crd.spec.names.categories = None;
        api.patch(
            &name,
            &PatchParams::apply("schema-test").force(),
            &Patch::Apply(&crd),
        )
        .await
        .expect(&name);
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        timeout(DEADLINE, established).await.expect(&name).unwrap();
        names.push(name);
    }
    names
}

fn api(client: &Client, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: GROUP.to_owned(),
        version: yagura_crds::VERSION.to_owned(),
        api_version: format!("{GROUP}/{}", yagura_crds::VERSION),
        kind: kind.to_owned(),
        plural: format!("{}s", kind.to_lowercase()),
    };
    match kind {
        "SecuritySignal" | "Exception" => Api::namespaced_with(client.clone(), NAMESPACE, &resource),
        _ => Api::all_with(client.clone(), &resource),
    }
}

fn object(kind: &str, name: &str, spec: &Value) -> DynamicObject {
    let api_version = format!("{GROUP}/{}", yagura_crds::VERSION);
    let whole = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec});
    serde_json::from_value(whole).unwrap()
}

async fn create(client: &Client, kind: &str, name: &str, spec: &Value) -> DynamicObject {
    let created = post(client, kind, &object(kind, name, spec), "").await;
    created.expect(name)
}

/// The API server's reason for refusing an object.
async fn refusal(client: &Client, kind: &str, name: &str, spec: &Value) -> String {
    let refused = post(client, kind, &object(kind, name, spec), "&dryRun=All").await;
    match refused.expect_err("the schema refuses it") {
        Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Creates an object; members that the schema does not have are refused rather than dropped.
async fn post(
    client: &Client,
    kind: &str,
    object: &DynamicObject,
    options: &str,
) -> Result<DynamicObject, Error> {
    let path = api(client, kind).resource_url().to_owned();
    let request = http::Request::post(format!("{path}?fieldValidation=Strict{options}"))
        .header("Content-Type", "application/json")
        .body(serde_json::to_vec(object).unwrap())
        .unwrap();
    client.request(request).await
}

fn with(mut spec: Value, changes: &Value) -> Value {
    let members = spec.as_object_mut().unwrap();
    for (key, value) in changes.as_object().unwrap() {
        members.insert(key.clone(), value.clone());
    }
    spec
}

async fn rules(client: &Client) {
    let good = json!({"title": "t", "severity": "high", "condition": "true"});
    let tests = json!([{
        "name": "n",
        "events": [{"kind": "process.exec", "process": {"anything": [1, {"deep": null}]}}],
        "expect": {"signals": 1},
    }]);
    let created = create(
        client,
        "DetectionRule",
        "full",
        &with(good.clone(), &json!({"tests": tests})),
    )
    .await;
    let spec = &created.data["spec"];
    assert_eq!(
        (&spec["enabled"], &spec["source"]),
        (&json!(true), &json!("workload"))
    );
    assert_eq!(
        spec["tests"][0]["events"][0]["process"]["anything"][0], 1,
        "trees of tests are kept whole"
    );
    assert_eq!(spec["exceptable"], "cluster");
    let selector = |operator: &str, values: Value| json!({"where": {"podSelector": {"matchExpressions": [{"key": "k", "operator": operator, "values": values}]}}});
    let exception = json!({"name": "e", "condition": "true", "reason": "r"});
    let test = json!({"name": "n", "events": [{}], "expect": {"signals": 1}});
    let cases = [
        (json!({"severity": "urgent"}), "spec.severity"),
        (json!({"exceptable": "always"}), "spec.exceptable"),
        (json!({"condition": ""}), "spec.condition"),
        (json!({"condition": "x".repeat(65_537)}), "spec.condition"),
        (json!({"attack": [{"tactic": "T1"}]}), "spec.attack[0].tactic"),
        (
            json!({"signal": {"groupBy": ["a", "a"]}}),
            "spec.signal.groupBy[1]",
        ),
        (json!({"signal": {"cooldown": "1d"}}), "spec.signal.cooldown"),
        (
            json!({"signal": {"keepOpen": "2h", "maxDuration": "1h30m"}}),
            "keepOpen must not be longer than maxDuration",
        ),
        (
            json!({"signal": {"keepOpen": "25h"}}),
            "keepOpen must not be longer than maxDuration",
        ),
        (json!({"tests": [test, test]}), "spec.tests[1]"),
        (
            json!({"tests": [{"name": "t", "events": [{"kind": "k"}], "expect": {}}]}),
            "say what is expected",
        ),
        (
            json!({"tests": [{"name": "t", "events": [{"kind": "k"}],
                "expect": {"signals": 2, "securitySignals": [{"count": 1}]}}]}),
            "signals and securitySignals expect different numbers",
        ),
        (
            json!({"tests": [{"name": "t", "events": [{"kind": "k", "at": "soon"}], "expect": {"signals": 0}}]}),
            "spec.tests[0].events[0].at",
        ),
        (
            json!({"let": [{"name": "a-b", "value": "1"}]}),
            "spec.let[0].name",
        ),
        (
            json!({"overrides": {"severity": "urgent"}}),
            "spec.overrides.severity",
        ),
        (
            json!({"overrides": {"exceptions": [exception, exception]}}),
            "spec.overrides.exceptions[1]",
        ),
        (
            json!({"overrides": {"enabled": false}}),
            "unknown field \"spec.overrides.enabled\"",
        ),
        (json!({"actions": []}), "unknown field \"spec.actions\""),
        (selector("Near", json!(["v"])), "operator"),
        (selector("In", json!([])), "In and NotIn need values"),
        (
            selector("Exists", json!(["v"])),
            "Exists and DoesNotExist take none",
        ),
    ];
    for (change, expected) in cases {
        let message = refusal(client, "DetectionRule", "bad", &with(good.clone(), &change)).await;
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let message = refusal(client, "DetectionRule", &"n".repeat(64), &good).await;
    assert!(message.contains("at most 63 characters"), "{message}");
}

async fn checks(client: &Client) {
    let good = json!({"title": "t", "severity": "low", "resource": "k8s.pod", "pass": "true"});
    let created = create(client, "PostureCheck", "automated", &good).await;
    assert_eq!(created.data["spec"]["mode"], "automated");
    let manual = json!({"title": "t", "severity": "low", "resource": "k8s.pod", "mode": "manual"});
    create(
        client,
        "PostureCheck",
        "manual",
        &with(manual.clone(), &json!({"instructions": "look"})),
    )
    .await;
    let cases = [
        (
            json!({"title": "t", "severity": "low", "resource": "k8s.pod"}),
            "an automated check needs pass",
        ),
        (manual.clone(), "a manual check needs instructions"),
        (
            with(manual, &json!({"instructions": "i", "pass": "true"})),
            "a manual check has no pass",
        ),
        (with(good, &json!({"resource": "k8s.node"})), "spec.resource"),
    ];
    for (spec, expected) in cases {
        let message = refusal(client, "PostureCheck", "bad", &spec).await;
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let framework = json!({"title": "t", "version": "1", "requirements": [
        {"id": "1", "title": "t", "controls": [{"id": "1.1", "title": "t", "checks": [{"name": "automated"}]}]},
    ]});
    let created = create(client, "PostureFramework", "base", &framework).await;
    assert_eq!(created.data["spec"]["signals"]["minSeverity"], "medium");
    let message = refusal(
        client,
        "PostureFramework",
        "bad",
        &with(framework, &json!({"requirements": []})),
    )
    .await;
    assert!(message.contains("spec.requirements"), "{message}");
}

async fn signals(client: &Client) {
    let spec = json!({
        "rule": {"kind": "DetectionRule", "name": "r", "uid": "u", "generation": 1},
        "source": "workload", "group": {"container.id": "c"}, "opened": "2026-11-24T12:00:00Z",
    });
    let created = create(client, "SecuritySignal", "signal", &spec).await;
    assert_eq!(created.data["spec"]["triage"]["state"], "open");
    let api = api(client, "SecuritySignal");
    let patch = |change: Value| {
        let api = api.clone();
        async move {
            api.patch(
                "signal",
                &PatchParams::default(),
                &Patch::Merge(json!({"spec": change})),
            )
            .await
        }
    };
    patch(json!({"triage": {"state": "archived", "reason": "benign", "comment": "seen"}}))
        .await
        .unwrap();
    for (change, part) in [
        (json!({"rule": {"name": "other"}}), "rule"),
        (json!({"source": "posture"}), "source"),
        (json!({"group": {"container.id": "d"}}), "group"),
        (json!({"group": {"more": "d"}}), "group"),
        (json!({"opened": "2026-11-25T12:00:00Z"}), "opening"),
    ] {
        let error = patch(change).await.unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("never changes"), "{error}");
    }
    for state in [json!({"state": "done"}), json!({"reason": "bored"})] {
        assert!(patch(json!({"triage": state})).await.is_err());
    }
    let error = patch(json!({"triage": {"reason": null}}))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("an archived signal needs a reason"), "{error}");
    let status = json!({"status": {
        "title": "t", "severity": "high", "severityRank": 4, "count": 2, "resource": "Pod/cart",
        "firstSeen": "2026-11-24T12:00:00Z", "lastSeen": "2026-11-24T12:00:00Z",
    }});
    let written = api
        .patch_status("signal", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
    assert_eq!(written.data["status"]["count"], 2);
}

async fn sensors(client: &Client) {
    let mut sensor = object("NodeSensor", "node-1", &Value::Null);
    sensor.data = json!({});
    api(client, "NodeSensor")
        .create(&PostParams::default(), &sensor)
        .await
        .unwrap();
    let condition = json!({
        "type": "Ready", "status": "True", "reason": "Connected", "message": "",
        "lastTransitionTime": "2026-11-24T12:00:00Z", "observedGeneration": 1,
    });
    let status = json!({"status": {
        "conditions": [condition], "backend": "tracing", "kernel": "6.12", "dropped": 3,
        "policy": {"active": "abc"}, "rules": {"summary": "8/8"},
    }});
    let api = api(client, "NodeSensor");
    api.patch_status("node-1", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
}

async fn notifications(client: &Client) {
    let secret = json!({"secretKeyRef": {"name": "chat", "key": "url"}});
    let receiver = json!({"name": "chat", "slack": {"url": secret}});
    let created = create(
        client,
        "NotificationRoute",
        "ops",
        &json!({"receivers": [receiver]}),
    )
    .await;
    let spec = &created.data["spec"];
    assert_eq!(spec["enabled"], true);
    assert_eq!(spec["match"], json!({"minSeverity": "info"}));
    assert_eq!(
        spec["group"],
        json!({"by": ["rule", "namespace"], "wait": "5s", "interval": "5m"})
    );
    assert_eq!(spec["rateLimit"], json!({"messages": 30, "per": "10m"}));
    assert_eq!(spec["receivers"][0]["sendResolved"], true);
    let of = |receiver: Value| json!({"receivers": [receiver]});
    let mail = |more: &Value| {
        let mut mail = json!({"host": "mail", "from": "a@b.example", "to": ["c@d.example"]});
        for (key, value) in more.as_object().unwrap() {
            mail[key] = value.clone();
        }
        of(json!({"name": "m", "email": mail}))
    };
    let cases = [
        (json!({"receivers": []}), "spec.receivers"),
        (of(json!({"name": "none"})), "give exactly one of"),
        (
            of(json!({"name": "two", "slack": {"url": secret}, "teams": {"url": secret}})),
            "give exactly one of",
        ),
        (
            of(json!({"name": "Bad_Name", "slack": {"url": secret}})),
            "spec.receivers[0].name",
        ),
        (
            of(json!({"name": "w", "webhook": {"url": {}}})),
            "exactly one of value and secretKeyRef",
        ),
        (
            of(
                json!({"name": "w", "webhook": {"url": {"value": "http://x", "secretKeyRef": {"name": "a", "key": "b"}}}}),
            ),
            "exactly one of value and secretKeyRef",
        ),
        (
            of(json!({"name": "s", "slack": {"url": {"secretKeyRef": {"name": "../x", "key": "k"}}}})),
            "secretKeyRef.name",
        ),
        (
            mail(&json!({"username": "u"})),
            "username and password belong together",
        ),
        (
            mail(&json!({"username": "u", "password": secret, "security": "none"})),
            "a password is only sent over TLS",
        ),
        (
            of(json!({"name": "l", "syslog": {"host": "h", "facility": 24}})),
            "facility",
        ),
        (json!({"receivers": [receiver, receiver]}), "spec.receivers[1]"),
        (
            json!({"receivers": [receiver], "match": {"minSeverity": "urgent"}}),
            "minSeverity",
        ),
        (
            json!({"receivers": [receiver], "group": {"wait": "soon"}}),
            "spec.group.wait",
        ),
        (
            json!({"receivers": [receiver], "quietHours": {"windows": [{"from": "25:00", "to": "06:00"}]}}),
            "windows[0].from",
        ),
        (
            json!({"receivers": [receiver], "rateLimit": {"messages": 0}}),
            "rateLimit.messages",
        ),
    ];
    for (spec, expected) in cases {
        let message = refusal(client, "NotificationRoute", "bad", &spec).await;
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

async fn exceptions(client: &Client) {
    let of_cluster = json!({"reason": "r", "rules": ["shell", "team=shop"], "condition": "true"});
    let good = with(of_cluster.clone(), &json!({"expires": "2026-12-31T00:00:00Z"}));
    let created = create(client, "Exception", "full", &good).await;
    assert_eq!(created.data["spec"]["effect"], "suppress");
    create(client, "ClusterException", "full", &of_cluster).await;
    let for_good = refusal(client, "Exception", "bad", &of_cluster).await;
    assert!(for_good.contains("spec.expires"), "{for_good}");
    let cases = [
        (json!({"reason": ""}), "spec.reason"),
        (json!({"expires": "tomorrow"}), "spec.expires"),
        (json!({"rules": []}), "spec.rules"),
        (json!({"rules": ["shell", "shell"]}), "spec.rules[1]"),
        (json!({"rules": ["Not a name"]}), "spec.rules[0]"),
        (json!({"rules": ["=value"]}), "spec.rules[0]"),
        (json!({"condition": "x".repeat(4_097)}), "spec.condition"),
        (json!({"effect": "ignore"}), "spec.effect"),
        (json!({"unknown": 1}), "unknown"),
    ];
    for (change, expected) in cases {
        for kind in ["Exception", "ClusterException"] {
            let message = refusal(client, kind, "bad", &with(good.clone(), &change)).await;
            assert!(message.contains(expected), "{kind}, {expected}: {message}");
        }
    }
    let status = json!({"status": {"matched": 12, "rules": 1, "lastMatched": "2026-11-24T12:00:00Z"}});
    for kind in ["Exception", "ClusterException"] {
        let written = api(client, kind)
            .patch_status("full", &PatchParams::default(), &Patch::Merge(&status))
            .await
            .unwrap();
        assert_eq!(written.data["status"]["matched"], 12);
    }
}

async fn lists(client: &Client) {
    let created = create(client, "ValueList", "full", &json!({"values": ["sh"]})).await;
    assert_eq!(created.data["spec"]["type"], "string");
    create(client, "ValueList", "empty", &json!({"type": "sha256"})).await;
    // As long as lists may be; the API server holds it, and its managers do not repeat it.
    let values: Vec<String> = (0..50_000).map(|n| format!("value-{n}")).collect();
    let long = create(
        client,
        "ValueList",
        "long",
        &json!({"type": "glob", "values": values}),
    )
    .await;
    let managed = serde_json::to_string(&long.metadata.managed_fields).unwrap();
    assert!(managed.len() < 2_000, "{} bytes", managed.len());
    let many: Vec<String> = (0..=50_000).map(|n| n.to_string()).collect();
    let cases = [
        (json!({"type": "regex"}), "spec.type"),
        (json!({"values": [""]}), "spec.values[0]"),
        (json!({"values": ["x".repeat(4_097)]}), "spec.values[0]"),
        (json!({"values": [7]}), "spec.values[0]"),
        (json!({"values": many}), "spec.values"),
        (json!({"unknown": 1}), "unknown"),
    ];
    for (spec, expected) in cases {
        let message = refusal(client, "ValueList", "bad", &spec).await;
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let status = json!({"status": {"entries": 1, "rules": 2, "checks": 3}});
    let written = api(client, "ValueList")
        .patch_status("full", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
    assert_eq!(written.data["status"]["rules"], 2);
}

/// What `kubectl get` shows of exceptions.
const OF_EXCEPTIONS: [&str; 7] = ["Rules", "Accepted", "Reason", "Expires", "Matched", "Last", "Age"];

/// What it shows of lists.
const OF_LISTS: [&str; 7] = ["Type", "Entries", "Accepted", "Reason", "Rules", "Checks", "Age"];

/// What `kubectl get` shows.
async fn columns(client: &Client) {
    let cases = [
        (
            "detectionrules",
            vec![
                "Source", "Severity", "Enabled", "Accepted", "Nodes", "Open", "Last", "Age", "Override",
                "Bundle",
            ],
        ),
        (
            "posturechecks",
            vec![
                "Resource", "Severity", "Mode", "Accepted", "Pass", "Fail", "Error", "Age", "Override",
                "Bundle",
            ],
        ),
        (
            "postureframeworks",
            vec![
                "Version",
                "Score",
                "Pass",
                "Fail",
                "Manual",
                "Error",
                "N/A",
                "Evaluated",
                "Bundle",
            ],
        ),
        (
            "nodesensors",
            vec![
                "Ready",
                "Backend",
                "Revision",
                "Rules",
                "Dropped",
                "Last-Seen",
                "Kernel",
            ],
        ),
        ("exceptions", OF_EXCEPTIONS.to_vec()),
        ("clusterexceptions", OF_EXCEPTIONS.to_vec()),
        ("valuelists", OF_LISTS.to_vec()),
        (
            "notificationroutes",
            vec!["Severity", "Enabled", "Accepted", "Delivering", "Waiting", "Age"],
        ),
        (
            "securitysignals",
            vec![
                "Severity", "Rule", "Resource", "Count", "State", "Last", "Title", "Age",
            ],
        ),
    ];
    for (plural, expected) in cases {
        let table = table(client, plural).await;
        let names: Vec<&str> = table["columnDefinitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| column["name"].as_str().unwrap())
            .collect();
        assert_eq!(names[0], "Name");
        assert_eq!(names[1..], expected, "{plural}");
    }
    let part = json!({
        "metadata": {"labels": {"yagura.dev/bundle": "workload"}},
        "spec": {"overrides": {"severity": "low"}},
    });
    let rules = api(client, "DetectionRule");
    rules
        .patch("full", &PatchParams::default(), &Patch::Merge(&part))
        .await
        .unwrap();
    let rules = table(client, "detectionrules").await;
    let mut rows = rules["rows"].as_array().unwrap().iter();
    let row = rows.find(|row| row["cells"][0] == "full").unwrap();
    assert_eq!(
        (&row["cells"][9], &row["cells"][10]),
        (&json!("low"), &json!("workload"))
    );
    let sensor = &table(client, "nodesensors").await["rows"][0]["cells"];
    assert_eq!(
        sensor.as_array().unwrap()[..6],
        json!(["node-1", "True", "tracing", "abc", "8/8", 3])
            .as_array()
            .unwrap()[..]
    );
    let signal = &table(client, "securitysignals").await["rows"][0]["cells"];
    assert_eq!(
        signal.as_array().unwrap()[..6],
        json!(["signal", "high", "r", "Pod/cart", 2, "archived"])
            .as_array()
            .unwrap()[..]
    );
}

async fn table(client: &Client, plural: &str) -> Value {
    let path = format!("/apis/{GROUP}/{}/{plural}", yagura_crds::VERSION);
    let request = http::Request::get(path)
        .header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())
        .unwrap();
    client.request(request).await.unwrap()
}
