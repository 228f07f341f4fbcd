//! What one agent saw: records made durable, facts and status.

mod told;

use prost::Message as _;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};
use tracing::{debug, error, warn};
use yagura_event::{Excepted, Timestamp};
use yagura_proto::convert::{
    excepted_from_message, facts_from_message, fold_from_message, loss_from_message,
};
use yagura_proto::v1::report_request::Message as Request;
use yagura_proto::v1::report_response::Message as Answer;
use yagura_proto::v1::spool_record::Record;
use yagura_proto::v1::{
    Ack, AgentStatus, Missing, NodeFacts, RecordBatch, ReportRequest, ReportResponse, SpoolRecord,
};
use yagura_store::signals::{Entry, Excepted as Held, Incoming};
use yagura_telemetry::chain;

use super::session::{End, OpenSession, answer};
use crate::index::Index;
use crate::signals::{self, LedgerError, OwnRule, Placement, Refused, place};

/// Records of one batch: of 16 bytes each they fill the 1 MiB that a batch may have.
const MAX_RECORDS: usize = 65_536;
/// Bytes of a spool's id.
const MAX_SPOOL: usize = 64;
/// Batches in a row that begin after a missing record: more than an agent sends before it reads the answer.
const MAX_REFUSED: u32 = 64;
/// Entries and bytes of a status.
const MAX_STATUS_ENTRIES: usize = 1_024;
const MAX_STATUS_TEXT: usize = 1_024;

type Answers = mpsc::Sender<Result<ReportResponse, Status>>;

/// Serves a Report stream until it ends.
pub(super) async fn run(session: OpenSession, requests: Streaming<ReportRequest>, answers: Answers) {
    let end = session.end();
    let afterwards = session.afterwards();
    let node = session.node.clone();
    let ended = tokio::select! {
        status = end => End::Tell(status),
        ended = serve(session, requests, &answers) => ended.err().unwrap_or(End::Left),
    };
    if let End::Tell(status) = ended {
        debug!(node, %status, "ending the report");
        answers.try_send(Err(status)).ok();
    }
    drop(answers);
    afterwards.look().await;
}

async fn serve(
    session: OpenSession,
    mut requests: Streaming<ReportRequest>,
    answers: &Answers,
) -> Result<(), End> {
    let mut refused = 0;
    loop {
        // A node that used up what it may is read later; what it has to tell waits in its spool.
        session.pace.ready().await;
        let Some(request) = requests.message().await? else {
            return Err(End::Left);
        };
        let bytes = request.encoded_len();
        match &request.message {
            Some(Request::Records(batch)) => session.pace.records(batch.records.len(), bytes),
            _ => session.pace.note(bytes),
        }
        match request.message {
            Some(Request::Records(batch)) => records(&session, batch, answers, &mut refused).await?,
            Some(Request::Facts(found)) => facts(&session, found)?,
            Some(Request::Status(found)) => status(&session, found)?,
            // A message that this build does not know.
            None => {}
        }
    }
}

/// `refused` counts the batches since the last one of which something was taken.
async fn records(
    session: &OpenSession,
    batch: RecordBatch,
    answers: &Answers,
    refused: &mut u32,
) -> Result<(), End> {
    let spool = batch.spool;
    let names_a_spool = (1..=MAX_SPOOL).contains(&spool.len())
        && spool.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    if !names_a_spool || batch.records.len() > MAX_RECORDS {
        return Err(Status::invalid_argument("the batch names no spool or is too large").into());
    }
    let now = signals::now();
    let judged: Vec<Judged> = {
        let mut index = session.context.index.write();
        index.nodes.heard(&session.node, now);
        let from = Placement {
            node: &session.node,
            home: session.context.signals.home(),
            now,
        };
        let gap = i64::from(session.context.args.gap_signal_after_seconds) * 1_000_000_000;
        let since = session.watch.since;
        let records = batch.records.into_iter();
        records
            .map(|record| judge(record, &index, from, gap, since))
            .collect()
    };
    let sequences: Vec<(u64, Verdict)> = judged
        .iter()
        .map(|judged| (judged.incoming.sequence, judged.verdict))
        .collect();
    let incoming = judged.into_iter().map(|judged| judged.incoming).collect();
    let applied = session
        .context
        .signals
        .apply(spool.clone(), session.node.clone(), incoming)
        .await
        .map_err(|error| failed(session, &error))?;
    for (sequence, verdict) in sequences {
        if sequence > applied.before && sequence <= applied.watermark {
            count(verdict, session);
        }
    }
    let ack = Ack {
        spool: spool.clone(),
        sequence: applied.watermark,
    };
    answer(answers, Ok(response(Answer::Ack(ack)))).await?;
    if applied.unseen > 0 && session.context.signals.had_a_past() {
        told::forgotten(session, applied.unseen, now)
            .await
            .map_err(|error| failed(session, &error))?;
    }
    let Some(missing) = applied.gap else {
        *refused = 0;
        return Ok(());
    };
    *refused += 1;
    if *refused > MAX_REFUSED {
        // The agent does not know how to go on from there.
        return Err(Status::failed_precondition(format!(
            "record {missing} of spool {spool} is missing: send from there"
        ))
        .into());
    }
    warn!(
        node = session.node,
        spool, missing, "records are missing in a spool"
    );
    let missing = Missing {
        spool,
        sequence: missing,
    };
    answer(answers, Ok(response(Answer::Missing(missing)))).await
}

fn response(message: Answer) -> ReportResponse {
    ReportResponse {
        message: Some(message),
    }
}

fn failed(session: &OpenSession, error: &LedgerError) -> End {
    if error.is_foreign_spool() {
        foreign(session, "foreign-spool");
        warn!(node = session.node, error = %chain(error), "refused a batch");
        return Status::permission_denied("the spool belongs to another node").into();
    }
    error!(node = session.node, error = %chain(error), "cannot store a batch");
    Status::unavailable("the store does not take records now; try again later").into()
}

