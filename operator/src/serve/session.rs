//! An authenticated stream for as long as it may live.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tonic::Status;

use super::Watch;
use super::auth::Agent;
use super::connection::Peer;
use super::pace::Pace;
use super::streams::Stream;
use crate::context::Context;
use crate::index::nodes::{Call, Session};
use crate::index::pods::NodePods;
use crate::signals::{self, OwnRule};

/// A peer that takes no answer for this long is given up.
const SLOW: Duration = Duration::from_secs(30);

/// Who opens a stream.
pub(super) struct Caller {
    pub(super) agent: Agent,
    /// The connection that the call is on.
    pub(super) peer: Option<Arc<Peer>>,
    /// What the agent's process calls itself.
    pub(super) instance: String,
}

/// A stream of a node, entered in the index until it is dropped.
pub(super) struct OpenSession {
    pub(super) context: Context,
    pub(super) watch: Arc<Watch>,
    pub(super) node: String,
    stream: Arc<Stream>,
    pub(super) pace: Pace,
    /// Uid of the pod that the call comes from.
    pub(super) agent_pod: String,
    expires: i64,
    call: Call,
    session: Session,
    pub(super) pods: watch::Receiver<NodePods>,
}

impl OpenSession {
    /// Enters the stream; an older one of the same call of this node ends.
    pub(super) fn new(context: &Context, watch: &Arc<Watch>, caller: Caller, call: Call) -> Self {
        let Caller {
            agent,
            peer,
            instance,
        } = caller;
        let mut index = context.index.write();
        let session = index.nodes.open(&agent.node, call, signals::now());
        let pods = index.pods.watch(&agent.node);
        let stream = watch.streams.open(&agent.node, call, session.id, instance, peer);
        drop(index);
        let pace = watch.paces.of(&agent.node, &context.metrics);
        pace.note(0);
        context.metrics.open_streams.add(1);
        if session.had_older {
            context.metrics.replaced_streams.inc();
        }
        Self {
            context: context.clone(),
            watch: Arc::clone(watch),
            node: agent.node,
            stream: Arc::new(stream),
            pace,
            agent_pod: agent.pod,
            expires: agent.expires,
            call,
            session,
            pods,
        }
    }

    /// To look at the stream after its end.
    pub(super) fn afterwards(&self) -> Afterwards {
        Afterwards {
            context: self.context.clone(),
            watch: Arc::clone(&self.watch),
            node: self.node.clone(),
            stream: Arc::clone(&self.stream),
        }
    }

    /// Completes when the stream must end, with what the peer is told.
    pub(super) fn end(&self) -> impl Future<Output = Status> + Send + use<> {
        let left = self.expires - jiff::Timestamp::now().as_second();
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
        let stop = self.context.stop.clone();
        let replaced = self.session.replaced.clone();
        let mut pods = self.pods.clone();
        let pod = self.agent_pod.clone();
        async move {
            let gone = async {
                // The sender lives in the index, so the wait ends only when the pod is gone. One that is ending still
                // hands over what it saw and says goodbye.
                pods.wait_for(|pods| !pods.get(&pod).is_some_and(|pod| pod.live || pod.terminating))
                    .await
                    .ok();
            };
            tokio::select! {
                () = stop.cancelled() => Status::unavailable("the operator is stopping; connect again"),
                () = replaced.cancelled() => Status::aborted("a newer stream of this node took over"),
                () = sleep(left) => Status::unauthenticated("the token expired; connect again with a new one"),
                () = gone => Status::unauthenticated("the token's pod is gone"),
            }
        }
    }
}

/// What remains to be watched of a stream after it ended.
pub(super) struct Afterwards {
    context: Context,
    watch: Arc<Watch>,
    node: String,
    stream: Arc<Stream>,
}

impl Afterwards {
    /// Where another process took the stream over, waits for a sign that the older one is alive: that is one agent
    /// too many. Meanwhile the peer may read why its stream ended.
    pub(super) async fn look(self) {
        let heard = self.stream.heard();
        // From now until the next ping, and until its answer.
        let patience = self.watch.bounds.ping * 2;
        let alive = tokio::select! {
            alive = self.stream.has_rival(heard, patience) => alive,
            () = self.context.stop.cancelled() => false,
        };
        if alive {
            let alarms = &self.watch.alarms;
            alarms.raise(OwnRule::SecondStream, &self.node, "second-stream", 1);
        }
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.context.metrics.open_streams.add(-1);
        let mut index = self.context.index.write();
        // Under the lock under which a newer stream takes this one's place: it must find it, to know whether it is a rival.
        self.watch.streams.close(&self.stream);
        index.nodes.close(&self.node, self.call, self.session.id);
    }
}

/// Why a stream ends: what the peer is told, if it is still there.
pub(super) enum End {
    /// The peer left.
    Left,
    /// Tell it this.
    Tell(Status),
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self::Tell(status)
    }
}

/// Hands an answer to the peer, unless it is gone or too slow.
pub(super) async fn answer<T>(
    answers: &mpsc::Sender<Result<T, Status>>,
    message: Result<T, Status>,
) -> Result<(), End> {
    match timeout(SLOW, answers.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Left),
        Err(_) => Err(End::Tell(Status::deadline_exceeded(
            "answers were not read in time",
        ))),
    }
}
