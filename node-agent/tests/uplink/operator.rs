//! A server that speaks the operator's side of the protocol, and misbehaves where it is told to.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use prost::Message;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};
use yagura_proto::content;
use yagura_proto::v1::agent_service_server::{AgentService, AgentServiceServer};
use yagura_proto::v1::report_request::Message as Report;
use yagura_proto::v1::subscribe_request::Message as Subscribe;
use yagura_proto::v1::subscribe_response::Message as Policy;
use yagura_proto::v1::{
    Ack, Activate, Hello, Missing, PolicyAck, Refusal, ReportRequest, ReportResponse, RuleBodies, RuleBody,
    RuleList, RuleRef, SpoolRecord, SubscribeRequest, SubscribeResponse, report_response,
};

/// How the operator behaves.
#[derive(Clone, Default)]
pub(crate) struct Behaviour {
    /// Rules that it sends.
    pub(crate) policy: Vec<RuleBody>,
    /// How many report streams it ends after their first records without an acknowledgement.
    pub(crate) deaf_streams: usize,
    /// Acknowledges no record.
    pub(crate) mute: bool,
    /// Refuses every agent with this reason and message.
    pub(crate) refusal: Option<(&'static str, &'static str)>,
    /// Begins with a message of a later protocol.
    pub(crate) unknown_message_first: bool,
    /// Says that everything from this sequence on is missing, as often as the agent sends what is after it.
    pub(crate) missing: Option<u64>,
    /// Accepts no token.
    pub(crate) unauthenticated: bool,
}

/// The server.
pub(crate) struct Operator {
    address: SocketAddr,
    certificate: String,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    behaviour: Behaviour,
    tokens: Mutex<Vec<String>>,
    hellos: Mutex<Vec<Hello>>,
    records: Mutex<Vec<SpoolRecord>>,
    acks: Mutex<Vec<PolicyAck>>,
    goodbyes: Mutex<Vec<String>>,
    acked: Notify,
    streams: AtomicUsize,
}

impl Operator {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["operator.test".to_owned()]).unwrap();
        let identity = Identity::from_pem(cert.pem(), signing_key.serialize_pem());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen {
            behaviour,
            ..Seen::default()
        });
        let server = Server::builder()
            .tls_config(ServerTlsConfig::new().identity(identity))
            .unwrap()
            .add_service(AgentServiceServer::from_arc(Arc::new(Service(Arc::clone(&seen)))))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        Self {
            address,
            certificate: cert.pem(),
            seen,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(crate) fn certificate(&self) -> String {
        self.certificate.clone()
    }

    /// Different tokens that were shown.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let mut tokens = self.seen.tokens.lock().unwrap().clone();
        tokens.dedup();
        tokens
    }

    pub(crate) fn hellos(&self) -> Vec<Hello> {
        self.seen.hellos.lock().unwrap().clone()
    }

    pub(crate) fn goodbyes(&self) -> Vec<String> {
        self.seen.goodbyes.lock().unwrap().clone()
    }

    pub(crate) fn records(&self) -> Vec<SpoolRecord> {
        self.seen.records.lock().unwrap().clone()
    }

    /// The first acknowledgement of a policy.
    pub(crate) async fn policy_ack(&self) -> PolicyAck {
        loop {
            let acked = self.seen.acked.notified();
            if let Some(ack) = self.seen.acks.lock().unwrap().first() {
                return ack.clone();
            }
            acked.await;
        }
    }
}

struct Service(Arc<Seen>);

impl Service {
    fn authorize<T>(&self, request: &Request<T>) -> Result<(), Status> {
        if self.0.behaviour.unauthenticated {
            return Err(Status::unauthenticated("the token's audience is another"));
        }
        let token = request.metadata().get("authorization").unwrap();
        self.0
            .tokens
            .lock()
            .unwrap()
            .push(token.to_str().unwrap().to_owned());
        Ok(())
    }
}

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AgentService for Service {
    type SubscribeStream = Responses<SubscribeResponse>;
    type ReportStream = Responses<ReportResponse>;

    async fn subscribe(
        &self,
        request: Request<Streaming<SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        self.authorize(&request)?;
        let (sender, receiver) = mpsc::channel(16);
        let seen = Arc::clone(&self.0);
        let mut requests = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                match request.message {
                    Some(Subscribe::Hello(hello)) => {
                        seen.hellos.lock().unwrap().push(hello);
                        for message in greeting(&seen.behaviour) {
                            sender.send(Ok(message)).await.ok();
                        }
                        if seen.behaviour.refusal.is_some() {
                            return;
                        }
                    }
                    Some(Subscribe::Ack(ack)) => {
                        seen.acks.lock().unwrap().push(ack);
                        seen.acked.notify_waiters();
                    }
                    Some(Subscribe::Goodbye(goodbye)) => {
                        seen.goodbyes.lock().unwrap().push(goodbye.reason);
                        return;
                    }
                    None => {}
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn report(
        &self,
        request: Request<Streaming<ReportRequest>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        self.authorize(&request)?;
        let deaf = self.0.streams.fetch_add(1, Ordering::Relaxed) < self.0.behaviour.deaf_streams;
        let (sender, receiver) = mpsc::channel(16);
        let seen = Arc::clone(&self.0);
        let mut requests = request.into_inner();
        let mut missing = self.0.behaviour.missing;
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                let Some(Report::Records(batch)) = request.message else {
                    continue;
                };
                let last = batch.records.last().unwrap().sequence;
                if let Some(missing) = missing
                    && batch.records[0].sequence > missing
                {
                    let missing = Missing {
                        spool: batch.spool,
                        sequence: missing,
                    };
                    let response = ReportResponse {
                        message: Some(report_response::Message::Missing(missing)),
                    };
                    sender.send(Ok(response)).await.ok();
                    continue;
                }
                missing = None;
                seen.records.lock().unwrap().extend(batch.records);
                if deaf {
                    return;
                }
                if seen.behaviour.mute {
                    continue;
                }
                let ack = Ack {
                    spool: batch.spool,
                    sequence: last,
                };
                let response = ReportResponse {
                    message: Some(report_response::Message::Ack(ack)),
                };
                sender.send(Ok(response)).await.ok();
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// What an agent hears after its hello.
fn greeting(behaviour: &Behaviour) -> Vec<SubscribeResponse> {
    let message = |message| SubscribeResponse {
        message: Some(message),
    };
    if let Some((reason, text)) = behaviour.refusal {
        return vec![message(Policy::Refusal(Refusal {
            reason: reason.to_owned(),
            message: text.to_owned(),
        }))];
    }
    let pairs = behaviour
        .policy
        .iter()
        .map(|body| (body.uid.as_str(), body.hash.as_str()));
    let revision = content::revision(pairs);
    let mut messages = Vec::new();
    if behaviour.unknown_message_first {
        // Field 100, which no message of this version has.
        messages.push(SubscribeResponse::decode(&b"\xa2\x06\x03new"[..]).unwrap());
    }
    messages.push(message(Policy::Bodies(RuleBodies {
        rules: behaviour.policy.clone(),
    })));
    messages.push(message(Policy::List(RuleList {
        revision: revision.clone(),
        epoch: 1,
        n: 1,
        rules: behaviour
            .policy
            .iter()
            .map(|body| RuleRef {
                uid: body.uid.clone(),
                hash: body.hash.clone(),
            })
            .collect(),
    })));
    messages.push(message(Policy::Activate(Activate { revision })));
    messages
}
