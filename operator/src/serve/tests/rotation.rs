//! Certificates are replaced under agents that are connected, over real TLS.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::task::JoinHandle;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use yagura_proto::content::certificate_fingerprint;
use yagura_proto::v1::report_request::Message as Sent;
use yagura_proto::v1::{AgentStatus, ReportRequest};
use yagura_store::signals::{Limits, SignalStore};

use super::super::connection::Bounds;
use super::api_server::ApiServer;
use super::{Operator, Reporting, hello, until};
use crate::tls::{Authority, Trust, rotate};

/// An API server that keeps an authority which is soon over.
async fn with_old_authority() -> ApiServer {
    let api = ApiServer::start().await;
    let old = Authority::generate(Timestamp::now(), SignedDuration::from_mins(5)).unwrap();
    api.keep(&Trust::new(old));
    api
}

/// An operator that replaces that authority, with this patience.
async fn rotating(api: &ApiServer, patience: &str) -> (Operator, JoinHandle<()>) {
    let store = SignalStore::in_memory(Limits::default()).unwrap();
    let flags = [
        "--ca-lifetime=24h",
        "--ca-renew-before=1h",
        "--ca-patience",
        patience,
    ];
    let mut operator = Operator::start_flagged(store, api.clone(), Bounds::default(), &flags).await;
    let certificates = operator.certificates.take().unwrap();
    let context = &operator.context;
    let task = rotate(certificates, context.index.clone(), context.stop.clone());
    let task = tokio::spawn(async move {
        let Ok(()) = task.await;
    });
    (operator, task)
}

impl Operator {
    fn steps(&self, step: &'static str) -> u64 {
        self.context.metrics.certificate_steps.get([step])
    }

    /// Whether somebody who trusts this bundle can connect.
    async fn is_trusted_by(&self, bundle: &str) -> bool {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(bundle))
            .domain_name("yagura-operator.sec.svc");
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address)).unwrap();
        endpoint.tls_config(tls).unwrap().connect().await.is_ok()
    }
}

impl Reporting {
    /// Says what the agent trusts, as one does that reads this bundle.
    async fn show(&self, bundle: &str) {
        let certificates = CertificateDer::pem_slice_iter(bundle.as_bytes());
        let status = AgentStatus {
            trusted: certificates
                .map(|der| certificate_fingerprint(&der.unwrap()))
                .collect(),
            ..AgentStatus::default()
        };
        let request = ReportRequest {
            message: Some(Sent::Status(status)),
        };
        self.send.send(request).await.unwrap();
    }
}

#[tokio::test]
async fn an_authority_is_replaced_while_every_bundle_in_use_is_trusted() {
    let api = with_old_authority().await;
    let old = api.kept().current.certificate;
    let (operator, task) = rotating(&api, "3s").await;
    let token = operator.token_of("n1");
    let mut subscribed = operator.subscribe(&token, hello("n1")).await.unwrap();
    subscribed.push().await;
    let report = operator.report(&token).await.unwrap();
    // Until the end, whoever trusts what is published can connect, and the agent shows what it trusts.
    while operator.steps("retire") == 0 {
        let bundle = api.bundle();
        report.show(&bundle).await;
        assert!(operator.is_trusted_by(&bundle).await);
    }
    assert_eq!((operator.steps("prepare"), operator.steps("switch")), (1, 1));
    assert!(!api.bundle().contains(old.trim_end()));
    assert!(!operator.is_trusted_by(&old).await);
    assert_ne!(api.kept().current.certificate, old);
    assert!(api.kept().next.is_none() && api.kept().former.is_none());
    // Streams that were open are open.
    assert_eq!(operator.context.metrics.replaced_streams.get(), 0);
    operator.apply_rule("late", "true");
    loop {
        let answer = subscribed.answers.message().await.unwrap().unwrap();
        if let Some(yagura_proto::v1::subscribe_response::Message::List(list)) = answer.message {
            assert_eq!(list.rules.len(), 1);
            break;
        }
    }
    drop((subscribed, report));
    operator.stop().await;
    task.await.unwrap();
}

#[tokio::test]
async fn a_change_goes_on_after_a_restart_and_waits_for_every_agent() {
    let api = with_old_authority().await;
    let old = api.kept().current.certificate;
    let (operator, task) = rotating(&api, "20s").await;
    until("the next authority", || operator.steps("prepare") == 1).await;
    let next = api.kept().next.unwrap().0.certificate;
    let both = api.bundle();
    operator.stop().await;
    task.await.unwrap();

    let (operator, task) = rotating(&api, "20s").await;
    assert_eq!(operator.trust, both);
    operator.add_node("n2");
    let mut agents = Vec::new();
    for node in ["n1", "n2"] {
        let token = operator.token_of(node);
        let subscribed = operator.subscribe(&token, hello(node)).await.unwrap();
        agents.push((subscribed, operator.report(&token).await.unwrap()));
    }
    // The first has the bundle of before only, the second both: longer than it takes to look, nothing happens.
    agents[0].1.show(&old).await;
    agents[1].1.show(&both).await;
    let looked = tokio::time::timeout(Duration::from_secs(5), async {
        while operator.steps("switch") == 0 {
            tokio::task::yield_now().await;
        }
    });
    assert!(looked.await.is_err(), "an agent would have been lost");
    agents[0].1.show(&both).await;
    until("the switch", || operator.steps("switch") == 1).await;
    assert_eq!(
        api.kept().current.certificate,
        next,
        "the one that was made before the restart"
    );
    assert_eq!(api.bundle(), both);
    assert!(operator.is_trusted_by(&next).await);
    drop(agents);
    operator.stop().await;
    task.await.unwrap();
}

#[tokio::test]
async fn nobody_is_waited_for_without_end() {
    let api = with_old_authority().await;
    let (operator, task) = rotating(&api, "1s").await;
    let subscribed = operator.subscribe(&operator.token_of("n1"), hello("n1")).await;
    until("the switch", || operator.steps("switch") == 1).await;
    drop(subscribed);
    operator.stop().await;
    task.await.unwrap();
}
