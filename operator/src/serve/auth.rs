//! Which node a call comes from: a bound ServiceAccount token, reviewed when an agent connects.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::PostParams;
use kube::{Api, Client};
use moka::Expiry;
use moka::future::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tonic::Status;
use tonic::metadata::MetadataMap;
use tracing::warn;
use yagura_telemetry::chain;

use super::claims;
use super::pace::Bucket;
use crate::context::Context;
use crate::index::SharedIndex;
use crate::metrics::Metrics;

/// Reviews at a time.
const MAX_REVIEWS: usize = 16;
/// Time for a review, waiting for its turn included.
const REVIEW: Duration = Duration::from_secs(10);
/// An agent opens both of its streams with one token, and one review answers for both. A pod that goes meanwhile is known from the
/// operator's own watch.
const ACCEPTED_FOR: Duration = Duration::from_secs(10);
/// Whoever was refused comes again and again.
const REFUSED_FOR: Duration = Duration::from_mins(1);
/// Tokens whose review is remembered: those of a large cluster's agents that connect at the same time. To forget one costs a review.
const MAX_REVIEWED: u64 = 16_384;
/// Calls with one token: an agent opens two streams each time that it connects, at most every half a second and then less
/// and less often.
const CALLS_PER_SECOND: u32 = 2;
const CALLS_AT_ONCE: u32 = 20;
/// Tokens whose calls are counted: those of a large cluster's agents that connect at the same time.
const MAX_CALLERS: usize = 16_384;
/// One log line per cause in this time.
const LOG_EVERY: Duration = Duration::from_secs(30);

/// Keys that the API server puts into a bound token's `extra`.
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Refusal {
    /// There is no bearer token.
    NoToken,
    /// What is there is no token.
    Malformed,
    /// The token is for others.
    Audience,
    /// The token is over.
    Expired,
    /// The token is of another account.
    Subject,
    /// The token is shown again and again.
    TooOften,
    /// The API server does not know the token.
    Rejected,
    /// The API server says that it is of another account or for others.
    NotAgent,
    /// The token is not bound to a pod on a node (Kubernetes before 1.30, or made by hand).
    NotBound,
    /// The pod is no live pod of the agents' DaemonSet on that node.
    UnknownPod,
    /// The API server could not be asked.
    ReviewFailed,
}

impl Refusal {
    /// Label value of the metric.
    pub(super) fn cause(self) -> &'static str {
        match self {
            Self::NoToken => "no-token",
            Self::Malformed => "malformed-token",
            Self::Audience => "wrong-audience",
            Self::Expired => "expired-token",
            Self::Subject => "wrong-subject",
            Self::TooOften => "too-often",
            Self::Rejected => "rejected-token",
            Self::NotAgent => "not-agent",
            Self::NotBound => "not-bound",
            Self::UnknownPod => "unknown-pod",
            Self::ReviewFailed => "review-failed",
        }
    }

    /// What the peer is told. Nothing that helps to guess a better token.
    fn status(self) -> Status {
        match self {
            Self::ReviewFailed => Status::unavailable("the token cannot be reviewed now; try again later"),
            Self::TooOften => Status::resource_exhausted("too many calls with this token; wait a while"),
            Self::UnknownPod => Status::unauthenticated(
                "the token's pod is not known as an agent of its node; try again later",
            ),
            _ => Status::unauthenticated(format!("refused: {}", self.cause())),
        }
    }
}

/// An agent that proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agent {
    /// The node that its pod runs on.
    pub(super) node: String,
    /// Uid of its pod.
    pub(super) pod: String,
    /// When its token expires, in seconds since the Unix epoch.
    pub(super) expires: i64,
}

/// Who may call.
#[derive(Clone, Debug)]
struct Expected {
    audience: String,
    username: String,
    namespace: String,
    daemon_set: String,
}

/// Pod and node that a token is bound to.
type Bound = (String, String);

/// How long what the API server said of a token holds.
struct Validity;

impl Expiry<[u8; 32], Result<Bound, Refusal>> for Validity {
    fn expire_after_create(
        &self,
        _token: &[u8; 32],
        answer: &Result<Bound, Refusal>,
        _now: std::time::Instant,
    ) -> Option<Duration> {
        Some(if answer.is_ok() { ACCEPTED_FOR } else { REFUSED_FOR })
    }
}

