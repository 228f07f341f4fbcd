//! What the cluster looked like when a test failed.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::Result;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt as _};

use crate::cluster::INSTALLATION;
use crate::objects;
use crate::space::{LABEL, Space};

/// Lines of each log that are shown.
const LINES: i64 = 80;

/// Writes pods, events, the test's own rules and signals, and the logs of operator and agents to standard error.
/// A part that cannot be had is shown as its error: the test's own failure matters more.
pub(crate) async fn write(space: &Space) {
    let mut text = format!("\n==== the cluster when the test in {} failed ====\n", space.name);
    for namespace in [space.name.as_str(), INSTALLATION] {
        section(
            &mut text,
            &format!("pods of {namespace}"),
            pods(&space.client, namespace).await,
        );
        section(
            &mut text,
            &format!("events of {namespace}"),
            events(&space.client, namespace).await,
        );
        section(
            &mut text,
            &format!("signals of {namespace}"),
            signals(&space.client, namespace).await,
        );
    }
    section(&mut text, "rules of the test", rules(space).await);
    section(&mut text, "logs of the installation", logs(&space.client).await);
    // Standard error may be closed; the test fails for its own reason anyhow.
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}

fn section(text: &mut String, title: &str, content: Result<String>) {
    let content = content.unwrap_or_else(|error| format!("not available: {error:#}\n"));
    text.push_str("-- ");
    text.push_str(title);
    text.push_str(" --\n");
    text.push_str(&content);
}

async fn pods(client: &Client, namespace: &str) -> Result<String> {
    let mut text = String::new();
    for pod in Api::<Pod>::namespaced(client.clone(), namespace)
        .list(&ListParams::default())
        .await?
    {
        let status = pod.status.clone().unwrap_or_default();
        let phase = status.phase.unwrap_or_default();
        writeln!(
            text,
            "{} {phase} {}",
            pod.name_any(),
            status.message.unwrap_or_default()
        )?;
        for container in status.container_statuses.unwrap_or_default() {
            let (name, ready, restarts) = (container.name, container.ready, container.restart_count);
            writeln!(
                text,
                "  {name} ready={ready} restarts={restarts} {:?}",
                container.state.unwrap_or_default()
            )?;
        }
    }
    Ok(text)
}

async fn events(client: &Client, namespace: &str) -> Result<String> {
    let mut text = String::new();
    for event in Api::<Event>::namespaced(client.clone(), namespace)
        .list(&ListParams::default())
        .await?
    {
        let about = event.involved_object.name.unwrap_or_default();
        let (reason, message) = (
            event.reason.unwrap_or_default(),
            event.message.unwrap_or_default(),
        );
        writeln!(text, "{about} {reason} {message}")?;
    }
    Ok(text)
}

async fn signals(client: &Client, namespace: &str) -> Result<String> {
    let mut text = String::new();
    for signal in objects::list(client, "SecuritySignal", Some(namespace), "").await? {
        let (name, status) = (&signal["metadata"]["name"], &signal["status"]);
        writeln!(text, "{name} count={} title={}", status["count"], status["title"])?;
    }
    Ok(text)
}

async fn rules(space: &Space) -> Result<String> {
    let mut text = String::new();
    for kind in [
        "DetectionRule",
        "PostureCheck",
        "PostureFramework",
        "Exception",
        "ClusterException",
    ] {
        for object in objects::list(&space.client, kind, None, &format!("{LABEL}={}", space.name)).await? {
            writeln!(text, "{kind} {} {}", object["metadata"]["name"], object["status"])?;
        }
    }
    Ok(text)
}

async fn logs(client: &Client) -> Result<String> {
    let api = Api::<Pod>::namespaced(client.clone(), INSTALLATION);
    let mut text = String::new();
    for pod in api.list(&ListParams::default()).await? {
        let name = pod.name_any();
        for container in pod.spec.map(|spec| spec.containers).unwrap_or_default() {
            for previous in [true, false] {
                let wanted = LogParams {
                    container: Some(container.name.clone()),
                    tail_lines: Some(LINES),
                    previous,
                    ..LogParams::default()
                };
                // Most containers have no previous run, which is no news.
                if let Ok(log) = api.logs(&name, &wanted).await {
                    writeln!(text, "-- {name}/{} previous={previous}\n{log}", container.name)?;
                }
            }
        }
    }
    Ok(text)
}
