//! The stream that takes records, facts and status to the operator.

use std::convert::Infallible;
use std::time::Duration;

use prost::Message as _;
use tokio::sync::mpsc::{self, Sender};
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;
use yagura_proto::v1::report_request::Message;
use yagura_proto::v1::report_response::Message as Response;
use yagura_proto::v1::spool_record::Record;
use yagura_proto::v1::{Fold, Loss, RecordBatch, ReportRequest, SpoolRecord};
use yagura_store::spool::{Batch, Entry, Position, StoredRecord};
use yagura_telemetry::chain;

use super::{Client, Node, SessionError};
use crate::journal::{Journal, JournalError};
use crate::metrics::Metrics;

/// How often the operator hears of an agent that has nothing to tell.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Bodies of one batch; below the protocol's 1 MiB with what frames them.
const BATCH_BYTES: usize = 900 << 10;

pub(super) async fn run<N: Node>(
    mut client: Client,
    journal: &Journal,
    node: &N,
    metrics: &Metrics,
) -> Result<Infallible, SessionError> {
    // One message waits while another is on the wire; the spool is the queue.
    let (requests, outgoing) = mpsc::channel(1);
    let acknowledge = async {
        let mut responses = client.report(ReceiverStream::new(outgoing)).await?.into_inner();
        while let Some(response) = responses.message().await? {
            if let Some(Response::Ack(ack)) = response.message {
                match journal.acknowledge(ack.spool, ack.sequence).await {
                    Ok(removed) => {
                        metrics.records_acknowledged.add(removed);
                    }
                    // The next acknowledgement, or the next connection, takes these along.
                    Err(JournalError::Spool(error)) if error.is_full() => {
                        tracing::warn!(error = %chain(&error), "acknowledged records cannot be forgotten yet");
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Err(SessionError::Ended)
    };
    tokio::select! {
        result = acknowledge => result,
        result = feed(requests, journal, node, metrics) => result,
    }
}

async fn feed<N: Node>(
    requests: Sender<ReportRequest>,
    journal: &Journal,
    node: &N,
    metrics: &Metrics,
) -> Result<Infallible, SessionError> {
    let mut usage = journal.usage();
    let mut changes = node.status_changes();
    let mut facts = node.facts();
    facts.mark_changed();
    usage.mark_changed();
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut position = Position::default();
    loop {
        let message = tokio::select! {
            // Status and facts are small and rare: a long queue of records must not hide them.
            biased;
            _ = heartbeat.tick() => Message::Status(node.status()),
            Ok(()) = changes.changed() => {
                changes.mark_unchanged();
                heartbeat.reset();
                Message::Status(node.status())
            }
            Ok(()) = facts.changed() => {
                let collected = facts.borrow_and_update().clone();
                let Some(collected) = collected else { continue };
                Message::Facts(collected.as_ref().clone())
            }
            Ok(()) = usage.changed() => {
                usage.mark_unchanged();
                let batch = journal.read(position, BATCH_BYTES).await?;
                if batch.records.is_empty() {
                    continue;
                }
                position = batch.next;
                // There may be more.
                usage.mark_changed();
                metrics.records_sent.add(batch.records.len() as u64);
                Message::Records(wire(batch))
            }
        };
        let request = ReportRequest {
            message: Some(message),
        };
        if requests.send(request).await.is_err() {
            // The operator ended the stream; why stands in its answer, which the other half reads.
            return std::future::pending().await;
        }
    }
}

fn wire(batch: Batch) -> RecordBatch {
    RecordBatch {
        spool: batch.spool,
        records: batch.records.into_iter().map(record).collect(),
    }
}

fn record(stored: StoredRecord) -> SpoolRecord {
    let record = match stored.entry {
        Entry::Body(body) => match Fold::decode(body.as_slice()) {
            Ok(fold) => Record::Fold(fold),
            Err(error) => {
                // A newer agent wrote it before it was replaced by this one.
                tracing::error!(sequence = stored.sequence, %error, "a spooled record cannot be read");
                Record::Loss(Loss {
                    cause: "record-unreadable".to_owned(),
                    matches: 0,
                })
            }
        },
        Entry::Loss { cause, matches } => Record::Loss(Loss { cause, matches }),
    };
    SpoolRecord {
        sequence: stored.sequence,
        record: Some(record),
    }
}
