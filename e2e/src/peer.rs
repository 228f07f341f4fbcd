//! A peer that speaks the agents' protocol to the operator, with an identity of the test's choice.

use anyhow::{Context as _, Result};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use kube::api::{Api, ListParams, PostParams};
use kube::{Client, ResourceExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status, Streaming};
use yagura_proto::v1::agent_service_client::AgentServiceClient;
use yagura_proto::v1::{
    Hello, ReportRequest, ReportResponse, SubscribeRequest, SubscribeResponse, subscribe_request,
};

use crate::cluster::INSTALLATION;

/// Name of the Service's port for agents.
const PORT: &str = "grpc";

/// The `ConfigMap` with the operator's trust bundle, and the key in it.
const BUNDLE: (&str, &str) = ("yagura-trust-bundle", "ca.crt");

/// A connection to the operator's Service, trusting what agents trust.
pub async fn connect(client: &Client) -> Result<AgentServiceClient<Channel>> {
    let service = service(client).await?;
    let spec = service.spec.as_ref().context("the service has no spec")?;
    let address = spec.cluster_ip.as_deref().context("the service has no address")?;
    let port = spec
        .ports
        .iter()
        .flatten()
        .find(|port| port.name.as_deref() == Some(PORT));
    let port = port
        .with_context(|| format!("the service has no port {PORT}"))?
        .port;
    let name = format!("{}.{INSTALLATION}.svc", service.name_any());
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(bundle(client).await?))
        .domain_name(name);
    let channel = Endpoint::from_shared(format!("https://{address}:{port}"))?
        .tls_config(tls)?
        .connect()
        .await
        .with_context(|| format!("cannot connect to the operator at {address}:{port}"))?;
    Ok(AgentServiceClient::new(channel))
}

async fn service(client: &Client) -> Result<Service> {
    let found = Api::<Service>::namespaced(client.clone(), INSTALLATION)
        .list(&ListParams::default())
        .await?;
    let serves_agents = |service: &Service| {
        let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
        ports.into_iter().any(|port| port.name.as_deref() == Some(PORT))
    };
    found
        .items
        .into_iter()
        .find(serves_agents)
        .context("no service for agents is installed")
}

/// The operator's trust bundle in PEM.
pub async fn bundle(client: &Client) -> Result<String> {
    let (name, key) = BUNDLE;
    let map = Api::<ConfigMap>::namespaced(client.clone(), INSTALLATION)
        .get(name)
        .await?;
    let text = map.data.and_then(|mut data| data.remove(key));
    text.filter(|text| !text.is_empty())
        .with_context(|| format!("{name} has no {key} yet"))
}

/// A token of a service account of the installation, bound to a pod when there is one.
pub async fn token(client: &Client, account: &str, audience: &str, pod: Option<&Pod>) -> Result<String> {
    let spec = TokenRequestSpec {
        audiences: Some(vec![audience.to_owned()]),
        ..TokenRequestSpec::default()
    };
    request_token(client, account, pod, spec).await
}

/// A token as it is asked for, bound to a pod when there is one.
pub async fn request_token(
    client: &Client,
    account: &str,
    pod: Option<&Pod>,
    mut spec: TokenRequestSpec,
) -> Result<String> {
    spec.bound_object_ref = pod.map(|pod| BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: Some(pod.name_any()),
        uid: pod.uid(),
    });
    let request = TokenRequest {
        spec: Some(spec),
        ..TokenRequest::default()
    };
    let answer = Api::<ServiceAccount>::namespaced(client.clone(), INSTALLATION)
        .create_token_request(account, &PostParams::default(), &request)
        .await
        .with_context(|| format!("cannot get a token of {account}"))?;
    answer
        .status
        .and_then(|status| status.token)
        .context("the answer has no token")
}

/// The audience of the token that an agent's pod mounts.
pub fn audience(pod: &Pod) -> Result<&str> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let mut sources = volumes
        .filter_map(|volume| volume.projected.as_ref())
        .flat_map(|all| all.sources.iter().flatten());
    let token = sources.find_map(|source| source.service_account_token.as_ref());
    token
        .and_then(|token| token.audience.as_deref())
        .context("the pod mounts no token with an audience")
}

/// Name of the service account that a pod runs as.
pub fn account(pod: &Pod) -> Result<&str> {
    let spec = pod.spec.as_ref().context("the pod has no spec")?;
    spec.service_account_name
        .as_deref()
        .context("the pod has no service account")
}

/// What an agent says first.
pub fn hello(pod: &Pod, protocol: u32) -> Hello {
    Hello {
        protocol,
        agent_version: "0.0.0-e2e".to_owned(),
        language_version: 1,
        node_name: pod
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.clone())
            .unwrap_or_default(),
        boot_id: "00000000-0000-0000-0000-000000000000".to_owned(),
        kernel_release: "0.0.0".to_owned(),
        held: Vec::new(),
    }
}

/// Opens the stream for what an agent saw. What is sent goes out as the test sends it.
pub async fn report(
    peer: &mut AgentServiceClient<Channel>,
    token: &str,
) -> Result<(mpsc::Sender<ReportRequest>, Streaming<ReportResponse>), Status> {
    let (send, messages) = mpsc::channel(1);
    let mut request = Request::new(ReceiverStream::new(messages));
    authorize(&mut request, token)?;
    Ok((send, peer.report(request).await?.into_inner()))
}

fn authorize<T>(request: &mut Request<T>, token: &str) -> Result<(), Status> {
    let value = MetadataValue::try_from(format!("Bearer {token}"))
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    request.metadata_mut().insert("authorization", value);
    Ok(())
}

/// Opens a stream with a token and says hello; nothing else is sent, and the stream stays open.
pub async fn subscribe(
    peer: &mut AgentServiceClient<Channel>,
    token: Option<&str>,
    hello: Hello,
) -> Result<Streaming<SubscribeResponse>, Status> {
    let first = SubscribeRequest {
        message: Some(subscribe_request::Message::Hello(hello)),
    };
    let messages = tokio_stream::StreamExt::chain(tokio_stream::once(first), tokio_stream::pending());
    let mut request = Request::new(messages);
    if let Some(token) = token {
        authorize(&mut request, token)?;
    }
    Ok(peer.subscribe(request).await?.into_inner())
}