/// Authenticates calls.
pub(super) struct Authenticator {
    client: Client,
    index: SharedIndex,
    metrics: Metrics,
    expected: Expected,
    reviews: Semaphore,
    reviewed: Cache<[u8; 32], Result<Bound, Refusal>>,
    calls: Mutex<HashMap<[u8; 32], Bucket>>,
    logged: Mutex<HashMap<Refusal, (Instant, u64)>>,
}

impl Authenticator {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            client: context.client.clone(),
            index: context.index.clone(),
            metrics: context.metrics.clone(),
            expected: Expected {
                audience: context.args.audience.clone(),
                username: context.args.agent_username(),
                namespace: context.args.namespace.clone(),
                daemon_set: context.args.agent_daemon_set.clone(),
            },
            reviews: Semaphore::new(MAX_REVIEWS),
            reviewed: Cache::builder()
                .max_capacity(MAX_REVIEWED)
                .expire_after(Validity)
                .build(),
            calls: Mutex::default(),
            logged: Mutex::default(),
        }
    }

    /// The agent that a call comes from.
    pub(super) async fn authenticate(&self, metadata: &MetadataMap) -> Result<Agent, Status> {
        self.verify(metadata).await.map_err(|refusal| {
            self.metrics.refused_streams.inc([refusal.cause()]);
            self.log(refusal);
            refusal.status()
        })
    }

    async fn verify(&self, metadata: &MetadataMap) -> Result<Agent, Refusal> {
        let header = metadata.get("authorization").ok_or(Refusal::NoToken)?;
        let header = header.to_str().map_err(|_not_text| Refusal::Malformed)?;
        let token = header.strip_prefix("Bearer ").ok_or(Refusal::NoToken)?;
        let Expected {
            audience, username, ..
        } = &self.expected;
        let now = jiff::Timestamp::now().as_second();
        let expires = claims::check(token, audience, username, now)?;

        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(Err(refusal)) = self.reviewed.get(&digest).await {
            return Err(refusal);
        }
        if !self.may_call(digest) {
            return Err(Refusal::TooOften);
        }
        // Of the calls that come at the same time one asks, and the others wait for its answer.
        let answer = self.reviewed.try_get_with(digest, self.review(token)).await;
        let (pod, node) = answer.map_err(|refusal| *refusal)??;
        self.check_pod(&pod, &node)?;
        Ok(Agent { node, pod, expires })
    }

    /// What the API server says of a token; an error when it says nothing.
    async fn review(&self, token: &str) -> Result<Result<Bound, Refusal>, Refusal> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                audiences: Some(vec![self.expected.audience.clone()]),
                token: token.to_owned(),
            },
            ..TokenReview::default()
        };
        let asked = async {
            let _turn = self.reviews.acquire().await;
            let api: Api<TokenReview> = Api::all(self.client.clone());
            api.create(&PostParams::default(), &review).await
        };
        match timeout(REVIEW, asked).await {
            Ok(Ok(review)) => {
                let status = review.status.ok_or(Refusal::ReviewFailed)?;
                Ok(bound_to(&status, &self.expected))
            }
            Ok(Err(error)) => {
                warn!(error = %chain(&error), "cannot review a token");
                Err(Refusal::ReviewFailed)
            }
            Err(_) => Err(Refusal::ReviewFailed),
        }
    }

    /// The operator's own watch must agree that this pod is a live agent on that node.
    fn check_pod(&self, pod: &str, node: &str) -> Result<(), Refusal> {
        let index = self.index.read();
        let agent = index.pods.get(pod).is_some_and(|record| {
            record.live
                && record.node == node
                && record.namespace == self.expected.namespace
                && record.owner_kind == "DaemonSet"
                && record.owner_name == self.expected.daemon_set
        });
        if agent { Ok(()) } else { Err(Refusal::UnknownPod) }
    }

    /// Whether one more call with a token is reasonable.
    fn may_call(&self, digest: [u8; 32]) -> bool {
        let now = Instant::now();
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() >= MAX_CALLERS {
            calls.retain(|_, bucket| !bucket.is_full(now));
        }
        if calls.len() >= MAX_CALLERS {
            // Whoever shows so many tokens is not counted by one of them.
            calls.clear();
        }
        calls
            .entry(digest)
            .or_insert_with(|| Bucket::new(CALLS_PER_SECOND, CALLS_AT_ONCE / CALLS_PER_SECOND, now))
            .take(now)
    }

    fn log(&self, refusal: Refusal) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let (last, since) = logged.entry(refusal).or_insert((now, 0));
        *since += 1;
        let first = *since == 1 && *last == now;
        if first || now.duration_since(*last) >= LOG_EVERY {
            warn!(cause = refusal.cause(), calls = *since, "refused calls of agents");
            *last = now;
            *since = 0;
        }
    }
}

