//! Anything that takes a POST: a JSON object of ours or of the route's own template, signed when
//! the route has a key for it.

use hmac::{Hmac, Mac as _};
use http::header::HeaderName;
use sha2::Sha256;
use yagura_crds::notification_route::receiver::{ValueSource, Webhook};

use super::super::message::Message;
use super::super::secrets::{Secret, Secrets};
use super::error::{Cause, SendError};
use super::http::{Post, post};
use super::template::Template;

/// Headers of a signed request.
const TIME: HeaderName = HeaderName::from_static("x-yagura-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("x-yagura-signature");

pub(super) async fn send(
    spec: &Webhook,
    template: Option<&Template>,
    secrets: &Secrets,
    message: &Message,
) -> Result<(), SendError> {
    let url = secrets.value(&spec.url).await?;
    let ca = secrets.of_optional(spec.ca.as_ref()).await?;
    let key = secrets.of_optional(spec.signing_key.as_ref()).await?;
    let body = match template {
        Some(template) => template.render(message),
        None => message.json().to_string(),
    };
    let mut headers = Vec::new();
    for header in &spec.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes())
            .map_err(|error| SendError::new(Cause::Address, format!("header {:?}: {error}", header.name)))?;
        let source = ValueSource {
            value: header.value.clone(),
            secret_key_ref: header.secret_key_ref.clone(),
        };
        headers.push((name, secrets.value(&source).await?));
    }
    if let Some(key) = key {
        let time = message.at.as_second().to_string();
        headers.push((
            SIGNATURE,
            Secret::new(format!("sha256={}", sign(&key, &time, &body))),
        ));
        headers.push((TIME, Secret::new(time)));
    }
    post(Post {
        url: &url,
        headers,
        body: body.into_bytes(),
        ca: ca.as_ref(),
    })
    .await
}

/// HMAC-SHA256 over the time, a dot and the body, in hexadecimal.
fn sign(key: &Secret, time: &str, body: &str) -> String {
    use std::fmt::Write as _;
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    mac.finalize()
        .into_bytes()
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes everything");
            text
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::message::tests::message;
    use super::super::super::subject::Stage::{Closed, Open};
    use super::super::tests::{Server, target};
    use super::super::{Cause, send};
    use super::{Secret, sign};

    #[tokio::test]
    async fn a_webhook_gets_everything_and_can_check_who_sent_it() {
        let server = Server::start().await;
        let secrets = server.secrets("hook", "key", "signing");
        let target = target(json!({"webhook": {
            "url": {"value": server.url("/hook")},
            "headers": [{"name": "X-Team", "value": "payments"}],
            "signingKey": {"secretKeyRef": {"name": "hook", "key": "key"}},
        }}));
        send(&target, &secrets, &message(Open, &["shell-1", "shell-2"]))
            .await
            .unwrap();
        let request = server.only();
        assert_eq!(request.header("x-team"), "payments");
        let body = request.json();
        assert_eq!((&body["version"], &body["state"]), (&json!(1), &json!("open")));
        assert_eq!(body["signals"][1]["dedupKey"], "yagura-shell-2");
        let time = request.header("x-yagura-timestamp");
        assert_eq!(time, "1700000060");
        let expected = sign(&Secret::new("signing".to_owned()), time, &request.body);
        assert_eq!(request.header("x-yagura-signature"), format!("sha256={expected}"));
    }

    #[test]
    fn the_signature_is_hmac_sha256() {
        // Computed with `printf '1700000060.{}' | openssl dgst -sha256 -hmac key`.
        let signature = sign(&Secret::new("key".to_owned()), "1700000060", "{}");
        assert_eq!(
            signature,
            "2651ffd82c6b5ec24281e4886e091fe0590f50d957fe0a55358b20e8e8fa7aab"
        );
    }

    #[tokio::test]
    async fn a_template_makes_the_body() {
        let server = Server::start().await;
        let secrets = server.secrets("hook", "key", "k");
        let target = target(json!({"webhook": {
            "url": {"value": server.url("/hook")},
            "template": "{\"text\": \"{{state}}: {{title}}\", \"all\": {{signals}}}",
        }}));
        let mut hostile = message(Closed, &["a"]);
        hostile.signals[0].title = "quote \" back \\ slash\n".to_owned();
        send(&target, &secrets, &hostile).await.unwrap();
        let body = server.only().json();
        assert_eq!(
            body["text"],
            "closed: Over: quote \" back \\ slash  (shop) in prod-1"
        );
        assert_eq!(body["all"][0]["name"], "a");
    }

    #[tokio::test]
    async fn urls_that_cannot_be_used_say_so_and_show_nothing() {
        let server = Server::start().await;
        let secrets = server.secrets("hook", "key", "k");
        for url in [
            "ftp://x/s3cret",
            "not a url s3cret",
            "http://user:s3cret@x/",
            "/s3cret",
            "http://[::1/s3cret",
        ] {
            let target = target(json!({"webhook": {"url": {"value": url}}}));
            let error = send(&target, &secrets, &message(Open, &["a"])).await.unwrap_err();
            assert_eq!(error.cause, Cause::Address, "{url}");
            assert!(!error.message.contains("s3cret"), "{error}");
        }
    }

    #[tokio::test]
    async fn an_endless_or_broken_answer_ends() {
        let server = Server::start().await;
        server.answer(200, &"x".repeat(1024 * 1024));
        let secrets = server.secrets("hook", "key", "k");
        let target = target(json!({"webhook": {"url": {"value": server.url("/")}}}));
        send(&target, &secrets, &message(Open, &["a"])).await.unwrap();
        server.answer(503, "later");
        let error = send(&target, &secrets, &message(Open, &["a"])).await.unwrap_err();
        assert_eq!(error.cause, Cause::Unavailable);
    }

    #[tokio::test]
    async fn nobody_there_is_told_as_such() {
        let server = Server::start().await;
        let secrets = server.secrets("hook", "key", "k");
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let target = target(json!({"webhook": {"url": {"value": format!("http://{closed}/")}}}));
        let error = send(&target, &secrets, &message(Open, &["a"])).await.unwrap_err();
        assert_eq!(error.cause, Cause::Connect);
    }
}
