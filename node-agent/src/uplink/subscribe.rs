//! The stream that brings policy and pods.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use yagura_event::Host;
use yagura_proto::PROTOCOL_VERSION;
use yagura_proto::v1::subscribe_request::Message as Request;
use yagura_proto::v1::subscribe_response::Message as Response;
use yagura_proto::v1::{Goodbye, Hello, PolicyAck, RuleFailure, SubscribeRequest};

use super::{Client, Node, SessionError};
use crate::metrics::Metrics;
use crate::policy::{Held, Policy};

pub(super) async fn run<N: Node>(
    mut client: Client,
    host: &Host,
    held: &mut Held,
    node: &Arc<N>,
    metrics: &Metrics,
    answered: &mut bool,
    farewell: impl Future<Output = &'static str>,
) -> Result<Infallible, SessionError> {
    // The hello, one acknowledgement and the goodbye: the next order is read only after the last was answered.
    let (requests, outgoing) = mpsc::channel(3);
    let send = move |message| {
        requests
            .try_send(SubscribeRequest {
                message: Some(message),
            })
            .map_err(|_full_or_closed| SessionError::Ended)
    };
    send(Request::Hello(hello(host, held)))?;
    let mut responses = client
        .subscribe(ReceiverStream::new(outgoing))
        .await?
        .into_inner();
    metrics.connected.set(1);
    let mut farewell = pin!(farewell);
    let mut leaves = false;
    loop {
        let response = tokio::select! {
            response = responses.message() => response?,
            reason = &mut farewell, if !leaves => {
                leaves = true;
                send(Request::Goodbye(Goodbye { reason: reason.to_owned() }))?;
                continue;
            }
        };
        // The operator ends the stream once it heard the goodbye.
        let Some(response) = response else {
            return Err(SessionError::Ended);
        };
        *answered = true;
        match response.message {
            Some(Response::Bodies(bodies)) => held.add(bodies)?,
            Some(Response::Lists(lists)) => held.add_lists(lists)?,
            Some(Response::List(list)) => held.list(list)?,
            Some(Response::Activate(order)) => {
                let policy = held.activate(&order.revision)?;
                let failures = activate(node, policy).await;
                send(Request::Ack(PolicyAck {
                    revision: order.revision,
                    failures,
                }))?;
            }
            Some(Response::Pods(update)) => node.pods(update),
            Some(Response::Refusal(refusal)) => {
                return Err(SessionError::Refused {
                    reason: refusal.reason,
                    message: refusal.message,
                });
            }
            // A message of a newer operator.
            None => {}
        }
    }
}

/// Compiling takes its time: not on the thread that answers the operator.
async fn activate<N: Node>(node: &Arc<N>, policy: Policy) -> Vec<RuleFailure> {
    let node = Arc::clone(node);
    let uids: Vec<String> = policy.list.rules.iter().map(|rule| rule.uid.clone()).collect();
    match spawn_blocking(move || node.activate(&policy)).await {
        Ok(failures) => failures,
        Err(error) => {
            tracing::error!(%error, "activating the policy failed; the last one stays active");
            uids.into_iter()
                .map(|uid| RuleFailure {
                    uid,
                    reason: "AgentFailed".to_owned(),
                    message: "the agent failed while it compiled the policy; see its log".to_owned(),
                })
                .collect()
        }
    }
}

fn hello(host: &Host, held: &Held) -> Hello {
    Hello {
        protocol: PROTOCOL_VERSION,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        language_version: yagura_rules::LANGUAGE_VERSION,
        node_name: host.name.to_string(),
        boot_id: host.boot_id.to_string(),
        kernel_release: host.kernel.to_string(),
        held: held.hashes(),
    }
}
