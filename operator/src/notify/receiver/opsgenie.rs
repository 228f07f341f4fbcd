//! Opsgenie, through its Alert API: one alert for each signal, which follows its life.

use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use yagura_crds::notification_route::receiver::Opsgenie;
use yagura_event::Severity;

use super::super::message::{Message, line, lines};
use super::super::secrets::{Secret, Secrets};
use super::super::subject::{Stage, Subject};
use super::error::SendError;
use super::http::{Post, post};

/// Characters of an alert's message and of its description.
const MOST_MESSAGE: usize = 130;
const MOST_DESCRIPTION: usize = 10_000;

pub(super) async fn send(spec: &Opsgenie, secrets: &Secrets, message: &Message) -> Result<(), SendError> {
    let key = secrets.of(&spec.api_key).await?;
    let base = Secret::new(spec.url.clone());
    for signal in &message.signals {
        let (path, body) = request(spec, message, signal);
        let url = Secret::new(format!("{}{path}", base.expose().trim_end_matches('/')));
        post(Post {
            url: &url,
            headers: vec![(AUTHORIZATION, Secret::new(format!("GenieKey {}", key.expose())))],
            body: body.to_string().into_bytes(),
            ca: None,
        })
        .await
        .map_err(|error| error.without(&[&key]))?;
    }
    Ok(())
}

fn request(spec: &Opsgenie, message: &Message, signal: &Subject) -> (String, Value) {
    // Names of signals have no character that a path gives a meaning to.
    let alias = signal.dedup_key();
    let change = |verb: &str| format!("/v2/alerts/{alias}/{verb}?identifierType=alias");
    match message.stage {
        Stage::Acknowledged => (change("acknowledge"), json!({"source": "Yagura"})),
        Stage::Closed => (change("close"), json!({"source": "Yagura"})),
        Stage::Open => {
            let facts: serde_json::Map<String, Value> = message
                .facts(signal)
                .into_iter()
                .map(|(name, value)| (name.to_owned(), json!(value)))
                .collect();
            let responders: Vec<Value> = spec
                .teams
                .iter()
                .map(|team| json!({"type": "team", "name": team}))
                .collect();
            let text = format!("{}\n\n{}", signal.description, signal.remediation);
            let alert = json!({
                "message": line(&message.headline(), MOST_MESSAGE),
                "alias": alias,
                "description": lines(text.trim(), MOST_DESCRIPTION),
                "responders": responders,
                "tags": ["yagura", line(&signal.rule, 50), signal.severity.as_str()],
                "details": facts,
                "entity": line(&signal.resource, 512),
                "source": "Yagura",
                "priority": priority(signal.severity),
            });
            ("/v2/alerts".to_owned(), alert)
        }
    }
}

fn priority(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "P1",
        Severity::High => "P2",
        Severity::Medium => "P3",
        Severity::Low => "P4",
        Severity::Info => "P5",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::message::tests::message;
    use super::super::super::subject::Stage::{Acknowledged, Closed, Open};
    use super::super::tests::{Server, target};
    use super::super::{Cause, send};

    fn opsgenie(server: &Server) -> Value {
        json!({"opsgenie": {
            "apiKey": {"secretKeyRef": {"name": "og", "key": "key"}},
            "url": server.url("/"),
            "teams": ["security"],
        }})
    }

    #[tokio::test]
    async fn an_alert_follows_its_signal_under_one_alias() {
        let server = Server::start().await;
        server.answer(202, r#"{"result": "Request will be processed"}"#);
        let secrets = server.secrets("og", "key", "k-1-2");
        for stage in [Open, Acknowledged, Closed] {
            send(
                &target(opsgenie(&server)),
                &secrets,
                &message(stage, &["shell-1"]),
            )
            .await
            .unwrap();
        }
        let requests = server.requests();
        let paths: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/v2/alerts",
                "/v2/alerts/yagura-shell-1/acknowledge?identifierType=alias",
                "/v2/alerts/yagura-shell-1/close?identifierType=alias",
            ]
        );
        assert!(
            requests
                .iter()
                .all(|request| request.header("authorization") == "GenieKey k-1-2")
        );
        let alert = requests[0].json();
        assert_eq!(alert["alias"], "yagura-shell-1");
        assert_eq!(alert["priority"], "P2");
        assert_eq!(alert["responders"], json!([{"type": "team", "name": "security"}]));
        assert!(alert["message"].as_str().unwrap().len() <= 130);
    }

    #[tokio::test]
    async fn a_wrong_key_is_told_without_it() {
        let server = Server::start().await;
        server.answer(403, r#"{"message": "GenieKey k-1-2 is not valid"}"#);
        let secrets = server.secrets("og", "key", "k-1-2");
        let error = send(&target(opsgenie(&server)), &secrets, &message(Open, &["a"]))
            .await
            .unwrap_err();
        assert_eq!(error.cause, Cause::Denied);
        assert!(!error.message.contains("k-1-2"), "{error}");
    }
}
