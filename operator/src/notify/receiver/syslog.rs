//! Syslog as RFC 5424 has it: over UDP (RFC 5426), TCP with counted octets (RFC 6587) or TLS
//! (RFC 5425). One line of JSON for each signal.

use std::net::SocketAddr;

use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UdpSocket, lookup_host};
use yagura_crds::notification_route::receiver::{Syslog, SyslogProtocol};
use yagura_event::Severity;

use super::super::message::{Message, line};
use super::super::secrets::Secrets;
use super::super::subject::Subject;
use super::error::{Cause, SendError};
use super::tls;

pub(super) async fn send(spec: &Syslog, secrets: &Secrets, message: &Message) -> Result<(), SendError> {
    let lines: Vec<String> = message
        .signals
        .iter()
        .map(|signal| frame(spec.facility, message, signal))
        .collect();
    let port = spec.port.unwrap_or(match spec.protocol {
        SyslogProtocol::Tls => 6_514,
        SyslogProtocol::Udp | SyslogProtocol::Tcp => 514,
    });
    match spec.protocol {
        SyslogProtocol::Udp => datagrams(&spec.host, port, &lines).await,
        SyslogProtocol::Tcp => stream(tls::connect(&spec.host, port).await?, &spec.host, &lines).await,
        SyslogProtocol::Tls => {
            let ca = secrets.of_optional(spec.ca.as_ref()).await?;
            let connected = tls::connect(&spec.host, port).await?;
            let protected = tls::protect(connected, &spec.host, ca.as_ref()).await?;
            stream(protected, &spec.host, &lines).await
        }
    }
}

async fn datagrams(host: &str, port: u16, lines: &[String]) -> Result<(), SendError> {
    let failed = |error: std::io::Error| {
        SendError::new(Cause::Connect, format!("cannot send to {host}:{port}: {error}"))
    };
    let address = lookup_host((host, port)).await.map_err(failed)?.next();
    let address = address.ok_or_else(|| failed(std::io::Error::other("the name has no address")))?;
    let any: SocketAddr = if address.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(any).await.map_err(failed)?;
    socket.connect(address).await.map_err(failed)?;
    for line in lines {
        socket.send(line.as_bytes()).await.map_err(failed)?;
    }
    Ok(())
}

async fn stream(mut stream: impl AsyncWrite + Unpin, host: &str, lines: &[String]) -> Result<(), SendError> {
    let failed = |error: std::io::Error| {
        SendError::new(
            Cause::Unavailable,
            format!("{host} ended the connection: {error}"),
        )
    };
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend_from_slice(line.len().to_string().as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(line.as_bytes());
    }
    stream.write_all(&bytes).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    stream.shutdown().await.map_err(failed)
}

/// A whole message. The text is JSON in ASCII, so nothing in it can end a line or a frame.
fn frame(facility: u8, message: &Message, signal: &Subject) -> String {
    let text = json!({
        "dedupKey": signal.dedup_key(),
        "state": message.stage.as_str(),
        "test": message.test,
        "cluster": message.cluster,
        "name": signal.name,
        "namespace": signal.namespace,
        "originNamespace": signal.origin,
        "rule": signal.rule,
        "severity": signal.severity.as_str(),
        "source": signal.source,
        "title": line(&signal.title, 512),
        "resource": line(&signal.resource, 256),
        "node": signal.node,
        "count": signal.count,
        "firstSeen": signal.first.to_string(),
        "lastSeen": signal.last.to_string(),
    });
    let priority = u16::from(facility) * 8 + level(signal.severity);
    let host = token(&message.cluster, 255);
    let id = format!("signal.{}", message.stage.as_str());
    format!(
        "<{priority}>1 {} {host} yagura - {id} - {}",
        message.at,
        ascii(&text.to_string())
    )
}

fn level(severity: Severity) -> u16 {
    match severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Info => 6,
    }
}

/// A header's field: printable ASCII without blanks, `-` when there is nothing.
fn token(text: &str, most: usize) -> String {
    let printable: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if printable.is_empty() {
        "-".to_owned()
    } else {
        printable
    }
}

