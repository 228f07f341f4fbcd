//! A mail server: as much of RFC 5321, 3207 and 4954 as a client meets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, interval};
use tokio_rustls::TlsAcceptor;

/// A mail as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) data: String,
    /// What AUTH PLAIN said.
    pub(crate) user: Option<String>,
    pub(crate) protected: bool,
}

/// How connections are protected.
#[derive(Clone)]
pub(crate) enum Security {
    None,
    StartTls(TlsAcceptor),
    Tls(TlsAcceptor),
}

/// The running server.
#[derive(Debug)]
pub(crate) struct Smtp {
    pub(crate) port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl Smtp {
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }

    /// Waits for the one mail.
    pub(crate) async fn only(&self) -> Mail {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut turns = interval(Duration::from_millis(10));
        loop {
            turns.tick().await;
            let mut mails = self.mails();
            if mails.len() == 1 {
                return mails.remove(0);
            }
            assert!(mails.is_empty() && Instant::now() < deadline, "{mails:?}");
        }
    }
}

pub(crate) async fn start(security: Security) -> Smtp {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mails = Arc::<Mutex<Vec<Mail>>>::default();
    let kept = Arc::clone(&mails);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client may break off: a handshake it does not like, for example.
            let _ended = serve(stream, security.clone(), &kept).await.is_ok();
        }
    });
    Smtp { port, mails }
}

async fn serve(stream: TcpStream, security: Security, mails: &Mutex<Vec<Mail>>) -> std::io::Result<()> {
    match security {
        Security::None => talk(stream, true, false, false, mails).await.map(drop),
        Security::Tls(acceptor) => talk(acceptor.accept(stream).await?, true, false, true, mails)
            .await
            .map(drop),
        Security::StartTls(acceptor) => {
            let stream = talk(stream, true, true, false, mails).await?;
            talk(acceptor.accept(stream).await?, false, false, true, mails)
                .await
                .map(drop)
        }
    }
}

/// Speaks until the client quits or asks for TLS.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    greets: bool,
    offers_tls: bool,
    protected: bool,
    mails: &Mutex<Vec<Mail>>,
) -> std::io::Result<S> {
    let mut stream = BufReader::new(stream);
    if greets {
        stream.write_all(b"220 sink ESMTP\r\n").await?;
    }
    let mut mail = Mail {
        protected,
        ..Mail::default()
    };
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
        let address = || {
            let start = line.find('<').unwrap() + 1;
            line[start..line.find('>').unwrap()].to_owned()
        };
        let reply = match verb.as_str() {
            "EHLO" if offers_tls => "250-sink\r\n250 STARTTLS\r\n",
            "EHLO" if protected => "250-sink\r\n250 AUTH PLAIN\r\n",
            "EHLO" => "250 sink\r\n",
            "STARTTLS" if offers_tls => {
                stream.write_all(b"220 go ahead\r\n").await?;
                return Ok(stream.into_inner());
            }
            "AUTH" => {
                let said = STANDARD.decode(line.rsplit(' ').next().unwrap()).unwrap();
                let said = String::from_utf8(said).unwrap();
                if said.ends_with("\0hunter2") {
                    mail.user = Some(said);
                    "235 welcome\r\n"
                } else {
                    "535 wrong\r\n"
                }
            }
            // A server that can protect takes nothing in the clear.
            "MAIL" if offers_tls => "530 STARTTLS first\r\n",
            "MAIL" => {
                mail.from = address();
                "250 ok\r\n"
            }
            "RCPT" => {
                mail.to.push(address());
                "250 ok\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go ahead\r\n").await?;
                mail.data = data(&mut stream).await?;
                mails.lock().unwrap().push(mail.clone());
                "250 kept\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(stream.into_inner());
            }
            _ => "250 ok\r\n",
        };
        stream.write_all(reply.as_bytes()).await?;
    }
}

async fn data<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<String> {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(data);
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
