//! What the chart renders: least privilege, and nothing that takes from people what is theirs. Needs Helm
//! (`YAGURA_HELM`, or `helm` on the path), no cluster.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are as blunt as tests"
)]

#[path = "chart/values.rs"]
mod values;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const NAMESPACE: &str = "yagura-system";

fn run(arguments: &[&str]) -> Output {
    let program = std::env::var_os("YAGURA_HELM").unwrap_or_else(|| "helm".into());
    let chart = Path::new(env!("CARGO_MANIFEST_DIR"))
        .with_file_name("charts")
        .join("yagura");
    let (command, options) = arguments.split_first().unwrap();
    let mut helm = Command::new(&program);
    helm.arg(command);
    if *command != "lint" {
        helm.args(["yagura", "--namespace", NAMESPACE]);
    }
    helm.arg(chart).args(options);
    helm.output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}; set YAGURA_HELM", program.display()))
}

/// The objects that the chart renders with these values.
fn render(settings: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["template"];
    for setting in settings {
        arguments.extend(["--set", setting]);
    }
    let output = run(&arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    objects.into_iter().filter(|object| !object.is_null()).collect()
}

fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = objects
        .iter()
        .filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let object = found
        .next()
        .unwrap_or_else(|| panic!("there is no {kind} {name}"));
    assert!(found.next().is_none(), "{kind} {name} is there twice");
    object
}

fn pod(workload: &Value) -> &Value {
    &workload["spec"]["template"]["spec"]
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn only_container(workload: &Value) -> &Value {
    assert_eq!(list(&pod(workload)["containers"]).count(), 1);
    assert!(pod(workload)["initContainers"].is_null());
    &pod(workload)["containers"][0]
}

/// The value of an argument of the only container.
fn option<'a>(workload: &'a Value, name: &str) -> &'a str {
    let prefix = format!("--{name}=");
    list(&only_container(workload)["args"])
        .find_map(|argument| text(argument).strip_prefix(&prefix))
        .unwrap_or_else(|| panic!("there is no {prefix}"))
}

