//! E-mail through a server that takes it by SMTP, in the clear only when the route says so.

use std::time::Duration;

use jiff::Timestamp;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{AsyncSmtpTransport, Error};
use lettre::{AsyncTransport as _, Tokio1Executor};
use sha2::{Digest as _, Sha256};
use yagura_crds::notification_route::receiver::{Email, MailSecurity};
use yagura_telemetry::chain;

use super::super::message::{Message, SHOWN, line, lines};
use super::super::secrets::Secrets;
use super::super::subject::Stage;
use super::error::{Cause, SendError};

/// One step of the conversation.
const STEP: Duration = Duration::from_secs(10);

/// An address that is none.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {text:?} is no address; write Name <user@host> or user@host")]
pub struct InvalidAddress {
    field: &'static str,
    text: String,
    #[source]
    source: lettre::address::AddressError,
}

/// The sender and the recipients.
pub fn addresses(spec: &Email) -> Result<(Mailbox, Vec<Mailbox>), InvalidAddress> {
    let read = |field, text: &String| {
        text.parse().map_err(|source| InvalidAddress {
            field,
            text: text.clone(),
            source,
        })
    };
    let to = spec
        .to
        .iter()
        .map(|text| read("to", text))
        .collect::<Result<_, _>>()?;
    Ok((read("from", &spec.from)?, to))
}

pub(super) async fn send(spec: &Email, secrets: &Secrets, message: &Message) -> Result<(), SendError> {
    let mail = mail(spec, message)?;
    let domain = addresses(spec).map_or_else(
        |_| "localhost".to_owned(),
        |(from, _)| from.email.domain().to_owned(),
    );
    let security = match spec.security {
        MailSecurity::None => Tls::None,
        MailSecurity::StartTls => Tls::Required(parameters(spec, secrets).await?),
        MailSecurity::Tls => Tls::Wrapper(parameters(spec, secrets).await?),
    };
    let port = spec.port.unwrap_or(match spec.security {
        MailSecurity::StartTls => 587,
        MailSecurity::Tls => 465,
        MailSecurity::None => 25,
    });
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&spec.host)
        .port(port)
        .tls(security)
        .timeout(Some(STEP))
        .hello_name(ClientId::Domain(domain));
    let password = secrets.of_optional(spec.password.as_ref()).await?;
    if let (Some(user), Some(password)) = (&spec.username, &password) {
        // The schema refuses this as well; a password never crosses the network in the clear.
        if spec.security == MailSecurity::None {
            return Err(SendError::new(
                Cause::Address,
                "a password is only sent over TLS".to_owned(),
            ));
        }
        transport = transport.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
    }
    let sent = transport.build().send(mail).await;
    sent.map(drop).map_err(|error| {
        let hidden: Vec<_> = password.iter().collect();
        failure(&spec.host, &error).without(&hidden)
    })
}