/// A record with what was made of it.
struct Judged {
    incoming: Incoming,
    verdict: Verdict,
}

/// What was made of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Counted,
    Lost(told::Lost),
    /// Matches that an exception held back.
    HeldBack(u64),
    Refused(&'static str),
    /// Refused, and no agent of ours would have sent it.
    Foreign(&'static str),
}

fn count(verdict: Verdict, session: &OpenSession) {
    let metrics = &session.context.metrics;
    match verdict {
        Verdict::Counted => {}
        Verdict::Lost(told::Lost::Matches(matches)) => metrics.lost_matches.add(matches),
        Verdict::Lost(told::Lost::Events(events)) => metrics.lost_events.add(events),
        Verdict::HeldBack(matches) => metrics.excepted_matches.add(matches),
        Verdict::Refused(cause) => metrics.refused_records.inc([cause]),
        Verdict::Foreign(cause) => foreign(session, cause),
    }
}

/// Counts what no agent of ours would send, in a signal as well.
fn foreign(session: &OpenSession, cause: &'static str) {
    session.context.metrics.refused_records.inc([cause]);
    let alarms = &session.watch.alarms;
    alarms.raise(OwnRule::RefusedReports, &session.node, cause, 1);
}

/// Every record moves its spool on, also one that is refused: else it would come forever.
fn judge(
    record: SpoolRecord,
    index: &Index,
    from: Placement<'_>,
    gap_after: i64,
    since: Timestamp,
) -> Judged {
    let nothing = |verdict| (Entry::Nothing, verdict);
    let mut further = 0;
    let (entry, verdict) = match record.record {
        Some(Record::Fold(fold)) => match fold_from_message(fold) {
            Ok(fold) => match place(&fold, index, from) {
                Ok(found) => (Entry::Match(Box::new(found)), Verdict::Counted),
                Err(refused) => nothing(match refused {
                    Refused::ForeignPod => Verdict::Foreign(refused.cause()),
                    // Rules that went away before this operator began are not known here any more; what they matched
                    // may still be in the agent's spool.
                    Refused::UnknownRule if fold.last > since => Verdict::Foreign(refused.cause()),
                    Refused::UnknownRule | Refused::NotSelected => Verdict::Refused(refused.cause()),
                }),
            },
            Err(_) => nothing(Verdict::Refused("malformed")),
        },
        Some(Record::Loss(loss)) => {
            further = loss.further_records;
            match loss_from_message(loss) {
                Ok(loss) => {
                    let (finding, size) = told::loss(&loss, further, from);
                    (Entry::Finding(Box::new(finding)), Verdict::Lost(size))
                }
                Err(_) => nothing(Verdict::Refused("malformed")),
            }
        }
        Some(Record::Excepted(excepted)) => match excepted_from_message(excepted) {
            Ok(excepted) => held_back(excepted, index, from.node, since),
            Err(_) => nothing(Verdict::Refused("malformed")),
        },
        Some(Record::Gap(gap)) => match told::gap(&gap, gap_after, from) {
            Some(finding) => (Entry::Finding(Box::new(finding)), Verdict::Counted),
            None => nothing(Verdict::Counted),
        },
        None => nothing(Verdict::Refused("unknown-record")),
    };
    Judged {
        incoming: Incoming {
            sequence: record.sequence,
            further,
            entry,
        },
        verdict,
    }
}

/// What an exception held back. An exception that is gone is not counted any more, though a rule lately carried it.
fn held_back(excepted: Excepted, index: &Index, node: &str, since: Timestamp) -> (Entry, Verdict) {
    if !index.policy.carried(node, &excepted.rule, &excepted.exception) {
        // As with rules: what went away before this operator began is not known here any more.
        let verdict = if excepted.last > since {
            Verdict::Foreign("unknown-exception")
        } else {
            Verdict::Refused("unknown-exception")
        };
        return (Entry::Nothing, verdict);
    }
    let verdict = Verdict::HeldBack(excepted.count);
    if !index.exceptions.judged.contains_key(&excepted.exception) {
        return (Entry::Nothing, verdict);
    }
    let found = Held {
        exception: excepted.exception,
        count: excepted.count,
        last: excepted.last,
    };
    (Entry::Excepted(found), verdict)
}

fn facts(session: &OpenSession, message: NodeFacts) -> Result<(), End> {
    let facts = facts_from_message(message)
        .map_err(|error| Status::invalid_argument(format!("the facts are not usable: {error}")))?;
    if facts.node.as_bytes() != session.node.as_bytes() {
        foreign(session, "foreign-facts");
        return Err(Status::permission_denied("the facts are of another node").into());
    }
    let mut index = session.context.index.write();
    index.nodes.facts(&session.node, facts, signals::now());
    Ok(())
}

fn status(session: &OpenSession, status: AgentStatus) -> Result<(), End> {
    let texts = status
        .hooks
        .iter()
        .flat_map(|hook| [&hook.kind, &hook.backend, &hook.reason])
        .chain(status.counters.keys())
        .chain(&status.trusted)
        .chain([&status.agent_version, &status.kernel_release, &status.revision]);
    let too_long = texts.into_iter().any(|text| text.len() > MAX_STATUS_TEXT);
    let entries = status
        .hooks
        .len()
        .max(status.counters.len())
        .max(status.trusted.len());
    if too_long || entries > MAX_STATUS_ENTRIES {
        return Err(Status::invalid_argument("the status is too large").into());
    }
    let mut index = session.context.index.write();
    index.nodes.status(&session.node, status, signals::now());
    Ok(())
}
