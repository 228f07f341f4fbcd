//! Replaces certificates before they end, without anybody losing the operator.

use std::convert::Infallible;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use yagura_telemetry::chain;

use super::{Authority, Identity, Lifetimes, Publisher, Step, TlsError, Trust, names};
use crate::args::Args;
use crate::index::SharedIndex;
use crate::metrics::Metrics;

/// Between two looks while a step is awaited, and at most.
const LOOK: SignedDuration = SignedDuration::from_secs(5);
const LONGEST: SignedDuration = SignedDuration::from_hours(1);
/// Agents come back within this time after the operator started: before, those that are connected are not all.
const SETTLED: SignedDuration = SignedDuration::from_mins(5);

/// The certificates of a running operator.
pub struct Certificates {
    publisher: Publisher,
    lifetimes: Lifetimes,
    names: Vec<String>,
    trust: Trust,
    /// What others were told to trust.
    published: String,
    identity: Identity,
    /// When the server's certificate is to be renewed.
    renew: Timestamp,
    since: Timestamp,
    metrics: Metrics,
}

impl Certificates {
    /// Reads the authority or makes it, publishes its certificate, issues the server's.
    ///
    /// Secret, `ConfigMap` and webhook configuration are there already, empty: the operator may change exactly these
    /// objects and create none.
    pub async fn establish(client: &Client, args: &Args, metrics: &Metrics) -> Result<Self, TlsError> {
        let lifetimes = args.lifetimes();
        lifetimes.check().map_err(TlsError::Lifetimes)?;
        let now = Timestamp::now();
        let publisher = Publisher::new(client, args);
        let kept = publisher.read().await?;
        let trust = if let Some(trust) = kept.trust.clone() {
            trust
        } else {
            let made = Authority::generate(now, lifetimes.authority).map_err(|source| TlsError::Make {
                what: "certificate authority",
                source,
            })?;
            let trust = Trust::new(made);
            publisher.write(&kept, &trust).await?;
            info!(secret = publisher.secret(), "made a certificate authority");
            trust
        };
        let stored = |source| TlsError::Stored {
            secret: publisher.secret().to_owned(),
            source,
        };
        let names = names(args);
        let leaf = trust
            .current
            .issue(names.clone(), now, lifetimes.leaf)
            .map_err(stored)?;
        metrics
            .authority_expiry
            .set(trust.current.expires().map_err(stored)?.as_second());
        metrics.certificate_expiry.set(leaf.expires.as_second());
        let bundle = trust.bundle();
        publisher.publish(&bundle).await?;
        Ok(Self {
            published: bundle,
            renew: renewal(now, leaf.expires),
            identity: Identity::new(leaf)?,
            publisher,
            lifetimes,
            names,
            trust,
            since: now,
            metrics: metrics.clone(),
        })
    }

    /// What the operator shows to those who connect.
    pub fn identity(&self) -> Identity {
        self.identity.clone()
    }

    /// Does what is due; then how long to wait.
    async fn look(&mut self, index: &SharedIndex) -> Result<SignedDuration, TlsError> {
        let now = Timestamp::now();
        // Where the last step ended early.
        self.publish().await?;
        if let Some(step) = self.due(now, index)? {
            self.take(step, now).await?;
        } else if now >= self.renew {
            self.issue(now)?;
            self.metrics.certificate_steps.inc(["renew"]);
            info!(
                until = self.metrics.certificate_expiry.get(),
                "renewed the server's certificate"
            );
        }
        Ok(self.wait(Timestamp::now()))
    }

    fn due(&self, now: Timestamp, index: &SharedIndex) -> Result<Option<Step>, TlsError> {
        let settled = now.duration_since(self.since) >= SETTLED.min(self.lifetimes.patience / 10);
        let due = self.trust.due(&self.lifetimes, now, |next| {
            settled && next.fingerprint().is_ok_and(|next| all_trust(index, &next))
        });
        due.map_err(|source| self.stored(source))
    }

    /// Takes a step from what is stored. Everything is published before it is used, and stored before it is published.
    async fn take(&mut self, step: Step, now: Timestamp) -> Result<(), TlsError> {
        let kept = self.publisher.read().await?;
        let before = kept.trust.clone().unwrap_or_else(|| self.trust.clone());
        let after = before
            .after(step, &self.lifetimes, now)
            .map_err(|source| TlsError::Make {
                what: "next certificate authority",
                source,
            })?;
        self.publisher.write(&kept, &after).await?;
        self.trust = after;
        self.publish().await?;
        self.issue(now)?;
        self.metrics.certificate_steps.inc([step.name()]);
        let what = match step {
            Step::Prepare => "made the next certificate authority and published it",
            Step::Switch => "the next certificate authority signs from now on",
            Step::Retire => "the former certificate authority is not published any more",
        };
        info!(secret = self.publisher.secret(), step = step.name(), "{what}");
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), TlsError> {
        let bundle = self.trust.bundle();
        if bundle != self.published {
            self.publisher.publish(&bundle).await?;
            self.published = bundle;
        }
        Ok(())
    }

    /// Issues the server's certificate by the authority that signs.
    fn issue(&mut self, now: Timestamp) -> Result<(), TlsError> {
        let issued = self
            .trust
            .current
            .issue(self.names.clone(), now, self.lifetimes.leaf);
        let leaf = issued.map_err(|source| self.stored(source))?;
        let expires = leaf.expires;
        let authority = self.trust.current.expires();
        let authority = authority.map_err(|source| self.stored(source))?;
        self.identity.replace(leaf)?;
        self.renew = renewal(now, expires);
        self.metrics.certificate_expiry.set(expires.as_second());
        self.metrics.authority_expiry.set(authority.as_second());
        Ok(())
    }

    fn wait(&self, now: Timestamp) -> SignedDuration {
        let awaited = self.trust.next.is_some() || self.trust.former.is_some();
        let look = if awaited {
            LOOK.min(self.lifetimes.patience / 20)
        } else {
            let authority = self.trust.current.expires().unwrap_or(now) - self.lifetimes.renew_before;
            authority.duration_since(now)
        };
        let renew = self.renew.duration_since(now);
        look.min(renew).clamp(SignedDuration::from_millis(50), LONGEST)
    }

    fn stored(&self, source: super::CertificateError) -> TlsError {
        TlsError::Stored {
            secret: self.publisher.secret().to_owned(),
            source,
        }
    }
}

/// When two thirds of a certificate's time are over.
fn renewal(from: Timestamp, until: Timestamp) -> Timestamp {
    from + until.duration_since(from) / 3 * 2
}

/// Whether agents are connected, and all of them say that they trust a certificate.
fn all_trust(index: &SharedIndex, fingerprint: &str) -> bool {
    let index = index.read();
    let mut connected = index.nodes.iter().filter(|(_, state)| state.connected).peekable();
    connected.peek().is_some()
        && connected.all(|(_, state)| {
            let trusted = state.status.iter().flat_map(|status| &status.trusted);
            trusted.into_iter().any(|trusted| trusted == fingerprint)
        })
}

/// Keeps certificates current until `stop`. What fails is tried again: until it is too late, nothing is lost.
pub async fn rotate(
    mut certificates: Certificates,
    index: SharedIndex,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    loop {
        let wait = certificates.look(&index).await.unwrap_or_else(|error| {
            certificates.metrics.controller_errors.inc(["certificates"]);
            warn!(error = %chain(&error), "cannot replace certificates; trying again");
            LOOK
        });
        tokio::select! {
            () = sleep(Duration::try_from(wait).unwrap_or_default()) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}
