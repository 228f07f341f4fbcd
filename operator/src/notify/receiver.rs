//! Receivers: one module each puts a message into the receiver's form and sends it.

pub mod alertmanager;
pub mod email;
mod error;
mod http;
mod opsgenie;
mod pagerduty;
mod slack;
mod syslog;
mod teams;
pub mod template;
mod tls;
mod webhook;

use std::time::Duration;

use tokio::time::timeout;

use super::message::Message;
use super::route::{Kind, Target};
use super::secrets::Secrets;

pub use error::{Cause, SendError};

/// What one message may take in all, names and handshakes included.
const MOST: Duration = Duration::from_secs(20);

/// Sends a message to a receiver.
pub async fn send(target: &Target, secrets: &Secrets, message: &Message) -> Result<(), SendError> {
    match timeout(MOST, dispatch(target, secrets, message)).await {
        Ok(result) => result,
        Err(_elapsed) => Err(SendError::new(
            Cause::Timeout,
            format!("no answer within {} s", MOST.as_secs()),
        )),
    }
}

async fn dispatch(target: &Target, secrets: &Secrets, message: &Message) -> Result<(), SendError> {
    let spec = &target.spec;
    let missing = || SendError::new(Cause::Address, "the receiver has no such part".to_owned());
    match target.kind {
        Kind::Slack => slack::send(spec.slack.as_ref().ok_or_else(missing)?, secrets, message).await,
        Kind::Teams => teams::send(spec.teams.as_ref().ok_or_else(missing)?, secrets, message).await,
        Kind::PagerDuty => {
            pagerduty::send(spec.pager_duty.as_ref().ok_or_else(missing)?, secrets, message).await
        }
        Kind::Opsgenie => opsgenie::send(spec.opsgenie.as_ref().ok_or_else(missing)?, secrets, message).await,
        Kind::Email => email::send(spec.email.as_ref().ok_or_else(missing)?, secrets, message).await,
        Kind::Webhook => {
            let hook = spec.webhook.as_ref().ok_or_else(missing)?;
            webhook::send(hook, target.template.as_deref(), secrets, message).await
        }
        Kind::Alertmanager => {
            alertmanager::send(spec.alertmanager.as_ref().ok_or_else(missing)?, secrets, message).await
        }
        Kind::Syslog => syslog::send(spec.syslog.as_ref().ok_or_else(missing)?, secrets, message).await,
    }
}

#[cfg(test)]
pub(super) mod tests;
