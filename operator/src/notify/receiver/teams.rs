//! Microsoft Teams, through a workflow that posts what its webhook is sent: an adaptive card.
//!
//! What comes from events stands in text runs, in which cards know no markup.

use serde_json::{Value, json};
use yagura_crds::notification_route::receiver::Teams;
use yagura_event::Severity;

use super::super::message::{Message, line};
use super::super::secrets::Secrets;
use super::super::subject::Stage;
use super::error::SendError;
use super::http::{Post, post};

/// Teams takes 28 KiB a message; a signal takes 2 KiB at the most here.
const MOST_SIGNALS: usize = 8;

pub(super) async fn send(spec: &Teams, secrets: &Secrets, message: &Message) -> Result<(), SendError> {
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
    let run = |text: String| json!({"type": "TextRun", "text": text});
    let block = |runs: Vec<Value>| json!({"type": "RichTextBlock", "inlines": runs});
    let headline = json!({
        "type": "TextRun",
        "text": message.headline(),
        "weight": "Bolder",
        "size": "Medium",
        "color": color(message),
    });
    let mut parts = vec![block(vec![headline])];
    let (shown, more) = message.shown(MOST_SIGNALS);
    for signal in shown {
        let title = json!({"type": "TextRun", "text": line(&signal.title, 256), "weight": "Bolder"});
        let mut title = block(vec![title]);
        title["separator"] = json!(true);
        parts.push(title);
        for (name, value) in message.facts(signal) {
            let name = json!({"type": "TextRun", "text": format!("{name}: "), "isSubtle": true});
            let mut fact = block(vec![name, run(value)]);
            fact["spacing"] = json!("None");
            parts.push(fact);
        }
    }
    if more > 0 {
        parts.push(block(vec![run(format!("and {more} more: kubectl get sig -A"))]));
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": {"width": "Full"},
                "body": parts,
            },
        }],
    })
}

fn color(message: &Message) -> &'static str {
    match (message.stage, message.severity()) {
        (Stage::Closed, _) => "Good",
        (_, Severity::Critical | Severity::High) => "Attention",
        (_, Severity::Medium) => "Warning",
        (_, Severity::Low | Severity::Info) => "Accent",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::message::tests::message;
    use super::super::super::subject::Stage::Open;
    use super::super::tests::{Server, target};
    use super::super::{Cause, send};
    use super::body;

    #[tokio::test]
    async fn a_workflow_gets_an_adaptive_card() {
        let server = Server::start().await;
        server.answer(202, "");
        let secrets = server.secrets("teams", "url", &server.url("/workflows/x?sig=secret"));
        let target = target(json!({"teams": {"url": {"secretKeyRef": {"name": "teams", "key": "url"}}}}));
        send(&target, &secrets, &message(Open, &["shell-1"]))
            .await
            .unwrap();
        let request = server.only();
        assert_eq!(request.path, "/workflows/x?sig=secret");
        let body = request.json();
        let card = &body["attachments"][0];
        assert_eq!(card["contentType"], "application/vnd.microsoft.card.adaptive");
        assert_eq!(card["content"]["type"], "AdaptiveCard");
        assert_eq!(
            card["content"]["body"][0]["inlines"][0]["text"],
            "[HIGH] Shell bash in cart (shop) in prod-1"
        );
    }

    #[tokio::test]
    async fn a_workflow_that_is_over_its_limit_is_waited_for() {
        let server = Server::start().await;
        server.answer_with(429, "", &[("retry-after", "17")]);
        let secrets = server.secrets("teams", "url", &server.url("/w"));
        let target = target(json!({"teams": {"url": {"secretKeyRef": {"name": "teams", "key": "url"}}}}));
        let error = send(&target, &secrets, &message(Open, &["a"])).await.unwrap_err();
        assert_eq!(
            (error.cause, error.retry_after),
            (Cause::Throttled, Some(17_000_000_000))
        );
    }

    #[test]
    fn cards_have_no_markup_and_stay_small() {
        let names: Vec<String> = (0..300).map(|n| n.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut message = message(Open, &names);
        for signal in &mut message.signals {
            signal.title = "[log in](https://evil.example) **x**".repeat(40);
            signal.rule = "r".repeat(253);
            signal.resource = "p".repeat(512);
        }
        let body = body(&message);
        assert!(body.to_string().len() < 28 * 1024, "{}", body.to_string().len());
        let blocks = body["attachments"][0]["content"]["body"].as_array().unwrap();
        assert!(blocks.iter().all(|block| block["type"] == "RichTextBlock"));
    }
}
