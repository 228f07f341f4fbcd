//! Slack, through an incoming webhook.
//!
//! What comes from events stands in objects of plain text, in which Slack finds no markup; the
//! fallback text has no such object and is escaped.

use serde_json::{Value, json};
use yagura_crds::notification_route::receiver::Slack;
use yagura_event::Severity;

use super::super::message::{Message, line, lines};
use super::super::secrets::Secrets;
use super::super::subject::Stage;
use super::error::SendError;
use super::http::{Post, post};

/// Slack takes 50 blocks, three a signal at the most here.
const MOST_SIGNALS: usize = 12;

pub(super) async fn send(spec: &Slack, secrets: &Secrets, message: &Message) -> Result<(), SendError> {
    let url = secrets.of(&spec.url).await?;
    post(Post {
        url: &url,
        headers: Vec::new(),
        body: body(message).to_string().into_bytes(),
        ca: None,
    })
    .await
}

fn body(message: &Message) -> Value {
    let plain = |text: String| json!({"type": "plain_text", "text": text, "emoji": false});
    let (shown, more) = message.shown(MOST_SIGNALS);
    let mut blocks = vec![json!({"type": "section", "text": plain(message.headline())})];
    for signal in shown {
        let facts: Vec<String> = message
            .facts(signal)
            .into_iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let title = line(&signal.title, 512);
        blocks.push(json!({"type": "section", "text": plain(format!("{title}\n{}", facts.join("\n")))}));
        if message.signals.len() == 1 && message.stage == Stage::Open && !signal.remediation.is_empty() {
            blocks.push(json!({"type": "section", "text": plain(lines(&signal.remediation, 2_500))}));
        }
    }
    if more > 0 {
        let text = format!("and {more} more: kubectl get sig -A");
        blocks.push(json!({"type": "context", "elements": [plain(text)]}));
    }
    json!({
        "text": escape(&message.headline()),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "attachments": [{"color": color(message), "blocks": blocks}],
    })
}

/// The three characters that Slack's text gives a meaning to.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn color(message: &Message) -> &'static str {
    match (message.stage, message.severity()) {
        (Stage::Closed, _) => "#2e7d32",
        (_, Severity::Critical) => "#8e0000",
        (_, Severity::High) => "#d32f2f",
        (_, Severity::Medium) => "#f57c00",
        (_, Severity::Low) => "#fbc02d",
        (_, Severity::Info) => "#607d8b",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::message::tests::message;
    use super::super::super::subject::Stage::{Closed, Open};
    use super::super::tests::{Server, target};
    use super::super::{Cause, send};
    use super::body;

    #[tokio::test]
    async fn a_channel_gets_a_message_it_can_show() {
        let server = Server::start().await;
        let secrets = server.secrets("chat", "url", &server.url("/services/T0/B0/token"));
        let target = target(json!({"slack": {"url": {"secretKeyRef": {"name": "chat", "key": "url"}}}}));
        send(&target, &secrets, &message(Open, &["shell-1"]))
            .await
            .unwrap();
        let request = server.only();
        assert_eq!(request.path, "/services/T0/B0/token");
        assert_eq!(request.header("content-type"), "application/json");
        let body = request.json();
        assert_eq!(body["text"], "[HIGH] Shell bash in cart (shop) in prod-1");
        assert_eq!(body["attachments"][0]["color"], "#d32f2f");
        let blocks = body["attachments"][0]["blocks"].as_array().unwrap();
        assert_eq!(blocks.len(), 3, "{blocks:?}");
        assert!(
            blocks[1]["text"]["text"]
                .as_str()
                .unwrap()
                .contains("kubectl get sig -n shop shell-1 -o yaml")
        );
    }

    #[tokio::test]
    async fn a_webhook_that_is_gone_is_told_without_its_token() {
        let server = Server::start().await;
        server.answer(404, "no_service for http://127.0.0.1/services/T0/B0/token");
        let url = server.url("/services/T0/B0/token");
        let secrets = server.secrets("chat", "url", &url);
        let target = target(json!({"slack": {"url": {"secretKeyRef": {"name": "chat", "key": "url"}}}}));
        let error = send(&target, &secrets, &message(Open, &["a"])).await.unwrap_err();
        assert_eq!(error.cause, Cause::Denied);
        assert!(
            error.message.contains("404") && error.message.contains("no_service"),
            "{error}"
        );
    }

    #[test]
    fn events_cannot_write_markup() {
        let mut hostile = message(Open, &["a"]);
        hostile.signals[0].title = "<!channel> <https://evil.example|log in> *b* & co\nnew line".to_owned();
        let body = body(&hostile);
        let text = body["text"].as_str().unwrap();
        assert!(
            !text.contains('<') && !text.contains('>') && !text.contains('\n'),
            "{text}"
        );
        assert!(text.contains("&lt;!channel&gt;"));
        let texts = |value: &serde_json::Value| value["text"]["type"] == "plain_text";
        assert!(
            body["attachments"][0]["blocks"]
                .as_array()
                .unwrap()
                .iter()
                .all(texts)
        );
    }

    #[test]
    fn a_long_list_stays_within_slacks_bounds() {
        let names: Vec<String> = (0..500).map(|n| n.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let body = body(&message(Closed, &names));
        let blocks = body["attachments"][0]["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50);
        assert!(blocks.iter().all(|block| block.to_string().len() < 3_500));
        assert_eq!(
            blocks.last().unwrap()["elements"][0]["text"],
            "and 488 more: kubectl get sig -A"
        );
    }
}