fn shares_nothing_with_its_node(workload: &Value) {
    for member in ["hostPID", "hostIPC", "hostNetwork"] {
        assert!(pod(workload)[member].is_null(), "{member}");
    }
    assert_eq!(
        pod(workload)["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    assert!(only_container(workload)["resources"]["limits"]["memory"].is_string());
}

#[test]
fn lint_finds_nothing() {
    let output = run(&["lint", "--strict"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn the_operator_has_no_privilege() {
    let objects = render(&[]);
    let operator = find(&objects, "Deployment", "yagura-operator");
    assert_eq!(operator["spec"]["replicas"], 1);
    assert_eq!(operator["spec"]["strategy"], json!({"type": "Recreate"}));
    shares_nothing_with_its_node(operator);
    assert_eq!(pod(operator)["securityContext"]["runAsNonRoot"], true);
    assert!(pod(operator)["securityContext"]["runAsUser"].as_i64() > Some(0));
    let container = only_container(operator);
    assert_eq!(
        container["securityContext"],
        json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        })
    );
    assert!(container["livenessProbe"].is_object() && container["readinessProbe"].is_object());
}

#[test]
fn the_agent_has_single_capabilities_and_the_node_read_only() {
    let objects = render(&[]);
    let agent = find(&objects, "DaemonSet", "yagura-agent");
    shares_nothing_with_its_node(agent);
    let container = only_container(agent);
    let context = &container["securityContext"];
    assert!(context["privileged"].is_null());
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert_eq!(
        context["capabilities"],
        json!({"drop": ["ALL"], "add": ["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH"]})
    );
    assert!(container["ports"].is_null());
    assert_eq!(option(agent, "metrics-address"), "127.0.0.1:8080");

    let of_the_node: BTreeSet<&str> = list(&pod(agent)["volumes"])
        .filter(|volume| volume["hostPath"].is_object())
        .map(|volume| text(&volume["name"]))
        .collect();
    let writable: BTreeSet<&str> = list(&container["volumeMounts"])
        .filter(|mount| mount["readOnly"] != true)
        .map(|mount| text(&mount["name"]))
        .filter(|name| of_the_node.contains(name))
        .collect();
    assert_eq!(writable, BTreeSet::from(["state"]));
    let folders: BTreeSet<&str> = list(&pod(agent)["volumes"])
        .filter_map(|volume| volume["hostPath"]["path"].as_str())
        .collect();
    let expected = [
        "/etc",
        "/proc",
        "/var/lib/yagura",
        "/var/log/containers",
        "/var/log/pods",
    ];
    assert_eq!(folders, expected.into());
}

#[test]
fn privileges_beyond_that_take_a_value() {
    let objects = render(&["agent.sysResource=true"]);
    let context = &only_container(find(&objects, "DaemonSet", "yagura-agent"))["securityContext"];
    let last = list(&context["capabilities"]["add"]).last();
    assert_eq!(last, Some(&json!("SYS_RESOURCE")));
    assert!(context["privileged"].is_null());

    let objects = render(&["agent.privileged=true"]);
    let context = &only_container(find(&objects, "DaemonSet", "yagura-agent"))["securityContext"];
    assert_eq!(context["privileged"], true);
}

#[test]
fn the_network_reaches_an_agent_only_when_its_metrics_are_asked_for() {
    let objects = render(&["agent.metrics.enabled=true", "agent.metrics.port=9999"]);
    let agent = find(&objects, "DaemonSet", "yagura-agent");
    assert_eq!(option(agent, "metrics-address"), "[::]:9999");
    let container = only_container(agent);
    assert_eq!(
        container["ports"],
        json!([{"name": "metrics", "containerPort": 9999, "protocol": "TCP"}])
    );
    assert_eq!(container["readinessProbe"]["httpGet"]["port"], "metrics");
}

/// Everything that can be switched on.
const EVERYTHING: [&str; 16] = [
    "monitoring.serviceMonitor.enabled=true",
    "monitoring.prometheusRule.enabled=true",
    "monitoring.dashboard.enabled=true",
    "networkPolicy.enabled=true",
    "agent.metrics.enabled=true",
    "agent.sysResource=true",
    "agent.redaction.patterns={a-[0-9]+}",
    "agent.podLabels.a=b",
    "operator.podAnnotations.a=b",
    "operator.export.stdout=true",
    "operator.export.file.enabled=true",
    "operator.export.http.url=https://siem.example/in",
    "operator.export.http.tokenSecret.name=siem",
    "operator.export.otlp.url=http://collector:4318",
    "operator.export.otlp.tokenSecret.name=collector",
    "operator.export.caConfigMap.name=trust",
];

#[test]
fn everything_together_is_sound_and_needs_no_further_right() {
    let mut lint = vec!["lint", "--strict"];
    lint.extend(EVERYTHING.iter().flat_map(|setting| ["--set", setting]));
    let output = run(&lint);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let (plain, everything) = (render(&[]), render(&EVERYTHING));
    for kind in ["ClusterRole", "Role"] {
        let rules = |objects| find(objects, kind, "yagura-operator")["rules"].clone();
        assert_eq!(rules(&plain), rules(&everything));
    }
    let operator = find(&everything, "Deployment", "yagura-operator");
    let mounted: BTreeSet<&str> = list(&only_container(operator)["volumeMounts"])
        .map(|mount| text(&mount["name"]))
        .collect();
    let volumes: BTreeSet<&str> = list(&pod(operator)["volumes"])
        .map(|volume| text(&volume["name"]))
        .collect();
    assert_eq!(mounted, volumes);
    for (flag, folder) in [
        ("export-http-token-file", "export-http"),
        ("export-otlp-token-file", "export-otlp"),
        ("export-ca", "export-ca"),
    ] {
        let mount = list(&only_container(operator)["volumeMounts"])
            .find(|mount| mount["name"] == folder)
            .unwrap();
        assert!(
            option(operator, flag).starts_with(text(&mount["mountPath"])),
            "{flag}"
        );
    }
}

#[test]
fn what_others_define_is_made_only_when_asked_for() {
    let objects = render(&[]);
    for object in &objects {
        let group = text(&object["apiVersion"]);
        assert!(!group.starts_with("monitoring.coreos.com"), "{object}");
        assert_ne!(object["kind"], "NetworkPolicy");
    }
    let without_agents = render(&["monitoring.serviceMonitor.enabled=true"]);
    find(&without_agents, "ServiceMonitor", "yagura-operator");
    assert!(!without_agents.iter().any(|object| object["kind"] == "PodMonitor"));
}

#[test]
fn alerts_and_the_dashboard_ask_for_metrics_that_exist() {
    let references = ["operator", "agent"].map(|component| {
        let path = format!(
            "{}/../docs/reference/metrics-{component}.md",
            env!("CARGO_MANIFEST_DIR")
        );
        std::fs::read_to_string(path).unwrap()
    });
    let known: BTreeSet<&str> = references
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert!(known.len() > 30, "{known:?}");
    let objects = render(&EVERYTHING);
    let dashboard = find(&objects, "ConfigMap", "yagura-dashboard");
    let dashboard: Value = serde_json::from_str(text(&dashboard["data"]["yagura.json"])).unwrap();
    let mut asked = 0;
    for text in [
        dashboard.to_string(),
        find(&objects, "PrometheusRule", "yagura").to_string(),
    ] {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        for name in text
            .split(|c| !is_name(c))
            .filter(|name| name.starts_with("yagura_"))
        {
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            assert!(
                known.contains(name) || family.is_some_and(|family| known.contains(family)),
                "{name}"
            );
            asked += 1;
        }
    }
    assert!(asked > 30, "{asked}");
    for panel in list(&dashboard["panels"]).filter(|panel| panel["type"] != "row") {
        assert!(
            list(&panel["targets"]).all(|target| !text(&target["expr"]).is_empty()),
            "{panel}"
        );
        assert!(!text(&panel["description"]).is_empty(), "{panel}");
    }
}

#[test]
fn a_network_policy_leaves_an_agent_only_the_operator() {
    let policy = |settings: &[&str], name: &str| {
        let objects = render(&[&["networkPolicy.enabled=true"], settings].concat());
        find(&objects, "NetworkPolicy", name)["spec"].clone()
    };
    let agent = policy(&[], "yagura-agent");
    assert_eq!(agent["ingress"], json!([]));
    assert_eq!(list(&agent["egress"]).count(), 1);
    let objects = render(&[]);
    let operator = find(&objects, "Deployment", "yagura-operator");
    let to = &agent["egress"][0]["to"][0]["podSelector"]["matchLabels"];
    assert_eq!(*to, operator["spec"]["selector"]["matchLabels"]);
    let named = |port: &Value| text(&port["name"]).to_owned();
    let ports: BTreeSet<String> = list(&only_container(operator)["ports"]).map(named).collect();
    let open = policy(&[], "yagura-operator");
    let allowed: BTreeSet<String> = list(&open["ingress"])
        .flat_map(|rule| list(&rule["ports"]))
        .map(|port| text(&port["port"]).to_owned())
        .collect();
    assert_eq!(allowed, ports);
    let metrics = policy(&["agent.metrics.enabled=true"], "yagura-agent");
    assert_eq!(metrics["ingress"][0]["ports"][0]["port"], "metrics");
}

#[test]
fn an_export_file_needs_a_volume() {
    let output = run(&[
        "template",
        "--set",
        "operator.store.type=none,operator.export.file.enabled=true",
    ]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && errors.contains("needs a volume"),
        "{errors}"
    );
}

#[test]
fn patterns_to_redact_reach_the_agent_and_restart_it() {
    let none = render(&[]);
    let is_patterns = |object: &Value| object["metadata"]["name"] == "yagura-agent-redaction";
    assert!(!none.iter().any(is_patterns));
    let rendered = |patterns: &str| render(&[&format!("agent.redaction.patterns={{{patterns}}}")]);
    let objects = rendered("employee-[0-9]+,x: '(.)'");
    let patterns = find(&objects, "ConfigMap", "yagura-agent-redaction");
    assert_eq!(patterns["data"]["patterns"], "employee-[0-9]+\nx: '(.)'");
    let agent = find(&objects, "DaemonSet", "yagura-agent");
    let file = option(agent, "redact-file");
    let mount = list(&only_container(agent)["volumeMounts"]).find(|mount| mount["name"] == "redaction");
    let folder = text(&mount.unwrap()["mountPath"]);
    assert_eq!(file, format!("{folder}/patterns"));
    let annotations = |objects: &[Value]| {
        find(objects, "DaemonSet", "yagura-agent")["spec"]["template"]["metadata"]["annotations"].clone()
    };
    assert_ne!(annotations(&objects), annotations(&rendered("other")));
    assert!(annotations(&none).is_null());
}

#[test]
fn an_agent_has_nothing_to_ask_the_api_server_for() {
    let objects = render(&[]);
    let agent = find(&objects, "DaemonSet", "yagura-agent");
    assert_eq!(pod(agent)["serviceAccountName"], "yagura-agent");
    assert_eq!(pod(agent)["automountServiceAccountToken"], false);
    let account = find(&objects, "ServiceAccount", "yagura-agent");
    assert_eq!(account["automountServiceAccountToken"], false);
    for object in &objects {
        for subject in list(&object["subjects"]) {
            assert_eq!(subject["kind"], "ServiceAccount", "{object}");
            assert_ne!(subject["name"], "yagura-agent", "{object}");
        }
    }
    let tokens: Vec<&Value> = list(&pod(agent)["volumes"])
        .flat_map(|volume| list(&volume["projected"]["sources"]))
        .collect();
    assert_eq!(tokens.len(), 1);
    let operator = find(&objects, "Deployment", "yagura-operator");
    assert_eq!(
        tokens[0]["serviceAccountToken"]["audience"],
        option(operator, "audience")
    );
}

#[test]
fn the_operator_may_do_what_it_does_and_no_more() {
    let objects = render(&[]);
    let mut granted = BTreeSet::new();
    for kind in ["ClusterRole", "Role"] {
        for rule in list(&find(&objects, kind, "yagura-operator")["rules"]) {
            assert!(rule["nonResourceURLs"].is_null(), "{rule}");
            let names: Vec<&str> = list(&rule["resourceNames"]).map(text).collect();
            let verbs: Vec<&str> = list(&rule["verbs"]).map(text).collect();
            for resource in list(&rule["resources"]).map(text) {
                let name = names.join(" ");
                granted.insert(format!("{kind} {resource} [{name}]: {}", verbs.join(" ")));
            }
        }
    }
    let expected = [
        "ClusterRole detectionrules []: list watch create patch delete",
        "ClusterRole posturechecks []: list watch create patch delete",
        "ClusterRole postureframeworks []: list watch create patch delete",
        "ClusterRole events []: create patch",
        "ClusterRole notificationroutes []: list watch",
        "ClusterRole exceptions []: list watch",
        "ClusterRole clusterexceptions []: list watch",
        "ClusterRole valuelists []: list watch",
        "ClusterRole detectionrules/status []: patch",
        "ClusterRole posturechecks/status []: patch",
        "ClusterRole postureframeworks/status []: patch",
        "ClusterRole notificationroutes/status []: patch",
        "ClusterRole exceptions/status []: patch",
        "ClusterRole clusterexceptions/status []: patch",
        "ClusterRole valuelists/status []: patch",
        "ClusterRole securitysignals []: list watch create patch",
        "ClusterRole nodesensors []: list watch create patch",
        "ClusterRole securitysignals []: get delete",
        "ClusterRole securitysignals/status []: patch",
        "ClusterRole nodesensors/status []: patch",
        "ClusterRole pods []: list watch",
        "ClusterRole namespaces []: list watch",
        "ClusterRole nodes []: list watch",
        "ClusterRole roles []: list watch",
        "ClusterRole clusterroles []: list watch",
        "ClusterRole rolebindings []: list watch",
        "ClusterRole clusterrolebindings []: list watch",
        "ClusterRole tokenreviews []: create",
        "ClusterRole validatingwebhookconfigurations [yagura]: get patch",
        "Role secrets [yagura-ca]: get patch",
        "Role configmaps [yagura-trust-bundle]: patch",
        "Role leases [yagura-operator]: get update",
        "Role leases []: create",
    ];
    assert_eq!(granted, expected.map(str::to_owned).into());
}

fn is_hook(object: &Value) -> bool {
    !object["metadata"]["annotations"]["helm.sh/hook"].is_null()
}

/// What the Job may do that runs while the release is uninstalled.
fn uninstall_grants(objects: &[Value]) -> BTreeSet<String> {
    let mut granted = BTreeSet::new();
    for kind in ["ClusterRole", "Role"] {
        for rule in list(&find(objects, kind, "yagura-uninstall")["rules"]) {
            let names: Vec<&str> = list(&rule["resourceNames"]).map(text).collect();
            let verbs: Vec<&str> = list(&rule["verbs"]).map(text).collect();
            for resource in list(&rule["resources"]).map(text) {
                granted.insert(format!("{resource} [{}]: {}", names.join(" "), verbs.join(" ")));
            }
        }
    }
    granted
}

#[test]
fn an_uninstall_may_do_what_it_does_and_only_while_it_runs() {
    let objects = render(&[]);
    let hooks: Vec<&Value> = objects.iter().filter(|object| is_hook(object)).collect();
    assert_eq!(hooks.len(), 6);
    for hook in hooks {
        assert_eq!(hook["metadata"]["name"], "yagura-uninstall");
        let annotations = &hook["metadata"]["annotations"];
        assert_eq!(annotations["helm.sh/hook"], "pre-delete");
        let policy = text(&annotations["helm.sh/hook-delete-policy"]);
        assert!(policy.contains("hook-succeeded"), "{hook}");
    }
    let job = find(&objects, "Job", "yagura-uninstall");
    assert!(job["spec"]["activeDeadlineSeconds"].as_i64() < Some(300));
    assert_eq!(pod(job)["securityContext"]["runAsNonRoot"], true);
    shares_nothing_with_its_node(job);
    let everywhere = [
        "detectionrules []: list delete",
        "posturechecks []: list delete",
        "postureframeworks []: list delete",
        "nodesensors []: list delete",
        "deployments/scale [yagura-operator]: patch",
        "pods []: list",
        "leases [yagura-operator]: delete",
    ];
    assert_eq!(uninstall_grants(&objects), everywhere.map(str::to_owned).into());
    let arguments: Vec<&str> = list(&only_container(job)["args"]).map(text).collect();
    assert!(!arguments.iter().any(|argument| argument.starts_with("--purge")));

    let objects = render(&["uninstall.purge=true"]);
    let mut definitions: Vec<&str> = objects
        .iter()
        .filter(|object| object["kind"] == "CustomResourceDefinition")
        .map(|object| text(&object["metadata"]["name"]))
        .collect();
    definitions.sort_unstable();
    let granted = uninstall_grants(&objects);
    for more in [
        format!("customresourcedefinitions [{}]: delete", definitions.join(" ")),
        "persistentvolumeclaims [yagura-operator]: delete".to_owned(),
    ] {
        assert!(granted.contains(&more), "{more}: {granted:?}");
    }
    assert_eq!(granted.len(), everywhere.len() + 2);
    let volume = "operator.store.pvc.existingClaim=mine";
    let kept = render(&["uninstall.purge=true", volume]);
    assert!(
        !uninstall_grants(&kept)
            .iter()
            .any(|grant| grant.starts_with("persistentvolumeclaims"))
    );
}

#[test]
fn packs_of_content_are_told_to_the_operator() {
    let packs = |settings: &[&str]| {
        let objects = render(settings);
        option(find(&objects, "Deployment", "yagura-operator"), "content-packs").to_owned()
    };
    assert_eq!(packs(&[]), "posture,workload");
    assert_eq!(packs(&["content.packs.posture=false"]), "workload");
    assert_eq!(
        packs(&["content.packs.posture=false", "content.packs.workload=false"]),
        "none"
    );
}

#[test]
fn rules_must_have_tests_only_where_that_is_asked_for() {
    let asked = |settings: &[&str]| {
        find(&render(settings), "Deployment", "yagura-operator")
            .to_string()
            .contains("--require-rule-tests")
    };
    assert!(!asked(&[]));
    assert!(asked(&["webhook.requireRuleTests=true"]));
}

#[test]
fn nobody_else_is_given_anything() {
    let objects = render(&[]);
    for object in objects.iter().filter(|object| object["kind"] == "ClusterRole") {
        let labels = object["metadata"]["labels"].as_object().unwrap();
        let aggregated = |key: &String| key.starts_with("rbac.authorization.k8s.io/aggregate");
        assert!(!labels.keys().any(aggregated), "{object}");
    }
    let is_binding = |object: &&Value| text(&object["kind"]).ends_with("RoleBinding");
    let lasting = objects
        .iter()
        .filter(is_binding)
        .filter(|object| !is_hook(object));
    assert_eq!(lasting.count(), 2);
    let triager = find(&objects, "ClusterRole", "yagura-triager").to_string();
    assert!(!triager.contains("delete") && !triager.contains("status"));
}

#[test]
fn what_the_operator_fills_in_is_left_to_it() {
    let objects = render(&[]);
    assert!(find(&objects, "ConfigMap", "yagura-trust-bundle")["data"].is_null());
    let secret = find(&objects, "Secret", "yagura-ca");
    assert!(secret["data"].is_null() && secret["stringData"].is_null());
    // An agent does not start before there is something to trust.
    let volumes = &pod(find(&objects, "DaemonSet", "yagura-agent"))["volumes"];
    let trust = list(volumes).find(|volume| volume["configMap"]["name"] == "yagura-trust-bundle");
    let keys = &trust.unwrap()["configMap"]["items"];
    assert_eq!(*keys, json!([{"key": "ca.crt", "path": "ca.crt"}]));
    let webhooks = &find(&objects, "ValidatingWebhookConfiguration", "yagura")["webhooks"];
    assert!(list(webhooks).count() > 0);
    for webhook in list(webhooks) {
        assert!(webhook["clientConfig"]["caBundle"].is_null());
        assert_eq!(webhook["failurePolicy"], "Ignore");
    }
    let without = render(&["webhook.enabled=false"]);
    assert!(
        !without
            .iter()
            .any(|object| object["kind"] == "ValidatingWebhookConfiguration")
    );
    let role = find(&without, "ClusterRole", "yagura-operator").to_string();
    assert!(!role.contains("validatingwebhookconfigurations"));
}

#[test]
fn an_uninstall_keeps_definitions_and_history() {
    let objects = render(&[]);
    let kept = |object: &Value| object["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep";
    let mut definitions = 0;
    for object in &objects {
        let kind = text(&object["kind"]);
        definitions += usize::from(kind == "CustomResourceDefinition");
        let stays = matches!(kind, "CustomResourceDefinition" | "PersistentVolumeClaim");
        assert_eq!(kept(object), stays, "{kind} {}", object["metadata"]["name"]);
    }
    assert_eq!(definitions, 9);
}

#[test]
fn the_store_is_where_the_values_say() {
    let volume = |settings: &[&str]| {
        let objects = render(settings);
        let is_claim = |object: &&Value| object["kind"] == "PersistentVolumeClaim";
        let claims = objects.iter().filter(is_claim).count();
        let operator = find(&objects, "Deployment", "yagura-operator");
        let volume = pod(operator)["volumes"][0].clone();
        (volume, claims, option(operator, "store").to_owned())
    };
    let (claim, claims, store) = volume(&[]);
    assert_eq!(claim["persistentVolumeClaim"]["claimName"], "yagura-operator");
    assert_eq!(claims, 1);
    assert!(store.starts_with("/var/lib/yagura/"));
    let (claim, claims, _) = volume(&["operator.store.pvc.existingClaim=mine"]);
    assert_eq!(claim["persistentVolumeClaim"]["claimName"], "mine");
    assert_eq!(claims, 0);
    let (folder, _, _) = volume(&[
        "operator.store.type=hostPath",
        "operator.store.hostPath.path=/srv/y",
    ]);
    assert_eq!(folder["hostPath"], json!({"path": "/srv/y", "type": "Directory"}));
    let (scratch, _, _) = volume(&["operator.store.type=emptyDir"]);
    assert_eq!(scratch["emptyDir"], json!({}));
    let (nothing, claims, store) = volume(&["operator.store.type=none"]);
    assert_eq!((nothing, claims, store.as_str()), (Value::Null, 0, "none"));
}

#[test]
fn secrets_of_notifications_are_files_and_no_right() {
    let objects = render(&[
        "notifications.secrets={chat,mail}",
        "notifications.clusterName=prod-1",
    ]);
    let operator = find(&objects, "Deployment", "yagura-operator");
    assert_eq!(option(operator, "cluster-name"), "prod-1");
    let folder = option(operator, "notification-secrets");
    for name in ["chat", "mail"] {
        let volume = list(&pod(operator)["volumes"])
            .find(|volume| volume["secret"]["secretName"] == name)
            .unwrap();
        assert_eq!(volume["secret"]["optional"], true);
        let mount = list(&only_container(operator)["volumeMounts"])
            .find(|mount| mount["name"] == volume["name"])
            .unwrap();
        assert_eq!(mount["mountPath"], format!("{folder}/{name}"));
        assert_eq!(mount["readOnly"], true);
    }
    let secrets = |objects: &[Value]| {
        let role = find(objects, "Role", "yagura-operator");
        let rules =
            list(&role["rules"]).filter(|rule| list(&rule["resources"]).any(|kind| kind == "secrets"));
        rules.cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        secrets(&objects),
        secrets(&render(&[])),
        "mounting asks for no right"
    );
    let without = render(&["notifications.secrets={chat}", "operator.store.type=none"]);
    let operator = find(&without, "Deployment", "yagura-operator");
    assert_eq!(list(&pod(operator)["volumes"]).count(), 1);
}