/// JSON with everything beyond printable ASCII escaped.
fn ascii(json: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if matches!(character, ' '..='~') {
            out.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            write!(out, "\\u{unit:04x}").expect("a string takes everything");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, UdpSocket};

    use super::super::super::message::tests::message;
    use super::super::super::subject::Stage::{Closed, Open};
    use super::super::tests::{Server, authority, target};
    use super::super::{Cause, send};
    use super::frame;

    fn syslog(port: u16, protocol: &str) -> Value {
        json!({"syslog": {"host": "localhost", "port": port, "protocol": protocol}})
    }

    /// The frames of a stream of counted octets.
    fn frames(mut bytes: &[u8]) -> Vec<String> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let blank = bytes.iter().position(|byte| *byte == b' ').unwrap();
            let length: usize = std::str::from_utf8(&bytes[..blank]).unwrap().parse().unwrap();
            let end = blank + 1 + length;
            frames.push(String::from_utf8(bytes[blank + 1..end].to_vec()).unwrap());
            bytes = &bytes[end..];
        }
        frames
    }

    fn check(frame: &str, name: &str) {
        let (header, text) = frame.split_once(" - {").unwrap();
        assert_eq!(header, "<107>1 2023-11-14T22:14:20Z prod-1 yagura - signal.open");
        let text: Value = serde_json::from_str(&format!("{{{text}")).unwrap();
        assert_eq!(text["name"], name);
    }

    #[tokio::test]
    async fn datagrams_carry_one_signal_each() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = Server::start().await;
        let mut spec = syslog(socket.local_addr().unwrap().port(), "udp");
        spec["syslog"]["host"] = json!("127.0.0.1");
        send(
            &target(spec),
            &server.secrets("s", "k", "v"),
            &message(Open, &["a", "b"]),
        )
        .await
        .unwrap();
        for name in ["a", "b"] {
            let mut buffer = vec![0; 8_192];
            let length = socket.recv(&mut buffer).await.unwrap();
            check(std::str::from_utf8(&buffer[..length]).unwrap(), name);
        }
    }

    #[tokio::test]
    async fn streams_carry_counted_octets() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::start().await;
        let port = listener.local_addr().unwrap().port();
        let received = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            bytes
        });
        send(
            &target(syslog(port, "tcp")),
            &server.secrets("s", "k", "v"),
            &message(Open, &["a", "b"]),
        )
        .await
        .unwrap();
        let frames = frames(&received.await.unwrap());
        check(&frames[0], "a");
        check(&frames[1], "b");
    }

    #[tokio::test]
    async fn tls_is_checked_against_the_routes_own_certificates() {
        let (ca, acceptor) = authority();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::start().await;
        let port = listener.local_addr().unwrap().port();
        let received = tokio::spawn(async move {
            let mut all = Vec::new();
            // The first client does not trust the certificate and ends the handshake.
            for _ in 0..2 {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    stream.read_to_end(&mut all).await.unwrap();
                }
            }
            all
        });
        let secrets = server.secrets("ca", "ca.crt", &ca);
        let mut spec = syslog(port, "tls");
        let error = send(&target(spec.clone()), &secrets, &message(Open, &["a"]))
            .await
            .unwrap_err();
        assert_eq!(error.cause, Cause::Tls);
        spec["syslog"]["ca"] = json!({"secretKeyRef": {"name": "ca", "key": "ca.crt"}});
        send(&target(spec), &secrets, &message(Open, &["a"]))
            .await
            .unwrap();
        check(&frames(&received.await.unwrap())[0], "a");
    }

    proptest! {
        #[test]
        fn an_event_cannot_begin_another_message(hostile in any::<String>()) {
            let mut message = message(Closed, &["a"]);
            message.cluster = hostile.clone();
            message.signals[0].title = hostile.clone();
            message.signals[0].rule = hostile.clone();
            let frame = frame(13, &message, &message.signals[0]);
            prop_assert!(frame.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{frame:?}");
            let (_, text) = frame.split_once(" - {").unwrap();
            let text: Value = serde_json::from_str(&format!("{{{text}")).unwrap();
            prop_assert_eq!(text["rule"].as_str(), Some(hostile.as_str()));
            prop_assert!(frame.len() < 65_507);
        }
    }
}
