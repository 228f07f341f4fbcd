//! PagerDuty, through the Events API v2: one incident for each signal, which follows its life.

use serde_json::{Value, json};
use yagura_crds::notification_route::receiver::PagerDuty;
use yagura_event::Severity;

use super::super::message::{Message, line};
use super::super::secrets::{Secret, Secrets};
use super::super::subject::{Stage, Subject};
use super::error::SendError;
use super::http::{Post, post};

/// Characters of a summary.
const MOST_SUMMARY: usize = 1_024;

pub(super) async fn send(spec: &PagerDuty, secrets: &Secrets, message: &Message) -> Result<(), SendError> {
    let key = secrets.of(&spec.routing_key).await?;
    let url = Secret::new(spec.url.clone());
    for signal in &message.signals {
        post(Post {
            url: &url,
            headers: Vec::new(),
            body: body(message, signal, &key).to_string().into_bytes(),
            ca: None,
        })
        .await
        .map_err(|error| error.without(&[&key]))?;
    }
    Ok(())
}

fn body(message: &Message, signal: &Subject, key: &Secret) -> Value {
    let action = match message.stage {
        Stage::Open => "trigger",
        Stage::Acknowledged => "acknowledge",
        Stage::Closed => "resolve",
    };
    let mut event = json!({
        "routing_key": key.expose(),
        "event_action": action,
        "dedup_key": signal.dedup_key(),
    });
    // The other actions look at nothing but the key.
    if message.stage == Stage::Open {
        let source = if message.cluster.is_empty() {
            &signal.origin
        } else {
            &message.cluster
        };
        event["client"] = json!("Yagura");
        event["payload"] = json!({
            "summary": line(&message.headline(), MOST_SUMMARY),
            "source": source,
            "severity": severity(signal.severity),
            "timestamp": signal.first.to_string(),
            "component": signal.resource,
            "group": signal.origin,
            "class": signal.rule,
            "custom_details": signal.json(message.stage),
        });
    }
    event
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "info",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::message::tests::message;
    use super::super::super::subject::Stage::{Acknowledged, Closed, Open};
    use super::super::tests::{Server, target};
    use super::super::{Cause, send};

    fn pager(server: &Server) -> Value {
        json!({"pagerDuty": {
            "routingKey": {"secretKeyRef": {"name": "pd", "key": "key"}},
            "url": server.url("/v2/enqueue"),
        }})
    }

    #[tokio::test]
    async fn an_incident_follows_its_signal_under_one_key() {
        let server = Server::start().await;
        server.answer(202, r#"{"status": "success", "dedup_key": "x"}"#);
        let secrets = server.secrets("pd", "key", "R0UT1NGKEY");
        let target = target(pager(&server));
        for stage in [Open, Acknowledged, Closed] {
            send(&target, &secrets, &message(stage, &["shell-1"]))
                .await
                .unwrap();
        }
        let requests = server.requests();
        let actions: Vec<Value> = requests
            .iter()
            .map(|request| request.json()["event_action"].clone())
            .collect();
        assert_eq!(actions, ["trigger", "acknowledge", "resolve"]);
        for request in &requests {
            assert_eq!(request.path, "/v2/enqueue");
            assert_eq!(request.json()["routing_key"], "R0UT1NGKEY");
            assert_eq!(request.json()["dedup_key"], "yagura-shell-1");
        }
        let payload = &requests[0].json()["payload"];
        assert_eq!(payload["severity"], "error");
        assert_eq!(payload["source"], "prod-1");
        assert_eq!(payload["custom_details"]["count"], 3);
    }

    #[tokio::test]
    async fn an_event_that_is_invalid_is_not_tried_again_and_the_key_not_told() {
        let server = Server::start().await;
        server.answer(400, r#"{"status": "invalid event", "errors": ["R0UT1NGKEY"]}"#);
        let secrets = server.secrets("pd", "key", "R0UT1NGKEY");
        let error = send(&target(pager(&server)), &secrets, &message(Open, &["a"]))
            .await
            .unwrap_err();
        assert_eq!(error.cause, Cause::Refused);
        assert!(!error.message.contains("R0UT1NGKEY"), "{error}");
    }
}
