//! Requests as the API server sends them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use yagura_crds::detection_rule::Exceptable;
use yagura_rules::{LetSource, ListType, Lists, NamedList, RuleSource};
use yagura_telemetry::Registry;

use super::connection::{Bounds, Places};
use super::listener::TlsListener;
use super::review::{Known, answer};
use super::router;
use crate::content::{LABEL, Pack};
use crate::exception::known::KnownRule;
use crate::index::SharedIndex;
use crate::metrics::Metrics;
use crate::tls::{Authority, Identity};
use crate::value_list::uses::Uses;

fn rule(condition: &str) -> Value {
    json!({
        "apiVersion": "yagura.dev/v1alpha1", "kind": "DetectionRule", "metadata": {"name": "r"},
        "spec": {"title": "t", "severity": "high", "condition": condition},
    })
}

fn known() -> Known {
    let named = |name: &str, exceptable| {
        let source = RuleSource {
            lets: vec![LetSource {
                name: "shells".to_owned(),
                value: "[\"sh\"]".to_owned(),
            }],
            ..RuleSource::new(name, "event.kind == \"process.exec\" && process.name in shells")
        };
        Arc::new(KnownRule {
            labels: [("team".to_owned(), "shop".to_owned())].into(),
            exceptable,
            hash: source.hash(),
            source,
        })
    };
    let tools = NamedList::new(ListType::String, ["nc"]).unwrap();
    Known {
        shipped: [("DetectionRule", "shipped".to_owned(), Pack::Workload)]
            .into_iter()
            .collect(),
        rules: vec![
            named("anybody", Exceptable::Namespace),
            named("cluster", Exceptable::Cluster),
            named("never", Exceptable::Never),
        ],
        lists: Lists::builtin().with("tools", tools),
        uses: Arc::new(Uses {
            rules: [(
                "anybody".to_owned(),
                ["tools".to_owned(), "shells".to_owned()].into(),
            )]
            .into(),
            checks: ["a", "b"]
                .map(|name| (name.to_owned(), ["tools".to_owned()].into()))
                .into(),
        }),
        require_rule_tests: false,
    }
}

fn review(kind: &str, object: &Value, old: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "kind": {"group": "yagura.dev", "version": "v1alpha1", "kind": kind},
            "resource": {"group": "yagura.dev", "version": "v1alpha1", "resource": "x"},
            "name": "r", "operation": "CREATE", "userInfo": {}, "dryRun": false, "options": null,
            "object": object, "oldObject": old,
        },
    })
}

fn ask(kind: &str, object: &Value, old: &Value) -> Value {
    ask_with(&known(), kind, object, old)
}

fn ask_with(known: &Known, kind: &str, object: &Value, old: &Value) -> Value {
    let review = review(kind, object, old);
    let answer: Value =
        serde_json::from_slice(&answer(&serde_json::to_vec(&review).unwrap(), known).json).unwrap();
    assert_eq!(answer["response"]["uid"], "u-1");
    answer["response"].clone()
}

