//! Policy and pods, to one agent.

mod chunks;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tonic::{Status, Streaming};
use tracing::{debug, info};
use yagura_proto::PROTOCOL_VERSION;
use yagura_proto::v1::subscribe_request::Message as Request;
use yagura_proto::v1::subscribe_response::Message as Answer;
use yagura_proto::v1::{
    Activate, Hello, NamedList, NamedLists, PolicyAck, Refusal, RuleBodies, RuleBody, RuleList, RuleRef,
    SubscribeRequest, SubscribeResponse,
};

use super::pace::Pace;
use super::session::{End, OpenSession, answer};
use crate::conditions::cut;
use crate::index::pods::NodePods;
use crate::index::policy::PolicySnapshot;
use crate::signals;

/// Time for the first message.
const HELLO: Duration = Duration::from_secs(10);
/// Changes of rules that follow each other this closely are one list: content that is applied rule by rule would
/// otherwise be as many lists for each node.
const SETTLE: Duration = Duration::from_millis(250);
/// Rules that an agent may say it holds.
const MAX_HELD: usize = 20_000;
/// Failures in one acknowledgement.
const MAX_FAILURES: usize = 20_000;
/// Bytes of a text of the agent that the operator keeps.
const MAX_TEXT: usize = 1_024;
/// Bytes of the reason of a goodbye.
const MAX_REASON: usize = 64;

type Answers = mpsc::Sender<Result<SubscribeResponse, Status>>;

/// Serves a Subscribe stream until it ends.
pub(super) async fn run(session: OpenSession, requests: Streaming<SubscribeRequest>, answers: Answers) {
    let end = session.end();
    let afterwards = session.afterwards();
    let node = session.node.clone();
    let ended = tokio::select! {
        status = end => End::Tell(status),
        ended = serve(session, requests, &answers) => ended.err().unwrap_or(End::Left),
    };
    if let End::Tell(status) = ended {
        debug!(node, %status, "ending the subscription");
        answers.try_send(Err(status)).ok();
    }
    drop(answers);
    afterwards.look().await;
}

async fn serve(
    mut session: OpenSession,
    mut requests: Streaming<SubscribeRequest>,
    answers: &Answers,
) -> Result<(), End> {
    let mut hello = first(&mut requests).await?;
    if let Some(refusal) = refuse(&hello, &session.node) {
        info!(
            node = session.node,
            reason = refusal.reason,
            "refused an agent: {}",
            refusal.message
        );
        return answer(answers, Ok(message(Answer::Refusal(refusal)))).await;
    }
    let mut policy = session
        .context
        .index
        .read()
        .policy
        .watch(&session.node)
        .ok_or_else(|| Status::unavailable("this node is not known yet; try again later"))?;
    let mut pusher = Pusher {
        answers,
        // Of use to this stream only; what is shown of the agent does without.
        held: std::mem::take(&mut hello.held).into_iter().collect(),
        sent: None,
        sent_pods: None,
    };
    info!(
        node = session.node,
        version = hello.agent_version,
        "an agent subscribed"
    );
    session
        .context
        .index
        .write()
        .nodes
        .hello(&session.node, hello, signals::now());

    push_policy(&session, &mut pusher, &mut policy).await?;
    let pods = NodePods::clone(&session.pods.borrow_and_update());
    pusher.pods(&pods).await?;
    loop {
        tokio::select! {
            request = next(&session.pace, &mut requests) => match request? {
                None => return Err(End::Left),
                Some(request) => received(&session, request)?,
            },
            changed = policy.changed() => match changed {
                Ok(()) => {
                    tokio::time::sleep(SETTLE).await;
                    push_policy(&session, &mut pusher, &mut policy).await?;
                }
                // The node left the cluster.
                Err(_) => return Err(Status::unavailable("this node is not known any more").into()),
            },
            changed = session.pods.changed() => {
                if changed.is_err() {
                    return Err(Status::unavailable("this node is not known any more").into());
                }
                let pods = NodePods::clone(&session.pods.borrow_and_update());
                pusher.pods(&pods).await?;
            }
        }
    }
}

