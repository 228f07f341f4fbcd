//! The stream that takes records, facts and status to the operator.

use std::convert::Infallible;
use std::time::Duration;

use prost::{DecodeError, Message as _};
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;
use yagura_proto::v1::report_request::Message;
use yagura_proto::v1::report_response::Message as Response;
use yagura_proto::v1::spool_record::Record;
use yagura_proto::v1::{AgentStatus, Fold, Loss, Missing, RecordBatch, ReportRequest, SpoolRecord};
use yagura_store::spool::{Batch, Entry, Position, StoredRecord};
use yagura_telemetry::chain;

use super::credentials::Operator;
use super::{Client, Node, SessionError};
use crate::journal::{Journal, JournalError};
use crate::metrics::Metrics;

/// How often the operator hears of an agent that has nothing to tell.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Cause of the loss that stands for records which the operator acknowledged and does not have: its store is older than
/// its word.
const FORGOTTEN: &str = "acknowledged-before-restore";

/// How often the trust bundle is looked at: the operator replaces its authority when every agent has the next one.
const LOOK: Duration = Duration::from_secs(5);

/// Bodies of one batch; below the protocol's 1 MiB with what frames them.
const BATCH_BYTES: usize = 900 << 10;

pub(super) async fn run<N: Node>(
    mut client: Client,
    operator: &Operator,
    journal: &Journal,
    node: &N,
    metrics: &Metrics,
) -> Result<Infallible, SessionError> {
    // One message waits while another is on the wire; the spool is the queue.
    let (requests, outgoing) = mpsc::channel(1);
    // The last word counts: going back further than needed only repeats what is ignored.
    let (missed, missing) = watch::channel(None);
    let acknowledge = async {
        let mut responses = client.report(ReceiverStream::new(outgoing)).await?.into_inner();
        while let Some(response) = responses.message().await? {
            let ack = match response.message {
                Some(Response::Ack(ack)) => ack,
                Some(Response::Missing(missing)) => {
                    missed.send_replace(Some(missing));
                    continue;
                }
                // A message of a newer operator.
                None => continue,
            };
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
        Err(SessionError::Ended)
    };
    tokio::select! {
        result = acknowledge => result,
        result = feed(requests, operator, journal, node, metrics, missing) => result,
    }
}

async fn feed<N: Node>(
    requests: Sender<ReportRequest>,
    operator: &Operator,
    journal: &Journal,
    node: &N,
    metrics: &Metrics,
    mut missing: watch::Receiver<Option<Missing>>,
) -> Result<Infallible, SessionError> {
    let mut usage = journal.usage();
    let mut changes = node.status_changes();
    let mut facts = node.facts();
    facts.mark_changed();
    usage.mark_changed();
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut position = Position::default();
    let mut trusted = operator.trusted();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            // Status and facts are small and rare: a long queue of records must not hide them.
            biased;
            _ = heartbeat.tick() => status(node, &trusted),
            _ = look.tick() => {
                let now = operator.trusted();
                if now == trusted {
                    continue;
                }
                tracing::info!(certificates = now.len(), "the trust bundle changed");
                trusted = now;
                status(node, &trusted)
            }
            Ok(()) = changes.changed() => {
                changes.mark_unchanged();
                heartbeat.reset();
                status(node, &trusted)
            }
            Ok(()) = facts.changed() => {
                let collected = facts.borrow_and_update().clone();
                let Some(collected) = collected else { continue };
                Message::Facts(collected.as_ref().clone())
            }
            Ok(()) = missing.changed() => {
                let Some(missing) = missing.borrow_and_update().clone() else { continue };
                let Some(resume) = journal.resume(missing.spool.clone(), missing.sequence).await? else {
                    continue;
                };
                position = resume.position;
                usage.mark_changed();
                if resume.forgotten == 0 {
                    continue;
                }
                tracing::warn!(
                    records = resume.forgotten,
                    "the operator lost records that it had acknowledged; they are reported as lost"
                );
                Message::Records(forgotten(missing, resume.forgotten))
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

/// One loss in the place of records that are not in the spool any more.
fn forgotten(missing: Missing, records: u64) -> RecordBatch {
    let loss = Loss {
        cause: FORGOTTEN.to_owned(),
        matches: 0,
        further_records: records - 1,
    };
    RecordBatch {
        spool: missing.spool,
        records: vec![SpoolRecord {
            sequence: missing.sequence,
            record: Some(Record::Loss(loss)),
        }],
    }
}

/// How the agent is doing, and whom it would trust.
fn status<N: Node>(node: &N, trusted: &[String]) -> Message {
    Message::Status(AgentStatus {
        trusted: trusted.to_vec(),
        ..node.status()
    })
}

fn wire(batch: Batch) -> RecordBatch {
    RecordBatch {
        spool: batch.spool,
        records: batch.records.into_iter().map(record).collect(),
    }
}

fn record(stored: StoredRecord) -> SpoolRecord {
    let record = match stored.entry {
        Entry::Body(body) => decode(&body).unwrap_or_else(|error| {
            // A newer agent wrote it before it was replaced by this one.
            tracing::error!(sequence = stored.sequence, %error, "a spooled record cannot be read");
            loss("record-unreadable".to_owned(), 0)
        }),
        Entry::Loss { cause, matches } => loss(cause, matches),
    };
    SpoolRecord {
        sequence: stored.sequence,
        record: Some(record),
    }
}

/// A body is a fold by itself, or a record of another kind without its sequence. The first byte tells them apart: a fold
/// begins with the uid of its rule, which a record has no field for.
fn decode(body: &[u8]) -> Result<Record, DecodeError> {
    if let Ok(SpoolRecord {
        record: Some(record), ..
    }) = SpoolRecord::decode(body)
    {
        return Ok(record);
    }
    Fold::decode(body).map(Record::Fold)
}

fn loss(cause: String, matches: u64) -> Record {
    Record::Loss(Loss {
        cause,
        matches,
        further_records: 0,
    })
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use yagura_proto::v1::spool_record::Record;
    use yagura_proto::v1::{Fold, Gap, SpoolRecord};

    use super::decode;

    #[test]
    fn a_body_is_a_fold_or_a_record_of_another_kind() {
        let fold = Fold {
            rule_uid: "uid".to_owned(),
            rule_hash: "hash".to_owned(),
            title: "title".to_owned(),
            count: 3,
            ..Fold::default()
        };
        assert_eq!(decode(&fold.encode_to_vec()).unwrap(), Record::Fold(fold));
        let gap = Record::Gap(Gap {
            since: 1,
            until: 2,
            explanation: "Rebooted".to_owned(),
        });
        let record = SpoolRecord {
            sequence: 0,
            record: Some(gap.clone()),
        };
        assert_eq!(decode(&record.encode_to_vec()).unwrap(), gap);
        assert!(decode(b"\xff\xff").is_err());
    }
}
