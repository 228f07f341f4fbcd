//! Pods that tests start, and what they do in them.

use anyhow::{Context as _, Result, anyhow, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, AttachParams, DeleteParams, PostParams};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use crate::cluster::IMAGE;
use crate::eventually;
use crate::space::Space;

/// Name of the one container of the tests' pods.
pub const CONTAINER: &str = "main";

/// What a command in a pod printed and how it ended.
#[derive(Debug)]
pub struct Output {
    /// Standard output; both outputs when there was a terminal.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Why it failed; none means exit code 0.
    pub failure: Option<String>,
}

impl Output {
    /// The output of a command that must have succeeded.
    pub fn success(self) -> Result<String> {
        match self.failure {
            None => Ok(self.stdout),
            Some(failure) => Err(anyhow!("{failure}: {}{}", self.stdout, self.stderr)),
        }
    }
}

/// Starts a pod that sleeps, and waits until it is ready.
pub async fn sleeper(space: &Space, name: &str) -> Result<Pod> {
    start(space, name, json!({"app": name}), json!({})).await
}

/// The same with a security context for its container, which the namespace must allow.
pub async fn privileged(space: &Space, name: &str) -> Result<Pod> {
    start(space, name, json!({"app": name}), json!({"privileged": true})).await
}

/// Creates a privileged pod that no node takes: it is there to be judged, and costs next to nothing.
pub async fn homeless(space: &Space, name: &str) -> Result<()> {
    let pod: Pod = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "nodeSelector": {"e2e.yagura.dev/nowhere": "true"},
            "containers": [{
                "name": CONTAINER,
                "image": IMAGE,
                "securityContext": {"privileged": true},
            }],
        },
    }))
    .context("the pod's definition is wrong")?;
    create(space, &pod).await
}

async fn start(space: &Space, name: &str, labels: Value, security: Value) -> Result<Pod> {
    let pod: Pod = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            // The first process of a container has no default signal handlers, so a sleep would ignore SIGTERM.
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": CONTAINER,
                "image": IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", "3600"],
                "securityContext": security,
            }],
        },
    }))
    .context("the pod's definition is wrong")?;
    create(space, &pod).await?;
    let api = Api::<Pod>::namespaced(space.client.clone(), &space.name);
    eventually("the pod is ready", || async {
        let pod = api.get(name).await?;
        let ready = pod
            .status
            .iter()
            .flat_map(|status| status.container_statuses.iter().flatten())
            .all(|c| c.ready);
        let started = pod
            .status
            .as_ref()
            .is_some_and(|status| status.container_statuses.is_some());
        ensure!(ready && started, "status of {name}: {:?}", pod.status);
        Ok(pod)
    })
    .await
}

async fn create(space: &Space, pod: &Pod) -> Result<()> {
    let api = Api::<Pod>::namespaced(space.client.clone(), &space.name);
    eventually("the namespace has its service account", || async {
        api.create(&PostParams::default(), pod)
            .await
            .map(drop)
            .with_context(|| format!("cannot create pod {}", pod.name_any()))
    })
    .await
}

/// Deletes a pod.
pub async fn delete(space: &Space, pod: &Pod) -> Result<()> {
    let api = Api::<Pod>::namespaced(space.client.clone(), &space.name);
    let name = pod.name_any();
    api.delete(&name, &DeleteParams::default())
        .await
        .map(drop)
        .with_context(|| format!("cannot delete pod {name}"))
}

/// The runtime's id of a pod's container, without the scheme.
pub fn container_id(pod: &Pod) -> Result<String> {
    let statuses = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    let id = statuses
        .and_then(|all| all.first())
        .and_then(|container| container.container_id.as_deref());
    let (_, id) = id
        .and_then(|id| id.split_once("://"))
        .context("the container has no id")?;
    Ok(id.to_owned())
}

/// `kubectl exec POD -- COMMAND`.
pub async fn exec(space: &Space, pod: &Pod, command: &[&str]) -> Result<Output> {
    let wanted = AttachParams::default()
        .container(CONTAINER)
        .stdin(false)
        .stdout(true)
        .stderr(true);
    run(space, pod, command, &wanted, None).await
}

/// `kubectl exec POD -- sh -c SCRIPT`; the script must succeed.
pub async fn shell(space: &Space, pod: &Pod, script: &str) -> Result<String> {
    exec(space, pod, &["sh", "-c", script]).await?.success()
}

/// `kubectl exec -it POD -- COMMAND` with a person typing `input`.
pub async fn exec_tty(space: &Space, pod: &Pod, command: &[&str], input: &str) -> Result<Output> {
    let wanted = AttachParams::default()
        .container(CONTAINER)
        .stdin(true)
        .stdout(true)
        .stderr(false)
        .tty(true);
    run(space, pod, command, &wanted, Some(input)).await
}

async fn run(
    space: &Space,
    pod: &Pod,
    command: &[&str],
    wanted: &AttachParams,
    input: Option<&str>,
) -> Result<Output> {
    let api = Api::<Pod>::namespaced(space.client.clone(), &space.name);
    let name = pod.name_any();
    let mut process = api
        .exec(&name, command.iter().copied(), wanted)
        .await
        .with_context(|| format!("cannot exec {command:?} in {name}"))?;
    let stdin = process.stdin();
    let (stdout, stderr) = (process.stdout(), process.stderr());
    let status = process
        .take_status()
        .context("the status of an exec is taken once")?;
    let typing = async {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            stdin.write_all(input.as_bytes()).await?;
            stdin.flush().await?;
            // Kept open until the command ends by itself: a closed terminal would end it by a hangup.
            return Ok::<_, std::io::Error>(Some(stdin));
        }
        Ok(None)
    };
    let (typed, stdout, stderr) = tokio::try_join!(typing, text(stdout), text(stderr))?;
    let status = status.await;
    drop(typed);
    let failure = match status {
        Some(status) if status.status.as_deref() == Some("Success") => None,
        Some(status) => Some(status.message.unwrap_or_default()),
        None => Some("the connection ended without a status".to_owned()),
    };
    Ok(Output {
        stdout,
        stderr,
        failure,
    })
}

async fn text(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        stream.read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