async fn push_policy(
    session: &OpenSession,
    pusher: &mut Pusher<'_>,
    policy: &mut watch::Receiver<Arc<PolicySnapshot>>,
) -> Result<(), End> {
    let snapshot = Arc::clone(&policy.borrow_and_update());
    pusher.policy(&snapshot).await?;
    session.context.metrics.sent_lists.inc();
    Ok(())
}

/// The next message, as soon as the node may be read. May be dropped and called again.
async fn next(
    pace: &Pace,
    requests: &mut Streaming<SubscribeRequest>,
) -> Result<Option<SubscribeRequest>, Status> {
    pace.ready().await;
    let request = requests.message().await?;
    if let Some(request) = &request {
        pace.note(request.encoded_len());
    }
    Ok(request)
}

/// The first message must be a hello, and in time.
async fn first(requests: &mut Streaming<SubscribeRequest>) -> Result<Hello, End> {
    let first = timeout(HELLO, requests.message())
        .await
        .map_err(|_elapsed| Status::deadline_exceeded("no hello in time"))??;
    let Some(Request::Hello(hello)) = first.and_then(|request| request.message) else {
        return Err(Status::invalid_argument("the first message is no hello").into());
    };
    let texts = [
        &hello.agent_version,
        &hello.node_name,
        &hello.boot_id,
        &hello.kernel_release,
    ];
    if hello.held.len() > MAX_HELD || texts.iter().any(|text| text.len() > MAX_TEXT) {
        return Err(Status::invalid_argument("the hello is too large").into());
    }
    Ok(hello)
}

/// Whether an agent that says this cannot be served.
fn refuse(hello: &Hello, node: &str) -> Option<Refusal> {
    let refusal = |reason: &str, message: String| {
        Some(Refusal {
            reason: reason.to_owned(),
            message,
        })
    };
    if hello.protocol == 0 {
        return refusal(
            "ProtocolTooOld",
            format!(
                "the agent (version {:?}) names no protocol, this operator speaks 1 to {PROTOCOL_VERSION}: upgrade the agent",
                hello.agent_version
            ),
        );
    }
    // An agent one version ahead still speaks ours; one further ahead need not.
    if hello.protocol > PROTOCOL_VERSION + 1 {
        return refusal(
            "ProtocolTooNew",
            format!(
                "the agent (version {:?}) speaks protocol {}, this operator {PROTOCOL_VERSION}: upgrade the operator first",
                hello.agent_version, hello.protocol
            ),
        );
    }
    if hello.node_name != node {
        return refusal(
            "WrongNode",
            format!(
                "the agent says that it is on node {:?}, its token is bound to {node:?}: set its node name from spec.nodeName",
                hello.node_name
            ),
        );
    }
    None
}

fn received(session: &OpenSession, request: SubscribeRequest) -> Result<(), End> {
    match request.message {
        Some(Request::Ack(ack)) => {
            let ack = bounded(ack)?;
            session.context.metrics.acknowledged_lists.inc();
            let mut index = session.context.index.write();
            index.nodes.ack(&session.node, ack, signals::now());
            Ok(())
        }
        Some(Request::Goodbye(goodbye)) => {
            let reason = cut(goodbye.reason, MAX_REASON);
            info!(node = session.node, reason = %reason.escape_debug(), "an agent said goodbye");
            let mut index = session.context.index.write();
            index
                .nodes
                .goodbye(&session.node, &session.agent_pod, reason, signals::now());
            Err(End::Left)
        }
        Some(Request::Hello(_)) => Err(Status::invalid_argument("a second hello").into()),
        // A message that this build does not know.
        None => Ok(()),
    }
}

