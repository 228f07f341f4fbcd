//! Signals that are done, from the operator's store.
//!
//! The operator shows them on its own loopback alone, so the way there is the API server's port forwarding to its pod:
//! whoever may not create `pods/portforward` in the operator's namespace may not read them.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::SignalsError;
use super::cluster::{Cluster, Name};
use crate::args::Filter;

/// The port of the history on the operator's loopback.
const PORT: u16 = 8081;

/// Which pods are operators.
const OPERATORS: &str = "app.kubernetes.io/name=yagura,app.kubernetes.io/component=operator";

/// An answer is one page: longer ones are not the operator's.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;

/// The history could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The API server refused or did not answer.
    #[error("the API server does not let through")]
    Api(#[source] Box<kube::Error>),
    /// Nothing runs there.
    #[error("no operator runs there; --operator-namespace names the namespace that it is in")]
    NoOperator,
    /// The forwarded connection broke.
    #[error("the connection to the operator broke")]
    Connection(#[source] std::io::Error),
    /// The operator answers something else.
    #[error("the operator answers {0:?}; is it older than this command?")]
    Answer(String),
}

/// The history that the filter asks for, the newest first.
pub(super) async fn list(
    cluster: &Cluster,
    filter: &Filter,
    namespace: Option<&str>,
) -> Result<Vec<Value>, SignalsError> {
    let mut query = Vec::new();
    if let Some(namespace) = namespace {
        query.push(format!("namespace={}", encoded(namespace)));
    }
    if let Some(rule) = &filter.rule {
        query.push(format!("rule={}", encoded(rule)));
    }
    if let Some(severity) = filter.severity {
        query.push(format!("severity={}", severity.rank()));
    }
    all(cluster, &query).await.map_err(failed(cluster))
}

/// One signal of the history.
pub(super) async fn get(cluster: &Cluster, name: &Name) -> Result<Option<Value>, SignalsError> {
    let query = [
        format!("namespace={}", encoded(&name.namespace)),
        format!("name={}", encoded(&name.name)),
    ];
    let found = all(cluster, &query).await.map_err(failed(cluster))?;
    Ok(found.into_iter().next())
}

fn failed(cluster: &Cluster) -> impl FnOnce(HistoryError) -> SignalsError {
    let namespace = cluster.home.clone();
    |source| SignalsError::History { namespace, source }
}

/// All pages of an answer.
async fn all(cluster: &Cluster, query: &[String]) -> Result<Vec<Value>, HistoryError> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.home);
    let operator = operator(&pods).await?;
    let mut found = Vec::new();
    let mut before: Option<i64> = None;
    loop {
        let mut parts = query.to_vec();
        parts.extend(before.map(|id| format!("before={id}")));
        let mut forwarded = pods
            .portforward(&operator, &[PORT])
            .await
            .map_err(|error| HistoryError::Api(Box::new(error)))?;
        let stream = forwarded
            .take_stream(PORT)
            .ok_or_else(|| HistoryError::Answer("no stream".to_owned()))?;
        let mut page = ask(stream, &format!("/history?{}", parts.join("&"))).await?;
        if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
            found.extend(items);
        }
        match page.get("next").and_then(Value::as_i64) {
            // Each page goes further back, so an operator that does not is none of ours.
            Some(next) if before.is_none_or(|before| next < before) => before = Some(next),
            _ => return Ok(found),
        }
    }
}

/// The pod of the operator that runs.
async fn operator(pods: &Api<Pod>) -> Result<String, HistoryError> {
    let found = pods
        .list(&ListParams::default().labels(OPERATORS))
        .await
        .map_err(|error| HistoryError::Api(Box::new(error)))?;
    let runs = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
    };
    let running = found.items.into_iter().find(runs);
    running
        .and_then(|pod| pod.metadata.name)
        .ok_or(HistoryError::NoOperator)
}

/// One request over a connection of its own.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> Result<Value, HistoryError> {
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(HistoryError::Connection)?;
    let mut answer = Vec::new();
    (&mut stream)
        .take(MAX_ANSWER)
        .read_to_end(&mut answer)
        .await
        .map_err(HistoryError::Connection)?;
    read(&answer)
}

/// What an HTTP answer carries.
fn read(answer: &[u8]) -> Result<Value, HistoryError> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.map_or(answer.len(), |end| end + 4));
    let head = String::from_utf8_lossy(head);
    let status = head.lines().next().unwrap_or_default();
    let is_ok = status.starts_with("HTTP/1.") && status.split(' ').nth(1) == Some("200");
    let body = is_ok.then(|| serde_json::from_slice(body).ok()).flatten();
    body.ok_or_else(|| HistoryError::Answer(status.chars().take(100).collect()))
}

/// A value as a part of a query.
fn encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes everything");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_read_and_anything_else_is_told() {
        let good = b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{\"items\":[1]}";
        assert_eq!(read(good).unwrap(), json!({"items": [1]}));
        for bad in [
            &b"HTTP/1.0 404 Not Found\r\n\r\n{}"[..],
            b"HTTP/1.0 200 OK\r\n\r\n{",
            b"SSH-2.0",
            b"",
        ] {
            let error = read(bad).unwrap_err();
            assert!(matches!(error, HistoryError::Answer(_)), "{error}");
        }
    }

    #[test]
    fn what_stands_in_a_query_is_escaped() {
        assert_eq!(encoded("shell-in.x_1"), "shell-in.x_1");
        assert_eq!(encoded("a&b=c d/é"), "a%26b%3Dc%20d%2F%C3%A9");
    }

    #[tokio::test]
    async fn a_request_goes_out_and_its_answer_comes_back() {
        let (mut operator, command) = tokio::io::duplex(1_024);
        let asked = tokio::spawn(ask(command, "/history?rule=r"));
        let mut request = vec![0; 4_096];
        let length = operator.read(&mut request).await.unwrap();
        assert!(request[..length].starts_with(b"GET /history?rule=r HTTP/1.0\r\n"));
        operator
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"items\":[]}")
            .await
            .unwrap();
        drop(operator);
        assert_eq!(asked.await.unwrap().unwrap(), json!({"items": []}));
    }
}
