//! What values change, and which are refused.

use super::*;

#[test]
fn names_follow_the_release() {
    let objects = render(&["fullnameOverride=watch-tower"]);
    let agent = find(&objects, "DaemonSet", "watch-tower-agent");
    assert_eq!(
        option(agent, "operator"),
        "https://$(WATCH_TOWER_OPERATOR_SERVICE_HOST):$(WATCH_TOWER_OPERATOR_SERVICE_PORT_GRPC)"
    );
    assert_eq!(
        option(agent, "tls-server-name"),
        "watch-tower-operator.yagura-system.svc"
    );
    let operator = find(&objects, "Deployment", "watch-tower-operator");
    assert_eq!(option(operator, "agent-daemon-set"), "watch-tower-agent");
    find(
        &objects,
        "ServiceAccount",
        option(operator, "agent-service-account"),
    );
    find(
        &objects,
        "ValidatingWebhookConfiguration",
        option(operator, "webhook-configuration"),
    );
    find(&objects, "ConfigMap", option(operator, "trust-bundle"));
    find(&objects, "Secret", option(operator, "ca-secret"));
    let service = find(&objects, "Service", option(operator, "service"));
    assert!(list(&service["spec"]["ports"]).any(|port| port["name"] == "grpc"));
}

#[test]
fn values_that_do_not_exist_are_refused() {
    for setting in [
        "operator.replicas=2",
        "agent.capabilities=ALL",
        "operator.store.type=nfs",
        "agent.stateDirectory=relative/path",
        "operator.image.digest=latest",
        "agent.redaction.patterns={#not-a-comment}",
        "operator.export.http.url=https://user:secret@siem.example/",
    ] {
        let output = run(&["template", "--set", setting]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{setting} was taken");
        assert!(
            errors.contains("values don't meet the specifications"),
            "{setting}: {errors}"
        );
    }
}

#[test]
fn evictions_are_refused_only_when_asked_for() {
    let budget = |objects: &[Value]| {
        let found = objects
            .iter()
            .find(|object| object["kind"] == "PodDisruptionBudget");
        found.cloned()
    };
    assert_eq!(budget(&render(&[])), None);

    let objects = render(&["operator.podDisruptionBudget.enabled=true"]);
    let budget = budget(&objects).unwrap();
    assert_eq!(budget["spec"]["maxUnavailable"], 0);
    let operator = find(&objects, "Deployment", "yagura-operator");
    assert_eq!(budget["spec"]["selector"], operator["spec"]["selector"]);
}

#[test]
fn constraints_of_topology_reach_the_operator() {
    let plain = render(&[]);
    assert!(pod(find(&plain, "Deployment", "yagura-operator"))["topologySpreadConstraints"].is_null());

    let set = "operator.topologySpreadConstraints[0]";
    let zone = format!("{set}.topologyKey=topology.kubernetes.io/zone");
    let objects = render(&[&zone, &format!("{set}.maxSkew=1")]);
    let constraints = &pod(find(&objects, "Deployment", "yagura-operator"))["topologySpreadConstraints"];
    assert_eq!(
        *constraints,
        json!([{"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1}])
    );
}

#[test]
fn the_notes_tell_what_the_namespace_needs() {
    let output = run(&["install", "--dry-run=client"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let label = format!("kubectl label namespace {NAMESPACE} pod-security.kubernetes.io/enforce=privileged");
    assert!(text.contains(&label), "{text}");
    assert!(
        text.contains("kubectl get securitysignals --all-namespaces"),
        "{text}"
    );
}
