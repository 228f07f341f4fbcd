//! Prometheus' Alertmanager, through its API v2: one alert for each signal.
//!
//! Alertmanager forgets alerts that are not repeated; how often that is done is the route's
//! business (`Kind::refresh`), how long an alert lasts without it is decided here.

use http::header::AUTHORIZATION;
use jiff::ToSpan as _;
use serde_json::{Value, json};
use yagura_crds::notification_route::receiver::Alertmanager;

use super::super::message::{Message, line, lines};
use super::super::secrets::{Secret, Secrets};
use super::super::subject::{Stage, Subject};
use super::error::SendError;
use super::http::{Post, post};

/// Minutes that an alert lasts when nobody repeats it: three times the pause between repetitions.
const LASTS: i64 = 15;

pub(super) async fn send(spec: &Alertmanager, secrets: &Secrets, message: &Message) -> Result<(), SendError> {
    let base = secrets.value(&spec.url).await?;
    let ca = secrets.of_optional(spec.ca.as_ref()).await?;
    let token = secrets.of_optional(spec.token.as_ref()).await?;
    let url = Secret::new(format!("{}/api/v2/alerts", base.expose().trim_end_matches('/')));
    let bearer = token
        .as_ref()
        .map(|token| (AUTHORIZATION, Secret::new(format!("Bearer {}", token.expose()))));
    let hidden: Vec<&Secret> = token.iter().collect();
    post(Post {
        url: &url,
        headers: bearer.into_iter().collect(),
        body: body(message).to_string().into_bytes(),
        ca: ca.as_ref(),
    })
    .await
    .map_err(|error| error.without(&hidden))
}

fn body(message: &Message) -> Value {
    Value::Array(
        message
            .signals
            .iter()
            .map(|signal| alert(message, signal))
            .collect(),
    )
}

/// The labels are the alert's identity: nothing that changes during a signal's life is among them.
fn alert(message: &Message, signal: &Subject) -> Value {
    let ends = match message.stage {
        Stage::Closed => message.at,
        _ => message.at.checked_add(LASTS.minutes()).unwrap_or(message.at),
    };
    let mut labels = json!({
        "alertname": signal.rule,
        "signal": signal.name,
        "severity": signal.severity.as_str(),
        "namespace": signal.origin,
        "source": signal.source,
        "route": message.route,
    });
    let rest = [
        ("cluster", Some(message.cluster.as_str())),
        ("node", signal.node.as_deref()),
    ];
    for (label, value) in rest {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            labels[label] = json!(value);
        }
    }
    json!({
        "labels": labels,
        "annotations": {
            "summary": line(&signal.title, 1_024),
            "description": lines(&signal.description, 4_096),
            "remediation": lines(&signal.remediation, 4_096),
            "resource": line(&signal.resource, 512),
            "show": signal.command(),
        },
        "startsAt": signal.first.to_string(),
        "endsAt": ends.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::message::tests::message;
    use super::super::super::subject::Stage::{Closed, Open};
    use super::super::tests::{Server, target};
    use super::super::{Cause, send};

    #[tokio::test]
    async fn an_alert_lasts_until_its_signal_ends() {
        let server = Server::start().await;
        let secrets = server.secrets("am", "token", "t0ken");
        let target = target(json!({"alertmanager": {
            "url": {"value": server.url("/alertmanager/")},
            "token": {"secretKeyRef": {"name": "am", "key": "token"}},
        }}));
        let mut open = message(Open, &["shell-1", "shell-2"]);
        send(&target, &secrets, &open).await.unwrap();
        open.stage = Closed;
        send(&target, &secrets, &open).await.unwrap();
        let requests = server.requests();
        assert!(
            requests
                .iter()
                .all(|request| request.path == "/alertmanager/api/v2/alerts")
        );
        assert!(
            requests
                .iter()
                .all(|request| request.header("authorization") == "Bearer t0ken")
        );
        let (first, last) = (requests[0].json(), requests[1].json());
        assert_eq!(first.as_array().unwrap().len(), 2);
        assert_eq!(first[0]["labels"], last[0]["labels"], "the same alert");
        assert_eq!(first[0]["labels"]["alertname"], "shell-in-container");
        assert_eq!(first[0]["startsAt"], "2023-11-14T22:13:20Z");
        assert_eq!(first[0]["endsAt"], "2023-11-14T22:29:20Z");
        assert_eq!(last[0]["endsAt"], "2023-11-14T22:14:20Z");
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let server = Server::start().await;
        server.answer_with(307, "", &[("location", &server.url("/elsewhere"))]);
        let secrets = server.secrets("am", "token", "t");
        let target = target(json!({"alertmanager": {"url": {"value": server.url("")}}}));
        let error = send(&target, &secrets, &message(Open, &["a"])).await.unwrap_err();
        assert_eq!(error.cause, Cause::Address);
        assert!(error.message.contains("redirects are not followed"), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}