fn bounded(mut ack: PolicyAck) -> Result<PolicyAck, End> {
    if ack.failures.len() > MAX_FAILURES || ack.revision.len() > MAX_TEXT {
        return Err(Status::invalid_argument("the acknowledgement is too large").into());
    }
    for failure in &mut ack.failures {
        for text in [&mut failure.uid, &mut failure.reason, &mut failure.message] {
            if text.len() > MAX_TEXT {
                let mut end = MAX_TEXT;
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                text.truncate(end);
            }
        }
    }
    Ok(ack)
}

fn message(answer: Answer) -> SubscribeResponse {
    SubscribeResponse {
        message: Some(answer),
    }
}

/// What the agent has by what was sent to it.
struct Pusher<'a> {
    answers: &'a Answers,
    /// Hashes that the agent said it holds, until it has a list of ours.
    held: HashSet<String>,
    sent: Option<Arc<PolicySnapshot>>,
    sent_pods: Option<NodePods>,
}

impl Pusher<'_> {
    /// Sends the bodies that the agent lacks, the list, and the word to switch.
    async fn policy(&mut self, snapshot: &Arc<PolicySnapshot>) -> Result<(), End> {
        let held = |rule: &RuleBody| match &self.sent {
            // An agent need not keep what is not in its list.
            Some(sent) => sent.holds(rule),
            None => self.held.contains(&rule.hash),
        };
        let has_list = |list: &NamedList| match &self.sent {
            Some(sent) => sent.uses(list),
            None => self.held.contains(&list.hash),
        };
        let missing = snapshot
            .lists
            .iter()
            .filter(|list| !has_list(list))
            .map(|list| NamedList::clone(list));
        for lists in chunks::of(missing) {
            self.send(Answer::Lists(NamedLists { lists })).await?;
        }
        let missing = snapshot
            .rules
            .iter()
            .filter(|rule| !held(rule))
            .map(|rule| RuleBody::clone(rule));
        for rules in chunks::of(missing) {
            self.send(Answer::Bodies(RuleBodies { rules })).await?;
        }
        let list = RuleList {
            revision: snapshot.revision.clone(),
            epoch: snapshot.epoch,
            n: snapshot.n,
            rules: snapshot
                .rules
                .iter()
                .map(|rule| RuleRef {
                    uid: rule.uid.clone(),
                    hash: rule.hash.clone(),
                })
                .collect(),
        };
        self.send(Answer::List(list)).await?;
        let revision = snapshot.revision.clone();
        self.send(Answer::Activate(Activate { revision })).await?;
        self.held = HashSet::new();
        self.sent = Some(Arc::clone(snapshot));
        Ok(())
    }

    /// Sends all pods at first, then what changed.
    async fn pods(&mut self, now: &NodePods) -> Result<(), End> {
        let none = BTreeMap::new();
        let before = self.sent_pods.as_deref().unwrap_or(&none);
        for update in chunks::pods(self.sent_pods.is_none(), before, now) {
            self.send(Answer::Pods(update)).await?;
        }
        self.sent_pods = Some(NodePods::clone(now));
        Ok(())
    }

    async fn send(&self, what: Answer) -> Result<(), End> {
        answer(self.answers, Ok(message(what))).await
    }
}

#[cfg(test)]
mod tests {
    use yagura_proto::PROTOCOL_VERSION;
    use yagura_proto::v1::Hello;

    use super::refuse;

    #[test]
    fn an_agent_too_old_too_new_or_elsewhere_is_told_what_to_do() {
        let reason = |protocol, node: &str| {
            let hello = Hello {
                protocol,
                node_name: node.into(),
                ..Hello::default()
            };
            refuse(&hello, "n").map(|refusal| refusal.reason)
        };
        assert_eq!(reason(PROTOCOL_VERSION, "n"), None);
        assert_eq!(reason(PROTOCOL_VERSION + 1, "n"), None);
        assert_eq!(reason(PROTOCOL_VERSION + 2, "n").unwrap(), "ProtocolTooNew");
        assert_eq!(reason(0, "n").unwrap(), "ProtocolTooOld");
        assert_eq!(reason(PROTOCOL_VERSION, "m").unwrap(), "WrongNode");
    }
}
