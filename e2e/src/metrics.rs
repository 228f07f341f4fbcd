//! Prometheus metrics of the operator and the agents, read through a port-forward or from the node.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::{Client, ResourceExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::cluster::INSTALLATION;

/// Where operator and agents serve health and metrics. The agents' is on the pod's loopback address: a port-forward
/// reaches it, other pods do not.
const PORT: u16 = 8080;

/// What one scrape of a pod said.
#[derive(Debug)]
pub struct Scrape(String);

/// Scrapes a pod of the installation.
pub async fn scrape(client: &Client, pod: &Pod) -> Result<Scrape> {
    let name = pod.name_any();
    let api = Api::<Pod>::namespaced(client.clone(), INSTALLATION);
    let mut forward = api
        .portforward(&name, &[PORT])
        .await
        .with_context(|| format!("cannot forward port {PORT} of {name}"))?;
    let stream = forward
        .take_stream(PORT)
        .context("the stream of a port is taken once")?;
    ask(stream, &name).await
}

/// Scrapes the operator from its node, which takes no API server.
pub async fn scrape_from_node(operator: &Pod) -> Result<Scrape> {
    let name = operator.name_any();
    let address = operator
        .status
        .as_ref()
        .and_then(|status| status.pod_ip.as_deref())
        .with_context(|| format!("{name} has no address"))?;
    let stream = TcpStream::connect((address, PORT))
        .await
        .with_context(|| format!("cannot connect to port {PORT} of {name}"))?;
    ask(stream, &name).await
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, name: &str) -> Result<Scrape> {
    // HTTP/1.0: the answer ends with the connection, so that no client is needed to read it.
    stream
        .write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .await
        .with_context(|| format!("cannot read the metrics of {name}"))?;
    let answer = String::from_utf8(answer).context("metrics are not UTF-8")?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .with_context(|| format!("no HTTP answer: {answer:?}"))?;
    ensure!(head.split(' ').nth(1) == Some("200"), "metrics of {name}: {head}");
    Ok(Scrape(body.to_owned()))
}

impl Scrape {
    /// Sum over all series of a metric whose labels contain each of `labels` as `name="value"`. A metric that was
    /// never counted is 0.
    pub fn sum(&self, metric: &str, labels: &[(&str, &str)]) -> f64 {
        self.0
            .lines()
            .filter_map(|line| value(line, metric, labels))
            .sum()
    }
}

fn value(line: &str, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let rest = line.strip_prefix(metric)?;
    if !rest.starts_with(['{', ' ']) {
        return None;
    }
    // No label value of ours contains a space after a closing brace.
    let (series, value) = rest.rsplit_once(' ')?;
    let wanted = |(name, value): &(&str, &str)| series.contains(&format!("{name}=\"{value}\""));
    labels.iter().all(wanted).then(|| value.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_metric_are_summed_by_label() {
        let scrape = Scrape(
            "# TYPE a counter\na_total{cause=\"x\"} 2\na_total{cause=\"y\"} 3\na_total_b 7\n".to_owned(),
        );
        assert!((scrape.sum("a_total", &[]) - 5.0).abs() < f64::EPSILON);
        assert!((scrape.sum("a_total", &[("cause", "y")]) - 3.0).abs() < f64::EPSILON);
        assert!(scrape.sum("b_total", &[]).abs() < f64::EPSILON);
    }
}
