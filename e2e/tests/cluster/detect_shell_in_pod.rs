//! A shell by `kubectl exec` becomes a signal that names everything affected.

use anyhow::{Context as _, Result};
use serde_json::json;
use yagura_e2e::cluster::IMAGE;
use yagura_e2e::rules::rule;
use yagura_e2e::{signals, with_namespace, workload};

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_shell_in_a_pod_names_pod_container_image_process_tree_and_user() -> Result<()> {
    with_namespace(|space| async move {
        let condition = r#"event.kind == "process.exec" && process.name == "sh" && process.tty != null"#;
        let rule = rule(&space, "shell", condition)
            .with("severity", json!("high"))
            .with("attack", json!([{"tactic": "TA0002", "technique": "T1059.004"}]))
            .with(
                "signal",
                json!({"title": "Shell {{process.name}} in {{k8s.pod.name}}"}),
            );
        rule.run(&space).await?;

        let pod = workload::sleeper(&space, "cart").await?;
        // Without a terminal the same shell is not interactive, and this rule has no interest in it.
        workload::shell(&space, &pod, "id").await?;
        workload::exec_tty(&space, &pod, &["sh"], "id\nexit\n")
            .await?
            .success()?;

        let signal = signals::only(&space, &rule).await?;
        assert_eq!(signal.count(), 1, "{signal:?}");
        let (spec, status) = (&signal["spec"], &signal["status"]);
        assert_eq!(spec["rule"]["kind"], "DetectionRule");
        assert_eq!(spec["rule"]["name"], rule.name.as_str());
        assert_eq!(spec["source"], "workload");
        assert_eq!(status["title"], "Shell sh in cart");
        assert_eq!(status["severity"], "high");
        assert_eq!(status["severityRank"], 4);
        assert_eq!(status["attack"][0]["technique"], "T1059.004");
        let labels = &signal["metadata"]["labels"];
        assert_eq!(labels["yagura.dev/rule"], rule.name.as_str());
        assert_eq!(labels["yagura.dev/severity"], "high");
        assert_eq!(labels["yagura.dev/source"], "workload");

        let affected = signal.resource("Pod")?;
        assert_eq!(affected["namespace"], space.name.as_str());
        assert_eq!(affected["name"], "cart");
        assert_eq!(affected["uid"], pod.metadata.uid.as_deref().unwrap());
        assert_eq!(affected["labels"]["app"], "cart");
        let container = signal.resource("Container")?;
        assert_eq!(container["name"], workload::CONTAINER);
        assert_eq!(container["id"], workload::container_id(&pod)?);
        assert_eq!(container["image"], IMAGE);
        assert!(
            container["digest"]
                .as_str()
                .unwrap_or_default()
                .starts_with("sha256:"),
            "{container}"
        );
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        assert_eq!(signal.resource("Node")?["name"], node.unwrap());
        assert_eq!(labels["yagura.dev/node"], node.unwrap());

        let process = signal.resource("Process")?;
        assert_eq!(process["executable"], "/bin/busybox");
        assert_eq!(process["user"], "root");
        let ancestors = process["ancestors"].as_array().context("no ancestors")?;
        // An exec's process is a child of the runtime's shim, which is not one of the pod's processes.
        assert!(
            ancestors
                .iter()
                .any(|name| name.as_str().is_some_and(|name| name.contains("shim"))),
            "{ancestors:?}"
        );

        let sample = &status["samples"][0]["fields"];
        assert_eq!(sample["process"]["name"], "sh", "{sample}");
        assert_eq!(sample["k8s"]["pod"]["name"], "cart", "{sample}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn ancestors_inside_the_container_are_in_order() -> Result<()> {
    with_namespace(|space| async move {
        let rule = rule(
            &space,
            "tree",
            r#"event.kind == "process.exec" && "leaf" in process.args"#,
        );
        rule.run(&space).await?;

        let pod = workload::sleeper(&space, "app").await?;
        // Busybox runs what is not named by its path without an exec of its own. The commands after the inner ones keep
        // each shell from replacing itself by its last command.
        workload::shell(&space, &pod, "/bin/sh -c '/bin/true leaf; :'; :").await?;

        let signal = signals::only(&space, &rule).await?;
        let process = signal.resource("Process")?;
        assert_eq!(process["args"], json!(["leaf"]));
        assert_eq!(process["ancestors"][0], "sh", "{process}");
        assert_eq!(process["ancestors"][1], "sh", "{process}");
        Ok(())
    })
    .await
}
