//! One simulated agent: it says what a real one says at the pace at which a real one says it, and comes back as one does.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::{Request, Streaming};
use yagura_proto::v1::agent_service_client::AgentServiceClient;
use yagura_proto::v1::report_request::Message as Report;
use yagura_proto::v1::report_response::Message as Answer;
use yagura_proto::v1::spool_record::Record;
use yagura_proto::v1::subscribe_response::Message as Response;
use yagura_proto::v1::{RecordBatch, ReportRequest, ReportResponse, SpoolRecord, SubscribeResponse};

use crate::fleet::Shared;
use crate::messages::{self, Matches};
use crate::objects::Identity;

/// As the real agent has them.
const HEARTBEAT: Duration = Duration::from_secs(30);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// An agent between and during its connections.
pub(crate) struct Agent {
    place: usize,
    identity: Identity,
    shared: Arc<Shared>,
    matches: mpsc::Receiver<Matches>,
    held: Vec<String>,
    revision: String,
    beat: u64,
    sequence: u64,
    /// Sent or to be sent, and not acknowledged.
    spool: VecDeque<SpoolRecord>,
}

impl Agent {
    pub(crate) fn new(
        place: usize,
        identity: Identity,
        shared: Arc<Shared>,
        matches: mpsc::Receiver<Matches>,
    ) -> Self {
        Self {
            place,
            identity,
            shared,
            matches,
            held: Vec::new(),
            revision: String::new(),
            beat: 0,
            sequence: 0,
            spool: VecDeque::new(),
        }
    }

    /// Connects, and again whenever the connection ends.
    pub(crate) async fn run(mut self) {
        let mut whole = FIRST_WAIT;
        loop {
            let mut answered = false;
            let error = match self.session(&mut answered).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            self.shared.ended(self.place, &error);
            if answered {
                whole = FIRST_WAIT;
            }
            let wait = whole.mul_f64(rand::random_range(0.5..=1.0));
            whole = (whole * 2).min(LONGEST_WAIT);
            sleep(wait).await;
        }
    }

    async fn session(&mut self, answered: &mut bool) -> Result<Infallible> {
        let channel = self.shared.endpoint.connect().await.context("cannot connect")?;
        let mut client = AgentServiceClient::new(channel);
        let mut other = client.clone();
        let (orders, requests) = mpsc::channel(2);
        orders
            .send(messages::hello(&self.identity.node, self.held.clone()))
            .await?;
        let (report, batches) = mpsc::channel(4);
        let subscribing = self.with_token(ReceiverStream::new(requests))?;
        let reporting = self.with_token(ReceiverStream::new(batches))?;
        // A server may answer a call only when the first message is there.
        report.send(self.status()).await?;
        report
            .send(wire(Report::Facts(messages::facts(&self.identity.node))))
            .await?;
        let (policy, acks) = tokio::try_join!(client.subscribe(subscribing), other.report(reporting))?;
        let (mut policy, mut acks) = (policy.into_inner(), acks.into_inner());
        if !self.spool.is_empty() {
            report.send(self.batch(0)).await?;
        }
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        loop {
            tokio::select! {
                order = next(&mut policy) => {
                    *answered = true;
                    if let Some(revision) = self.obey(order?)? {
                        orders.send(messages::ack(&revision)).await?;
                        self.shared.activated(self.place, &revision);
                        self.revision = revision;
                        report.send(self.status()).await?;
                    }
                }
                answer = next_ack(&mut acks) => self.forget(answer?),
                _ = heartbeat.tick() => report.send(self.status()).await?,
                Some(found) = self.matches.recv() => {
                    let from = self.spool.len();
                    self.record(&found);
                    while let Ok(found) = self.matches.try_recv() {
                        self.record(&found);
                    }
                    report.send(self.batch(from)).await?;
                }
            }
        }
    }

    fn with_token<T>(&self, messages: T) -> Result<Request<T>> {
        let mut request = Request::new(messages);
        let value = MetadataValue::try_from(format!("Bearer {}", self.identity.token))?;
        request.metadata_mut().insert("authorization", value);
        // A simulated process lives as long as the fleet, and there is one for each node.
        let instance = MetadataValue::try_from(self.identity.node.as_str())?;
        request.metadata_mut().insert("yagura-instance", instance);
        Ok(request)
    }

    /// Takes an order; the revision of the list that is to be active from now on, if it is that order.
    fn obey(&mut self, order: SubscribeResponse) -> Result<Option<String>> {
        match order.message {
            Some(Response::Bodies(bodies)) => self.shared.learn(&bodies.rules),
            Some(Response::List(list)) => {
                self.held = list.rules.into_iter().map(|rule| rule.hash).collect();
            }
            Some(Response::Activate(order)) => return Ok(Some(order.revision)),
            Some(Response::Refusal(refusal)) => bail!("refused: {}", refusal.message),
            Some(Response::Pods(_) | Response::Lists(_)) | None => {}
        }
        Ok(None)
    }

    fn status(&mut self) -> ReportRequest {
        self.beat += 1;
        wire(Report::Status(messages::status(
            &self.revision,
            self.held.len(),
            self.beat,
        )))
    }

    /// Writes matches into the spool; of a rule that is not here, there are none.
    fn record(&mut self, found: &Matches) {
        let Some((uid, hash)) = self.shared.rule(&found.rule) else {
            return;
        };
        self.sequence += 1;
        let fold = messages::fold(found, &uid, &hash, &self.identity.workload);
        self.spool.push_back(SpoolRecord {
            sequence: self.sequence,
            record: Some(Record::Fold(fold)),
        });
    }

    /// The records of the spool from a place on.
    fn batch(&self, from: usize) -> ReportRequest {
        wire(Report::Records(RecordBatch {
            spool: format!("bench-{}", self.identity.node),
            records: self.spool.iter().skip(from).cloned().collect(),
        }))
    }

    fn forget(&mut self, answer: ReportResponse) {
        if let Some(Answer::Ack(ack)) = answer.message {
            while self
                .spool
                .front()
                .is_some_and(|record| record.sequence <= ack.sequence)
            {
                self.spool.pop_front();
            }
        }
    }
}

fn wire(message: Report) -> ReportRequest {
    ReportRequest {
        message: Some(message),
    }
}

async fn next(policy: &mut Streaming<SubscribeResponse>) -> Result<SubscribeResponse> {
    policy.message().await?.context("the operator ended the stream")
}

async fn next_ack(acks: &mut Streaming<ReportResponse>) -> Result<ReportResponse> {
    acks.message().await?.context("the operator ended the report")
}