async fn parameters(spec: &Email, secrets: &Secrets) -> Result<TlsParameters, SendError> {
    let unusable =
        |error: Error| SendError::new(Cause::Tls, format!("TLS cannot be prepared: {}", chain(&error)));
    let mut builder =
        TlsParameters::builder(spec.host.clone()).certificate_store(CertificateStore::WebpkiRoots);
    if let Some(ca) = secrets.of_optional(spec.ca.as_ref()).await? {
        let certificate = Certificate::from_pem(ca.expose().as_bytes()).map_err(unusable)?;
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(unusable)
}

fn failure(host: &str, error: &Error) -> SendError {
    let cause = match error.status().map(u16::from) {
        Some(530 | 534 | 535 | 538) => Cause::Denied,
        Some(400..=499) => Cause::Unavailable,
        Some(_) => Cause::Refused,
        None if error.is_timeout() => Cause::Timeout,
        None if error.is_tls() => Cause::Tls,
        None => Cause::Connect,
    };
    SendError::new(cause, format!("{host}: {}", chain(error)))
}

fn mail(spec: &Email, message: &Message) -> Result<lettre::Message, SendError> {
    let unusable = |text: String| SendError::new(Cause::Address, text);
    let (from, to) = addresses(spec).map_err(|error| unusable(error.to_string()))?;
    let domain = from.email.domain().to_owned();
    let mut builder = lettre::Message::builder()
        .from(from)
        .date(message.at.into())
        .message_id(Some(format!("<{}@{domain}>", identity(message))))
        .subject(line(&format!("[Yagura] {}", message.headline()), 200))
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
    for recipient in to {
        builder = builder.to(recipient);
    }
    let part = SinglePart::builder()
        .header(ContentType::TEXT_PLAIN)
        .body(text(message));
    builder
        .singlepart(part)
        .map_err(|error| unusable(format!("the mail cannot be written: {error}")))
}

/// The same for a message that is sent again, so that mail programs show it once.
fn identity(message: &Message) -> String {
    use std::fmt::Write as _;
    let mut hasher = Sha256::new();
    hasher.update(message.route.as_bytes());
    hasher.update(message.receiver.as_bytes());
    hasher.update(message.stage.as_str().as_bytes());
    if message.test {
        hasher.update(message.at.to_string().as_bytes());
    }
    for signal in &message.signals {
        hasher.update(signal.name.len().to_be_bytes());
        hasher.update(signal.name.as_bytes());
    }
    hasher.finalize()[..16]
        .iter()
        .fold("yagura-".to_owned(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes everything");
            text
        })
}

fn text(message: &Message) -> String {
    let mut text = vec![message.headline(), String::new()];
    let (shown, more) = message.shown(SHOWN);
    for signal in shown {
        text.push(line(&signal.title, 1_024));
        for (name, value) in message.facts(signal) {
            text.push(format!("  {name}: {value}"));
        }
        text.push(String::new());
    }
    if more > 0 {
        text.push(format!("… and {more} more: kubectl get sig -A\n"));
    }
    if let ([only], Stage::Open) = (message.signals.as_slice(), message.stage) {
        for (name, prose) in [
            ("What it means", &only.description),
            ("What to do", &only.remediation),
        ] {
            if !prose.is_empty() {
                text.push(format!("{name}:\n{}\n", lines(prose, 4_096)));
            }
        }
    }
    text.push(format!(
        "Sent by Yagura at {} through route {} to {}.",
        Timestamp::to_string(&message.at),
        message.route,
        message.receiver
    ));
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::super::message::tests::message;
    use super::super::super::subject::Stage::{Closed, Open};
    use super::super::tests::smtp::{self, Security};
    use super::super::tests::{Server, authority, target};
    use super::super::{Cause, send};
    use super::mail;

    fn email(port: u16, security: &str) -> Value {
        json!({"email": {
            "host": "localhost",
            "port": port,
            "security": security,
            "from": "Yagura <yagura@corp.example>",
            "to": ["oncall@corp.example", "Second <second@corp.example>"],
        }})
    }

    fn with_login(mut spec: Value) -> Value {
        spec["email"]["username"] = json!("yagura");
        spec["email"]["password"] = json!({"secretKeyRef": {"name": "mail", "key": "password"}});
        spec["email"]["ca"] = json!({"secretKeyRef": {"name": "mail", "key": "ca.crt"}});
        spec
    }

    #[tokio::test]
    async fn mail_arrives_whole_at_every_recipient() {
        let server = smtp::start(Security::None).await;
        let http = Server::start().await;
        let secrets = http.secrets("mail", "password", "x");
        let mut told = message(Open, &["shell-1"]);
        told.signals[0].remediation = ".\n..\nAsk who it was.".to_owned();
        send(&target(email(server.port, "none")), &secrets, &told)
            .await
            .unwrap();
        let mail = server.only().await;
        assert_eq!(mail.from, "yagura@corp.example");
        assert_eq!(mail.to, ["oncall@corp.example", "second@corp.example"]);
        assert!(
            mail.data.contains("Subject: [Yagura] [HIGH] Shell bash in cart"),
            "{}",
            mail.data
        );
        assert!(mail.data.contains("Auto-Submitted: auto-generated"));
        assert!(mail.data.contains("Ask who it was."));
        assert!(
            mail.data.contains("\r\n.\r\n..\r\n"),
            "dots are stuffed and taken out again: {}",
            mail.data
        );
        assert!(mail.user.is_none());
    }

    #[tokio::test]
    async fn starttls_and_a_login_come_before_the_mail() {
        let (ca, acceptor) = authority();
        for security in [
            Security::StartTls(acceptor.clone()),
            Security::Tls(acceptor.clone()),
        ] {
            let kind = if matches!(security, Security::Tls(_)) {
                "tls"
            } else {
                "startTls"
            };
            let server = smtp::start(security).await;
            let http = Server::start().await;
            http.secrets("mail", "password", "hunter2");
            let secrets = http.secrets("mail", "ca.crt", &ca);
            let target = target(with_login(email(server.port, kind)));
            send(&target, &secrets, &message(Closed, &["a", "b"]))
                .await
                .unwrap();
            let mail = server.only().await;
            assert_eq!(mail.user.as_deref(), Some("\0yagura\0hunter2"), "{kind}");
            assert!(mail.protected, "{kind}");
        }
    }

    #[tokio::test]
    async fn a_server_without_starttls_or_with_a_strange_certificate_gets_nothing() {
        let http = Server::start().await;
        http.secrets("mail", "password", "hunter2");
        let (ca, acceptor) = authority();
        let secrets = http.secrets("mail", "ca.crt", &ca);
        let clear = smtp::start(Security::None).await;
        let spec = with_login(email(clear.port, "startTls"));
        send(&target(spec), &secrets, &message(Open, &["a"]))
            .await
            .unwrap_err();
        assert!(clear.mails().is_empty());
        let strange = smtp::start(Security::StartTls(acceptor)).await;
        let mut spec = with_login(email(strange.port, "startTls"));
        spec["email"].as_object_mut().unwrap().remove("ca");
        let error = send(&target(spec), &secrets, &message(Open, &["a"]))
            .await
            .unwrap_err();
        assert!(matches!(error.cause, Cause::Tls | Cause::Connect), "{error:?}");
        assert!(strange.mails().is_empty());
    }

    #[tokio::test]
    async fn a_wrong_password_is_told_without_it() {
        let (ca, acceptor) = authority();
        let server = smtp::start(Security::StartTls(acceptor)).await;
        let http = Server::start().await;
        http.secrets("mail", "password", "wrong-s3cret");
        let secrets = http.secrets("mail", "ca.crt", &ca);
        let target = target(with_login(email(server.port, "startTls")));
        let error = send(&target, &secrets, &message(Open, &["a"])).await.unwrap_err();
        assert_eq!(error.cause, Cause::Denied, "{error}");
        assert!(!error.message.contains("wrong-s3cret"), "{error}");
    }

    proptest! {
        #[test]
        fn an_event_cannot_write_headers_or_end_the_mail(hostile in any::<String>()) {
            let spec = target(email(25, "none"));
            let spec = spec.spec.email.as_ref().unwrap();
            let mut told = message(Open, &["a"]);
            told.signals[0].title = format!("x\r\nBcc: evil@evil.example\r\n\r\n{hostile}");
            told.cluster = hostile.clone();
            let mail = mail(spec, &told).unwrap().formatted();
            let text = String::from_utf8_lossy(&mail);
            let (headers, _) = text.split_once("\r\n\r\n").unwrap();
            prop_assert!(!headers.lines().any(|line| line.to_lowercase().starts_with("bcc:")), "{headers}");
            let names = headers.lines().filter(|line| !line.starts_with([' ', '\t'])).count();
            prop_assert!((7..=9).contains(&names), "{}", headers);
        }
    }
}
