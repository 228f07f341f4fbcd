//! An authenticated stream for as long as it may live.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tonic::Status;

use super::auth::Agent;
use crate::context::Context;
use crate::index::nodes::{Call, Session};
use crate::index::pods::NodePods;
use crate::signals;

/// A peer that takes no answer for this long is given up.
const SLOW: Duration = Duration::from_secs(30);

/// A stream of a node, entered in the index until it is dropped.
pub(super) struct OpenSession {
    pub(super) context: Context,
    pub(super) node: String,
    /// Uid of the pod that the call comes from.
    pub(super) agent_pod: String,
    expires: i64,
    call: Call,
    session: Session,
    pub(super) pods: watch::Receiver<NodePods>,
}

impl OpenSession {
    /// Enters the stream; an older one of the same call of this node ends.
    pub(super) fn new(context: &Context, agent: &Agent, call: Call) -> Self {
        let mut index = context.index.write();
        let session = index.nodes.open(&agent.node, call, signals::now());
        let pods = index.pods.watch(&agent.node);
        drop(index);
        context.metrics.open_streams.add(1);
        if session.had_older {
            context.metrics.replaced_streams.inc();
        }
        Self {
            context: context.clone(),
            node: agent.node.clone(),
            agent_pod: agent.pod.clone(),
            expires: agent.expires,
            call,
            session,
            pods,
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

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.context.metrics.open_streams.add(-1);
        let mut index = self.context.index.write();
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