/// Pod and node that a reviewed token is bound to, if it is an agent's.
fn bound_to(status: &TokenReviewStatus, expected: &Expected) -> Result<Bound, Refusal> {
    if status.authenticated != Some(true) {
        return Err(Refusal::Rejected);
    }
    // A server that does not know audiences leaves them out: the token may be for anybody then.
    let audiences = status.audiences.as_deref().unwrap_or_default();
    if !audiences.contains(&expected.audience) {
        return Err(Refusal::NotAgent);
    }
    let user = status.user.as_ref().ok_or(Refusal::NotAgent)?;
    if user.username.as_ref() != Some(&expected.username) {
        return Err(Refusal::NotAgent);
    }
    let extra = |key: &str| match user.extra.as_ref()?.get(key)?.as_slice() {
        [value] if !value.is_empty() => Some(value.clone()),
        _ => None,
    };
    let pod = extra(POD_UID).ok_or(Refusal::NotBound)?;
    let node = extra(NODE_NAME).ok_or(Refusal::NotBound)?;
    Ok((pod, node))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::api::authentication::v1::{TokenReviewStatus, UserInfo};

    use super::{Expected, NODE_NAME, POD_UID, Refusal, bound_to};

    fn expected() -> Expected {
        Expected {
            audience: "ours".into(),
            username: "system:serviceaccount:sec:agent".into(),
            namespace: "sec".into(),
            daemon_set: "agent".into(),
        }
    }

    fn reviewed() -> TokenReviewStatus {
        let extra = [(POD_UID, "uid-1"), (NODE_NAME, "node-1")];
        let extra = extra.map(|(key, value)| (key.to_owned(), vec![value.to_owned()]));
        TokenReviewStatus {
            audiences: Some(vec!["ours".into()]),
            authenticated: Some(true),
            user: Some(UserInfo {
                username: Some(expected().username),
                extra: Some(BTreeMap::from(extra)),
                ..UserInfo::default()
            }),
            ..TokenReviewStatus::default()
        }
    }

    #[test]
    fn a_bound_token_of_the_agents_account_tells_pod_and_node() {
        let bound = bound_to(&reviewed(), &expected());
        assert_eq!(bound, Ok(("uid-1".into(), "node-1".into())));
    }

    #[test]
    fn whatever_the_review_lacks_refuses_the_call() {
        let change = |change: fn(&mut TokenReviewStatus)| {
            let mut status = reviewed();
            change(&mut status);
            bound_to(&status, &expected()).unwrap_err()
        };
        assert_eq!(change(|s| s.authenticated = None), Refusal::Rejected);
        assert_eq!(change(|s| s.audiences = None), Refusal::NotAgent);
        assert_eq!(
            change(|s| s.audiences = Some(vec!["x".into()])),
            Refusal::NotAgent
        );
        assert_eq!(change(|s| s.user = None), Refusal::NotAgent);
        let other = |s: &mut TokenReviewStatus| s.user.as_mut().unwrap().username = Some("x".into());
        assert_eq!(change(other), Refusal::NotAgent);
        let unbound = |s: &mut TokenReviewStatus| s.user.as_mut().unwrap().extra = None;
        assert_eq!(change(unbound), Refusal::NotBound);
        let two_nodes = |s: &mut TokenReviewStatus| {
            let extra = s.user.as_mut().unwrap().extra.as_mut().unwrap();
            extra.get_mut(NODE_NAME).unwrap().push("node-2".into());
        };
        assert_eq!(change(two_nodes), Refusal::NotBound);
    }
}