fn refusal(kind: &str, object: &Value) -> String {
    let response = ask(kind, object, &Value::Null);
    assert_eq!(response["allowed"], false, "{response}");
    response["status"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_rule_that_does_not_compile_is_refused_with_line_and_column() {
    let message = refusal(
        "DetectionRule",
        &rule("event.kind == \"process.exec\" &&\n  process.nmae == \"sh\""),
    );
    assert!(message.contains("spec.condition:2:3"), "{message}");
    assert!(message.contains("did you mean process.name?"), "{message}");
}

#[test]
fn what_names_a_list_is_judged_with_it_and_may_come_before_it() {
    let rule_with = |list: &str| rule(&format!("process.name in lists[\"{list}\"]"));
    let good = ask("DetectionRule", &rule_with("tools"), &Value::Null);
    assert_eq!(
        (&good["allowed"], &good["warnings"]),
        (&json!(true), &Value::Null)
    );

    let early = ask("DetectionRule", &rule_with("tool"), &Value::Null);
    assert_eq!(early["allowed"], true);
    assert_eq!(
        early["warnings"][0],
        "it does nothing until this is solved: spec.condition:1:23: error[Y0033]: unknown list \"tool\" (did you mean tools?)"
    );
    // Nothing else passes with it.
    let message = refusal(
        "DetectionRule",
        &rule("process.name in lists[\"tool\"] && process.nmae == \"\""),
    );
    assert!(message.contains("did you mean process.name?"), "{message}");

    let check = json!({
        "apiVersion": "yagura.dev/v1alpha1", "kind": "PostureCheck", "metadata": {"name": "r"},
        "spec": {
            "title": "t", "severity": "high", "resource": "k8s.pod", "pass": "resource.x in lists[\"gone\"]",
        },
    });
    let early = ask("PostureCheck", &check, &Value::Null);
    assert_eq!(early["allowed"], true);
    assert!(
        early["warnings"][0].as_str().unwrap().contains("unknown list"),
        "{early}"
    );

    let exception = json!({
        "apiVersion": "yagura.dev/v1alpha1", "kind": "ClusterException", "metadata": {"name": "r"},
        "spec": {"reason": "r", "rules": ["anybody"], "condition": "process.name in lists[\"gone\"]"},
    });
    let early = ask("ClusterException", &exception, &Value::Null);
    assert_eq!(early["allowed"], true, "{early}");
}

#[test]
fn a_list_is_refused_for_its_values_and_its_deletion_names_who_uses_it() {
    let list = |spec: Value| {
        json!({
            "apiVersion": "yagura.dev/v1alpha1", "kind": "ValueList", "metadata": {"name": "r"}, "spec": spec,
        })
    };
    let message = refusal(
        "ValueList",
        &list(json!({"type": "cidr", "values": ["10.0.0.0/8", "10.0.0.1/8", "x"]})),
    );
    assert_eq!(
        message,
        "spec.values[1]: bits behind the first 8 are set: write 10.0.0.0/8, or leave the length out for the one address\n\
         spec.values[2]: it is no network and no address: write one such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32"
    );
    let good = ask(
        "ValueList",
        &list(json!({"values": ["a", "b", "a"]})),
        &Value::Null,
    );
    assert_eq!(good["allowed"], true);
    assert_eq!(good["warnings"], json!(["spec.values: 1 value is there twice"]));

    let delete = |name: &str| {
        let mut review = review("ValueList", &Value::Null, &list(json!({})));
        review["request"]["operation"] = json!("DELETE");
        review["request"]["name"] = json!(name);
        let answer = answer(&serde_json::to_vec(&review).unwrap(), &known());
        let answer: Value = serde_json::from_slice(&answer.json).unwrap();
        assert_eq!(answer["response"]["allowed"], true);
        answer["response"]["warnings"].clone()
    };
    assert_eq!(
        delete("tools"),
        json!([
            "rule anybody uses it and does not run until there is a ValueList tools again",
            "2 checks use it (a, b) and do not run until there is a ValueList tools again",
        ])
    );
    assert_eq!(delete("others"), Value::Null);
    assert_eq!(
        delete("shells"),
        json!(["what uses it goes on with the list of the language that has its name"])
    );
}

#[test]
fn a_good_rule_is_let_in_and_a_doubtful_one_with_a_warning() {
    let good = ask(
        "DetectionRule",
        &rule("event.kind == \"process.exec\" && process.name == \"sh\""),
        &Value::Null,
    );
    assert_eq!(
        (&good["allowed"], &good["warnings"]),
        (&json!(true), &Value::Null)
    );
    let mut doubtful = rule("event.kind == \"process.exec\" && process.name == \"sh\"");
    doubtful["spec"]["let"] = json!([{"name": "unused", "value": "1"}]);
    let response = ask("DetectionRule", &doubtful, &Value::Null);
    assert_eq!(response["allowed"], true);
    let warning = response["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("spec.let[0]"), "{warning}");
}

#[test]
fn an_object_that_is_not_edited_stays_whatever_it_is() {
    let broken = rule("((");
    let mut relabelled = broken.clone();
    relabelled["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(ask("DetectionRule", &relabelled, &broken)["allowed"], true);
    assert_eq!(ask("DetectionRule", &rule("((("), &broken)["allowed"], false);
}

#[test]
fn a_copy_of_a_shipped_rule_is_refused_while_it_says_that_it_ships() {
    let mut copy = rule("event.kind == \"process.exec\"");
    copy["metadata"]["labels"] = json!({LABEL: "workload"});
    let message = refusal("DetectionRule", &copy);
    assert!(
        message.contains("yagura.dev/bundle") && message.contains("DetectionRule r"),
        "{message}"
    );
    copy["metadata"]["name"] = json!("shipped");
    assert_eq!(ask("DetectionRule", &copy, &Value::Null)["allowed"], true);
}

#[test]
fn hostile_objects_are_refused_with_a_short_message() {
    let mut huge = rule("true");
    huge["spec"]["description"] = "x".repeat(2 * 1024 * 1024).into();
    assert!(refusal("DetectionRule", &huge).contains("1048576 at most are taken"));
    let chain = refusal("DetectionRule", &rule(&"1+".repeat(30_000)));
    assert!(
        chain.len() < 20_000 && chain.contains("spec.condition:1:"),
        "{chain}"
    );
    let regex = rule("process.name.matches(\"(((a{1000}){1000}){1000}\")");
    assert!(refusal("DetectionRule", &regex).contains("spec.condition:1:"));
    assert!(
        refusal(
            "DetectionRule",
            &json!({"metadata": {"name": "r"}, "spec": {"title": 1}})
        )
        .contains("invalid type")
    );
    let nonsense: Value = serde_json::from_slice(&answer(b"{", &known()).json).unwrap();
    assert_eq!(nonsense["response"]["allowed"], false);
}

#[test]
fn checks_and_frameworks_are_judged_too() {
    let check = |pass: &str, expect: &str| {
        json!({
            "apiVersion": "yagura.dev/v1alpha1", "kind": "PostureCheck", "metadata": {"name": "c"},
            "spec": {
                "title": "t", "severity": "low", "resource": "k8s.pod", "pass": pass,
                "tests": [{"name": "a", "resource": {"spec": {"hostNetwork": true}}, "expect": {"status": expect}}],
            },
        })
    };
    let pass = "resource.spec.hostNetwork != true";
    assert_eq!(
        ask("PostureCheck", &check(pass, "Fail"), &Value::Null)["allowed"],
        true
    );
    assert!(refusal("PostureCheck", &check(pass, "Pass")).contains("spec.tests[0]"));
    assert!(refusal("PostureCheck", &check("resource.spec.", "Fail")).contains("spec.pass:1:"));
    let control = json!({"id": "1.1", "title": "t", "checks": [{"name": "c"}]});
    let framework = json!({
        "apiVersion": "yagura.dev/v1alpha1", "kind": "PostureFramework", "metadata": {"name": "f"},
        "spec": {"title": "t", "version": "1", "requirements": [
            {"id": "1", "title": "t", "controls": [control]}, {"id": "2", "title": "t", "controls": [control]},
        ]},
    });
    assert!(refusal("PostureFramework", &framework).contains("spec.requirements[1].controls[0].id"));
}

#[test]
fn a_rule_must_be_proven_where_that_is_asked_for() {
    let strict = Known {
        require_rule_tests: true,
        ..known()
    };
    let tested = |condition: &str, signals: u32| {
        let mut rule = rule(condition);
        rule["spec"]["tests"] = json!([{
            "name": "a tool",
            "events": [{"kind": "process.exec", "process": {"name": "socat"}}],
            "expect": {"signals": signals},
        }]);
        rule
    };
    let message = |known: &Known, rule: &Value| {
        let response = ask_with(known, "DetectionRule", rule, &Value::Null);
        response["status"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };

    let untested = rule("process.name == \"socat\"");
    assert_eq!(message(&known(), &untested), "");
    assert_eq!(
        message(&strict, &untested),
        "spec.tests: missing; the rule must prove what it matches and what it does not"
    );
    assert_eq!(message(&strict, &tested("process.name == \"socat\"", 1)), "");
    let failed =
        "1 of 1 tests fail:\nspec.tests[0] \"a tool\":\n  expected 0 signals, got 1; events[0] matched";
    assert_eq!(message(&known(), &tested("process.name == \"socat\"", 0)), failed);
    assert_eq!(message(&strict, &tested("process.name == \"socat\"", 0)), failed);

    // What a list of the cluster has now is no reason, unless proofs are asked for.
    let by_list = tested("process.name in lists[\"tools\"]", 1);
    assert_eq!(message(&known(), &by_list), "");
    let refused = message(&strict, &by_list);
    assert!(
        refused.starts_with("with what is in lists such as tools now, 1 of 1 tests fail:"),
        "{refused}"
    );
    // What is there already can still be edited beside its spec.
    let response = ask_with(&strict, "DetectionRule", &untested, &untested);
    assert_eq!(response["allowed"], true);
}

#[test]
fn an_exception_is_judged_beside_the_rules_that_it_names() {
    let exception = |kind: &str, rules: &[&str], condition: &str| {
        json!({
            "apiVersion": "yagura.dev/v1alpha1", "kind": kind, "metadata": {"name": "e", "namespace": "shop"},
            "spec": {"reason": "r", "expires": "2027-01-01T00:00:00Z", "rules": rules, "condition": condition},
        })
    };
    let of = |rules: &[&str], condition: &str| exception("Exception", rules, condition);
    let of_cluster = |rules: &[&str], condition: &str| exception("ClusterException", rules, condition);
    let warnings = |kind: &str, object: &Value| {
        let response = ask(kind, object, &Value::Null);
        assert_eq!(response["allowed"], true, "{response}");
        response["warnings"].to_string()
    };

    let good = "process.user.name == \"alice\" && \"sh\" in shells";
    assert_eq!(warnings("Exception", &of(&["anybody"], good)), "null");
    assert_eq!(
        warnings("ClusterException", &of_cluster(&["cluster"], good)),
        "null"
    );

    let message = refusal("Exception", &of(&["anybody"], "true &&\n  process.nmae == 1"));
    assert!(
        message.contains("beside rule anybody") && message.contains("spec.condition:2:3"),
        "{message}"
    );
    let message = refusal("Exception", &of(&["cluster", "never"], "true"));
    assert!(
        message.contains("rule cluster: its spec.exceptable is cluster")
            && message.contains("rule never: its spec.exceptable is never"),
        "{message}"
    );
    assert!(refusal("ClusterException", &of_cluster(&["never"], "true")).contains("never"));

    // One of several may still reach what it is for, and so may one whose rule comes later.
    let partly = warnings("Exception", &of(&["team=shop"], "true"));
    assert!(
        partly.contains("rule cluster") && partly.contains("rule never"),
        "{partly}"
    );
    let later = warnings("Exception", &of(&["cluster", "later"], "theirs && true"));
    assert!(
        later.contains("no DetectionRule later") && later.contains("unknown name theirs"),
        "{later}"
    );
    assert!(refusal("Exception", &of(&["later"], "process.pid")).contains("spec.condition:1:1"));
}

/// Connects and says nothing more.
async fn shake_hands(address: SocketAddr, trust: &str) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trust.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap()
}

/// Sends a request over TLS; what comes back.
async fn call(address: SocketAddr, trust: &str, length: usize, body: &[u8]) -> String {
    let mut stream = shake_hands(address, trust).await;
    let head = format!(
        "POST /validate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    // A body that is refused is awaited all the same: its answer stands before the end.
    while stream.read_buf(&mut answer).await.unwrap() > 0 && !answer.starts_with(b"HTTP/1.1 4") {}
    String::from_utf8_lossy(&answer).into_owned()
}

/// A webhook on loopback.
struct Served {
    address: SocketAddr,
    authority: Authority,
    metrics: Metrics,
    server: JoinHandle<std::io::Result<()>>,
}

async fn serve(bounds: Bounds) -> Served {
    let (now, day) = (Timestamp::now(), SignedDuration::from_hours(24));
    let authority = Authority::generate(now, day).unwrap();
    let leaf = authority.issue(vec!["localhost".to_owned()], now, day).unwrap();
    let config = Identity::new(leaf).unwrap().server_config(&["http/1.1"]);
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let metrics = Metrics::new(&mut Registry::default());
    let listener = TlsListener::new(socket, config, Places::new(bounds, metrics.clone()));
    let server = tokio::spawn(
        axum::serve(listener, router(metrics.clone(), SharedIndex::default(), false)).into_future(),
    );
    Served {
        address,
        authority,
        metrics,
        server,
    }
}

#[tokio::test]
async fn callers_that_are_silent_long_or_slow_hold_up_no_other() {
    let bounds = Bounds {
        connections: 3,
        ..Bounds::default()
    };
    let Served {
        address,
        authority,
        metrics,
        server,
    } = serve(bounds).await;

    let silent = TcpStream::connect(address).await.unwrap();
    let body = serde_json::to_vec(&review("DetectionRule", &rule("true &&"), &Value::Null)).unwrap();
    let patience = Duration::from_secs(10);
    let answer = timeout(patience, call(address, &authority.certificate, body.len(), &body))
        .await
        .unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("\"allowed\":false"),
        "{answer}"
    );
    assert_eq!(metrics.reviews.get(["refused"]), 1);
    let refused = timeout(
        patience,
        call(address, &authority.certificate, 9 * 1024 * 1024, b"{"),
    )
    .await
    .unwrap();
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
    let slow = timeout(patience, call(address, &authority.certificate, 10, b"{"))
        .await
        .unwrap();
    assert!(slow.starts_with("HTTP/1.1 408"), "{slow}");
    drop(silent);

    // Many that only hold a place: each takes that of the one silent longest, and a caller gets in.
    let mut idle = Vec::new();
    for _ in 0..10 {
        idle.push(shake_hands(address, &authority.certificate).await);
    }
    let answer = timeout(patience, call(address, &authority.certificate, body.len(), &body))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(metrics.webhook_dropped_connections.get(["too-many"]) >= 8);
    assert!(metrics.webhook_connections.get() <= 4);
    let mut nothing = [0];
    let ended = timeout(patience, idle[0].read(&mut nothing)).await.unwrap();
    assert!(ended.is_err() || ended.is_ok_and(|read| read == 0));
    server.abort();
}

#[tokio::test]
async fn a_connection_without_a_word_ends() {
    let bounds = Bounds {
        idle: Duration::from_millis(100),
        ..Bounds::default()
    };
    let Served {
        address,
        authority,
        metrics,
        server,
    } = serve(bounds).await;
    let mut idle = shake_hands(address, &authority.certificate).await;
    let mut nothing = [0];
    let ended = timeout(Duration::from_secs(10), idle.read(&mut nothing))
        .await
        .unwrap();
    assert!(ended.is_err() || ended.is_ok_and(|read| read == 0));
    assert_eq!(metrics.webhook_dropped_connections.get(["idle"]), 1);
    server.abort();
}
