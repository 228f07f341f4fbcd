//! Leader election by a Lease: who holds it is the one that writes.

mod decide;

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client};
use tokio::time::{Instant, interval, sleep, timeout};
use tracing::{info, warn};
use yagura_telemetry::chain;

use decide::{Decision, Observed, decide};

/// A holder that did not renew for this long has lost it.
const DURATION: Duration = Duration::from_secs(15);
/// How often the holder renews and others look.
const PERIOD: Duration = Duration::from_secs(3);
/// A call that takes longer is given up and tried again.
const CALL: Duration = Duration::from_secs(5);

/// The lease is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else took it: this process must not write any more.
    #[error("lease {name} is now held by {holder}")]
    Lost {
        /// Name of the lease.
        name: String,
        /// Its holder.
        holder: String,
    },
}

/// The lease while it is held.
#[derive(Debug)]
pub struct Held {
    leases: Api<LeaseObject>,
    name: String,
    identity: String,
    transitions: i32,
}

/// Waits until the lease is ours. While the API server does not answer, it keeps trying.
pub async fn acquire(client: &Client, namespace: &str, name: &str, identity: &str) -> Held {
    let leases: Api<LeaseObject> = Api::namespaced(client.clone(), namespace);
    let mut observed = Observed::default();
    let mut waiting_for = None;
    loop {
        match attempt(&leases, name, identity, &mut observed).await {
            Ok(Attempt::Taken(transitions)) => {
                info!(lease = name, transitions, "holding the lease");
                return Held {
                    leases,
                    name: name.to_owned(),
                    identity: identity.to_owned(),
                    transitions,
                };
            }
            Ok(Attempt::HeldBy(holder)) => {
                if waiting_for.as_ref() != Some(&holder) {
                    info!(lease = name, holder, "waiting for the lease");
                    waiting_for = Some(holder);
                }
            }
            Err(error) => warn!(lease = name, error = %chain(&error), "cannot take the lease"),
        }
        sleep(PERIOD).await;
    }
}

enum Attempt {
    Taken(i32),
    HeldBy(String),
}

async fn attempt(
    leases: &Api<LeaseObject>,
    name: &str,
    identity: &str,
    observed: &mut Observed,
) -> Result<Attempt, kube::Error> {
    let found = call(leases.get_opt(name)).await?;
    let spec = found.as_ref().and_then(|lease| lease.spec.clone());
    let holder = || {
        let holder = spec.as_ref().and_then(|spec| spec.holder_identity.clone());
        holder.unwrap_or_else(|| "nobody".to_owned())
    };
    let transitions = match decide(spec.as_ref(), identity, observed, Instant::now()) {
        Decision::Wait => return Ok(Attempt::HeldBy(holder())),
        Decision::Take { transitions } => transitions,
    };
    let lease = LeaseObject {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            // Somebody who took it meanwhile makes this write a conflict.
            resource_version: found.as_ref().and_then(|l| l.metadata.resource_version.clone()),
            ..found.clone().map(|l| l.metadata).unwrap_or_default()
        },
        spec: Some(spec_of(identity, transitions)),
    };
    let params = PostParams::default();
    let written = match found {
        Some(_) => call(leases.replace(name, &params, &lease)).await,
        None => call(leases.create(&params, &lease)).await,
    };
    match written {
        Ok(_) => Ok(Attempt::Taken(transitions)),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Attempt::HeldBy(holder())),
        Err(error) => Err(error),
    }
}

fn spec_of(identity: &str, transitions: i32) -> LeaseSpec {
    let now = MicroTime(Timestamp::now());
    LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        lease_transitions: Some(transitions),
        acquire_time: Some(now.clone()),
        renew_time: Some(now),
        ..LeaseSpec::default()
    }
}

impl Held {
    /// How often the lease changed hands: orders what this holder says after what others said.
    pub fn epoch(&self) -> u64 {
        u64::try_from(self.transitions).unwrap_or(0)
    }

    /// Renews until `stop` completes, then gives the lease up so that a successor need not wait.
    ///
    /// While the API server does not answer, nobody can take the lease there either, and what the
    /// process stores goes on behind the store's own lock: only another holder ends it.
    pub async fn hold(self, stop: impl Future<Output = ()>) -> Result<(), LeaseError> {
        let mut period = interval(PERIOD);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = period.tick() => self.renew().await?,
            }
        }
        if let Err(error) = self.release().await {
            warn!(lease = self.name, error = %chain(&error), "cannot release the lease");
        }
        Ok(())
    }

    async fn renew(&self) -> Result<(), LeaseError> {
        match self.write(spec_of(&self.identity, self.transitions)).await {
            Ok(None) => Ok(()),
            Ok(Some(holder)) => Err(LeaseError::Lost {
                name: self.name.clone(),
                holder,
            }),
            Err(error) => {
                warn!(lease = self.name, error = %chain(&error), "cannot renew the lease");
                Ok(())
            }
        }
    }

    async fn release(&self) -> Result<(), kube::Error> {
        let spec = LeaseSpec {
            holder_identity: None,
            lease_duration_seconds: Some(1),
            ..spec_of(&self.identity, self.transitions)
        };
        self.write(spec).await?;
        Ok(())
    }

    /// Writes `spec` unless somebody else holds the lease: then says who. A lease that somebody
    /// deleted is made again.
    async fn write(&self, mut spec: LeaseSpec) -> Result<Option<String>, kube::Error> {
        let params = PostParams::default();
        let Some(mut lease) = call(self.leases.get_opt(&self.name)).await? else {
            let lease = LeaseObject {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(spec),
            };
            call(self.leases.create(&params, &lease)).await?;
            return Ok(None);
        };
        let before = lease.spec.take().unwrap_or_default();
        match before.holder_identity {
            Some(holder) if holder == self.identity => {}
            holder => return Ok(Some(holder.unwrap_or_else(|| "nobody".to_owned()))),
        }
        spec.acquire_time = before.acquire_time;
        lease.spec = Some(spec);
        call(self.leases.replace(&self.name, &params, &lease)).await?;
        Ok(None)
    }
}

/// A call with an end: a connection that hangs must not keep the lease from being watched.
async fn call<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    timeout(CALL, request)
        .await
        .unwrap_or_else(|elapsed| Err(kube::Error::Service(Box::new(elapsed))))
}
